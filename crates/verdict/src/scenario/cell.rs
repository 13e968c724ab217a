use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;

use super::duration::time;
use super::ranges::{HOUR, Range, range};
use super::{Arrivals, HangUps, Kubelet, Requests, Step, Streams, Target};
use crate::units::us;

/// One setting of the experiment: the file's tables with the cell's own laid over them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// Name, as in the file.
    pub name: String,
    /// Run with `--quick`, and only then. In a file it may also be `false`, to be left out of the quick
    /// form, or a table that is laid over the cell in it.
    #[serde(default)]
    pub quick: bool,
    /// Whether it is the short form of a cell, of which no field report was made.
    #[serde(skip)]
    pub shortened: bool,
    /// The variants it is run with; all of them if absent.
    pub variants: Option<BTreeSet<String>>,
    /// Flags of the server, unless there is a target.
    #[serde(default)]
    pub server: ServerParameters,
    /// A service that is not the lab's own, in place of a server of it.
    pub target: Option<Target>,
    /// Flags of the upstream.
    #[serde(default)]
    pub upstream: UpstreamParameters,
    /// What is asked of the server.
    #[serde(default)]
    pub load: Load,
    /// The health checks.
    pub probe: Probe,
    /// How long each phase takes.
    pub phases: Phases,
    /// What probes and restarts the server; nothing if absent.
    pub kubelet: Option<Kubelet>,
    /// Loads one after the other in the same processes; one load if there are none.
    #[serde(default)]
    pub steps: Vec<Step>,
}

/// One of the two forms of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// As long as it takes.
    Full,
    /// What `--quick` runs.
    Quick,
}

/// Flags of the server under test.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerParameters {
    /// Threads of the blocking pool.
    pub pool_threads: u32,
    /// Workers of the event loop; the server's own default if absent.
    pub worker_threads: Option<u32>,
    /// One runtime with several workers, or several runtimes with one each; the server's own default
    /// if absent.
    pub runtime: Option<Runtime>,
    /// Upstream exchanges at most; the server's own default if absent.
    pub max_upstream: Option<u32>,
    /// Further flags.
    #[serde(default)]
    pub args: Vec<String>,
}

/// What a worker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Runtime {
    /// A thread of one multi-threaded runtime.
    MultiThread,
    /// A single-threaded runtime of its own, as a worker process is elsewhere.
    SingleThreaded,
}

impl Runtime {
    /// As the server's flag has it.
    #[must_use]
    pub fn flag(self) -> &'static str {
        match self {
            Self::MultiThread => "multi-thread",
            Self::SingleThreaded => "single-threaded",
        }
    }
}

/// Flags of the upstream.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpstreamParameters {
    /// Further flags.
    #[serde(default)]
    pub args: Vec<String>,
    /// Flags of a second upstream, which the server gets as `--fallback`; there is none if absent.
    pub fallback: Option<Vec<String>>,
}

/// What is asked of the server.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// Slow streams.
    pub streams: Option<Streams>,
    /// Requests, by class.
    #[serde(default)]
    pub requests: BTreeMap<String, Requests>,
    /// Clients that hang up.
    pub hang_ups: Option<HangUps>,
}

impl Load {
    /// Until the whole load is there.
    #[must_use]
    pub fn ramp(&self) -> Duration {
        let streams = self.streams.iter().map(|streams| streams.ramp);
        let requests = self.requests.values().map(Requests::ramp);
        streams.chain(requests).max().unwrap_or_default()
    }

    /// Most connections that it can have open at once.
    #[must_use]
    pub fn at_once(&self) -> u64 {
        let streams = self.streams.iter().map(|streams| u64::from(streams.count));
        let requests = self.requests.values().map(Requests::at_once);
        let hang_ups = self.hang_ups.iter().map(HangUps::at_once);
        streams.chain(requests).chain(hang_ups).sum()
    }
}

/// Checks that a hold must have before its p99 says anything, and with it whether health stayed flat:
/// five beyond the percentile.
pub const LEAST_CHECKS: u64 = 500;

/// The health checks, open loop.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// Checks a second, for each endpoint.
    pub rate: f64,
    /// Counted from the instant a check was due.
    #[serde(deserialize_with = "time")]
    pub timeout: Duration,
    /// Whether checks use kept connections instead of a fresh one each, as a kubelet's are.
    #[serde(default)]
    pub keep_alive: bool,
    /// Name to path; of a target, they follow from its URLs.
    #[serde(default)]
    pub endpoints: BTreeMap<String, String>,
}

/// How long each phase takes.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phases {
    /// Probe only, before the load.
    #[serde(deserialize_with = "time")]
    pub baseline: Duration,
    /// The whole load; what is judged.
    #[serde(deserialize_with = "time")]
    pub hold: Duration,
    /// After the load, and after that of each step, at most; it ends when health is back to baseline
    /// and no background task is pending, though not within 2 s.
    #[serde(deserialize_with = "time")]
    pub recovery: Duration,
}

impl Cell {
    /// Whether it is of the short form of its scenario.
    #[must_use]
    pub fn form(&self) -> Form {
        if self.quick || self.shortened {
            Form::Quick
        } else {
            Form::Full
        }
    }

    /// Checks of each endpoint that are due in a hold, be it of the cell or of one of its steps.
    #[must_use]
    pub fn checks_in_hold(&self) -> u64 {
        (self.probe.rate * self.phases.hold.as_secs_f64()).round() as u64
    }

    /// What is asked in a step.
    #[must_use]
    pub fn load_of(&self, step: &Step) -> Load {
        let mut load = self.load.clone();
        if let Some(streams) = &mut load.streams {
            streams.count = step.streams.unwrap_or(streams.count);
            streams.assignment = self.assignment(step);
        }
        load
    }

    /// Most connections that it can have open at once.
    #[must_use]
    pub fn at_once(&self) -> u64 {
        let slots = |step: &Step| u64::from(step.streams.unwrap_or(0));
        let steps = self.steps.iter();
        let steps = steps.map(|step| self.load_of(step).at_once().max(slots(step)));
        steps.chain([self.load.at_once()]).max().unwrap_or_default()
    }

    /// Whether it is run with the variant of this name.
    #[must_use]
    pub fn has_variant(&self, name: &str) -> bool {
        self.variants
            .as_ref()
            .is_none_or(|names| names.contains(name))
    }

    /// The parameters by name: what expectations may refer to and what the summary lists.
    #[must_use]
    pub fn parameters(&self) -> BTreeMap<String, u64> {
        let mut parameters = BTreeMap::new();
        let mut add = |name: &str, value: u64| parameters.insert(name.to_owned(), value);
        if self.target.is_none() {
            add("pool_threads", u64::from(self.server.pool_threads));
        }
        if let Some(workers) = self.server.worker_threads {
            add("worker_threads", u64::from(workers));
        }
        if let Some(limit) = self.server.max_upstream {
            add("max_upstream", u64::from(limit));
            add("first_past_limit", u64::from(limit) + 1);
        }
        add("probe_timeout_us", us(self.probe.timeout));
        add("probe_interval_us", (1e6 / self.probe.rate).round() as u64);
        add("baseline_us", us(self.phases.baseline));
        add("ramp_us", us(self.load.ramp()));
        add("hold_us", us(self.phases.hold));
        if let Some(streams) = &self.load.streams {
            add("streams", u64::from(streams.count));
            add("ttft_us", us(streams.ttft));
            add("interval_us", us(streams.interval));
            add("stream_us", us(streams.service_time()));
            add("bytes", u64::from(streams.bytes));
            add("stall_after_us", us(streams.stall_after));
        }
        if let Some(hang_ups) = &self.load.hang_ups {
            add("hang_ups", u64::from(hang_ups.count));
            add("at_once", u64::from(hang_ups.concurrency));
            add("patience_us", us(hang_ups.patience));
            add("interval_us", us(hang_ups.interval));
        }
        for (class, requests) in &self.load.requests {
            match requests.arrivals() {
                Arrivals::Users(users) => add(&format!("{class}_users"), u64::from(users)),
                Arrivals::Rate(rate) => add(&format!("{class}_per_second"), rate.round() as u64),
            };
            add(&format!("{class}_timeout_us"), us(requests.timeout));
            for name in requests.query.keys() {
                if let Some(time) = requests.query_time(name) {
                    add(&format!("{class}_{name}_us"), us(time));
                }
            }
            if let Some(bytes) = requests.body_bytes {
                add(&format!("{class}_body_bytes"), bytes);
            }
        }
        let kubelet = self.kubelet.as_ref();
        if let Some((kubelet, liveness)) = kubelet.zip(kubelet.and_then(Kubelet::liveness)) {
            add("liveness_period_us", us(liveness.period));
            add("liveness_timeout_us", us(liveness.timeout));
            add("liveness_failures", u64::from(liveness.failure_threshold));
            add("grace_us", us(kubelet.grace()));
        }
        parameters
    }

    /// The names of its health checks.
    #[must_use]
    pub fn endpoint_names(&self) -> Vec<String> {
        match &self.target {
            Some(target) => target.endpoints().into_keys().collect(),
            None => self.probe.endpoints.keys().cloned().collect(),
        }
    }

    fn ranges_of_target(&self, target: &Target) -> Vec<Range> {
        let counts: Vec<_> = self.steps.iter().filter_map(|step| step.streams).collect();
        vec![
            range(
                "steps",
                !self.steps.is_empty()
                    && counts.len() == self.steps.len()
                    && counts.is_sorted_by(|a, b| a < b),
                "steps with a number of streams each, more in each than in the one before",
            ),
            range(
                "steps",
                self.steps.iter().all(|step| step.action.is_none()),
                "no actions at a target",
            ),
            range(
                "target.max_time",
                target.max_time
                    >= Duration::from_secs(1) + target.time_after_steps(self.probe.timeout),
                "2s, the checks' timeout and, unless `hang_up` is off, twice `settle` at least",
            ),
            range(
                "steps.streams",
                counts.iter().all(|&count| count <= target.max_streams),
                "at most target.max_streams",
            ),
            range(
                "load",
                self.load.at_once() == 0 && self.kubelet.is_none(),
                "no [load] and no [kubelet] beside a [target]",
            ),
        ]
    }

    /// Loads are bounded in count and in time, whatever a file says.
    pub(super) fn ranges(&self) -> Vec<Range> {
        let mut ranges = vec![
            range(
                "server.pool_threads",
                self.target.is_some() || (1..=10_000).contains(&self.server.pool_threads),
                "1 to 10000",
            ),
            range(
                "server.worker_threads",
                self.server
                    .worker_threads
                    .is_none_or(|workers| (1..=1024).contains(&workers)),
                "1 to 1024",
            ),
            range(
                "probe.rate",
                (0.1..=1000.0).contains(&self.probe.rate),
                "0.1 to 1000",
            ),
            range(
                "probe.timeout",
                (Duration::from_millis(10)..=Duration::from_secs(120))
                    .contains(&self.probe.timeout),
                "10ms to 2m",
            ),
            range(
                "probe.endpoints",
                (!self.probe.endpoints.is_empty() || self.target.is_some())
                    && self
                        .probe
                        .endpoints
                        .values()
                        .all(|path| path.starts_with('/'))
                    && self.probe.endpoints.keys().all(|name| is_series_name(name)),
                "at least one, each a name of a-z, 0-9 and _ and a path that starts with /",
            ),
            range(
                "phases.baseline",
                (Duration::from_millis(500)..=HOUR).contains(&self.phases.baseline),
                "500ms to 1h",
            ),
            range(
                "phases.hold",
                (Duration::from_millis(500)..=HOUR).contains(&self.phases.hold),
                "500ms to 1h",
            ),
            range(
                "phases.recovery",
                self.phases.recovery <= HOUR,
                "at most 1h",
            ),
            range(
                "load",
                self.target.is_some()
                    || self.load.streams.is_some()
                    || self.load.hang_ups.is_some()
                    || !self.load.requests.is_empty(),
                "something that is asked: [load.streams], [load.hang_ups] or [load.requests.<class>]",
            ),
            range(
                "load.requests",
                self.load.requests.keys().all(|name| is_series_name(name)),
                "classes with names of a-z, 0-9 and _",
            ),
            range(
                "load",
                self.load.at_once() <= 20_000,
                "at most 20000 requests at once",
            ),
        ];
        ranges.extend(self.load.streams.iter().flat_map(Streams::ranges));
        ranges.extend(self.load.hang_ups.iter().flat_map(HangUps::ranges));
        for (name, requests) in &self.load.requests {
            ranges.extend(requests.ranges(name));
        }
        ranges.extend(self.kubelet.iter().flat_map(Kubelet::ranges));
        ranges.extend(Step::ranges(&self.steps));
        ranges.extend(self.target.iter().flat_map(|target| {
            let mut ranges = target.ranges();
            ranges.extend(self.ranges_of_target(target));
            ranges
        }));
        ranges.push(range(
            "steps",
            self.steps.is_empty() || self.load.hang_ups.is_none(),
            "no steps beside [load.hang_ups], whose row is one",
        ));
        ranges
    }
}

/// Names of endpoints and classes become tags of the interval log and columns of the timeline.
fn is_series_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    !name.is_empty() && name.chars().all(fits)
}
