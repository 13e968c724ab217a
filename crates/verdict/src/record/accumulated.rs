/// A counter that a process keeps and that begins at 0 with each restart, summed over the processes
/// that were seen. What a process counted after the last look at it is lost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Accumulated {
    pid: Option<u32>,
    before: u64,
    last: u64,
}

impl Accumulated {
    /// Adds a look at `value` of process `pid`; returns the sum.
    pub(crate) fn add(&mut self, pid: u32, value: u64) -> u64 {
        if self.pid != Some(pid) {
            self.before += self.last;
            self.pid = Some(pid);
        }
        self.last = value;
        self.before + self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_does_not_take_back_what_was_counted() {
        let mut counter = Accumulated::default();
        assert_eq!(counter.add(7, 100), 100);
        assert_eq!(counter.add(7, 250), 250);
        // Even where the new process has counted more by now than the last one ever did.
        assert_eq!(counter.add(8, 300), 550);
        assert_eq!(counter.add(9, 0), 550);
        assert_eq!(counter.add(9, 5), 555);
    }
}
