//! What was seen of URLs that are only watched: their latest checks, and no load.

use super::{Health, HealthState, Signs, StepSigns};
use crate::record::{Look, Outcome};
use crate::units::time;

/// A verdict rests on this many checks of each URL: the latest that have an outcome or are known to be
/// slow.
const RECENT: usize = 3;

/// This many of them must be bad, because one bad check may be chance.
const BAD: usize = 2;

/// The signs of URLs by their names, each with its latest checks from the oldest on. A check in flight counts
/// once it is older than `limit_us`.
pub(in crate::judge) fn of_looks(urls: &[(&str, &[Look])], limit_us: u64) -> Signs {
    let health: Vec<_> = urls
        .iter()
        .map(|(name, looks)| health(name, looks, limit_us))
        .collect();
    let not_sent = urls.iter().any(|(_, looks)| {
        let recent = recent(looks, limit_us);
        recent
            .iter()
            .filter(|look| look.outcome == Some(Outcome::NotSent))
            .count()
            >= BAD
    });
    Signs {
        generator: not_sent
            .then(|| "this machine has no port or no file left for a check".to_owned()),
        evidence: health.iter().map(|one| one.told.clone()).collect(),
        steps: vec![StepSigns {
            load: "what it has to do".to_owned(),
            health,
            ..StepSigns::default()
        }],
        ..Signs::default()
    }
}

fn recent<'a>(looks: &'a [Look], limit_us: u64) -> Vec<&'a Look> {
    let known = looks
        .iter()
        .rev()
        .filter(|look| look.outcome.is_some() || look.us > limit_us);
    known.take(RECENT).collect()
}

fn health(name: &str, looks: &[Look], limit_us: u64) -> Health {
    let recent = recent(looks, limit_us);
    let is_bad = |look: &&&Look| look.outcome != Some(Outcome::Ok) || look.us > limit_us;
    let bad: Vec<_> = recent.iter().filter(is_bad).collect();
    let waits = bad.iter().filter(|look| look.is_wait(limit_us)).count();
    let failure = bad.iter().find(|look| !look.is_wait(limit_us));
    let state = if recent.len() < BAD {
        HealthState::Unknown
    } else if bad.len() < BAD {
        HealthState::Fast
    } else if waits >= BAD {
        HealthState::Waits
    } else {
        // Too few checks waited to call it slow. So the latest failure that is not a wait decides.
        match failure.and_then(|look| look.outcome) {
            Some(Outcome::BadStatus) => HealthState::Refuses,
            _ => HealthState::Down,
        }
    };
    let last: Vec<_> = recent.iter().rev().map(|look| look.shown()).collect();
    Health {
        name: name.to_owned(),
        state,
        takes_us: recent.iter().map(|look| look.us).max().unwrap_or(0),
        longest_us: 0,
        is_raised: false,
        is_starved: false,
        is_spotty: false,
        told: match last.is_empty() {
            true => format!("{name}: no check has its outcome yet"),
            false => format!(
                "{name}: the last checks took {} (limit {})",
                last.join(", "),
                time(limit_us as f64)
            ),
        },
    }
}
