//! What two health URLs, watched side by side, say of a service: the verdict of `lab watch`.
//!
//! | sync | async | verdict |
//! |---|---|---|
//! | fast | fast | `healthy` |
//! | slow | fast | `blocking_pool_exhausted` |
//! | slow or fast | slow | `undecided`, with what would decide |

use crate::measure::{Look, Outcome};
use crate::summary::{Candidate, Diagnosis, Kind};
use crate::units::time;

/// A verdict rests on so many checks of each URL, the latest whose outcome or slowness is known.
const RECENT: usize = 3;

/// So many of them have to be slow: one slow check may be anything.
const SLOW: usize = 2;

/// The verdict on a service at one moment.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The same words as for a cell.
    pub diagnosis: Diagnosis,
    /// Whether a URL is slow: two of its last three checks took longer than the limit, or failed.
    pub alert: bool,
}

/// Judges the latest checks of both URLs, the oldest first; those in flight count once they are older
/// than `alert_above_us`.
#[must_use]
pub fn verdict(sync: &[Look], asynchronous: &[Look], alert_above_us: u64) -> Verdict {
    let sync = Pace::of("sync", sync, alert_above_us);
    let asynchronous = Pace::of("async", asynchronous, alert_above_us);
    let evidence = vec![sync.evidence.clone(), asynchronous.evidence.clone()];
    let alert = sync.is_slow() || asynchronous.is_slow();
    let (kind, candidates, reason) = match (sync.state, asynchronous.state) {
        (State::NotSent, _) | (_, State::NotSent) => (
            Kind::GeneratorLimited,
            Vec::new(),
            "this machine has no port or no file left for a check",
        ),
        (State::Unknown, _) | (_, State::Unknown) => {
            (Kind::Undecided, Vec::new(), "too few checks yet")
        }
        (State::Fast, State::Fast) => (Kind::Healthy, Vec::new(), "both URLs answer in time"),
        (State::Slow, State::Fast) => (
            Kind::BlockingPoolExhausted,
            Vec::new(),
            "what needs a thread waits while the event loop answers; \
             something that only the sync URL asks would look the same",
        ),
        (State::Unreachable, State::Unreachable) => (
            Kind::Undecided,
            Vec::new(),
            "no connection: the service is down, or out of reach",
        ),
        (State::Slow | State::Unreachable, State::Slow | State::Unreachable) => (
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
        (State::Fast, _) => (
            Kind::Undecided,
            Vec::new(),
            "only the async URL is slow: it does more than answer, or is another process",
        ),
        (State::Unreachable, State::Fast) => (
            Kind::Undecided,
            Vec::new(),
            "only the sync URL has no connection: it is another process",
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
enum State {
    Unknown,
    Fast,
    Slow,
    Unreachable,
    NotSent,
}

/// How one URL does.
struct Pace {
    state: State,
    evidence: String,
}

impl Pace {
    fn of(name: &str, looks: &[Look], limit_us: u64) -> Self {
        let known = |look: &&Look| look.outcome.is_some() || look.us > limit_us;
        let recent: Vec<&Look> = looks.iter().rev().filter(known).take(RECENT).collect();
        let slow = recent.iter().filter(|look| look.is_slow(limit_us)).count();
        let all_are = |outcome| recent.iter().all(|look| look.outcome == Some(outcome));
        let state = match slow {
            _ if recent.len() < SLOW => State::Unknown,
            slow if slow < SLOW => State::Fast,
            _ if all_are(Outcome::NotSent) => State::NotSent,
            _ if all_are(Outcome::ConnectFailure) => State::Unreachable,
            _ => State::Slow,
        };
        let last = recent.first().map_or("n/a".to_owned(), |look| look.shown());
        let evidence = format!(
            "{name}: {slow} of the last {} checks failed or took longer than {}, the last one {last}",
            recent.len(),
            time(limit_us as f64)
        );
        Self { state, evidence }
    }

    fn is_slow(&self) -> bool {
        matches!(self.state, State::Slow | State::Unreachable)
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
    fn failing_fast_is_no_health() {
        let fast = [ok(FAST); 3];
        let failed = [look(Some(Outcome::BadStatus), FAST); 3];
        assert_eq!(kind(&failed, &fast), (Kind::BlockingPoolExhausted, true));
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
