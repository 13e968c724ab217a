//! The ledgers of the upstreams and the requests of a row, joined by request id.

use std::collections::HashMap;

use super::HangUp;
use crate::load::hang_ups::{LedgerLook, LedgerStream};

/// What the request ids of a row start with.
pub const ROW_ID: &str = "hang-up-";

pub(crate) fn is_of_a_row(id: &str) -> bool {
    id.starts_with(ROW_ID)
}

pub(crate) fn of_rows(streams: &[LedgerStream]) -> u64 {
    let ours = streams.iter().filter(|one| is_of_a_row(&one.request_id));
    ours.count() as u64
}

/// Streams that an upstream began after their client had left.
pub(crate) fn begun_for_nobody(all: &[(&HangUp, Option<Release>)], ledger: &LedgerLook) -> u64 {
    let left: HashMap<&str, u64> = all
        .iter()
        .map(|(one, _)| (one.id.as_str(), one.left_unix_us))
        .collect();
    let begun_late = |stream: &&LedgerStream| {
        left.get(stream.request_id.as_str())
            .is_some_and(|&left| stream.started_us > left)
    };
    let all = ledger.upstreams.iter().flatten();
    all.filter(begun_late).count() as u64
}

/// How long after a client left its upstream was released, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// Released after this time.
    After(u64),
    /// Still not released after this time.
    NotFor(u64),
}

/// The ledgers by request id.
pub(crate) struct Join<'a> {
    at_unix_us: u64,
    streams: HashMap<&'a str, Vec<&'a LedgerStream>>,
}

impl<'a> Join<'a> {
    pub(crate) fn of(ledger: &'a LedgerLook) -> Self {
        let mut streams: HashMap<_, Vec<_>> = HashMap::new();
        for stream in ledger.upstreams.iter().flatten() {
            streams
                .entry(stream.request_id.as_str())
                .or_default()
                .push(stream);
        }
        Self {
            at_unix_us: ledger.at_unix_us,
            streams,
        }
    }

    /// `None` if no upstream knows of it. With several streams, as with a fallback, the last to end
    /// counts. A stream that ended before its client left was released at once.
    pub(crate) fn release(&self, one: &HangUp) -> Option<Release> {
        let streams = self.streams.get(one.id.as_str())?;
        let ended = streams.iter().map(|stream| stream.ended_us);
        let last = ended.collect::<Option<Vec<_>>>();
        Some(match last.and_then(|ended| ended.into_iter().max()) {
            Some(ended) => Release::After(ended.saturating_sub(one.left_unix_us)),
            None => Release::NotFor(self.at_unix_us.saturating_sub(one.left_unix_us)),
        })
    }
}
