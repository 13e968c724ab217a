use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::record::{Censored, distribution, histogram, record};
use crate::summary::Streams;

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
#[derive(Clone, Debug)]
pub struct StreamRecorder {
    endings: [u64; 7],
    started: u64,
    not_sent: u64,
    open: u64,
    open_peak: u64,
    receiving: u64,
    receiving_peak: u64,
    /// Streams that were receiving at first, and when one more began to or one ended.
    receiving_before: u64,
    changes: Vec<(u64, bool)>,
    /// Streams without a chunk yet, with when each was due.
    waiting: BTreeMap<u64, u64>,
    statuses: BTreeMap<u16, u64>,
    cohorts: BTreeMap<String, StreamRecorder>,
    took: Histogram<u64>,
    chunks: u64,
    sequence_errors: u64,
    ttfb: Histogram<u64>,
    ttft: Histogram<u64>,
    never_served: u64,
    smallest_unserved_age: Option<u64>,
    /// Ages of those that have or had no byte.
    waited: Histogram<u64>,
    gap: Histogram<u64>,
    max_gap: Histogram<u64>,
    smallest_open_gap: Option<u64>,
    dispatch: Histogram<u64>,
}

impl Default for StreamRecorder {
    fn default() -> Self {
        Self {
            endings: [0; 7],
            started: 0,
            not_sent: 0,
            open: 0,
            open_peak: 0,
            receiving: 0,
            receiving_peak: 0,
            receiving_before: 0,
            changes: Vec::new(),
            waiting: BTreeMap::new(),
            statuses: BTreeMap::new(),
            cohorts: BTreeMap::new(),
            took: histogram(),
            chunks: 0,
            sequence_errors: 0,
            ttfb: histogram(),
            ttft: histogram(),
            never_served: 0,
            smallest_unserved_age: None,
            waited: histogram(),
            gap: histogram(),
            max_gap: histogram(),
            smallest_open_gap: None,
            dispatch: histogram(),
        }
    }
}

impl StreamRecorder {
    /// A stream was started.
    pub fn started(&mut self, start: StreamStart) {
        self.started += 1;
        self.open += 1;
        self.open_peak = self.open_peak.max(self.open);
        self.waiting.insert(start.stream, start.due_us);
        record(&mut self.dispatch, start.late_us);
    }

    /// A recorder of what comes now: nothing has happened yet, and what is open goes on.
    #[must_use]
    pub fn go_on(&self) -> Self {
        Self {
            open: self.open,
            open_peak: self.open,
            receiving: self.receiving,
            receiving_peak: self.receiving,
            receiving_before: self.receiving,
            waiting: self.waiting.clone(),
            ..Self::default()
        }
    }

    /// A stream could not be started for want of a port or a file on this side.
    pub fn not_sent(&mut self) {
        self.not_sent += 1;
    }

    /// Streams that this side failed to start; each counts as refused as well.
    #[must_use]
    pub fn count_not_sent(&self) -> u64 {
        self.not_sent
    }

    /// A stream received the head of its answer.
    pub fn head(&mut self, ttfb_us: u64) {
        record(&mut self.ttfb, ttfb_us);
    }

    /// A stream received its first chunk.
    pub fn first_chunk(&mut self, stream: u64, ttft_us: u64) {
        self.receiving += 1;
        self.receiving_peak = self.receiving_peak.max(self.receiving);
        if let Some(due_us) = self.waiting.remove(&stream) {
            self.changes.push((due_us + ttft_us, true));
        }
        self.chunks += 1;
        record(&mut self.ttft, ttft_us);
    }

    /// A stream received a further chunk.
    pub fn gap(&mut self, gap_us: u64) {
        self.chunks += 1;
        record(&mut self.gap, gap_us);
    }

    /// A stream ended.
    pub fn ended(&mut self, stream: &StreamRecord) {
        self.open = self.open.saturating_sub(1);
        if stream.chunks > 0 {
            self.receiving = self.receiving.saturating_sub(1);
            self.changes.push((stream.ended_us, false));
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
                record(&mut cohort.ttft, ttft_us);
            }
            cohort.end(stream);
        }
    }

    /// Counts how a stream ended.
    fn end(&mut self, stream: &StreamRecord) {
        self.endings[stream.ending as usize] += 1;
        if stream.ending == StreamEnding::Complete {
            record(&mut self.took, stream.age_us);
        }
        self.sequence_errors += stream.sequence_errors;
        if stream.ending == StreamEnding::Unserved {
            // Left out, only the lucky streams would have a TTFT.
            record(&mut self.ttft, stream.age_us);
            record(&mut self.waited, stream.age_us);
            lower(&mut self.smallest_unserved_age, stream.age_us);
        }
        let was_refused = stream.chunks == 0
            && !matches!(
                stream.ending,
                StreamEnding::Unserved | StreamEnding::Complete
            );
        self.never_served += u64::from(was_refused);
        // A gap that was still growing says something only once it exceeds all gaps before it.
        let growing = stream
            .open_gap_us
            .filter(|&open| stream.max_gap_us.is_none_or(|max| open > max));
        if let Some(gap) = growing {
            record(&mut self.gap, gap);
            lower(&mut self.smallest_open_gap, gap);
        }
        if let Some(max) = growing.or(stream.max_gap_us) {
            record(&mut self.max_gap, max);
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
        self.receiving
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

    /// The most streams that were receiving for a twentieth of the time between two instants,
    /// together. What one has ended is seen a moment later than what another has begun, so that a
    /// mere peak can be one too high.
    #[must_use]
    pub fn receiving_held(&self, start_us: u64, end_us: u64) -> u64 {
        let mut changes = self.changes.clone();
        changes.sort_unstable();
        let mut time_at: BTreeMap<u64, u64> = BTreeMap::new();
        let (mut level, mut since) = (self.receiving_before, 0);
        for (at, began) in changes.into_iter().chain([(u64::MAX, true)]) {
            let span = at.min(end_us).saturating_sub(since.max(start_us));
            *time_at.entry(level).or_default() += span;
            since = at;
            level = if began {
                level + 1
            } else {
                level.saturating_sub(1)
            };
        }
        let enough = end_us.saturating_sub(start_us) / 20;
        let mut above = 0;
        for (level, time) in time_at.into_iter().rev() {
            above += time;
            if above > enough {
                return level;
            }
        }
        0
    }

    /// Most streams that had received a chunk and not ended, at one time.
    #[must_use]
    pub fn receiving_peak(&self) -> u64 {
        self.receiving_peak
    }

    /// How late streams were started.
    #[must_use]
    pub fn dispatch(&self) -> &Histogram<u64> {
        &self.dispatch
    }

    /// Time to the first chunk, with the ages of unserved streams.
    #[must_use]
    pub fn ttft(&self) -> &Histogram<u64> {
        &self.ttft
    }

    /// Gaps between chunks.
    #[must_use]
    pub fn gaps(&self) -> &Histogram<u64> {
        &self.gap
    }

    /// As [`figures`](Self::figures), of a load that went on at `now_us`: streams that had not received
    /// a byte then enter TTFT at their age.
    #[must_use]
    pub fn figures_at(&self, now_us: u64, served_peak: Option<u64>, load_us: u64) -> Streams {
        let mut until_now = self.clone();
        for due_us in self.waiting.values() {
            let age_us = now_us.saturating_sub(*due_us);
            record(&mut until_now.ttft, age_us);
            record(&mut until_now.waited, age_us);
            lower(&mut until_now.smallest_unserved_age, age_us);
        }
        until_now.figures(served_peak, load_us)
    }

    /// The figures, with what the upstream counted. A stream that was refused, or broke off before its
    /// first chunk, enters TTFT at `load_us`, the length of the load: failing fast earns nothing.
    #[must_use]
    pub fn figures(&self, served_peak: Option<u64>, load_us: u64) -> Streams {
        let mut ttft = self.ttft.clone();
        let mut smallest_bound = self.smallest_unserved_age;
        for _ in 0..self.never_served {
            record(&mut ttft, load_us);
            lower(&mut smallest_bound, load_us);
        }
        let count = |ending: StreamEnding| self.endings[ending as usize];
        let from = |smallest: Option<u64>| smallest.map_or(Censored::Nothing, Censored::FromValue);
        Streams {
            started: self.started,
            complete: count(StreamEnding::Complete),
            truncated: count(StreamEnding::Truncated),
            error: count(StreamEnding::Error),
            stalled: count(StreamEnding::Stalled),
            refused: count(StreamEnding::Refused),
            cancelled: count(StreamEnding::Cancelled),
            unserved: count(StreamEnding::Unserved),
            open_peak: self.open_peak,
            served_peak,
            receiving_peak: self.receiving_peak,
            open: self.open,
            waiting: self.waiting(),
            waited_us: distribution(&self.waited, Censored::Nothing),
            took_us: distribution(&self.took, Censored::Nothing),
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
            ttfb_us: distribution(&self.ttfb, Censored::Nothing),
            ttft_us: distribution(&ttft, from(smallest_bound)),
            gap_us: distribution(&self.gap, from(self.smallest_open_gap)),
            max_gap_us: distribution(&self.max_gap, from(self.smallest_open_gap)),
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
                streams.first_chunk(n, 101_000);
                streams.ended(&RECORD);
            } else {
                streams.ended(&StreamRecord {
                    ending: StreamEnding::Unserved,
                    chunks: 0,
                    max_gap_us: None,
                    open_gap_us: None,
                    ..RECORD
                });
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
                streams.first_chunk(n, 22_000);
            } else {
                streams.ended(&StreamRecord {
                    ending: StreamEnding::Refused,
                    age_us: 300,
                    chunks: 0,
                    max_gap_us: None,
                    open_gap_us: None,
                    ..RECORD
                });
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
        streams.first_chunk(0, 1_000);
        for _ in 0..47 {
            streams.gap(250_000);
        }
        streams.ended(&StreamRecord {
            ending: StreamEnding::Stalled,
            open_gap_us: Some(6_000_000),
            ..RECORD
        });
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
            streams.first_chunk(n, ttft_us);
            streams.ended(&StreamRecord {
                stream: n,
                cohort: Some(cohort.to_owned()),
                ttft_us: Some(ttft_us),
                ..RECORD
            });
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
        streams.first_chunk(0, 1_000);
        let next = streams.go_on();
        assert_eq!(
            (next.open(), next.receiving(), next.receiving_peak()),
            (6, 1, 1)
        );
        assert_eq!(next.figures(None, 0).started, 0);
    }

    #[test]
    fn who_is_replaced_at_once_does_not_make_one_more_that_is_served() {
        let mut streams = StreamRecorder::default();
        for n in 0..40 {
            streams.started(StreamStart {
                due_us: n / 4 * 100_000,
                ..start(n)
            });
            // Its predecessor's end is seen a little later than its own first chunk.
            streams.first_chunk(n, 1_000);
            if n >= 4 {
                streams.ended(&StreamRecord {
                    stream: n - 4,
                    ended_us: n / 4 * 100_000 + 1_500,
                    ..RECORD
                });
            }
        }
        assert!(streams.receiving_peak() > 4);
        assert_eq!(streams.receiving_held(0, 1_000_000), 4);
        assert_eq!(streams.go_on().receiving_held(1_000_000, 2_000_000), 4);
    }
}
