//! A blocking HTTP client and what turns its reader into chunks. Nothing of the lesson: which thread
//! calls it, and for how long, is.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{Stream, stream};
use http::request::Request;
use http::response::Parts;
use relay::{RelayError, Timeouts};
use tokio::sync::mpsc::Receiver;

/// A blocking client with the timeouts of the relay.
#[derive(Clone)]
pub(crate) struct Client {
    agent: ureq::Agent,
    timeouts: Timeouts,
}

impl Client {
    pub(crate) fn new(timeouts: Timeouts) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_connect(Some(timeouts.connect))
            .timeout_per_read(Some(timeouts.idle))
            .timeout_global(Some(timeouts.total));
        Self {
            agent: config.build().into(),
            timeouts,
        }
    }

    /// Sends the request and waits for the head; the reader waits for every chunk.
    #[expect(
        clippy::disallowed_methods,
        reason = "the failure on purpose: the calling thread waits for the upstream"
    )]
    pub(crate) fn send(
        &self,
        request: Request<Bytes>,
    ) -> Result<(Parts, impl Read + use<>), RelayError> {
        let started = Instant::now();
        let (parts, body) = request.into_parts();
        let answer = if body.is_empty() {
            self.agent.run(Request::from_parts(parts, ()))
        } else {
            self.agent.run(Request::from_parts(parts, body.to_vec()))
        };
        let (head, body) = answer
            .map_err(|error| into_relay_error(error, started.elapsed(), self.timeouts))?
            .into_parts();
        let head = relay::client_head(head.status, &head.headers, body.content_length());
        Ok((head, body.into_reader()))
    }
}

/// What the reader yields, as it arrives; ends after an error.
pub(crate) fn chunks(mut reader: impl Read) -> impl Iterator<Item = io::Result<Bytes>> {
    let mut buffer = [0; 16 * 1024];
    let mut is_over = false;
    std::iter::from_fn(move || {
        if is_over {
            return None;
        }
        match reader.read(&mut buffer) {
            Ok(0) => None,
            Ok(length) => Some(Ok(Bytes::copy_from_slice(&buffer[..length]))),
            Err(error) => {
                is_over = true;
                Some(Err(error))
            }
        }
    })
}

/// The other end of a channel, as a stream.
pub(crate) fn receive<T>(receiver: Receiver<T>) -> impl Stream<Item = T> {
    stream::unfold(receiver, async |mut receiver| {
        Some((receiver.recv().await?, receiver))
    })
}

fn into_relay_error(error: ureq::Error, waited: Duration, timeouts: Timeouts) -> RelayError {
    use std::io::ErrorKind;
    match error {
        ureq::Error::Timeout(ureq::Timeout::Connect) => RelayError::ConnectTimeout {
            waited,
            limit: timeouts.connect,
        },
        ureq::Error::Timeout(ureq::Timeout::Global) => RelayError::Deadline {
            waited,
            limit: timeouts.total,
        },
        ureq::Error::Timeout(_) => RelayError::HeadTimeout {
            waited,
            limit: timeouts.idle,
        },
        ureq::Error::Io(source)
            if !matches!(
                source.kind(),
                ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe
            ) =>
        {
            RelayError::Connect {
                source: source.into(),
            }
        }
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => RelayError::Connect {
            source: error.into(),
        },
        other => RelayError::Upstream {
            source: other.into(),
        },
    }
}
