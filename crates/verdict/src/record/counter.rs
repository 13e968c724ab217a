/// A counter that only grows, from looks at a source whose values can fall. What a process counts begins
/// at 0 with each restart. A process tree loses what a child had used, for a moment if its parent waits
/// for it and for good if it does not. The kernel takes back time that it had called stolen. What was
/// counted once stays counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counter {
    pid: Option<u32>,
    /// Of the processes before this one.
    before: u64,
    /// The highest value of this one.
    highest: u64,
    /// Its last value, if that was lower.
    fallen: Option<u64>,
}

impl Counter {
    /// Adds a look at `value` of process `pid`; returns the sum over all processes. What a process
    /// counted after the last look at it is lost. A value that has fallen may be back at the next look;
    /// if it is not, counting goes on from the fallen one.
    pub(crate) fn add(&mut self, pid: u32, value: u64) -> u64 {
        if self.pid != Some(pid) {
            self.before += self.highest;
            (self.pid, self.highest, self.fallen) = (Some(pid), 0, None);
        }
        match self.fallen {
            _ if value >= self.highest => (self.highest, self.fallen) = (value, None),
            None => self.fallen = Some(value),
            Some(fallen) => {
                self.before += self.highest - fallen;
                (self.highest, self.fallen) = (fallen.max(value), None);
            }
        }
        self.before + self.highest
    }
}

/// By how much something grew from the first look at it to the last one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Growth(Option<(u64, u64)>);

impl Growth {
    /// Adds a look at `value`.
    pub(crate) fn add(&mut self, value: u64) {
        let first = self.0.map_or(value, |(first, _)| first);
        self.0 = Some((first, value));
    }

    /// `None` if there was no look; 0 if it has fallen.
    pub(crate) fn get(self) -> Option<u64> {
        self.0.map(|(first, last)| last.saturating_sub(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_does_not_take_back_what_was_counted() {
        let mut counter = Counter::default();
        assert_eq!(counter.add(7, 100), 100);
        assert_eq!(counter.add(7, 250), 250);
        // Even where the new process has counted more by now than the last one ever did.
        assert_eq!(counter.add(8, 300), 550);
        assert_eq!(counter.add(9, 0), 550);
        assert_eq!(counter.add(9, 5), 555);
    }

    #[test]
    fn a_value_that_falls_is_counted_on_and_one_that_comes_back_not_twice() {
        let mut counter = Counter::default();
        let seen = [100, 30, 90, 120].map(|value| counter.add(7, value));
        assert_eq!(seen, [100, 100, 160, 190]);
        let mut counter = Counter::default();
        let seen = [100, 30, 105, 120].map(|value| counter.add(7, value));
        assert_eq!(seen, [100, 100, 105, 120]);
    }
}
