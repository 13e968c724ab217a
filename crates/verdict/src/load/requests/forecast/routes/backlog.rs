/// The background tasks of a simulated cell: when each was accepted and when it ends, in microseconds.
#[derive(Debug, Default)]
pub(crate) struct TaskBacklog {
    accepted: Vec<u64>,
    ends: Vec<u64>,
    pub(crate) refused: u64,
}

impl TaskBacklog {
    /// A task was accepted at `at`.
    pub(crate) fn accepted(&mut self, at: u64) {
        self.accepted.push(at);
    }

    /// A task that was accepted ends at `at`.
    pub(crate) fn ends(&mut self, at: u64) {
        self.ends.push(at);
    }

    /// Tasks that were accepted by `at` and have not ended by then.
    pub(crate) fn pending(&self, at: u64) -> usize {
        let by = |times: &[u64]| times.iter().filter(|&&time| time <= at).count();
        by(&self.accepted) - by(&self.ends)
    }

    /// When the last of them ends.
    pub(crate) fn drained_at(&self) -> u64 {
        self.ends.iter().copied().max().unwrap_or(0)
    }
}
