use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::entry::{AccountEnd, OpenAccount, Opening};
use super::record::{Cause, Class, Phase, StreamRecord};

/// The counts of a ledger at one instant, taken together so that they add up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Streams open now, queued or running.
    pub open: u64,
    /// Most streams open at once so far.
    pub open_peak: u64,
    /// Streams that wait in the queue now.
    pub queued: u64,
    /// Most streams in the queue at once so far.
    pub queued_peak: u64,
    /// Streams that run now.
    pub running: u64,
    /// Most streams that ran at once so far.
    pub running_peak: u64,
    /// Streams ever asked for, those that were refused included.
    pub started: u64,
    /// Those of them that repeat an earlier attempt: `started` less this is the load.
    pub retries: u64,
    /// Streams whose client got everything.
    pub completed: u64,
    /// Streams that failed on purpose or were refused.
    pub errored: u64,
    /// Streams whose client left, or was left.
    pub aborted: u64,
    /// Ended streams by the phase in which they ended.
    pub by_phase: BTreeMap<Phase, u64>,
    /// Ended streams by cause.
    pub by_cause: BTreeMap<Cause, u64>,
    /// Streams by the number of the attempt that they are, `0` for the first; from `9` on together.
    pub by_retry_count: BTreeMap<String, u64>,
}

impl Tally {
    /// Whether every stream that was started is accounted for exactly once.
    #[must_use]
    pub fn is_conserved(&self) -> bool {
        let ended = self.completed + self.errored + self.aborted;
        self.started == ended + self.open
            && self.open == self.queued + self.running
            && self.by_phase.values().sum::<u64>() == ended
            && self.by_cause.values().sum::<u64>() == ended
    }
}

/// Attempts from this number on are counted together. The number comes from the client and is a key of a
/// map, which must not grow without end.
const LAST_RETRY_COUNT: u32 = 9;

/// What the ledger's lock protects.
#[derive(Debug)]
pub(super) struct LedgerBooks {
    pub(super) tally: Tally,
    pub(super) open: HashMap<u64, Arc<OpenAccount>>,
    /// Behind `Arc`, so that the lock is held for a short time when the history is read.
    pub(super) ended: VecDeque<Arc<StreamRecord>>,
    history: usize,
}

impl LedgerBooks {
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

    pub(super) fn open(&mut self, opening: &Opening, phase: Phase) -> Arc<OpenAccount> {
        let entry = Arc::new(self.start(opening, phase));
        let tally = &mut self.tally;
        tally.open += 1;
        tally.open_peak = tally.open_peak.max(tally.open);
        match phase {
            Phase::Queued => {
                tally.queued += 1;
                tally.queued_peak = tally.queued_peak.max(tally.queued);
            }
            _ => tally.run(),
        }
        self.open.insert(entry.id, Arc::clone(&entry));
        entry
    }

    /// Moves a stream from the queue to those that run.
    pub(super) fn admit(&mut self, entry: &OpenAccount) {
        entry.enter(Phase::Headers);
        self.tally.queued -= 1;
        self.tally.run();
    }

    /// Moves a stream from the open ones to the history. Returns how many are still open.
    pub(super) fn close(&mut self, entry: &OpenAccount, end: AccountEnd) -> u64 {
        self.open.remove(&entry.id);
        let tally = &mut self.tally;
        tally.open -= 1;
        match entry.phase() {
            Phase::Queued => tally.queued -= 1,
            _ => tally.running -= 1,
        }
        self.enter(entry.record(Some(end)), end.cause);
        self.tally.open
    }

    /// Enters a stream that is over at once and is never among the open ones.
    pub(super) fn settle(&mut self, opening: &Opening, phase: Phase, end: AccountEnd) {
        let entry = self.start(opening, phase);
        self.enter(entry.record(Some(end)), end.cause);
    }

    fn start(&mut self, opening: &Opening, phase: Phase) -> OpenAccount {
        let tally = &mut self.tally;
        tally.started += 1;
        tally.retries += u64::from(opening.retry > 0);
        let retry = opening.retry.min(LAST_RETRY_COUNT).to_string();
        *tally.by_retry_count.entry(retry).or_default() += 1;
        OpenAccount::new(tally.started, opening, phase)
    }

    fn enter(&mut self, record: StreamRecord, cause: Cause) {
        let tally = &mut self.tally;
        *match cause.class() {
            Class::Completed => &mut tally.completed,
            Class::Errored => &mut tally.errored,
            Class::Aborted => &mut tally.aborted,
        } += 1;
        *tally.by_phase.entry(record.phase).or_default() += 1;
        *tally.by_cause.entry(cause).or_default() += 1;
        self.ended.push_back(Arc::new(record));
        while self.ended.len() > self.history {
            self.ended.pop_front();
        }
    }
}

impl Tally {
    fn run(&mut self) {
        self.running += 1;
        self.running_peak = self.running_peak.max(self.running);
    }
}
