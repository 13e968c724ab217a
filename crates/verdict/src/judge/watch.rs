//! What two health URLs, watched side by side, say of a service: the verdict of `lab watch`.
//!
//! | sync | async | verdict |
//! |---|---|---|
//! | fast | fast | `healthy` |
//! | slow | fast | `blocking_pool_exhausted` |
//! | slow or fast | slow | `undecided`, with what would decide |
//! | an error status | any | `undecided`: it is answered, so nothing waits |

use crate::record::{Look, Outcome};
use crate::summary::{Candidate, Diagnosis, Kind};
use crate::units::time;

/// A verdict rests on this many checks of each URL: the latest that have an outcome or are known to be
/// slow.
const RECENT: usize = 3;

/// This many of them must be slow, because one slow check may be chance.
const SLOW: usize = 2;

/// The verdict on a service at one moment.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The same words as for a cell.
    pub diagnosis: Diagnosis,
    /// Whether a URL is in trouble: two of its last three checks took longer than the limit, or failed.
    pub alert: bool,
}

impl Verdict {
    /// Why, in one sentence.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.diagnosis.evidence.first().map(String::as_str)
    }
}

/// Judges the latest checks of both URLs, given from the oldest on. A check in flight counts once it is
/// older than `alert_above_us`.
#[must_use]
pub fn verdict(sync: &[Look], asynchronous: &[Look], alert_above_us: u64) -> Verdict {
    let sync = UrlPace::of("sync", sync, alert_above_us);
    let asynchronous = UrlPace::of("async", asynchronous, alert_above_us);
    let evidence = vec![sync.evidence.clone(), asynchronous.evidence.clone()];
    let alert = sync.is_in_trouble() || asynchronous.is_in_trouble();
    let (kind, candidates, reason) = match (sync.state, asynchronous.state) {
        (UrlState::NotSent, _) | (_, UrlState::NotSent) => (
            Kind::GeneratorLimited,
            Vec::new(),
            "this machine has no port or no file left for a check",
        ),
        (UrlState::Unknown, _) | (_, UrlState::Unknown) => {
            (Kind::Undecided, Vec::new(), "too few checks yet")
        }
        (UrlState::Fast, UrlState::Fast) => (Kind::Healthy, Vec::new(), "both URLs answer in time"),
        (UrlState::Slow, UrlState::Fast) => (
            Kind::BlockingPoolExhausted,
            Vec::new(),
            "what needs a thread waits while the event loop answers; \
             something that only the sync URL asks would look the same",
        ),
        (UrlState::Refusing, UrlState::Refusing) => (
            Kind::Undecided,
            Vec::new(),
            "both URLs answer with an error status: wrong URLs, no right to them, \
             or their own health checks say so",
        ),
        (UrlState::Refusing, _) => (
            Kind::Undecided,
            Vec::new(),
            "the sync URL answers with an error status: wrong URL, no right to it, \
             or its own health check says so",
        ),
        (_, UrlState::Refusing) => (
            Kind::Undecided,
            Vec::new(),
            "the async URL answers with an error status: wrong URL, no right to it, \
             or its own health check says so",
        ),
        (UrlState::Unreachable, UrlState::Unreachable) => (
            Kind::Undecided,
            Vec::new(),
            "no connection, or none that lasts until the answer: \
             the service is down, or out of reach",
        ),
        (UrlState::Slow | UrlState::Unreachable, UrlState::Slow | UrlState::Unreachable) => (
            Kind::Undecided,
            vec![
                candidate(
                    Kind::EventLoopBlocked,
                    "the CPU of the process: it is low while something blocks the loop",
                ),
                candidate(
                    Kind::CpuSaturated,
                    "the CPU of the process: it is at the limit of its cores",
                ),
            ],
            "both URLs are slow: the event loop does not run",
        ),
        (UrlState::Fast, _) => (
            Kind::Undecided,
            Vec::new(),
            "only the async URL is slow: it does more than answer, or is another process",
        ),
        (UrlState::Unreachable, UrlState::Fast) => (
            Kind::Undecided,
            Vec::new(),
            "only the sync URL has no connection that lasts until the answer: it is another process",
        ),
    };
    let evidence = std::iter::once(reason.to_owned()).chain(evidence).collect();
    let diagnosis = Diagnosis {
        kind,
        candidates,
        evidence,
        inferred_capacity: None,
    };
    Verdict { diagnosis, alert }
}

fn candidate(kind: Kind, decided_by: &str) -> Candidate {
    let decided_by = decided_by.to_owned();
    Candidate { kind, decided_by }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum UrlState {
    Unknown,
    Fast,
    /// It makes its callers wait. Only this state tells anything about threads or the loop.
    Slow,
    /// It answers, with an error status.
    Refusing,
    Unreachable,
    NotSent,
}

impl UrlState {
    /// The state of a URL. `bad` are those of its last checks that were slow or failed, the latest first.
    fn of(bad: &[&Look], limit_us: u64) -> Self {
        let waits = bad.iter().filter(|look| look.is_wait(limit_us)).count();
        if bad.len() < SLOW {
            return Self::Fast;
        }
        if waits >= SLOW {
            return Self::Slow;
        }
        // Too few checks waited to call it slow. So the latest failure that is not a wait decides.
        let failure = bad.iter().find(|look| !look.is_wait(limit_us));
        match failure.and_then(|look| look.outcome) {
            Some(Outcome::NotSent) => Self::NotSent,
            Some(Outcome::BadStatus) => Self::Refusing,
            _ => Self::Unreachable,
        }
    }
}

/// How one URL does.
struct UrlPace {
    state: UrlState,
    evidence: String,
}

impl UrlPace {
    fn of(name: &str, looks: &[Look], limit_us: u64) -> Self {
        let known = |look: &&Look| look.outcome.is_some() || look.us > limit_us;
        let recent: Vec<&Look> = looks.iter().rev().filter(known).take(RECENT).collect();
        let is_bad = |look: &&Look| look.is_slow(limit_us);
        let bad: Vec<&Look> = recent.iter().copied().filter(is_bad).collect();
        let state = if recent.len() < SLOW {
            UrlState::Unknown
        } else {
            UrlState::of(&bad, limit_us)
        };
        let last = recent.first().map_or("n/a".to_owned(), |look| {
            let failure = look.outcome.filter(|outcome| *outcome != Outcome::Ok);
            let failure = failure.map_or(String::new(), |one| format!(" ({})", one.name()));
            look.shown() + &failure
        });
        let evidence = format!(
            "{name}: {} of the last {} checks failed or took longer than {}, the last one {last}",
            bad.len(),
            recent.len(),
            time(limit_us as f64)
        );
        Self { state, evidence }
    }

    fn is_in_trouble(&self) -> bool {
        matches!(
            self.state,
            UrlState::Slow | UrlState::Refusing | UrlState::Unreachable
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u64 = 100_000;

    fn look(outcome: Option<Outcome>, us: u64) -> Look {
        Look {
            due_us: 0,
            outcome,
            us,
        }
    }

    fn ok(us: u64) -> Look {
        look(Some(Outcome::Ok), us)
    }

    fn kind(sync: &[Look], asynchronous: &[Look]) -> (Kind, bool) {
        let verdict = verdict(sync, asynchronous, LIMIT);
        (verdict.diagnosis.kind, verdict.alert)
    }

    const FAST: u64 = 300;
    const SLOW: u64 = 2_000_000;

    #[test]
    fn the_two_urls_decide_together() {
        let (fast, slow) = ([ok(FAST); 3], [ok(SLOW); 3]);
        assert_eq!(kind(&fast, &fast), (Kind::Healthy, false));
        assert_eq!(kind(&slow, &fast), (Kind::BlockingPoolExhausted, true));
        assert_eq!(kind(&fast, &slow), (Kind::Undecided, true));
        let both = verdict(&slow, &slow, LIMIT);
        let candidates: Vec<_> = both
            .diagnosis
            .candidates
            .iter()
            .map(|one| one.kind)
            .collect();
        assert_eq!(candidates, [Kind::EventLoopBlocked, Kind::CpuSaturated]);
        assert!(both.alert);
    }

    #[test]
    fn one_slow_check_is_no_verdict_and_two_are() {
        let fast = [ok(FAST); 3];
        assert_eq!(
            kind(&[ok(FAST), ok(SLOW), ok(FAST)], &fast),
            (Kind::Healthy, false)
        );
        assert_eq!(
            kind(&[ok(SLOW), ok(FAST), ok(SLOW)], &fast).0,
            Kind::BlockingPoolExhausted
        );
        let recovered = [ok(SLOW), ok(SLOW), ok(FAST), ok(FAST)];
        assert_eq!(kind(&recovered, &fast), (Kind::Healthy, false));
        assert_eq!(kind(&[ok(SLOW)], &fast).0, Kind::Undecided, "too few");
    }

    #[test]
    fn a_check_in_flight_counts_once_it_is_older_than_the_limit() {
        let fast = [ok(FAST); 3];
        let waits = |us| look(None, us);
        assert_eq!(
            kind(&[ok(FAST), ok(FAST), waits(LIMIT), waits(10)], &fast),
            (Kind::Healthy, false)
        );
        assert_eq!(
            kind(&[ok(FAST), ok(FAST), waits(SLOW), waits(LIMIT + 1)], &fast).0,
            Kind::BlockingPoolExhausted
        );
    }

    #[test]
    fn an_error_status_is_an_alert_and_no_exhaustion() {
        let fast = [ok(FAST); 3];
        let refused = [look(Some(Outcome::BadStatus), FAST); 3];
        for (sync, asynchronous, whose) in [
            (&refused, &fast, "the sync URL answers with an error status"),
            (
                &fast,
                &refused,
                "the async URL answers with an error status",
            ),
            (&refused, &refused, "both URLs answer with an error status"),
        ] {
            let verdict = verdict(sync, asynchronous, LIMIT);
            assert_eq!(verdict.diagnosis.kind, Kind::Undecided);
            assert!(verdict.diagnosis.candidates.is_empty() && verdict.alert);
            let reason = &verdict.diagnosis.evidence[0];
            assert!(reason.starts_with(whose), "{reason}");
        }
    }

    #[test]
    fn only_waiting_is_blamed_on_the_pool() {
        let fast = [ok(FAST); 3];
        let late = look(Some(Outcome::Timeout), SLOW);
        for failure in [
            Outcome::BadStatus,
            Outcome::ConnectFailure,
            Outcome::Aborted,
            Outcome::NotSent,
        ] {
            for us in [FAST, SLOW] {
                let failed = look(Some(failure), us);
                for sync in [
                    [failed, failed, failed],
                    [failed, ok(FAST), failed],
                    [late, ok(FAST), failed],
                    [failed, failed, late],
                ] {
                    let kind = kind(&sync, &fast).0;
                    assert_ne!(kind, Kind::BlockingPoolExhausted, "{sync:?}");
                    assert_ne!(kind, Kind::Healthy, "{sync:?}");
                }
                let waits = [late, failed, look(None, SLOW)];
                assert_eq!(kind(&waits, &fast), (Kind::BlockingPoolExhausted, true));
            }
        }
    }

    #[test]
    fn without_a_connection_nothing_is_blamed_on_the_inside() {
        let down = [look(Some(Outcome::ConnectFailure), SLOW); 3];
        let verdict = verdict(&down, &down, LIMIT);
        assert_eq!(verdict.diagnosis.kind, Kind::Undecided);
        assert!(verdict.diagnosis.candidates.is_empty() && verdict.alert);
        assert!(verdict.diagnosis.evidence[0].starts_with("no connection"));
        let unsent = [look(Some(Outcome::NotSent), SLOW); 3];
        assert_eq!(kind(&unsent, &down), (Kind::GeneratorLimited, true));
    }
}
