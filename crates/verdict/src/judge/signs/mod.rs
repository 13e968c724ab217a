//! What was seen of a service. The adapters make signs of a cell of the lab's own, of a target, and of
//! URLs that are watched; the rules know signs and nothing else.

mod cell;
mod health;
mod target;
mod watched;

use crate::frameworks::Framework;
use crate::summary::{Candidate, Family, Kind, Member};

pub(super) use cell::of_cell;
pub use health::{Health, HealthState};
pub use target::Alone;
pub(super) use target::of_target;
pub use target::steps_of_target;
pub(super) use watched::{in_words, of_looks};

/// Two waits have the same cause if one is at least this part of the other.
pub(super) const TOGETHER: f64 = 0.3;

/// Everything that was seen, from the smallest load to the largest.
#[derive(Clone, Debug, Default)]
pub struct Signs {
    /// Why the lab itself could not measure.
    pub generator: Option<String>,
    /// One for each step.
    pub steps: Vec<StepSigns>,
    /// How many streams are served at once, if that was seen.
    pub capacity: Option<u64>,
    /// What clients that are gone still have.
    pub held: Option<Held>,
    /// What else is known of the service.
    pub known: Known,
    /// Why nothing more can be told, if no rule applies.
    pub open: Option<Open>,
    /// Figures for the reader, after the reason.
    pub evidence: Vec<String>,
}

/// What was seen in one step.
#[derive(Clone, Debug, Default)]
pub struct StepSigns {
    /// The load, such as `16 streams`.
    pub load: String,
    /// Streams that were asked for.
    pub asked: u64,
    /// The most that were served at once.
    pub served: u64,
    /// Whether connections were refused before any load, though one was served before that.
    pub was_down: bool,
    /// The health checks.
    pub health: Vec<Health>,
    /// How the streams that are served flow, against one alone.
    pub pace: Pace,
    /// How much longer a gap is than for one stream alone, in microseconds: the mean, and the longest.
    pub gap_grown_us: Option<(u64, u64)>,
    /// Longest time, in microseconds, in which no stream got anything though some were served, if it is much
    /// longer than one stream alone pauses.
    pub silence_us: Option<u64>,
    /// No more than so many are served while others wait.
    pub limit: Option<Limit>,
    /// Whether every stream that was asked for was served at once.
    pub is_all_served: bool,
    /// First bytes come much later than for one stream alone.
    pub late_first_byte: Option<Late>,
    /// Requests that were answered with 503 or 429 at once, or got no connection.
    pub turned_away: u64,
    /// In words: requests that were answered with another error, or ended badly.
    pub failing: Option<String>,
    /// Whether nearly all streams broke off.
    pub all_broke: bool,
    /// CPU of the service.
    pub cpu: Cpu,
    /// In words: something that is not as it was, and names no cause.
    pub restless: Option<String>,
}

/// How streams that are served flow.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Pace {
    /// Too few chunks were seen.
    #[default]
    Unknown,
    /// As one stream alone.
    Kept,
    /// So many times slower.
    Slower(f64),
    /// None of them got anything.
    StandsStill,
}

/// First bytes that come late.
#[derive(Clone, Debug, Default)]
pub struct Late {
    /// By how much, in microseconds.
    pub by_us: u64,
    /// In words.
    pub told: String,
}

/// How many are served at once while others wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// So many; `None` if the number cannot be known.
    pub streams: Option<u64>,
    /// In words.
    pub told: String,
    /// The thing that is full, if it was seen.
    pub member: Option<Member>,
    /// What the upstream has of those that wait.
    pub upstream: AtUpstream,
}

/// What reached the upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AtUpstream {
    /// Nobody looked.
    #[default]
    Unknown,
    /// Nothing.
    Nothing,
    /// Fewer than were asked for.
    Some(u64),
    /// All of them.
    All,
}

/// What is held for clients that are gone.
#[derive(Clone, Debug)]
pub struct Held {
    /// In words.
    pub told: String,
    /// How many of it there are, if all were used up.
    pub streams: Option<u64>,
}

/// The CPU of the service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cpu {
    /// Its process is not known.
    #[default]
    Unknown,
    /// It got a core when it wanted one. In words.
    Free(String),
    /// One core is busy all the time: a loop or an interpreter that computes. In words.
    OneCore(String),
    /// No core is free. In words.
    Short(String),
}

/// What is known beside the measurement.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known {
    /// Whether the health URLs are the lab's own, so that their names say what they need.
    pub is_own: bool,
    /// The framework that answers, if it was recognised.
    pub framework: Option<&'static Framework>,
    /// Whether gauges contradict a full pool.
    pub has_free_thread: bool,
    /// What is known of URLs that are only watched.
    pub watched: Option<Watched>,
}

/// What is known of URLs that are only watched, while nobody knows the load.
#[derive(Clone, Copy, Debug)]
pub struct Watched {
    /// Whether connections were refused, and answered later.
    pub came_back: bool,
    /// The error status of the first URL that is answered with one.
    pub status: Option<u16>,
}

/// A verdict that stays open.
#[derive(Clone, Debug)]
pub struct Open {
    /// What was seen.
    pub reason: String,
    /// What it may be.
    pub candidates: Vec<Candidate>,
}

/// A possible cause, and what would decide.
pub(super) fn candidate(kind: Kind, family: Family, decided_by: &str) -> Candidate {
    Candidate {
        kind,
        family,
        decided_by: decided_by.to_owned(),
    }
}

impl StepSigns {
    /// Whether anything in it is worse than it should be.
    #[must_use]
    pub fn hurts(&self) -> bool {
        let is_slow = matches!(self.pace, Pace::Slower(_) | Pace::StandsStill);
        self.health.iter().any(Health::is_bad)
            || self.stopped_with().is_some()
            || self.limit.is_some()
            || is_slow
            || self.late_first_byte.is_some()
            || self.turned_away > 0
            || self.all_broke
            || self.failing.is_some()
            || self.restless.is_some()
    }

    /// The check that was late while no stream got anything, if one was.
    pub(super) fn stopped_with(&self) -> Option<&Health> {
        let silence_us = self.silence_us?;
        let late = self.health.iter().max_by_key(|one| one.longest_us)?;
        (late.longest_us as f64 >= TOGETHER * silence_us as f64).then_some(late)
    }

    /// The checks in this state.
    pub(super) fn health_that(&self, state: HealthState) -> impl Iterator<Item = &Health> {
        self.health.iter().filter(move |one| one.state == state)
    }

    /// Whether a check is in this state.
    pub(super) fn has(&self, state: HealthState) -> bool {
        self.health_that(state).next().is_some()
    }

    /// The check of this name.
    pub(super) fn named(&self, name: &str) -> Option<&Health> {
        self.health.iter().find(|one| one.name == name)
    }
}
