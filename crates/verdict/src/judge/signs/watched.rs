//! What was seen of URLs that are only watched: their latest checks, and no load.
//!
//! URLs are not asked at the same instant, so a process that stands still shows at one of them before it shows
//! at the next. A verdict compares them. So it rests on checks that were due at about the same time:
//!
//! - Every URL is judged up to the first check of any of them whose outcome is open.
//! - While a URL is bad, another one counts as fast only if no check of it was bad since, nor the last before.
//! - A URL that is between bad and fast leaves the verdict as it was.

use super::{Health, HealthState, Known, Signs, StepSigns, Watched};
use crate::record::{Look, Outcome};
use crate::units::time;

/// A URL is judged by this many checks.
const RECENT: usize = 3;

/// This many of them must be bad, because one bad check may be chance.
const BAD: usize = 2;

/// A URL that comes and goes is judged by this many.
const LONG: usize = 2 * RECENT;

/// The signs of URLs by their names, each with its latest checks from the oldest on, or `None` while they
/// cannot be compared. A check in flight counts once it is older than `limit_us`.
pub(in crate::judge) fn of_looks(urls: &[(&str, &[Look])], limit_us: u64) -> Option<Signs> {
    let urls = known(urls, limit_us);
    let not_sent = urls.iter().any(|url| {
        let is_not_sent = |look: &&&Look| look.outcome == Some(Outcome::NotSent);
        url.last(RECENT).iter().filter(is_not_sent).count() >= BAD
    });
    if not_sent {
        let reason = "this machine has no port or no file left for a check";
        return Some(Signs {
            generator: Some(reason.to_owned()),
            ..Signs::default()
        });
    }
    let bad: Vec<_> = urls.iter().filter_map(Url::bad).collect();
    let since_us = bad.iter().map(|bad| bad.since_us).max();
    let health: Option<Vec<_>> = urls
        .iter()
        .map(|url| match url.bad() {
            Some(bad) => Some(url.health(bad.state)),
            None if url.is_fast(since_us) => Some(url.health(HealthState::Fast)),
            None => None,
        })
        .collect();
    let health = health?;
    let status = urls.iter().find_map(|url| url.bad()?.status);
    Some(Signs {
        known: Known {
            watched: Some(Watched {
                came_back: came_back(&urls),
                status,
            }),
            ..Known::default()
        },
        evidence: health.iter().map(|one| one.told.clone()).collect(),
        steps: vec![StepSigns {
            health,
            ..StepSigns::default()
        }],
        ..Signs::default()
    })
}

/// A URL by its name, and the checks that it is judged by, the oldest first.
struct Url<'a> {
    name: &'a str,
    looks: Vec<&'a Look>,
    limit_us: u64,
}

/// What is wrong with a URL.
struct Bad {
    state: HealthState,
    /// When the first bad check was due that this rests on.
    since_us: u64,
    /// The error status that it is answered with.
    status: Option<u16>,
}

/// The checks of each URL up to the first one of any of them whose outcome is open. A check that was withheld
/// behind checks that do not wait too long yet says nothing.
fn known<'a>(urls: &[(&'a str, &'a [Look])], limit_us: u64) -> Vec<Url<'a>> {
    let is_open = |look: &&Look| look.outcome.is_none() && look.us <= limit_us;
    let says_nothing = |look: &Look| look.outcome == Some(Outcome::Withheld) && look.us <= limit_us;
    let all = urls.iter().flat_map(|(_, looks)| *looks);
    let open_us = all.filter(is_open).map(|look| look.due_us).min();
    let is_known = |look: &&Look| open_us.is_none_or(|open_us| look.due_us < open_us);
    let known = urls.iter().map(|&(name, looks)| Url {
        name,
        looks: looks
            .iter()
            .filter(is_known)
            .filter(|look| !says_nothing(look))
            .collect(),
        limit_us,
    });
    known.collect()
}

impl<'a> Url<'a> {
    fn last(&self, count: usize) -> &[&'a Look] {
        &self.looks[self.looks.len().saturating_sub(count)..]
    }

    fn is_bad(&self, look: &Look) -> bool {
        look.is_bad(self.limit_us)
    }

    /// What is wrong, if two of its last three checks are bad and the last one is, or if it comes and goes.
    fn bad(&self) -> Option<Bad> {
        let comes_and_goes = self.comes_and_goes();
        let last = self.last(if comes_and_goes { LONG } else { RECENT });
        let bad: Vec<_> = last.iter().filter(|look| self.is_bad(look)).collect();
        let is_bad_now = self.looks.last().is_some_and(|look| self.is_bad(look));
        if bad.len() < BAD || !(is_bad_now || comes_and_goes) {
            return None;
        }
        let waits = bad.iter().filter(|look| look.is_wait(self.limit_us));
        // Too few checks waited to call it slow. So the latest failure decides.
        let failure = bad.iter().rfind(|look| look.has_failed());
        let state = match failure.and_then(|look| look.outcome) {
            _ if waits.count() >= BAD => HealthState::Waits,
            Some(Outcome::BadStatus) => HealthState::Refuses,
            _ => HealthState::Down,
        };
        Some(Bad {
            state,
            since_us: bad.first().map_or(0, |look| look.due_us),
            status: failure
                .filter(|_| state == HealthState::Refuses)
                .and_then(|look| look.status),
        })
    }

    /// Whether half of its checks are bad, and good ones between them.
    fn comes_and_goes(&self) -> bool {
        let bad: Vec<_> = self
            .last(LONG)
            .iter()
            .map(|look| self.is_bad(look))
            .collect();
        let turns = bad.windows(2).filter(|two| !two[0] && two[1]).count();
        turns >= 2 && bad.iter().filter(|is_bad| **is_bad).count() >= RECENT
    }

    /// Whether its last two checks are good. Beside a URL that is bad since `since_us`, two were due since, and
    /// they are good, and so is the last one before.
    fn is_fast(&self, since_us: Option<u64>) -> bool {
        let known = self.looks.len();
        let since = since_us.map_or(known.saturating_sub(BAD), |since_us| {
            self.looks.partition_point(|look| look.due_us < since_us)
        });
        let from = since.saturating_sub(usize::from(since_us.is_some()));
        known - since >= BAD && self.looks[from..].iter().all(|look| !self.is_bad(look))
    }

    fn health(&self, state: HealthState) -> Health {
        let recent = self.last(RECENT);
        let shown: Vec<_> = recent.iter().map(|look| look.shown()).collect();
        Health {
            name: self.name.to_owned(),
            state,
            takes_us: recent.iter().map(|look| look.us).max().unwrap_or(0),
            longest_us: 0,
            is_raised: false,
            is_starved: false,
            is_clean: true,
            is_spotty: false,
            told: format!(
                "{}: last checks {} (limit {})",
                in_words(self.name),
                shown.join(", "),
                time(self.limit_us as f64)
            ),
        }
    }

    /// How many checks were refused a connection, and whether it was answered after that.
    fn refused(&self) -> (usize, bool) {
        let is_refused = |look: &&&Look| look.outcome == Some(Outcome::ConnectFailure);
        let is_answered =
            |look: &&Look| matches!(look.outcome, Some(Outcome::Ok | Outcome::BadStatus));
        let refused = self.looks.iter().filter(is_refused).count();
        let mut after = self.looks.iter().skip_while(|look| !is_refused(look));
        (refused, after.any(is_answered))
    }
}

/// Whether every URL was refused and answered later, and more than one check was.
fn came_back(urls: &[Url<'_>]) -> bool {
    let refused: Vec<_> = urls.iter().map(Url::refused).collect();
    let checks: usize = refused.iter().map(|(checks, _)| checks).sum();
    checks >= BAD && refused.iter().all(|&(_, is_back)| is_back)
}

/// The name of a health check as people say it.
pub(in crate::judge) fn in_words(name: &str) -> &str {
    match name {
        "health_sync" => "sync health",
        "health_async" => "async health",
        _ => name,
    }
}
