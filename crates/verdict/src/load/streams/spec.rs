use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::scenario::Assignment;
use crate::scenario::duration::time;
use crate::scenario::ranges::{HOUR, Range, range};

/// A load of slow streams, all of one length.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Streams {
    /// How many, each on a connection of its own.
    pub count: u32,
    /// Route that is asked for a stream.
    pub path: String,
    /// Over how long a time they start, evenly spread.
    #[serde(deserialize_with = "time")]
    pub ramp: Duration,
    /// From the upstream's receiving a request to the first chunk.
    #[serde(deserialize_with = "time")]
    pub ttft: Duration,
    /// Between two chunks.
    #[serde(deserialize_with = "time")]
    pub interval: Duration,
    /// From the first chunk to the last; what is longer than the load is ended with it.
    #[serde(deserialize_with = "time")]
    pub length: Duration,
    /// Padding in each chunk.
    #[serde(default)]
    pub bytes: u32,
    /// A stream that is silent for longer at the end of the load counts as stalled.
    #[serde(deserialize_with = "time")]
    pub stall_after: Duration,
    /// Headers of each request; in a value `{n}` stands for the stream's number, from 0 and on over all
    /// steps, `{k}` for its number in the step, and `{seed}` for the scenario's.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Header of the answer that names the stream's cohort; there are none if absent.
    pub cohort_header: Option<String>,
    /// The cohorts of a rollout, by which those streams have one that got no answer.
    #[serde(skip)]
    pub assignment: Option<Assignment>,
}

impl Streams {
    /// The number of chunks in one stream: at least one.
    #[must_use]
    pub fn chunks(&self) -> u32 {
        let steps = self.length.as_secs_f64() / self.interval.as_secs_f64();
        // In range: validated to be at most a million.
        steps.round() as u32 + 1
    }

    /// How long one stream holds its server when nothing is in its way.
    #[must_use]
    pub fn service_time(&self) -> Duration {
        self.ttft + self.interval * (self.chunks() - 1)
    }

    /// Path and query that ask for one such stream.
    #[must_use]
    pub fn path_and_query(&self) -> String {
        format!(
            "{}?chunks={}&interval={}us&ttft={}us&bytes={}",
            self.path,
            self.chunks(),
            self.interval.as_micros(),
            self.ttft.as_micros(),
            self.bytes
        )
    }

    /// Loads are bounded in count and in time, whatever a file says.
    pub(crate) fn ranges(&self) -> Vec<Range> {
        vec![
            range("load.streams.ttft", self.ttft <= HOUR, "at most 1h"),
            range(
                "load.streams.stall_after",
                self.stall_after <= HOUR,
                "at most 1h",
            ),
            range(
                "load.streams.count",
                (1..=20_000).contains(&self.count),
                "1 to 20000",
            ),
            range(
                "load.streams.path",
                self.path.starts_with('/'),
                "a path that starts with /",
            ),
            range("load.streams.ramp", self.ramp <= HOUR, "at most 1h"),
            range(
                "load.streams.interval",
                (Duration::from_millis(1)..=HOUR).contains(&self.interval),
                "1ms to 1h",
            ),
            range(
                "load.streams.length",
                self.length <= 24 * HOUR
                    && self.length.as_secs_f64() / self.interval.as_secs_f64() <= 1e6,
                "at most 24h and a million chunks",
            ),
            range(
                "load.streams.bytes",
                self.bytes <= 1 << 20,
                "at most 1048576",
            ),
        ]
    }
}
