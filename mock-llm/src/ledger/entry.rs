use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use super::record::{Cause, Kind, Phase, StreamRecord};
use crate::clock::unix_us;
use crate::socket::Peer;

/// What is known of a stream when its account is opened.
#[derive(Clone, Debug)]
pub struct Opening {
    /// What was asked for.
    pub kind: Kind,
    /// The `x-request-id` of the request, or the one generated for it.
    pub request_id: Arc<str>,
    /// When the request arrived, in microseconds since the Unix epoch.
    pub started_us: u64,
    /// Which attempt it is, from 0.
    pub retry: u32,
    /// Who asks.
    pub peer: Option<Peer>,
}

/// An account that is open. It is shared with the list of open streams.
#[derive(Debug)]
pub(super) struct OpenAccount {
    pub(super) id: u64,
    request_id: Arc<str>,
    kind: Kind,
    peer: String,
    retry: u32,
    started_us: u64,
    phase: AtomicU8,
    chunks: AtomicU64,
    /// 0 until the stream is admitted.
    admitted_us: AtomicU64,
    /// 0 until something is written.
    last_write_us: AtomicU64,
}

/// How an account was closed.
#[derive(Clone, Copy, Debug)]
pub(super) struct AccountEnd {
    pub(super) cause: Cause,
    pub(super) ended_us: u64,
    pub(super) hang_up_us: Option<u64>,
}

impl OpenAccount {
    pub(super) fn new(id: u64, opening: &Opening, phase: Phase) -> Self {
        let peer = opening.peer.as_ref();
        let entry = Self {
            id,
            request_id: Arc::clone(&opening.request_id),
            kind: opening.kind,
            peer: peer
                .map(|peer| peer.address.to_string())
                .unwrap_or_default(),
            retry: opening.retry,
            started_us: opening.started_us,
            phase: AtomicU8::new(Phase::Queued as u8),
            chunks: AtomicU64::new(0),
            admitted_us: AtomicU64::new(0),
            last_write_us: AtomicU64::new(0),
        };
        entry.enter(phase);
        entry
    }

    pub(super) fn phase(&self) -> Phase {
        Phase::ALL[usize::from(self.phase.load(Ordering::Relaxed))]
    }

    /// Goes on to another phase. A stream that leaves the queue is admitted.
    pub(super) fn enter(&self, phase: Phase) {
        let before = self.phase.swap(phase as u8, Ordering::Relaxed);
        if before == Phase::Queued as u8 && phase != Phase::Queued {
            self.admitted_us.store(unix_us(), Ordering::Relaxed);
        }
    }

    pub(super) fn wrote(&self, chunks: u64) {
        self.chunks.fetch_add(chunks, Ordering::Relaxed);
        self.last_write_us.store(unix_us(), Ordering::Relaxed);
    }

    pub(super) fn record(&self, end: Option<AccountEnd>) -> StreamRecord {
        let time = |us: &AtomicU64| Some(us.load(Ordering::Relaxed)).filter(|us| *us > 0);
        StreamRecord {
            id: self.id,
            request_id: self.request_id.to_string(),
            kind: self.kind,
            peer: self.peer.clone(),
            retry: self.retry,
            started_us: self.started_us,
            admitted_us: time(&self.admitted_us),
            chunks: self.chunks.load(Ordering::Relaxed),
            last_write_us: time(&self.last_write_us),
            ended_us: end.map(|end| end.ended_us),
            hang_up_us: end.and_then(|end| end.hang_up_us),
            phase: self.phase(),
            cause: end.map(|end| end.cause),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_phases_are_numbered_as_the_list_has_them() {
        for (number, phase) in Phase::ALL.into_iter().enumerate() {
            assert_eq!(phase as usize, number);
        }
    }
}
