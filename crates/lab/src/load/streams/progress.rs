use std::time::{Duration, Instant};

use crate::load::chunk::{Chunk, Reading};
use verdict::load::streams::{StreamEnding, StreamEvent, StreamRecord};
use verdict::units::us;

/// What has been seen of one stream.
pub(super) struct StreamProgress {
    pub(super) due: Instant,
    stream: u64,
    reading: Reading,
    pub(super) status: Option<u16>,
    pub(super) cohort: Option<String>,
    /// How long the answer asks to be left alone.
    pub(super) retry_after: Option<Duration>,
    ttft_us: Option<u64>,
    chunks: u64,
    last: Option<Instant>,
    next_number: u64,
    sequence_errors: u64,
    announced: Option<u64>,
    max_gap_us: Option<u64>,
    done: bool,
    error: bool,
}

impl StreamProgress {
    pub(super) fn new(stream: u64, due: Instant, reading: Reading) -> Self {
        Self {
            due,
            stream,
            reading,
            status: None,
            cohort: None,
            retry_after: None,
            ttft_us: None,
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

    pub(super) fn see(&mut self, chunk: Chunk, now: Instant) -> Option<StreamEvent> {
        match chunk {
            Chunk::Content { number, of } => {
                self.announced = of.or(self.announced);
                if let Some(number) = number {
                    self.sequence_errors += u64::from(number != self.next_number);
                    self.next_number = number + 1;
                }
                self.chunks += 1;
                let event = match self.last {
                    None => {
                        let ttft_us = us(now.saturating_duration_since(self.due));
                        self.ttft_us = Some(ttft_us);
                        StreamEvent::FirstChunk {
                            stream: self.stream,
                            ttft_us,
                        }
                    }
                    Some(last) => {
                        let gap_us = us(now.saturating_duration_since(last));
                        self.max_gap_us = self.max_gap_us.max(Some(gap_us));
                        StreamEvent::Gap { gap_us }
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
            Chunk::Other | Chunk::Ping => None,
        }
    }

    /// Whether its terminal marker was seen, and everything before it.
    pub(super) fn is_done(&self) -> bool {
        self.done && self.is_whole()
    }

    fn is_whole(&self) -> bool {
        (self.done || self.reading == Reading::Any)
            && self.sequence_errors == 0
            && self
                .announced
                .is_none_or(|announced| announced == self.chunks)
    }

    pub(super) fn ending_at_eof(&self) -> StreamEnding {
        if self.error {
            StreamEnding::Error
        } else if self.is_whole() {
            StreamEnding::Complete
        } else {
            StreamEnding::Truncated
        }
    }

    pub(super) fn ending_when_cut(&self, stall_after: Duration) -> StreamEnding {
        match self.last {
            _ if self.error => StreamEnding::Error,
            _ if self.is_done() => StreamEnding::Complete,
            None => StreamEnding::Unserved,
            Some(_) if self.sequence_errors > 0 => StreamEnding::Truncated,
            Some(last) if last.elapsed() > stall_after => StreamEnding::Stalled,
            Some(_) => StreamEnding::Cancelled,
        }
    }

    pub(super) fn record(&self, ending: StreamEnding, ended_us: u64) -> StreamRecord {
        let was_cut = matches!(ending, StreamEnding::Cancelled | StreamEnding::Stalled);
        StreamRecord {
            stream: self.stream,
            ended_us,
            status: self.status,
            cohort: self.cohort.clone(),
            ttft_us: self.ttft_us,
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

    fn after(chunks: &[Chunk]) -> StreamProgress {
        let mut progress = StreamProgress::new(0, Instant::now(), Reading::Numbered);
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
    fn a_stream_of_a_service_without_markers_is_whole_when_it_ends() {
        let mut progress = StreamProgress::new(0, Instant::now(), Reading::Any);
        let plain = Chunk::Content {
            number: None,
            of: None,
        };
        progress.see(plain, Instant::now());
        assert_eq!(progress.ending_at_eof(), StreamEnding::Complete);
        // What is cut has not ended.
        let stall_after = Duration::from_secs(5);
        assert_eq!(
            progress.ending_when_cut(stall_after),
            StreamEnding::Cancelled
        );
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
