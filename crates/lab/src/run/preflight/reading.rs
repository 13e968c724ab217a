use std::time::{Duration, Instant};

use reqwest::Response;
use reqwest::header::CONTENT_TYPE;

use crate::load::{Body, Chunk, Frames, Reading};

/// What is odd is named within this time.
const ODD_WITHIN: Duration = Duration::from_secs(3);

/// The body of an error may take this long.
const ERROR_WITHIN: Duration = Duration::from_secs(1);

/// After its first piece of content, a stream is read for this much longer at most.
const AFTER_FIRST: Duration = Duration::from_secs(1);

/// Pieces that are further apart than this came one after the other.
const APART: Duration = Duration::from_millis(5);

/// What is kept of the beginning of a body, in bytes.
const KEPT: usize = 4_096;

/// An answer that is no event stream and comes at once is short below this many bytes.
const SHORT: usize = 16 * 1_024;

/// An event stream that comes at once has at least this many pieces.
const SEVERAL: u64 = 3;

/// What comes at once after less than this was not held back.
const LONG_WAIT: Duration = Duration::from_millis(300);

/// What was read of an answer.
#[derive(Debug)]
pub(super) struct Read {
    begun: Instant,
    /// Whether the pieces are told apart however they arrive.
    has_pieces: bool,
    /// The first bytes.
    pub begins: Vec<u8>,
    length: usize,
    arrivals: u64,
    /// Pieces of content.
    pub content: u64,
    pings: u64,
    others: u64,
    /// Whether there was an error before any content.
    pub has_error: bool,
    /// When the first piece of content came.
    pub first: Option<Instant>,
    last: Option<Instant>,
    /// When it ended, whole or not, if it was read to its end.
    pub ended: Option<Instant>,
}

impl Read {
    /// Reads an answer until it is known what it is like; `begun` is when it was asked for.
    pub(super) async fn of(answer: Response, begun: Instant, by: Instant) -> Self {
        let is_success = answer.status().is_success();
        let kind = answer.headers().get(CONTENT_TYPE);
        let kind = kind.and_then(|value| value.to_str().ok());
        let mut frames = Frames::of(kind, Reading::Any);
        let mut read = Self {
            begun,
            has_pieces: frames.has_pieces(),
            begins: Vec::new(),
            length: 0,
            arrivals: 0,
            content: 0,
            pings: 0,
            others: 0,
            has_error: false,
            first: None,
            last: None,
            ended: None,
        };
        let by = match is_success {
            true => by,
            false => by.min(Instant::now() + ERROR_WITHIN),
        };
        let odd_by = begun + ODD_WITHIN;
        let mut body = Body::of(answer);
        loop {
            let is_before_odd = Instant::now() < odd_by;
            let until = match read.first {
                Some(first) => by.min(first + AFTER_FIRST),
                None if is_before_odd => by.min(odd_by),
                None => by,
            };
            let bytes = tokio::time::timeout_at(until.into(), body.next()).await;
            let now = Instant::now();
            match bytes {
                Ok(Ok(Some(bytes))) => {
                    read.take(&bytes);
                    frames.feed(&bytes, |chunk| read.see(chunk, now));
                }
                Ok(Ok(None) | Err(_)) => {
                    frames.finish(|chunk| read.see(chunk, now));
                    read.ended = Some(now);
                    return read;
                }
                Err(_) if read.first.is_none() && is_before_odd && until < by => {
                    if read.has_only_pings() {
                        return read;
                    }
                }
                Err(_) => return read,
            }
            let has_enough = !is_success && read.length >= KEPT;
            if has_enough || read.has_error || read.flows() {
                return read;
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.arrivals += 1;
        self.length += bytes.len();
        let room = KEPT - self.begins.len().min(KEPT);
        self.begins
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn see(&mut self, chunk: Chunk, now: Instant) {
        match chunk {
            Chunk::Content { .. } => {
                self.content += 1;
                self.first.get_or_insert(now);
                self.last = Some(now);
            }
            Chunk::Error if self.content == 0 => self.has_error = true,
            Chunk::Ping => self.pings += 1,
            Chunk::Error | Chunk::Done | Chunk::Other => self.others += 1,
        }
    }

    /// Whether a second piece of content came later than the first.
    fn flows(&self) -> bool {
        let apart = self.first.zip(self.last).map(|(first, last)| last - first);
        apart.is_some_and(|apart| apart >= APART)
    }

    /// Whether there was no more than what keeps a connection busy. One comment at the beginning is usual.
    pub(super) fn has_only_pings(&self) -> bool {
        self.content == 0
            && self.others == 0
            && !self.has_error
            && (self.pings > 0 || self.arrivals > 1)
    }

    /// Whether it came whole at its end after a wait, though it is a stream or long.
    pub(super) fn is_buffered(&self) -> bool {
        let (Some(first), Some(ended)) = (self.first, self.ended) else {
            return false;
        };
        let is_much = match self.has_pieces {
            true => self.content >= SEVERAL,
            false => self.length >= SHORT,
        };
        let wait = first - self.begun;
        is_much && wait >= LONG_WAIT && ended - first <= wait / 20
    }
}
