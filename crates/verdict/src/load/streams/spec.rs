use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::Assignment;
use crate::load::table::{Parameters, Table};
use crate::scenario::Step;
use crate::scenario::duration::time;
use crate::scenario::ranges::{HOUR, Range, Ranges, ms};

/// A load of slow streams, all of one length.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamSpec {
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
    /// Headers of each request. In a value, `{n}` stands for the stream's number, from 0 on over all steps,
    /// `{k}` for its number in the step, and `{seed}` for the scenario's seed.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Header of the answer that names the stream's cohort; there are none if absent.
    pub cohort_header: Option<String>,
    /// The cohorts of a rollout. They give streams without an answer a cohort too.
    #[serde(skip)]
    pub assignment: Option<Assignment>,
}

impl StreamSpec {
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

    /// The streams of the last of `steps`, of which each may say how many they are.
    #[must_use]
    pub(crate) fn in_step(&self, steps: &[Step]) -> Self {
        let count = steps.last().and_then(|step| step.streams);
        Self {
            count: count.unwrap_or(self.count),
            assignment: Assignment::in_step(&self.headers, steps),
            ..self.clone()
        }
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
}

impl Table for StreamSpec {
    fn ramp(&self) -> Duration {
        self.ramp
    }

    fn at_once(&self) -> u64 {
        u64::from(self.count)
    }

    fn name(&self, parameters: &mut Parameters) {
        parameters.count("streams", self.count);
        parameters.time("ttft_us", self.ttft);
        parameters.time("interval_us", self.interval);
        parameters.time("stream_us", self.service_time());
        parameters.count("bytes", self.bytes);
        parameters.time("stall_after_us", self.stall_after);
    }

    fn ranges(&self) -> Vec<Range> {
        let steps = self.length.as_secs_f64() / self.interval.as_secs_f64();
        Ranges::of("load.streams")
            .at_most("ttft", self.ttft, HOUR)
            .at_most("stall_after", self.stall_after, HOUR)
            .within("count", self.count, 1..=20_000)
            .path("path", &self.path)
            .at_most("ramp", self.ramp, HOUR)
            .within("interval", self.interval, ms(1)..=HOUR)
            .must(
                "length",
                self.length <= 24 * HOUR && steps <= 1e6,
                "at most 24h and a million chunks",
            )
            .at_most("bytes", self.bytes, 1 << 20)
            .into_vec()
    }
}
