//! A blocking HTTP client. A thread reads with it and passes what it reads to a handler. This file is
//! plumbing. The lesson is which thread calls it, and for how long: see the files that use it.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use futures_util::{Stream, stream};
use http::Request;
use http::response::Parts;
use relay::{RelayError, Timeouts};
use service::Services;
use tokio::sync::{mpsc, oneshot};
use vitals::{BlockingPool, Bulkhead};

/// A blocking client with the timeouts of the flags, and the threads that it is used on.
#[derive(Clone)]
pub(crate) struct BlockingClient {
    threads: Threads,
    agent: ureq::Agent,
    timeouts: Timeouts,
}

/// Where a job finds a thread to hold.
#[derive(Clone)]
pub(crate) enum Threads {
    /// In the pool that the whole server shares.
    Shared(BlockingPool),
    /// In a pool of its own, whose queue has no bound.
    Own(Bulkhead),
}

/// Bytes as they arrive. Nothing comes after an error.
pub(crate) type Chunk = io::Result<Bytes>;

/// A body that is being read: every `next` blocks its thread until the upstream has sent a chunk.
pub(crate) type Chunks = Box<dyn Iterator<Item = Chunk> + Send>;

/// What an exchange with the upstream yields: the head and then chunks, or only an error.
pub(crate) enum Part {
    Head(Result<Parts, RelayError>),
    Chunk(Chunk),
}

impl BlockingClient {
    /// A client on the pool that the whole server shares.
    pub(crate) fn new(services: &Services) -> Self {
        Self::on(Threads::Shared(services.vitals.pool().clone()), services)
    }

    pub(crate) fn on(threads: Threads, services: &Services) -> Self {
        let timeouts = failures::timeouts(&services.args);
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_connect(Some(timeouts.connect))
            .timeout_per_read(Some(timeouts.idle))
            .timeout_global(Some(timeouts.total));
        Self {
            threads,
            agent: config.build().into(),
            timeouts,
        }
    }

    /// Queues `job` for a thread and hands it the passage. No job is refused. The shared pool runs a job
    /// even if its client has left. A pool of its own drops such a job, as Python's executors do with a
    /// cancelled one.
    pub(crate) fn on_a_thread(
        self,
        passage: Passage,
        job: impl FnOnce(Self, Passage) + Send + 'static,
    ) {
        let is_own = matches!(self.threads, Threads::Own(_));
        self.spawn(move |client| {
            if !(is_own && passage.is_abandoned()) {
                job(client, passage);
            }
        });
    }

    /// Runs `job` on a thread and waits for its result, however long the queue is. If the caller leaves,
    /// the job keeps its place and still runs.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(Self) -> T + Send + 'static,
    ) -> Result<T, RelayError> {
        let (sender, result) = oneshot::channel();
        self.clone().spawn(move |client| {
            let _ = sender.send(job(client));
        });
        result.await.map_err(failures::task_is_gone)
    }

    fn spawn(self, job: impl FnOnce(Self) + Send + 'static) {
        match self.threads.clone() {
            Threads::Shared(pool) => drop(pool.spawn(move || job(self))),
            Threads::Own(pool) => drop(pool.spawn(move || job(self))),
        }
    }

    /// The first `next` sends the request. Every `next` blocks its thread until the upstream has sent the
    /// next part.
    pub(crate) fn exchange(&self, request: Request<Bytes>) -> impl Iterator<Item = Part> + use<> {
        let client = self.clone();
        let mut request = Some(request);
        let mut chunks: Option<Chunks> = None;
        std::iter::from_fn(move || {
            let Some(request) = request.take() else {
                return chunks.as_mut()?.next().map(Part::Chunk);
            };
            let head = client.send(request).map(|(head, body)| {
                chunks = Some(body);
                head
            });
            Some(Part::Head(head))
        })
    }

    /// Sends the request and waits for the head.
    #[expect(
        clippy::disallowed_methods,
        reason = "the failure on purpose: the calling thread waits for the upstream"
    )]
    pub(crate) fn send(&self, request: Request<Bytes>) -> Result<(Parts, Chunks), RelayError> {
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
        Ok((head, Box::new(read_chunks(body.into_reader()))))
    }
}

/// What the reader yields, as it arrives.
fn read_chunks(mut reader: impl Read) -> impl Iterator<Item = Chunk> {
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

/// A channel from a thread, which sends the parts, to a handler, which awaits them.
pub(crate) fn passage() -> (Passage, PassedOn) {
    let (head_sender, head) = oneshot::channel();
    let (chunk_sender, chunks) = mpsc::channel(1);
    let passage = Passage {
        head: Some(head_sender),
        chunks: chunk_sender,
    };
    (passage, PassedOn { head, chunks })
}

/// The thread's end of a passage.
pub(crate) struct Passage {
    head: Option<oneshot::Sender<Result<Parts, RelayError>>>,
    chunks: mpsc::Sender<Chunk>,
}

/// Nobody takes the chunks any more.
pub(crate) struct ClientGone;

impl Passage {
    /// Whether nobody awaits the head any more.
    fn is_abandoned(&self) -> bool {
        self.head.as_ref().is_some_and(oneshot::Sender::is_closed)
    }

    /// Passes a part on. It blocks its thread until the chunk before it has been taken. Only a chunk can
    /// fail with [`ClientGone`]; the head never does.
    pub(crate) fn pass(&mut self, part: Part) -> Result<(), ClientGone> {
        match part {
            Part::Head(head) => {
                if let Some(sender) = self.head.take() {
                    let _ = sender.send(head);
                }
                Ok(())
            }
            Part::Chunk(chunk) => self
                .chunks
                .blocking_send(chunk)
                .map_err(|_unsent| ClientGone),
        }
    }
}

/// The handler's end of a passage.
pub(crate) struct PassedOn {
    head: oneshot::Receiver<Result<Parts, RelayError>>,
    chunks: mpsc::Receiver<Chunk>,
}

impl PassedOn {
    /// Waits for the head, and returns it with the chunks that follow.
    pub(crate) async fn begin(self) -> Result<(Parts, impl Stream<Item = Chunk>), RelayError> {
        let head = self.head.await.map_err(failures::task_is_gone)??;
        let chunks = stream::unfold(self.chunks, async |mut chunks| {
            Some((chunks.recv().await?, chunks))
        });
        Ok((head, chunks))
    }
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
