use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::chunk::{Chunk, read_chunk};
use super::sse::SseReader;
use crate::measure::{Event, StreamEnding, StreamRecord, is_local};
use crate::scenario::Streams;
use crate::units::us;

/// A load of streams, each a task on a connection of its own. The plan says when each is due; none
/// waits for another.
#[derive(Debug)]
pub struct StreamLoad {
    end: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    client: reqwest::Client,
    url: String,
    stall_after: Duration,
    results: Sender<Event>,
}

impl StreamLoad {
    /// Starts the first stream at `start` and the others evenly spread over the ramp, on an OS thread
    /// and a runtime of their own; what happens to them goes to `results`.
    ///
    /// # Errors
    /// If the thread or the client cannot be made.
    pub fn start(
        spec: &Streams,
        base: &str,
        start: Instant,
        results: Sender<Event>,
    ) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the load's runtime")?;
        let client = crate::http::client(false).context("cannot make the load's HTTP client")?;
        let shared = Arc::new(Shared {
            client,
            url: format!("{base}{}", spec.path_and_query()),
            stall_after: spec.stall_after,
            results,
        });
        let count = spec.count;
        let step = spec.ramp / count;
        let (end, ended) = watch::channel(false);
        let thread = std::thread::Builder::new()
            .name("load".into())
            .spawn(move || {
                runtime.block_on(async move {
                    let mut streams = JoinSet::new();
                    for n in 0..count {
                        streams.spawn(run(Arc::clone(&shared), start + step * n, ended.clone()));
                    }
                    while streams.join_next().await.is_some() {}
                });
            })?;
        Ok(Self {
            end,
            thread: Some(thread),
        })
    }

    /// Hangs up on every stream that is open and waits until each has reported how it ended.
    pub fn end(&mut self) {
        self.end.send_replace(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for StreamLoad {
    fn drop(&mut self) {
        self.end();
    }
}

async fn run(shared: Arc<Shared>, due: Instant, mut ended: watch::Receiver<bool>) {
    tokio::select! {
        biased;
        _ = ended.wait_for(|ended| *ended) => return,
        () = tokio::time::sleep_until(due.into()) => {}
    }
    let late_us = us(due.elapsed());
    // Without a collector there is nobody to report to; so for every event below.
    let _ = shared.results.send(Event::StreamStarted { late_us });
    let mut progress = Progress::new(due);
    let ending = tokio::select! {
        ending = read(&shared, &mut progress) => ending,
        _ = ended.wait_for(|ended| *ended) => None,
    };
    let ending = ending.unwrap_or_else(|| progress.ending_when_cut(shared.stall_after));
    let record = progress.record(ending);
    let _ = shared.results.send(Event::StreamEnded(record));
}

/// Reads one stream to its end and says how it ended.
async fn read(shared: &Shared, progress: &mut Progress) -> Option<StreamEnding> {
    let answer = shared.client.get(&shared.url).send().await;
    let mut answer = match answer {
        Ok(answer) if answer.status().is_success() => answer,
        Ok(_) => return Some(StreamEnding::Refused),
        Err(error) => {
            if is_local(&error) {
                let _ = shared.results.send(Event::StreamNotSent);
            }
            return Some(StreamEnding::Refused);
        }
    };
    let ttfb_us = us(progress.due.elapsed());
    let _ = shared.results.send(Event::Head { ttfb_us });
    let mut reader = SseReader::default();
    loop {
        let bytes = match answer.chunk().await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Some(progress.ending_at_eof()),
            Err(_) if progress.is_whole() => return Some(StreamEnding::Complete),
            Err(_) => return Some(StreamEnding::Truncated),
        };
        let now = Instant::now();
        reader.feed(&bytes, |data| {
            if let Some(event) = progress.see(read_chunk(data), now) {
                let _ = shared.results.send(event);
            }
        });
    }
}

/// What has been seen of one stream.
struct Progress {
    due: Instant,
    chunks: u64,
    last: Option<Instant>,
    next_number: u64,
    sequence_errors: u64,
    announced: Option<u64>,
    max_gap_us: Option<u64>,
    done: bool,
    error: bool,
}

impl Progress {
    fn new(due: Instant) -> Self {
        Self {
            due,
            chunks: 0,
            last: None,
            next_number: 0,
            sequence_errors: 0,
            announced: None,
            max_gap_us: None,
            done: false,
            error: false,
        }
    }

    fn see(&mut self, chunk: Chunk, now: Instant) -> Option<Event> {
        match chunk {
            Chunk::Content { number, of } => {
                self.announced = of.or(self.announced);
                if let Some(number) = number {
                    self.sequence_errors += u64::from(number != self.next_number);
                    self.next_number = number + 1;
                }
                self.chunks += 1;
                let event = match self.last {
                    None => Event::FirstChunk {
                        ttft_us: us(now.saturating_duration_since(self.due)),
                    },
                    Some(last) => {
                        let gap_us = us(now.saturating_duration_since(last));
                        self.max_gap_us = self.max_gap_us.max(Some(gap_us));
                        Event::Gap { gap_us }
                    }
                };
                self.last = Some(now);
                Some(event)
            }
            Chunk::Done => {
                self.done = true;
                None
            }
            Chunk::Error => {
                self.error = true;
                None
            }
            Chunk::Other => None,
        }
    }

    fn is_whole(&self) -> bool {
        self.done
            && self.sequence_errors == 0
            && self
                .announced
                .is_none_or(|announced| announced == self.chunks)
    }

    fn ending_at_eof(&self) -> StreamEnding {
        if self.error {
            StreamEnding::Error
        } else if self.is_whole() {
            StreamEnding::Complete
        } else {
            StreamEnding::Truncated
        }
    }

    fn ending_when_cut(&self, stall_after: Duration) -> StreamEnding {
        match self.last {
            _ if self.error => StreamEnding::Error,
            _ if self.is_whole() => StreamEnding::Complete,
            None => StreamEnding::Unserved,
            Some(_) if self.sequence_errors > 0 => StreamEnding::Truncated,
            Some(last) if last.elapsed() > stall_after => StreamEnding::Stalled,
            Some(_) => StreamEnding::Cancelled,
        }
    }

    fn record(&self, ending: StreamEnding) -> StreamRecord {
        let was_cut = matches!(ending, StreamEnding::Cancelled | StreamEnding::Stalled);
        StreamRecord {
            ending,
            age_us: us(self.due.elapsed()),
            chunks: self.chunks,
            sequence_errors: self.sequence_errors,
            max_gap_us: self.max_gap_us,
            open_gap_us: self.last.filter(|_| was_cut).map(|last| us(last.elapsed())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(number: u64) -> Chunk {
        Chunk::Content {
            number: Some(number),
            of: Some(3),
        }
    }

    fn after(chunks: &[Chunk]) -> Progress {
        let mut progress = Progress::new(Instant::now());
        for &chunk in chunks {
            progress.see(chunk, Instant::now());
        }
        progress
    }

    #[test]
    fn complete_means_terminal_marker_and_every_chunk_in_order() {
        let ending = |chunks: &[Chunk]| after(chunks).ending_at_eof();
        assert_eq!(
            ending(&[content(0), content(1), content(2), Chunk::Done]),
            StreamEnding::Complete
        );
        assert_eq!(
            ending(&[content(0), content(1), content(2)]),
            StreamEnding::Truncated
        );
        assert_eq!(
            ending(&[content(0), content(2), Chunk::Done]),
            StreamEnding::Truncated
        );
        assert_eq!(
            ending(&[content(0), content(2), content(1), Chunk::Done]),
            StreamEnding::Truncated
        );
        assert_eq!(
            ending(&[content(0), content(1), Chunk::Done]),
            StreamEnding::Truncated
        );
        assert_eq!(ending(&[content(0), Chunk::Error]), StreamEnding::Error);
    }

    #[test]
    fn a_stream_that_is_cut_is_told_by_what_it_had() {
        let stall_after = Duration::from_secs(5);
        assert_eq!(
            after(&[]).ending_when_cut(stall_after),
            StreamEnding::Unserved
        );
        assert_eq!(
            after(&[content(0)]).ending_when_cut(stall_after),
            StreamEnding::Cancelled
        );
        assert_eq!(
            after(&[content(0)]).ending_when_cut(Duration::ZERO),
            StreamEnding::Stalled
        );
        assert_eq!(
            after(&[content(1)]).ending_when_cut(stall_after),
            StreamEnding::Truncated
        );
    }
}
