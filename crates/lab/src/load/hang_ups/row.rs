/// Which requests of a row are sent: all of them, or a few more after the first that hangs, to see
/// whether anybody is still served.
#[derive(Debug)]
pub(super) struct Row {
    count: u64,
    after_hanging: u64,
    next: u64,
    hangs: bool,
    sent_since: u64,
}

impl Row {
    pub(super) fn new(count: u64, after_hanging: u64) -> Self {
        Self {
            count,
            after_hanging,
            next: 1,
            hangs: false,
            sent_since: 0,
        }
    }

    /// The number of the next request, from 1; `None` if there is no further one.
    pub(super) fn next(&mut self) -> Option<u64> {
        if self.next > self.count || (self.hangs && self.sent_since >= self.after_hanging) {
            return None;
        }
        self.sent_since += u64::from(self.hangs);
        self.next += 1;
        Some(self.next - 1)
    }

    /// A request hangs.
    pub(super) fn hangs(&mut self) {
        self.hangs = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_without_a_hanging_request_is_sent_to_its_end() {
        let mut row = Row::new(3, 0);
        let numbers: Vec<_> = std::iter::from_fn(|| row.next()).collect();
        assert_eq!(numbers, [1, 2, 3]);
    }

    #[test]
    fn after_the_first_that_hangs_a_few_more_are_sent() {
        let mut row = Row::new(10, 2);
        assert_eq!((row.next(), row.next()), (Some(1), Some(2)));
        row.hangs();
        assert_eq!(row.next(), Some(3));
        row.hangs();
        assert_eq!((row.next(), row.next()), (Some(4), None));
    }
}
