use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;

use super::duration::time;
use super::ranges::{HOUR, Range, Ranges, is_series_name, ms};
use super::{Step, Target};
use crate::load::kubelet::KubeletSpec;
use crate::load::{Load, Parameters, Table};

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
    pub probe: ProbeSpec,
    /// How long each phase takes.
    pub phases: PhaseLengths,
    /// What probes and restarts the server; nothing if absent.
    pub kubelet: Option<KubeletSpec>,
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

impl ServerParameters {
    /// The value of this flag among the further ones, empty if nothing follows it; `None` if it is not
    /// there.
    #[must_use]
    pub fn flag(&self, name: &str) -> Option<&str> {
        self.args.iter().enumerate().find_map(|(n, arg)| {
            let rest = arg.strip_prefix(name)?;
            match rest {
                "" => Some(self.args.get(n + 1).map_or("", String::as_str)),
                _ => rest.strip_prefix('='),
            }
        })
    }
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

/// Checks that a hold must have before its p99 says anything, and with it whether health stayed flat:
/// five beyond the percentile.
pub const LEAST_CHECKS: u64 = 500;

/// The same for a target, which is asked less often. Of so few checks, the slowest must be within the bound.
pub const LEAST_CHECKS_OF_TARGET: u64 = 10;

/// The health checks, open loop.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeSpec {
    /// Checks a second, for each endpoint; of a target [`Target::CHECKS`] if absent.
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
pub struct PhaseLengths {
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

    /// Checks that a hold must have before it can be said whether health stayed flat.
    #[must_use]
    pub fn least_checks(&self) -> u64 {
        match self.target {
            Some(_) => LEAST_CHECKS_OF_TARGET,
            None => LEAST_CHECKS,
        }
    }

    /// What is asked in a step.
    #[must_use]
    pub fn load_of(&self, step: &Step) -> Load {
        let last = self.steps.iter().position(|one| one.name == step.name);
        self.load
            .in_step(&self.steps[..last.map_or(0, |last| last + 1)])
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
        let mut parameters = Parameters::default();
        if self.target.is_none() {
            parameters.count("pool_threads", self.server.pool_threads);
        }
        if let Some(workers) = self.server.worker_threads {
            parameters.count("worker_threads", workers);
        }
        if let Some(limit) = self.server.max_upstream {
            parameters.count("max_upstream", limit);
            parameters.count("first_past_limit", u64::from(limit) + 1);
        }
        parameters.time("probe_timeout_us", self.probe.timeout);
        parameters.count("probe_interval_us", (1e6 / self.probe.rate).round() as u64);
        parameters.time("baseline_us", self.phases.baseline);
        parameters.time("ramp_us", self.load.ramp());
        parameters.time("hold_us", self.phases.hold);
        for table in self.tables() {
            table.name(&mut parameters);
        }
        parameters.0
    }

    /// What the kinds of load have of it.
    fn tables(&self) -> impl Iterator<Item = &dyn Table> {
        let kubelet = self.kubelet.iter().map(|table| table as &dyn Table);
        self.load.tables().into_iter().chain(kubelet)
    }

    /// The names of its health checks.
    #[must_use]
    pub fn endpoint_names(&self) -> Vec<String> {
        match &self.target {
            Some(target) => target.endpoints().into_keys().collect(),
            None => self.probe.endpoints.keys().cloned().collect(),
        }
    }

    /// What its values may be.
    pub(super) fn ranges(&self) -> Vec<Range> {
        let is_own = self.target.is_none();
        let endpoints = &self.probe.endpoints;
        let is_endpoint =
            |(name, path): (&String, &String)| is_series_name(name) && path.starts_with('/');
        let pool_threads = is_own.then_some(self.server.pool_threads);
        let most_checks = if is_own { 1000.0 } else { Target::MOST_CHECKS };
        let load = Ranges::of("load");
        let own = [
            Ranges::of("server")
                .within("pool_threads", pool_threads, 1..=10_000)
                .within("worker_threads", self.server.worker_threads, 1..=1024),
            Ranges::of("probe")
                .within("rate", self.probe.rate, 0.1..=most_checks)
                .within("timeout", self.probe.timeout, ms(10)..=ms(120_000))
                .must(
                    "endpoints",
                    !(endpoints.is_empty() && is_own) && endpoints.iter().all(is_endpoint),
                    "at least one, each a name of a-z, 0-9 and _ and a path that starts with /",
                ),
            Ranges::of("phases")
                .within("baseline", self.phases.baseline, ms(500)..=HOUR)
                .within("hold", self.phases.hold, ms(500)..=HOUR)
                .at_most("recovery", self.phases.recovery, HOUR),
            if is_own {
                load.must("", !self.load.tables().is_empty(), Load::TABLES)
            } else {
                load.must(
                    "",
                    self.load.at_once() == 0 && self.kubelet.is_none(),
                    "no [load] and no [kubelet] beside a [target]",
                )
            }
            .must(
                "",
                self.load.at_once() <= 20_000,
                "at most 20000 requests at once",
            ),
        ];
        let mut ranges: Vec<_> = own.into_iter().flat_map(Ranges::into_vec).collect();
        ranges.extend(self.tables().flat_map(Table::ranges));
        ranges.extend(Step::ranges(&self.steps));
        if let Some(target) = &self.target {
            ranges.extend(target.ranges(&self.steps, self.probe.timeout));
        }
        let one_row = self.tables().filter_map(Table::without_steps);
        let no_steps = one_row.map(|why| Ranges::of("steps").must("", self.steps.is_empty(), why));
        ranges.extend(no_steps.flat_map(Ranges::into_vec));
        ranges
    }
}
