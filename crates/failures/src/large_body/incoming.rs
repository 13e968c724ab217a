use std::time::Duration;

use axum::body::BodyDataStream;
use axum::extract::Request;
use axum::http::header;
use futures_util::StreamExt;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::{BodyError, Sizes, client};

/// How long a body may take to be read: a client that trickles must not keep for ever what it was
/// given to be read.
pub const READ_WITHIN: Duration = Duration::from_secs(30);

/// For how long, and how far, the rest of a body is thrown away that was refused.
const LINGER: Duration = Duration::from_secs(5);
const LINGER_BYTES: usize = 64 << 20;

/// A request's body on its way in. Nothing is read before it is asked for: what a client sends
/// meanwhile stays in the kernel, and then with the client.
#[derive(Debug)]
pub struct Incoming {
    client: String,
    announced: Option<u64>,
    awaits_continue: bool,
    limit: usize,
    sizes: Sizes,
    chunks: Option<BodyDataStream>,
    read: Vec<u8>,
}

impl Incoming {
    /// The body of `request`, of which at most `limit` bytes are taken. Its size is counted in `sizes`
    /// once that is known.
    #[must_use]
    pub fn new(request: Request, limit: usize, sizes: &Sizes) -> Self {
        let (parts, body) = request.into_parts();
        let length = parts.headers.get(header::CONTENT_LENGTH);
        let length = length.and_then(|value| value.to_str().ok());
        Self {
            client: client::name(&parts),
            announced: length.and_then(|value| value.parse().ok()),
            awaits_continue: parts.headers.contains_key(header::EXPECT),
            limit,
            sizes: sizes.clone(),
            chunks: Some(body.into_data_stream()),
            read: Vec::new(),
        }
    }

    /// Whether the body has at most `bytes` bytes. Tells by `Content-Length` without reading, and
    /// where there is none reads until it knows.
    ///
    /// # Errors
    /// [`BodyError::TooSlow`], [`BodyError::BrokenOff`].
    ///
    /// # Cancel safety
    /// Safe: what was read is kept.
    pub async fn is_within(&mut self, bytes: usize) -> Result<bool, BodyError> {
        match self.announced {
            Some(length) => Ok(length <= bytes as u64),
            None => {
                let is_beyond = read_beyond(&mut self.chunks, bytes, &mut self.read).await?;
                Ok(!is_beyond)
            }
        }
    }

    /// Reads to the end, into memory of its own.
    ///
    /// # Errors
    /// As [`read_into`](Self::read_into).
    ///
    /// # Cancel safety
    /// Dropping the future drops the body.
    pub async fn read(self) -> Result<Vec<u8>, BodyError> {
        let mut bytes = Vec::new();
        self.read_into(&mut bytes).await?;
        Ok(bytes)
    }

    /// Reads to the end, into `bytes` in place of what is there.
    ///
    /// # Errors
    /// [`BodyError::TooLarge`] as soon as the limit is known to be exceeded, by `Content-Length` or by
    /// what was read; [`BodyError::TooSlow`] after [`READ_WITHIN`]; [`BodyError::BrokenOff`].
    ///
    /// # Cancel safety
    /// Dropping the future drops the body; `bytes` holds a part of it.
    pub async fn read_into(mut self, bytes: &mut Vec<u8>) -> Result<(), BodyError> {
        let too_large = BodyError::TooLarge { limit: self.limit };
        if let Some(length) = self.announced.filter(|length| *length > self.limit as u64) {
            self.sizes.record(&self.client, length);
            return Err(too_large);
        }
        bytes.clear();
        // The length is the client's word: memory is reserved for it, and used when bytes come.
        let announced = self.announced.and_then(|length| length.try_into().ok());
        bytes.reserve_exact(announced.unwrap_or(self.read.len()));
        bytes.append(&mut self.read);
        let is_too_large = read_beyond(&mut self.chunks, self.limit, bytes).await?;
        self.sizes.record(&self.client, bytes.len() as u64);
        if is_too_large { Err(too_large) } else { Ok(()) }
    }
}

/// Reads until more than `limit` bytes are there; `false` if the body ends before.
async fn read_beyond(
    body: &mut Option<BodyDataStream>,
    limit: usize,
    bytes: &mut Vec<u8>,
) -> Result<bool, BodyError> {
    let reading = async {
        while bytes.len() <= limit {
            let Some(chunks) = body else {
                return Ok(false);
            };
            match chunks.next().await {
                Some(Ok(chunk)) => bytes.extend_from_slice(&chunk),
                Some(Err(_)) => {
                    *body = None;
                    return Err(BodyError::BrokenOff);
                }
                None => *body = None,
            }
        }
        Ok(true)
    };
    let in_time = timeout(READ_WITHIN, reading).await;
    in_time.unwrap_or(Err(BodyError::TooSlow { limit: READ_WITHIN }))
}

/// A socket that is closed with unread data is reset, and the reset may overtake the answer at the
/// client, which is still sending. So the rest of a refused body is read for a while. Not that of
/// a client that waits for `100 Continue`: it sends nothing.
impl Drop for Incoming {
    fn drop(&mut self) {
        let Some(chunks) = self.chunks.take() else {
            return;
        };
        if let (false, Ok(runtime)) = (self.awaits_continue, Handle::try_current()) {
            runtime.spawn(timeout(LINGER, throw_away(chunks)));
        }
    }
}

async fn throw_away(mut chunks: BodyDataStream) {
    let mut left = LINGER_BYTES;
    while let Some(Ok(chunk)) = chunks.next().await {
        match left.checked_sub(chunk.len()) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, Bytes};
    use futures_util::stream;

    use super::*;

    /// A body without a length, in chunks of 10 bytes, that ends or falls silent.
    fn request(chunks: usize, ends: bool) -> Request {
        let sent = stream::iter((0..chunks).map(|_| Ok(Bytes::from_static(b"0123456789"))));
        let rest = stream::poll_fn(move |_| match ends {
            true => std::task::Poll::Ready(None::<Result<Bytes, std::io::Error>>),
            false => std::task::Poll::Pending,
        });
        Request::new(Body::from_stream(sent.chain(rest)))
    }

    fn incoming(chunks: usize, ends: bool) -> Incoming {
        Incoming::new(request(chunks, ends), 100, &Sizes::default())
    }

    #[tokio::test]
    async fn what_was_read_to_know_the_size_is_not_lost() {
        let mut body = incoming(10, true);
        assert!(!body.is_within(55).await.unwrap());
        assert_eq!(body.read.len(), 60, "no more than it takes to know");
        assert_eq!(body.read().await.unwrap(), b"0123456789".repeat(10));
        assert!(incoming(5, true).is_within(50).await.unwrap());
    }

    #[tokio::test]
    async fn the_limit_itself_is_within_the_limit() {
        assert_eq!(incoming(10, true).read().await.unwrap().len(), 100);
        let sizes = Sizes::default();
        let body = Incoming::new(request(11, false), 100, &sizes);
        let refused = body.read().await;
        assert!(matches!(refused, Err(BodyError::TooLarge { limit: 100 })));
        assert_eq!(sizes.snapshot()["unknown"].count, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_falls_silent_is_not_waited_for_for_ever() {
        let started = tokio::time::Instant::now();
        let refused = incoming(3, false).read().await;
        assert!(matches!(refused, Err(BodyError::TooSlow { .. })));
        assert_eq!(started.elapsed().as_secs(), READ_WITHIN.as_secs());
    }
}
