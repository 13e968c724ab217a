use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::guard::Entry;
use super::record::{Cause, Class, Phase, StreamRecord};

/// The counts of a ledger at one instant, taken together so that they add up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Streams open now.
    pub open: u64,
    /// Most streams open at once so far.
    pub open_peak: u64,
    /// Streams ever opened.
    pub started: u64,
    /// Streams whose client got everything.
    pub completed: u64,
    /// Streams that failed on purpose.
    pub errored: u64,
    /// Streams whose client left, or was left.
    pub aborted: u64,
    /// Ended streams by the phase in which they ended.
    pub by_phase: BTreeMap<Phase, u64>,
    /// Ended streams by cause.
    pub by_cause: BTreeMap<Cause, u64>,
}

impl Tally {
    /// Whether every stream that was started is accounted for exactly once.
    #[must_use]
    pub fn is_conserved(&self) -> bool {
        let ended = self.completed + self.errored + self.aborted;
        self.started == ended + self.open
            && self.by_phase.values().sum::<u64>() == ended
            && self.by_cause.values().sum::<u64>() == ended
    }
}

/// What the ledger's lock protects.
#[derive(Debug)]
pub(super) struct Books {
    pub(super) tally: Tally,
    pub(super) open: HashMap<u64, Arc<Entry>>,
    pub(super) ended: VecDeque<StreamRecord>,
    history: usize,
}

impl Books {
    pub(super) fn new(history: usize) -> Self {
        Self {
            tally: Tally {
                by_phase: Phase::ALL.into_iter().map(|phase| (phase, 0)).collect(),
                by_cause: Cause::ALL.into_iter().map(|cause| (cause, 0)).collect(),
                ..Tally::default()
            },
            open: HashMap::new(),
            ended: VecDeque::new(),
            history,
        }
    }

    pub(super) fn open(&mut self, entry: impl FnOnce(u64) -> Arc<Entry>) -> Arc<Entry> {
        self.tally.started += 1;
        self.tally.open += 1;
        self.tally.open_peak = self.tally.open_peak.max(self.tally.open);
        let entry = entry(self.tally.started);
        self.open.insert(self.tally.started, Arc::clone(&entry));
        entry
    }

    /// Moves a stream from the open ones to the history; the number of those still open.
    pub(super) fn close(&mut self, record: StreamRecord, cause: Cause) -> u64 {
        self.open.remove(&record.id);
        let tally = &mut self.tally;
        tally.open -= 1;
        *match cause.class() {
            Class::Completed => &mut tally.completed,
            Class::Errored => &mut tally.errored,
            Class::Aborted => &mut tally.aborted,
        } += 1;
        *tally.by_phase.entry(record.phase).or_default() += 1;
        *tally.by_cause.entry(cause).or_default() += 1;
        self.ended.push_back(record);
        while self.ended.len() > self.history {
            self.ended.pop_front();
        }
        self.tally.open
    }
}
