use crate::judge::flat::HURT_FLOOR_US;
use crate::summary::Probe;
use crate::units::time;

/// A check hurts if it takes this many times as long as before the load.
const HURT_TIMES: u64 = 3;

/// Below this, in microseconds, a check is about as fast as before the load.
const SLOWER_FLOOR_US: u64 = 20_000;

/// With fewer checks, one slow check alone would be the 90th percentile.
const CHECKS_FOR_P90: u64 = 10;

/// One bad check may be chance; so many are not.
const LEAST_BAD: u64 = 2;

/// Bad checks decide if they are at least this share of all, in percent. Fewer refuse a healthy verdict.
const DECIDING_PERCENT: f64 = 10.0;

/// More than this share of failed checks, in percent, is never healthy.
const SPOTTY_PERCENT: f64 = 1.0;

/// The noise of a shared machine delays a check by no more than this, in microseconds.
const CLEAN_US: u64 = 500_000;

/// A check is starved if less than this share was answered, in percent.
const STARVED_PERCENT: u64 = 20;

/// A check is raised if its 90th percentile is so many times that of before the load, and the floor more.
const RAISED: f64 = 1.5;

/// See [`RAISED`]; in microseconds.
const RAISED_FLOOR_US: f64 = 1_500.0;

/// One health check under load.
#[derive(Clone, Debug)]
pub struct Health {
    /// `health`, `health_sync` or `health_async`.
    pub name: String,
    /// What became of it.
    pub state: HealthState,
    /// How long a check takes, in microseconds: the figure that decided.
    pub takes_us: u64,
    /// Longest check, in microseconds.
    pub longest_us: u64,
    /// Whether checks take longer than before the load, though it need not hurt. Where a loop or a core is
    /// shared, that is so long before it is at its limit.
    pub is_raised: bool,
    /// Whether every check was answered, and none took long enough to hurt.
    pub is_clean: bool,
    /// Whether next to none was answered.
    pub is_starved: bool,
    /// Whether a few checks failed, too few to decide.
    pub is_spotty: bool,
    /// The figures in words.
    pub told: String,
}

/// What became of a health check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthState {
    /// Too few checks.
    Unknown,
    /// About as before the load.
    Fast,
    /// Slower than before, not slow enough to hurt.
    Slower,
    /// It waits: its answers come late or never.
    Waits,
    /// It is answered with an error status.
    Refuses,
    /// It gets no connection, or none that lasts until the answer.
    Down,
}

impl Health {
    /// Of a check with few samples: what became of it in `hold`, against `baseline`.
    ///
    /// What has no outcome yet counts as waiting. What was withheld counts by its age alone.
    #[must_use]
    pub fn of(name: &str, baseline: &Probe, hold: &Probe) -> Self {
        let hurts_from_us = bound_us(baseline, HURT_FLOOR_US);
        let down = hold.connect_failure + hold.aborted;
        let waits = hold
            .due
            .saturating_sub(hold.ok + hold.bad_status + down + hold.not_sent + hold.withheld);
        let decides = |count: u64| {
            count >= LEAST_BAD && 100.0 * count as f64 >= DECIDING_PERCENT * hold.due as f64
        };
        let response = &hold.response_us;
        let (p50, p90) = (response.p50.unwrap_or(0), response.p90.unwrap_or(0));
        let is_late =
            p50 > hurts_from_us || (response.count >= CHECKS_FOR_P90 && p90 > hurts_from_us);
        let takes_us = if response.count >= CHECKS_FOR_P90 {
            p90
        } else {
            p50
        };
        let state = if hold.due < LEAST_BAD {
            HealthState::Unknown
        } else if decides(down) {
            HealthState::Down
        } else if decides(hold.bad_status) && hold.bad_status >= waits {
            HealthState::Refuses
        } else if decides(waits) || is_late {
            HealthState::Waits
        } else if takes_us > bound_us(baseline, SLOWER_FLOOR_US) {
            HealthState::Slower
        } else {
            HealthState::Fast
        };
        // A check that takes long before the load as well is withheld though nothing is wrong.
        let withheld = if baseline.withheld == 0 {
            hold.withheld
        } else {
            0
        };
        let failed = hold.bad_status + down + hold.timeout + withheld;
        let is_spotty =
            failed >= LEAST_BAD && 100.0 * failed as f64 > SPOTTY_PERCENT * hold.due as f64;
        Self {
            name: name.to_owned(),
            state,
            takes_us,
            longest_us: response.max.unwrap_or(0),
            is_raised: p90 as f64
                > RAISED * baseline.response_us.p90.unwrap_or(0) as f64 + RAISED_FLOOR_US,
            is_clean: failed == 0 && response.max.unwrap_or(0) <= hurts_from_us.max(CLEAN_US),
            is_starved: 100 * hold.ok < STARVED_PERCENT * hold.due,
            is_spotty,
            told: told(name, hold, baseline),
        }
    }

    /// Whether it is worse than slower.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        matches!(
            self.state,
            HealthState::Waits | HealthState::Refuses | HealthState::Down
        )
    }
}

/// So many times what a check took before the load, or `floor_us`, in microseconds.
fn bound_us(baseline: &Probe, floor_us: u64) -> u64 {
    (HURT_TIMES * baseline.response_us.p90.unwrap_or(0)).max(floor_us)
}

/// A check in words. A percentile that its number cannot carry is told as the maximum of that number.
pub(in crate::judge) fn told(name: &str, hold: &Probe, baseline: &Probe) -> String {
    let response = &hold.response_us;
    let before = baseline.response_us.p50;
    let failed: Vec<_> = [
        (hold.bad_status, "an error status"),
        (hold.timeout + hold.withheld, "no answer in time"),
        (hold.connect_failure, "no connection"),
        (hold.aborted, "cut off"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!("{count} {what}"))
    .collect();
    let failed = match failed.is_empty() {
        true => String::new(),
        false => format!("; {}", failed.join(", ")),
    };
    format!(
        "{name}: {}, before the load {}{failed}",
        response.p99_or_max(),
        before.map_or("n/a".to_owned(), |us| time(us as f64))
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::Distribution;

    fn probe(due: u64, us: u64) -> Probe {
        Probe {
            due,
            ok: due,
            response_us: Distribution {
                count: due,
                p90: Some(us),
                ..Distribution::default()
            },
            ..Probe::default()
        }
    }

    fn is_bad(baseline: &Probe, hold: &Probe) -> bool {
        Health::of("health", baseline, hold).is_bad()
    }

    #[test]
    fn one_check_of_a_few_does_not_hurt_and_two_do() {
        let baseline = probe(20, 1_000);
        for due in [10, 50] {
            let hold = |slow: u64| {
                let mut times = crate::record::Times::default();
                for n in 0..due {
                    times.add(if n < slow { 900_000 } else { 1_000 });
                }
                Probe {
                    response_us: times.figures(),
                    ..probe(due, 0)
                }
            };
            assert!(!is_bad(&baseline, &hold(1)), "{due}");
            assert!(is_bad(&baseline, &hold(due / 10 + 1)), "{due}");
            let failed = |failed: u64| Probe {
                ok: due - failed,
                ..hold(0)
            };
            assert!(!is_bad(&baseline, &failed(1)), "{due}");
            assert!(is_bad(&baseline, &failed(due / 10 + 1)), "{due}");
        }
    }
}
