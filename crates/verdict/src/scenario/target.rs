use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::duration::{count, seconds, time, yes};
use super::ranges::{HOUR, Range, Ranges, ms};
use super::{Method, Step};

/// A service of somebody else's that is driven from outside: by its URLs alone, and whatever else is
/// given. Its load is slots: each holds one stream, and asks for the next when that one ends.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// URL that is asked for a stream, or for a short answer.
    pub stream: String,
    /// How it is asked.
    #[serde(default)]
    pub method: Method,
    /// Headers of each request; `{n}` in a value stands for the number of the request.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// File that is sent as the body.
    pub body: Option<PathBuf>,
    /// Environment variable that holds a bearer token, which is not saved anywhere.
    pub bearer_env: Option<String>,
    /// URL of a health check.
    pub health: Option<String>,
    /// URL of one that needs a thread of the blocking pool.
    pub sync_health: Option<String>,
    /// URL of one that the event loop answers.
    pub async_health: Option<String>,
    /// Number of its process, if it runs on this machine.
    pub pid: Option<u32>,
    /// URL of a JSON document of its upstream; after `#` a JSON pointer to the number of streams that
    /// the upstream has open, `/open` if absent.
    pub upstream_stats: Option<String>,
    /// PEM file of a certificate that is trusted beside those of the system.
    pub ca_certificate: Option<PathBuf>,
    /// Command line that starts the service; it is ended with the cell.
    pub command: Option<Vec<String>>,
    /// How long it may take until its first health URL answers.
    #[serde(default = "seconds::<15>", deserialize_with = "time")]
    pub ready_within: Duration,
    /// Whether an address that is not private may be asked: only the owner of a service may say so.
    #[serde(default)]
    pub i_own_this_service: bool,
    /// Whether the climb goes on until it is certain how many are served at once.
    #[serde(default)]
    pub find_capacity: bool,
    /// Whether every step of the climb is held for its whole time, whatever is certain before.
    #[serde(default)]
    pub thorough: bool,
    /// Whether it is looked at once more after all clients have hung up.
    #[serde(default = "yes")]
    pub hang_up: bool,
    /// How long what clients leave behind may take to be gone.
    #[serde(default = "seconds::<6>", deserialize_with = "time")]
    pub settle: Duration,
    /// Streams at once, at most.
    #[serde(default = "count::<256>")]
    pub max_streams: u32,
    /// Streams begun a second, at most.
    #[serde(default = "count::<200>")]
    pub max_rate: u32,
    /// From the first stream to the end of the last one, at most.
    #[serde(default = "seconds::<900>", deserialize_with = "time")]
    pub max_time: Duration,
}

/// Header names whose values may be saved: none of them is a secret.
const PLAIN_HEADERS: [&str; 5] = [
    "accept",
    "accept-language",
    "content-type",
    "user-agent",
    "x-request-id",
];

/// How long the load goes on beyond the timeout of the checks that are still to be decided.
const TAIL: Duration = Duration::from_secs(1);

impl Target {
    /// How much of `max_time` is kept for what follows the last step: its checks' outcome, the hang-up,
    /// and the streams that are asked for afresh.
    #[must_use]
    pub fn time_after_steps(&self, probe_timeout: Duration) -> Duration {
        let looks = if self.hang_up { 2 } else { 0 };
        self.tail(probe_timeout) + looks * self.settle
    }

    /// How long the load goes on after the last step, at most.
    #[must_use]
    pub fn tail(&self, probe_timeout: Duration) -> Duration {
        probe_timeout + TAIL
    }

    /// The health checks, by the names that a diagnosis knows them by.
    #[must_use]
    pub fn endpoints(&self) -> BTreeMap<String, String> {
        [
            ("health_sync", &self.sync_health),
            ("health_async", &self.async_health),
            ("health", &self.health),
        ]
        .into_iter()
        .filter_map(|(name, url)| Some((name.to_owned(), url.clone()?)))
        .collect()
    }

    /// The upstream's document and the pointer into it.
    #[must_use]
    pub fn upstream(&self) -> Option<(String, String)> {
        let given = self.upstream_stats.as_ref()?;
        let (url, pointer) = given.split_once('#').unwrap_or((given, "/open"));
        Some((url.to_owned(), pointer.to_owned()))
    }

    /// Every URL that is asked.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        let upstream = self.upstream().map(|(url, _)| url);
        let mut urls = vec![self.stream.clone()];
        urls.extend(self.endpoints().into_values());
        urls.extend(upstream);
        urls
    }

    /// Whether the value of this header may stand in a file.
    #[must_use]
    pub fn is_plain_header(name: &str) -> bool {
        PLAIN_HEADERS.contains(&name.to_ascii_lowercase().as_str())
    }

    /// What its values may be, and those of the steps in which it is loaded.
    pub(super) fn ranges(&self, steps: &[Step], probe_timeout: Duration) -> Vec<Range> {
        let is_url = |url: &String| url.starts_with("http://") || url.starts_with("https://");
        let is_secret = |name: &String| {
            let name = name.to_ascii_lowercase();
            ["authorization", "proxy-authorization", "cookie"].contains(&name.as_str())
        };
        let counts: Vec<_> = steps.iter().filter_map(|step| step.streams).collect();
        let rises = counts.len() == steps.len();
        let own = Ranges::of("target")
            .must(
                "stream",
                self.urls().iter().all(is_url),
                "URLs that start with http:// or https://",
            )
            .must(
                "health",
                !self.endpoints().is_empty(),
                "at least one of health, sync_health and async_health",
            )
            .must(
                "headers",
                !self.headers.keys().any(is_secret),
                "no secrets, which would be saved with the file: name an environment variable in bearer_env",
            )
            .must(
                "command",
                self.command.as_ref().is_none_or(|command| !command.is_empty()),
                "a program and its arguments",
            )
            .at_most("ready_within", self.ready_within, HOUR)
            .at_most("settle", self.settle, HOUR)
            .within("max_streams", self.max_streams, 1..=4096)
            .within("max_rate", self.max_rate, 1..=2000)
            .at_most("max_time", self.max_time, 2 * HOUR)
            .must(
                "max_time",
                self.max_time >= ms(1_000) + self.time_after_steps(probe_timeout),
                "2s, the checks' timeout and, unless `hang_up` is off, twice `settle` at least",
            );
        let steps = Ranges::of("steps")
            .must(
                "",
                rises && counts.is_sorted_by(|a, b| a < b),
                "steps with a number of streams each, more in each than in the one before",
            )
            .must(
                "",
                steps.iter().all(|step| step.action.is_none()),
                "no actions at a target",
            )
            .must(
                "streams",
                counts.iter().all(|&count| count <= self.max_streams),
                "at most target.max_streams",
            );
        own.into_vec().into_iter().chain(steps.into_vec()).collect()
    }
}
