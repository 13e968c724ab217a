use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::duration::{count, seconds, time, yes};
use super::ranges::{HOUR, Range, Ranges, ms};
use super::{Method, Step};
use crate::redact::Address;

/// A service of somebody else's that is driven from outside: by its URLs alone, and whatever else is
/// given. Its load is slots: each holds one stream, and asks for the next when that one ends.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// URL that is asked for a stream, or for a short answer.
    pub stream: Address,
    /// How it is asked.
    #[serde(default)]
    pub method: Method,
    /// Headers of each request; `{n}` in a value stands for the number of the request.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// File that is sent as the body.
    pub body: Option<PathBuf>,
    /// Model of a small streaming chat that is sent in OpenAI's format, in place of method and body.
    pub openai: Option<String>,
    /// The same in Anthropic's.
    pub anthropic: Option<String>,
    /// Environment variable that holds a bearer token, which is not saved anywhere.
    pub bearer_env: Option<String>,
    /// URL of a health check.
    pub health: Option<Address>,
    /// URL of one that needs a thread of the blocking pool.
    pub sync_health: Option<Address>,
    /// URL of one that the event loop answers.
    pub async_health: Option<Address>,
    /// Number of its process, if it runs on this machine.
    pub pid: Option<u32>,
    /// URL of a JSON document of its upstream; after `#` a JSON pointer to the number of streams that
    /// the upstream has open, `/open` if absent.
    pub upstream_stats: Option<Address>,
    /// PEM file of a certificate that is trusted beside those of the system.
    pub ca_certificate: Option<PathBuf>,
    /// Whether any certificate is accepted.
    #[serde(default)]
    pub insecure: bool,
    /// Whether HTTP/2 is spoken also without TLS.
    #[serde(default)]
    pub http2: bool,
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

/// How long the load goes on beyond the timeout of the checks that are still to be decided.
const TAIL: Duration = Duration::from_secs(1);

impl Target {
    /// Checks of each endpoint in a second, unless something else is asked for.
    pub const CHECKS: f64 = 5.0;

    /// The same, at most.
    pub const MOST_CHECKS: f64 = 50.0;

    /// A chat is asked for by POST, at the path of its format if the URL has none.
    pub(super) fn ask_for_chat(&mut self) {
        let path = match (&self.openai, &self.anthropic) {
            (None, None) => return,
            (Some(_), _) => "/v1/chat/completions",
            (None, Some(_)) => "/v1/messages",
        };
        self.method = Method::Post;
        let begin = self.stream.find("://").map_or(0, |scheme| scheme + 3);
        let host = self.stream[begin..].trim_end_matches('/');
        if !host.contains(['/', '?', '#']) {
            self.stream = format!("{}{path}", &self.stream[..begin + host.len()]).into();
        }
    }

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
    pub fn endpoints(&self) -> BTreeMap<String, Address> {
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
    pub fn upstream(&self) -> Option<(Address, String)> {
        let given = self.upstream_stats.as_ref()?;
        let (url, pointer) = given.split_once('#').unwrap_or((given, "/open"));
        Some((url.into(), pointer.to_owned()))
    }

    /// Every URL that is asked.
    #[must_use]
    pub fn urls(&self) -> Vec<Address> {
        let upstream = self.upstream().map(|(url, _)| url);
        let mut urls = vec![self.stream.clone()];
        urls.extend(self.endpoints().into_values());
        urls.extend(upstream);
        urls
    }

    /// What its values may be, and those of the steps in which it is loaded.
    pub(super) fn ranges(&self, steps: &[Step], probe_timeout: Duration) -> Vec<Range> {
        let is_url = |url: &Address| url.starts_with("http://") || url.starts_with("https://");
        let counts: Vec<_> = steps.iter().filter_map(|step| step.streams).collect();
        let rises = counts.len() == steps.len();
        let urls = [
            ("stream", Some(&self.stream)),
            ("health", self.health.as_ref()),
            ("sync_health", self.sync_health.as_ref()),
            ("async_health", self.async_health.as_ref()),
            ("upstream_stats", self.upstream_stats.as_ref()),
        ];
        let own = urls
            .into_iter()
            .fold(Ranges::of("target"), |ranges, (key, url)| {
                let fits = url.is_none_or(is_url);
                ranges.must(key, fits, "a URL that starts with http:// or https://")
            });
        let own = own
            .must(
                "health",
                !self.endpoints().is_empty(),
                "at least one of health, sync_health and async_health",
            )
            .must(
                "body",
                [self.body.is_some(), self.openai.is_some(), self.anthropic.is_some()]
                    .into_iter()
                    .filter(|&is_given| is_given)
                    .count()
                    < 2,
                "only one of body, openai and anthropic",
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
                "at least 2s, `probe.timeout` and, unless `target.hang_up` is off, twice `target.settle`",
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
                "at most `target.max_streams`",
            );
        own.into_vec().into_iter().chain(steps.into_vec()).collect()
    }
}
