use std::collections::BTreeMap;

use super::StreamFigures;
use super::receiving::Receiving;
use crate::record::{Censored, Columns, Times, Window};

/// Something that happens to a stream.
#[derive(Clone, Debug)]
pub enum StreamEvent {
    /// It was started.
    Started(StreamStart),
    /// It received the head of its answer, this long after it was due.
    Head {
        /// Microseconds.
        ttfb_us: u64,
    },
    /// It received its first chunk, this long after it was due.
    FirstChunk {
        /// Which stream.
        stream: u64,
        /// Microseconds.
        ttft_us: u64,
    },
    /// It received a further chunk, this long after the one before.
    Gap {
        /// Microseconds.
        gap_us: u64,
    },
    /// It ended.
    Ended(StreamRecord),
    /// It could not be started for want of a port or a file on this side; it ends as refused as well.
    NotSent,
    /// It was refused, and the answer told of a quota, such as requests per minute; it ends as refused as
    /// well.
    Quota,
}

/// How a stream ended. Every stream that was started ends as exactly one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StreamEnding {
    /// Terminal marker seen and every numbered chunk present, in order.
    Complete,
    /// Ended without the terminal marker, or with a chunk missing or out of order.
    Truncated,
    /// Ended with an error event.
    Error,
    /// Served at first, then silent for longer than the limit when the driver ended it.
    Stalled,
    /// Answered with an error status, or no connection.
    Refused,
    /// Flowing when the driver ended it.
    Cancelled,
    /// Not a byte by the end of the load.
    Unserved,
}

/// A stream that was started.
#[derive(Clone, Copy, Debug)]
pub struct StreamStart {
    /// Which one: its number in the load, or in all of a cell's steps.
    pub stream: u64,
    /// When it was due, in microseconds on the cell's clock.
    pub due_us: u64,
    /// How much later it was started, in microseconds.
    pub late_us: u64,
}

/// What one stream leaves behind.
#[derive(Clone, Debug)]
pub struct StreamRecord {
    /// Which one.
    pub stream: u64,
    /// When it ended, in microseconds on the cell's clock.
    pub ended_us: u64,
    /// Status of its answer, if it got one.
    pub status: Option<u16>,
    /// The cohort that its answer named, if one was asked for.
    pub cohort: Option<String>,
    /// From when it was due to its first chunk, if it got one.
    pub ttft_us: Option<u64>,
    /// How it ended.
    pub ending: StreamEnding,
    /// From when it was due to its end.
    pub age_us: u64,
    /// Chunks received.
    pub chunks: u64,
    /// Chunks missing, twice there or out of order.
    pub sequence_errors: u64,
    /// Largest gap between two chunks, if there were two.
    pub max_gap_us: Option<u64>,
    /// Since the last chunk, if the driver ended the stream: a gap that was still growing.
    pub open_gap_us: Option<u64>,
}

/// Records streams.
#[derive(Clone, Debug, Default)]
pub struct StreamRecorder {
    endings: [u64; 7],
    started: u64,
    not_sent: u64,
    quota: u64,
    open: u64,
    open_peak: u64,
    receiving: Receiving,
    /// Streams without a chunk yet, with when each was due.
    waiting: BTreeMap<u64, u64>,
    statuses: BTreeMap<u16, u64>,
    cohorts: BTreeMap<String, StreamRecorder>,
    took: Times,
    chunks: u64,
    sequence_errors: u64,
    ttfb: Times,
    ttft: Times,
    /// Without those that have no chunk.
    first_chunk: Times,
    never_served: u64,
    smallest_unserved_age: Option<u64>,
    /// Ages of those that have or had no byte.
    waited: Times,
    gap: Times,
    max_gap: Times,
    smallest_open_gap: Option<u64>,
    dispatch: Times,
    refused: Times,
    silence: Silence,
}

/// The longest time in which no stream received anything, though some were being served.
#[derive(Clone, Copy, Debug, Default)]
struct Silence {
    /// When a stream last received a chunk, or began or ended.
    since_us: Option<u64>,
    longest_us: u64,
}

impl Silence {
    /// A chunk came, or it became known that none came until then.
    fn broken(&mut self, at_us: u64, hold_us: u64) {
        if let Some(since_us) = self.since_us {
            let silent_us = at_us.saturating_sub(since_us.max(hold_us));
            self.longest_us = self.longest_us.max(silent_us);
        }
        self.since_us = Some(at_us);
    }
}

impl StreamRecorder {
    /// Takes in what happened at `now_us`; `window` is that of the load that is under way.
    pub fn add(&mut self, event: &StreamEvent, window: Window, now_us: u64) {
        if matches!(
            event,
            StreamEvent::FirstChunk { .. } | StreamEvent::Gap { .. }
        ) {
            if self.receiving.now() == 0 {
                self.silence.since_us = None;
            }
            self.silence.broken(now_us, window.hold_us);
        }
        match event {
            StreamEvent::Started(start) => self.started(*start),
            StreamEvent::Head { ttfb_us } => self.ttfb.add(*ttfb_us),
            StreamEvent::FirstChunk { stream, ttft_us } => {
                self.first_chunk(*stream, *ttft_us, window);
            }
            StreamEvent::Gap { gap_us } => {
                self.chunks += 1;
                self.gap.add(*gap_us);
            }
            StreamEvent::Ended(record) => self.ended(record, window),
            StreamEvent::NotSent => self.not_sent += 1,
            StreamEvent::Quota => self.quota += 1,
        }
    }

    fn started(&mut self, start: StreamStart) {
        self.started += 1;
        self.open += 1;
        self.open_peak = self.open_peak.max(self.open);
        self.waiting.insert(start.stream, start.due_us);
        self.dispatch.add(start.late_us);
    }

    /// A recorder of what comes now: nothing has happened yet, and what is open goes on.
    #[must_use]
    pub fn go_on(&self) -> Self {
        Self {
            open: self.open,
            open_peak: self.open,
            receiving: self.receiving.go_on(),
            waiting: self.waiting.clone(),
            silence: Silence {
                longest_us: 0,
                ..self.silence
            },
            ..Self::default()
        }
    }

    /// Streams that were started.
    #[must_use]
    pub fn started_so_far(&self) -> u64 {
        self.started
    }

    /// Streams that this side failed to start; each counts as refused as well.
    #[must_use]
    pub fn not_sent(&self) -> u64 {
        self.not_sent
    }

    fn first_chunk(&mut self, stream: u64, ttft_us: u64, window: Window) {
        let due_us = self.waiting.remove(&stream);
        self.receiving
            .begins(due_us.map(|due_us| due_us + ttft_us), window);
        self.chunks += 1;
        self.ttft.add(ttft_us);
        self.first_chunk.add(ttft_us);
    }

    fn ended(&mut self, stream: &StreamRecord, window: Window) {
        self.open = self.open.saturating_sub(1);
        if stream.chunks > 0 {
            self.silence.broken(stream.ended_us, window.hold_us);
            self.receiving.ends(stream.ended_us, window);
        }
        self.waiting.remove(&stream.stream);
        if let Some(status) = stream.status {
            *self.statuses.entry(status).or_default() += 1;
        }
        self.end(stream);
        if let Some(name) = &stream.cohort {
            let cohort = self.cohorts.entry(name.clone()).or_default();
            cohort.started += 1;
            cohort.chunks += stream.chunks;
            if let Some(ttft_us) = stream.ttft_us {
                cohort.ttft.add(ttft_us);
            }
            cohort.end(stream);
        }
    }

    /// Counts how a stream ended.
    fn end(&mut self, stream: &StreamRecord) {
        self.endings[stream.ending as usize] += 1;
        if stream.ending == StreamEnding::Refused {
            self.refused.add(stream.age_us);
        }
        if stream.ending == StreamEnding::Complete {
            self.took.add(stream.age_us);
        }
        self.sequence_errors += stream.sequence_errors;
        if stream.ending == StreamEnding::Unserved {
            // Without these, TTFT would count only the lucky streams.
            self.ttft.add(stream.age_us);
            self.waited.add(stream.age_us);
            lower(&mut self.smallest_unserved_age, stream.age_us);
        }
        let was_refused = stream.chunks == 0
            && !matches!(
                stream.ending,
                StreamEnding::Unserved | StreamEnding::Complete
            );
        self.never_served += u64::from(was_refused);
        // A gap that still grows counts only if it is longer than every gap before it.
        let growing = stream
            .open_gap_us
            .filter(|&open| stream.max_gap_us.is_none_or(|max| open > max));
        if let Some(gap) = growing {
            self.gap.add(gap);
            lower(&mut self.smallest_open_gap, gap);
        }
        if let Some(max) = growing.or(stream.max_gap_us) {
            self.max_gap.add(max);
        }
    }

    /// Streams that the driver has open now.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.open
    }

    /// Streams that have received a chunk and have not ended.
    #[must_use]
    pub fn receiving(&self) -> u64 {
        self.receiving.now()
    }

    /// Streams that were started and have neither received a chunk nor ended.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.waiting.len() as u64
    }

    /// Whether any stream has received a chunk.
    #[must_use]
    pub fn has_served(&self) -> bool {
        self.chunks > 0
    }

    /// Whether any stream has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.endings.iter().any(|&count| count > 0)
    }

    /// Streams that came to their end.
    #[must_use]
    pub fn completed(&self) -> u64 {
        self.endings[StreamEnding::Complete as usize]
    }

    /// What each was receiving and when.
    #[must_use]
    pub fn receptions(&self) -> &Receiving {
        &self.receiving
    }

    /// How late streams were started.
    #[must_use]
    pub fn dispatch(&self) -> &Times {
        &self.dispatch
    }

    /// The histograms of one interval of the log by their tags in it.
    pub(crate) fn tagged(&self) -> [(String, &Times); 2] {
        let tag = |what: &str| format!("load.streams.{what}");
        // With the ages of unserved streams.
        [(tag("ttft"), &self.ttft), (tag("gap"), &self.gap)]
    }

    /// The columns of the timeline.
    pub(crate) fn columns(&self, columns: &mut Columns) {
        columns.add("streams_open", self.open);
        columns.add("streams_receiving", self.receiving.now());
    }

    /// What a person sees of it while it is under way.
    pub(crate) fn now(&self) -> Option<String> {
        let served = self.receiving.now();
        (self.open > 0).then(|| format!("served {served}/{}", self.open))
    }

    /// As [`figures`](Self::figures), for a load that goes on at `now_us`. Streams that have not received a
    /// byte count in TTFT at their age.
    #[must_use]
    pub fn figures_at(&self, now_us: u64, served_peak: Option<u64>, load_us: u64) -> StreamFigures {
        let mut until_now = self.clone();
        if self.receiving.now() > 0 {
            until_now.silence.broken(now_us, 0);
        }
        for due_us in self.waiting.values() {
            let age_us = now_us.saturating_sub(*due_us);
            until_now.ttft.add(age_us);
            until_now.waited.add(age_us);
            lower(&mut until_now.smallest_unserved_age, age_us);
        }
        until_now.figures(served_peak, load_us)
    }

    /// The figures, with what the upstream counted. A stream that was refused, or broke off before its
    /// first chunk, counts in TTFT as `load_us`, the length of the load. So failing fast earns nothing.
    #[must_use]
    pub fn figures(&self, served_peak: Option<u64>, load_us: u64) -> StreamFigures {
        let mut ttft = self.ttft.clone();
        let mut smallest_bound = self.smallest_unserved_age;
        for _ in 0..self.never_served {
            ttft.add(load_us);
            lower(&mut smallest_bound, load_us);
        }
        let count = |ending: StreamEnding| self.endings[ending as usize];
        let from = |smallest: Option<u64>| smallest.map_or(Censored::Nothing, Censored::FromValue);
        StreamFigures {
            started: self.started,
            complete: count(StreamEnding::Complete),
            truncated: count(StreamEnding::Truncated),
            error: count(StreamEnding::Error),
            stalled: count(StreamEnding::Stalled),
            refused: count(StreamEnding::Refused),
            quota: self.quota,
            cancelled: count(StreamEnding::Cancelled),
            unserved: count(StreamEnding::Unserved),
            open_peak: self.open_peak,
            served_peak,
            receiving_peak: self.receiving.peak(),
            open: self.open,
            waiting: self.waiting(),
            waited_us: self.waited.figures(),
            took_us: self.took.figures(),
            first_chunk_us: self.first_chunk.figures(),
            refused_us: self.refused.figures(),
            silence_us: self.silence.longest_us,
            statuses: self
                .statuses
                .iter()
                .map(|(status, count)| (status.to_string(), *count))
                .collect(),
            cohorts: self
                .cohorts
                .iter()
                .map(|(name, cohort)| (name.clone(), cohort.figures(None, load_us)))
                .collect(),
            chunks: self.chunks,
            sequence_errors: self.sequence_errors,
            ttfb_us: self.ttfb.figures(),
            ttft_us: ttft.censored(from(smallest_bound)),
            gap_us: self.gap.censored(from(self.smallest_open_gap)),
            max_gap_us: self.max_gap.censored(from(self.smallest_open_gap)),
        }
    }
}

fn lower(smallest: &mut Option<u64>, value: u64) {
    *smallest = Some(smallest.map_or(value, |smallest| smallest.min(value)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(stream: u64) -> StreamStart {
        StreamStart {
            stream,
            due_us: 0,
            late_us: 100,
        }
    }

    const WINDOW: Window = Window {
        start_us: 0,
        hold_us: 0,
        end_us: 12_000_000,
    };

    const RECORD: StreamRecord = StreamRecord {
        stream: 0,
        status: Some(200),
        cohort: None,
        ttft_us: Some(101_000),
        ending: StreamEnding::Cancelled,
        ended_us: 12_000_000,
        age_us: 12_000_000,
        chunks: 48,
        sequence_errors: 0,
        max_gap_us: Some(251_000),
        open_gap_us: Some(100_000),
    };

    #[test]
    fn unserved_streams_are_not_left_out_of_ttft() {
        let mut streams = StreamRecorder::default();
        for n in 0..100 {
            streams.started(start(n));
            if n < 4 {
                streams.first_chunk(n, 101_000, WINDOW);
                streams.ended(&RECORD, WINDOW);
            } else {
                streams.ended(
                    &StreamRecord {
                        ending: StreamEnding::Unserved,
                        chunks: 0,
                        max_gap_us: None,
                        open_gap_us: None,
                        ..RECORD
                    },
                    WINDOW,
                );
            }
        }
        let figures = streams.figures(Some(4), 12_000_000);
        assert_eq!(
            (figures.started, figures.cancelled, figures.unserved),
            (100, 4, 96)
        );
        assert!(figures.ttft_us.p50.is_some_and(|p50| p50 >= 12_000_000));
        assert!(figures.ttft_us.p50_censored);
        assert_eq!(figures.ttft_us.count, 100);
    }

    #[test]
    fn refused_streams_do_not_leave_ttft_to_the_lucky_ones() {
        let mut streams = StreamRecorder::default();
        for n in 0..20 {
            streams.started(start(n));
            if n < 4 {
                streams.first_chunk(n, 22_000, WINDOW);
            } else {
                streams.ended(
                    &StreamRecord {
                        ending: StreamEnding::Refused,
                        age_us: 300,
                        chunks: 0,
                        max_gap_us: None,
                        open_gap_us: None,
                        ..RECORD
                    },
                    WINDOW,
                );
            }
        }
        let ttft = streams.figures(Some(4), 12_000_000).ttft_us;
        assert_eq!(ttft.count, 20);
        assert!(ttft.p50.is_some_and(|p50| p50 >= 12_000_000) && ttft.p50_censored);
    }

    #[test]
    fn a_stall_at_the_end_is_not_averaged_away() {
        let mut streams = StreamRecorder::default();
        streams.started(start(0));
        streams.first_chunk(0, 1_000, WINDOW);
        for _ in 0..47 {
            streams.add(&StreamEvent::Gap { gap_us: 250_000 }, WINDOW, 0);
        }
        streams.ended(
            &StreamRecord {
                ending: StreamEnding::Stalled,
                open_gap_us: Some(6_000_000),
                ..RECORD
            },
            WINDOW,
        );
        let figures = streams.figures(None, 12_000_000);
        assert!(figures.max_gap_us.max.is_some_and(|max| max >= 6_000_000));
        assert!(figures.max_gap_us.max_censored);
        assert!(!figures.gap_us.p50_censored);
    }

    #[test]
    fn each_cohort_has_figures_of_its_own() {
        let mut streams = StreamRecorder::default();
        for n in 0..10 {
            streams.started(start(n));
            let (cohort, ttft_us) = if n < 3 {
                ("async", 20_000)
            } else {
                ("blocking", 900_000)
            };
            streams.first_chunk(n, ttft_us, WINDOW);
            streams.ended(
                &StreamRecord {
                    stream: n,
                    cohort: Some(cohort.to_owned()),
                    ttft_us: Some(ttft_us),
                    ..RECORD
                },
                WINDOW,
            );
        }
        let figures = streams.figures(None, 12_000_000);
        let cohort = |name: &str| &figures.cohorts[name];
        assert_eq!(
            (cohort("async").started, cohort("blocking").cancelled),
            (3, 7)
        );
        assert!(cohort("async").ttft_us.max.is_some_and(|max| max < 30_000));
        assert!(
            cohort("blocking")
                .ttft_us
                .min
                .is_some_and(|min| min > 800_000)
        );
    }

    #[test]
    fn what_goes_on_is_carried_over_and_what_has_happened_is_not() {
        let mut streams = StreamRecorder::default();
        for n in 0..6 {
            streams.started(start(n));
        }
        streams.first_chunk(0, 1_000, WINDOW);
        let next = streams.go_on();
        assert_eq!(
            (next.open(), next.receiving(), next.receptions().peak()),
            (6, 1, 1)
        );
        assert_eq!(next.figures(None, 0).started, 0);
    }
}
