//! Reads the body of a request into memory, within the limits of its relay.

use axum::body::{Body, BodyDataStream, HttpBody};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::poll_immediate;
use tokio::time::Instant;

use crate::error::RelayError;
use crate::permits::{Permits, Shed};
use crate::quota::Share;
use crate::timeouts::Timeouts;

/// How a body is read.
pub(crate) struct BodyReader<'a> {
    pub(crate) timeouts: Timeouts,
    pub(crate) permits: &'a Permits,
    /// Most bytes that the body may have.
    pub(crate) limit: usize,
    /// A body that has to be waited for takes one of the relay's places for bodies.
    pub(crate) takes_place: bool,
}

type NextChunk = Option<Result<Bytes, axum::Error>>;

impl BodyReader<'_> {
    /// Reads `body` to its end; `announced` is its length as the request's head has it, if it does.
    ///
    /// The whole body is read before anything is sent, because hyper sees a client hang up in
    /// mid-response only after it has read the request's body to its end.
    ///
    /// The place is taken when more of the body has to be waited for. A small body is there together
    /// with its head and needs no place, so clients that send slowly cannot hold it up.
    pub(crate) async fn read(
        &self,
        body: Body,
        announced: Option<u64>,
    ) -> Result<Bytes, RelayError> {
        // A body larger than the budget would never find room, however often it is sent again.
        let limit = self.limit.min(self.permits.body_bytes().limit());
        let announced = announced.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
        if let Some(length) = announced {
            if length > limit {
                return Err(RelayError::BodyTooLarge { limit });
            }
            self.permits.check_room_for(length)?;
        }
        if body.is_end_stream() {
            return Ok(Bytes::new());
        }
        let mut whole = BodyBuffer {
            bytes: Vec::new(),
            memory: self.permits.body_bytes().nothing(),
        };
        let mut chunks = body.into_data_stream();
        let started = Instant::now();
        let mut place = None;
        loop {
            let next = match poll_immediate(chunks.next()).await {
                Some(next) => next,
                None => {
                    if self.takes_place && place.is_none() {
                        place = Some(self.permits.read_a_body()?);
                    }
                    self.wait_for(&mut chunks, started).await?
                }
            };
            let Some(chunk) = next else {
                return Ok(whole.into_bytes());
            };
            let chunk = chunk.map_err(|error| RelayError::RequestBody {
                source: error.into(),
            })?;
            if whole.bytes.len() + chunk.len() > limit {
                return Err(RelayError::BodyTooLarge { limit });
            }
            whole.push(&chunk, announced.unwrap_or(limit), self.permits)?;
            // A body of known length is not waited for after its last byte.
            if chunks.is_end_stream() {
                return Ok(whole.into_bytes());
            }
        }
    }

    async fn wait_for(
        &self,
        chunks: &mut BodyDataStream,
        started: Instant,
    ) -> Result<NextChunk, RelayError> {
        let Timeouts { idle, total, .. } = self.timeouts;
        let waiting = Instant::now();
        let left = total.saturating_sub(started.elapsed());
        let next = tokio::time::timeout(idle.min(left), chunks.next()).await;
        next.map_err(|_| {
            let (since, limit) = if idle < left {
                (waiting, idle)
            } else {
                (started, total)
            };
            RelayError::RequestTimeout {
                waited: since.elapsed(),
                limit,
            }
        })
    }
}

/// The bytes of a body, and the share of the relay's budget that their memory takes. The share is
/// given back with the last copy of the bytes, wherever that is by then.
struct BodyBuffer {
    bytes: Vec<u8>,
    memory: Share,
}

impl BodyBuffer {
    /// Appends `chunk`. The buffer doubles when it is full, up to `expected` bytes. Its memory is
    /// counted before it is allocated.
    fn push(&mut self, chunk: &[u8], expected: usize, permits: &Permits) -> Result<(), Shed> {
        let needed = self.bytes.len() + chunk.len();
        if needed > self.bytes.capacity() {
            let doubled = self.bytes.capacity().saturating_mul(2);
            let capacity = needed.max(doubled.min(expected));
            permits.hold_bytes(&mut self.memory, capacity)?;
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }

    fn into_bytes(mut self) -> Bytes {
        self.bytes.shrink_to_fit();
        self.memory.shrink_to(self.bytes.capacity());
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for BodyBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(permits: &Permits) -> BodyBuffer {
        BodyBuffer {
            bytes: Vec::new(),
            memory: permits.body_bytes().nothing(),
        }
    }

    #[test]
    fn the_memory_of_a_body_is_counted_until_its_last_copy_is_dropped() {
        let permits = Permits::new(1);
        let mut body = buffer(&permits);
        for _ in 0..5 {
            body.push(&[b'x'; 100], 10_000, &permits).unwrap();
            assert_eq!(permits.body_bytes().taken(), body.bytes.capacity());
        }
        let bytes = body.into_bytes();
        let copy = bytes.slice(..1);
        assert_eq!((bytes.len(), permits.body_bytes().taken()), (500, 500));
        drop(bytes);
        assert_eq!(permits.body_bytes().taken(), 500);
        drop(copy);
        assert_eq!(permits.body_bytes().taken(), 0);
    }

    #[test]
    fn an_announced_length_is_never_allocated_beforehand_nor_exceeded_by_doubling() {
        let permits = Permits::new(1);
        let mut body = buffer(&permits);
        body.push(&[b'x'; 60], 100, &permits).unwrap();
        assert_eq!(permits.body_bytes().taken(), 60);
        body.push(&[b'x'; 40], 100, &permits).unwrap();
        assert_eq!(permits.body_bytes().taken(), 100);
        // The head may have lied.
        body.push(b"x", 100, &permits).unwrap();
        assert_eq!(permits.body_bytes().taken(), 101);
    }
}
