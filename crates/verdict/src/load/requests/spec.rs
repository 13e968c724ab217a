use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::load::table::{Parameters, Table};
use crate::record::Outcome;
use crate::scenario::Method;
use crate::scenario::Time;
use crate::scenario::duration::time;
use crate::scenario::ranges::{HOUR, Range, Ranges, is_series_name, ms};

/// A class of requests: all alike, and reported together.
///
/// Open loop with `rate`: request *n* is due at *n*/rate, whatever became of those before it. Closed
/// loop with `users`: each sends, waits for the answer, thinks, and sends again, as people and simple
/// load tools do.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestSpec {
    /// How it is asked.
    #[serde(default)]
    pub method: Method,
    /// Route that is asked, with its query.
    pub path: String,
    /// Parameters of the path by name, such as `inner = "200ms"`. They are apart from the path, so that a
    /// cell can choose the path and `[quick]` the parameters.
    #[serde(default)]
    pub query: BTreeMap<String, String>,
    /// Further headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Size of the JSON body that is sent, in bytes; none if absent.
    pub body_bytes: Option<u64>,
    /// What the body is made of.
    #[serde(default)]
    pub body_kind: BodyKind,
    /// Requests a second, open loop.
    pub rate: Option<f64>,
    /// Users, closed loop.
    pub users: Option<u32>,
    /// New users a second until all are there; all at once if absent.
    pub users_per_second: Option<f64>,
    /// What a user waits between an answer and its next request; nothing if absent. If a request failed,
    /// the next one comes [`RequestSpec::FAILED_APART`] or more after the failed one was due.
    #[serde(default)]
    pub think: Think,
    /// A request that is not answered in this time after it was due has failed.
    #[serde(deserialize_with = "time")]
    pub timeout: Duration,
    /// Kept connections instead of a fresh one each; false if absent.
    #[serde(default)]
    pub keep_alive: bool,
}

/// What a JSON body is made of, which decides what it costs a parser.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyKind {
    /// Many small objects: an allocation for every few bytes.
    #[default]
    Items,
    /// Long texts: bytes to be copied, where a SIMD parser is at its best.
    Text,
}

/// When requests come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Arrivals {
    /// Open loop: this many a second.
    Rate(f64),
    /// Closed loop: this many users.
    Users(u32),
}

/// A think time: one value, or uniformly distributed between two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Think {
    /// At least.
    pub min: Time,
    /// At most.
    pub max: Time,
}

impl Think {
    /// The think time of `user` after its request number `n`: the same for the same seed, in the
    /// forecast and in the run.
    #[must_use]
    pub fn nth(&self, seed: u64, user: u32, n: u64) -> Duration {
        let share = unit(seed ^ (u64::from(user) << 40) ^ n);
        self.min.0 + (self.max.0.saturating_sub(self.min.0)).mul_f64(share)
    }

    /// The mean.
    #[must_use]
    pub fn mean(&self) -> Duration {
        (self.min.0 + self.max.0) / 2
    }
}

/// A number in [0, 1) that depends on `key` alone: splitmix64 (Steele, Lea, Flood 2014).
fn unit(key: u64) -> f64 {
    let mut z = key.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

impl RequestSpec {
    /// Least time between a user's failed request and the next, each when it is due. Otherwise a server
    /// that refuses at once would be asked as fast as it can refuse.
    pub const FAILED_APART: Duration = Duration::from_millis(100);

    /// How long `user` pauses after its request number `n`, whose outcome came `took` after it was due.
    #[must_use]
    pub fn pause(
        &self,
        seed: u64,
        (user, n): (u32, u64),
        took: Duration,
        outcome: Outcome,
    ) -> Duration {
        let think = self.think.nth(seed, user, n);
        if outcome == Outcome::Ok {
            think
        } else {
            think.max(Self::FAILED_APART.saturating_sub(took))
        }
    }

    /// What is asked for: the path with all its parameters.
    #[must_use]
    pub fn target(&self) -> String {
        let mut target = self.path.clone();
        for (name, value) in &self.query {
            let separator = if target.contains('?') { '&' } else { '?' };
            target.push_str(&format!("{separator}{name}={value}"));
        }
        target
    }

    /// The parameter of this name, if it is there and a time.
    #[must_use]
    pub fn query_time(&self, name: &str) -> Option<Duration> {
        let in_path = || {
            let (_, query) = self.path.split_once('?')?;
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|&(key, _)| key == name).map(|(_, value)| value)
        };
        let value = self.query.get(name).map(String::as_str).or_else(in_path)?;
        humantime::parse_duration(value).ok()
    }

    /// When they come. A class that was validated has exactly one of rate and users.
    #[must_use]
    pub fn arrivals(&self) -> Arrivals {
        match (self.rate, self.users) {
            (Some(rate), _) => Arrivals::Rate(rate),
            (None, users) => Arrivals::Users(users.unwrap_or(1)),
        }
    }

    /// When user `n` starts, counted from the start of the load.
    #[must_use]
    pub fn user_starts(&self, n: u32) -> Duration {
        self.users_per_second.map_or(Duration::ZERO, |per_second| {
            Duration::from_secs_f64(f64::from(n) / per_second)
        })
    }
}

/// The classes by name.
impl Table for BTreeMap<String, RequestSpec> {
    fn ramp(&self) -> Duration {
        self.values()
            .map(RequestSpec::ramp)
            .max()
            .unwrap_or_default()
    }

    fn at_once(&self) -> u64 {
        self.values().map(RequestSpec::at_once).sum()
    }

    fn name(&self, parameters: &mut Parameters) {
        for (class, spec) in self {
            spec.name(class, parameters);
        }
    }

    fn ranges(&self) -> Vec<Range> {
        let names = Ranges::of("load").must(
            "requests",
            self.keys().all(|name| is_series_name(name)),
            "classes with names of a-z, 0-9 and _",
        );
        let classes = self.iter().flat_map(|(name, spec)| spec.ranges(name));
        names.into_vec().into_iter().chain(classes).collect()
    }
}

impl RequestSpec {
    /// Until all users are there.
    #[must_use]
    pub fn ramp(&self) -> Duration {
        match self.arrivals() {
            Arrivals::Rate(_) => Duration::ZERO,
            Arrivals::Users(users) => self.user_starts(users.saturating_sub(1)),
        }
    }

    /// Most requests that can be in flight at once.
    fn at_once(&self) -> u64 {
        match self.arrivals() {
            Arrivals::Rate(rate) => (rate * self.timeout.as_secs_f64()).ceil() as u64,
            Arrivals::Users(users) => u64::from(users),
        }
    }

    fn name(&self, class: &str, parameters: &mut Parameters) {
        match self.arrivals() {
            Arrivals::Users(users) => parameters.count(format!("{class}_users"), users),
            Arrivals::Rate(rate) => {
                parameters.count(format!("{class}_per_second"), rate.round() as u64);
            }
        }
        parameters.time(format!("{class}_timeout_us"), self.timeout);
        for name in self.query.keys() {
            if let Some(time) = self.query_time(name) {
                parameters.time(format!("{class}_{name}_us"), time);
            }
        }
        if let Some(bytes) = self.body_bytes {
            parameters.count(format!("{class}_body_bytes"), bytes);
        }
    }

    fn ranges(&self, class: &str) -> Vec<Range> {
        let mut query = self.query.iter();
        Ranges::of(format!("load.requests.{class}"))
            .path("path", &self.path)
            .must(
                "query",
                query.all(|(name, value)| is_plain(name) && is_plain(value)),
                "names and values of letters, digits and . _ -",
            )
            .must(
                "rate",
                self.rate.is_some() != self.users.is_some(),
                "either `rate` (open loop) or `users` (closed loop), and not both",
            )
            .within("rate", self.rate, 0.1..=5_000.0)
            .within("users", self.users, 1..=10_000)
            .within("users_per_second", self.users_per_second, 0.1..=10_000.0)
            .must(
                "think",
                self.think.min <= self.think.max && self.think.max.0 <= HOUR,
                "min at most max, and max at most 1h",
            )
            .within("timeout", self.timeout, ms(10)..=ms(600_000))
            .within("body_bytes", self.body_bytes, 64..=256 << 20)
            .into_vec()
    }
}

/// Text that a URL takes as it is.
fn is_plain(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    !text.is_empty() && text.chars().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_may_stand_in_the_path_or_beside_it() {
        let class = |text: &str| {
            let text = format!("users = 1\ntimeout = \"1s\"\n{text}");
            toml::from_str::<RequestSpec>(&text).expect("a class")
        };
        let inline = class("path = \"/x?inner=1s\"\nquery = { background = \"2s\" }");
        assert_eq!(inline.target(), "/x?inner=1s&background=2s");
        assert_eq!(inline.query_time("inner"), Some(Duration::from_secs(1)));
        assert_eq!(
            inline.query_time("background"),
            Some(Duration::from_secs(2))
        );
        assert_eq!(inline.query_time("work"), None);
        assert_eq!(class("path = \"/x\"").target(), "/x");
    }

    #[test]
    fn a_user_who_was_refused_pauses_though_it_does_not_think() {
        let hasty: RequestSpec =
            toml::from_str("path = \"/\"\nusers = 1\ntimeout = \"1s\"").expect("a class");
        let ms = Duration::from_millis;
        let pause = |took, outcome| hasty.pause(1, (0, 0), took, outcome);
        assert_eq!(pause(ms(1), Outcome::Ok), Duration::ZERO);
        assert_eq!(pause(ms(1), Outcome::BadStatus), ms(99));
        assert_eq!(pause(ms(30), Outcome::ConnectFailure), ms(70));
        // It has waited long enough.
        assert_eq!(pause(ms(1_000), Outcome::Timeout), Duration::ZERO);
        let thinks = RequestSpec {
            think: Think {
                min: Time(ms(500)),
                max: Time(ms(500)),
            },
            ..hasty.clone()
        };
        assert_eq!(thinks.pause(1, (0, 0), ms(1), Outcome::BadStatus), ms(500));
    }

    #[test]
    fn think_times_are_uniform_and_the_same_for_the_same_seed() {
        let think = Think {
            min: Time(Duration::from_millis(100)),
            max: Time(Duration::from_millis(500)),
        };
        let times: Vec<_> = (0..10_000).map(|n| think.nth(7, 3, n)).collect();
        assert_eq!(times[17], think.nth(7, 3, 17));
        assert_ne!(times[17], think.nth(8, 3, 17));
        assert!(
            times
                .iter()
                .all(|time| (think.min.0..=think.max.0).contains(time))
        );
        let mean = times.iter().sum::<Duration>() / 10_000;
        assert!(
            mean.abs_diff(think.mean()) < Duration::from_millis(10),
            "{mean:?}"
        );
    }
}
