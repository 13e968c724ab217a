//! The one bound for "health stayed flat", used everywhere.

use crate::summary::Probe;
use crate::units::time;

pub use crate::scenario::{LEAST_CHECKS, LEAST_CHECKS_OF_TARGET};

/// A check may always take this long, in microseconds, however fast the baseline was. Below it, the
/// scheduler of a shared machine decides.
pub const FLOOR_US: u64 = 10_000;

/// A baseline slower than this, in microseconds, was disturbed. An idle server on loopback answers in less
/// than 1 ms.
const BASELINE_LIMIT_US: u64 = 50_000;

/// Below this, in microseconds, a health check never hurts, whatever its baseline was. It is a tenth of
/// Kubernetes' default `timeoutSeconds`, which is 1 s.
pub(super) const HURT_FLOOR_US: u64 = 100_000;

/// The largest response time that still counts as flat, in microseconds: `max(3 × baseline p99, 10 ms)`.
#[must_use]
pub fn bound_us(baseline: &Probe) -> u64 {
    (3 * baseline.response_us.p99.unwrap_or(0)).max(FLOOR_US)
}

/// Whether the hold stayed flat; `None` if there was no baseline, or the hold has fewer than `least` checks.
#[must_use]
pub fn is_flat(baseline: &Probe, hold: &Probe, least: u64) -> Option<bool> {
    if baseline.response_us.count == 0 || hold.due < least {
        return None;
    }
    let p99 = hold.response_us.p99?;
    Some(!hold.response_us.p99_censored && p99 <= bound_us(baseline))
}

/// Why the hold cannot be compared with this baseline; `None` if it can. A slow baseline would make the
/// bound of "flat" too wide.
#[must_use]
pub fn disturbed(baseline: &Probe) -> Option<String> {
    let failed = baseline.failed();
    if failed > 0 {
        return Some(format!(
            "{failed} of {} checks failed before the load",
            baseline.due
        ));
    }
    let p99 = baseline.response_us.p99?;
    (p99 > BASELINE_LIMIT_US).then(|| {
        format!(
            "p99 before the load was {}, above {}",
            time(p99 as f64),
            time(BASELINE_LIMIT_US as f64)
        )
    })
}

/// Whether the hold hurts: more than one check in a hundred fails, or p99 is above both three times
/// the baseline and 100 ms. A hold can be neither flat nor hurt. No diagnosis is built on such a hold.
///
/// A process that refuses connections is down, as between a kill and the restart. A refusal tells nothing
/// about waits inside the process, so only the checks that reached it count.
#[must_use]
pub fn is_hurt(baseline: &Probe, hold: &Probe) -> Option<bool> {
    let bound = bound_us(baseline).max(HURT_FLOOR_US);
    if hold.connect_failure > 0 {
        let failed = hold.bad_status + hold.timeout + hold.withheld;
        let reached = hold.ok + failed;
        let slow = hold.response_ok_us.p99.is_none_or(|p99| p99 > bound);
        return Some(reached == 0 || failed as f64 > 0.01 * reached as f64 || slow);
    }
    let unanswered = hold.unanswered_percent()?;
    let p99 = hold.response_us.p99?;
    let slow = hold.response_us.p99_censored || p99 > bound;
    Some(unanswered > 1.0 || slow)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::Distribution;

    fn probe(due: u64, p99: u64, censored: bool) -> Probe {
        Probe {
            due,
            ok: due,
            response_us: Distribution {
                count: due,
                p99: Some(p99),
                p99_censored: censored,
                ..Distribution::default()
            },
            ..Probe::default()
        }
    }

    fn flat(baseline: &Probe, hold: &Probe) -> Option<bool> {
        is_flat(baseline, hold, LEAST_CHECKS)
    }

    #[test]
    fn the_bound_is_three_baselines_or_ten_milliseconds() {
        let fast = probe(200, 1_000, false);
        assert_eq!(flat(&fast, &probe(600, 10_000, false)), Some(true));
        assert_eq!(flat(&fast, &probe(600, 10_001, false)), Some(false));
        let slow = probe(200, 20_000, false);
        assert_eq!(flat(&slow, &probe(600, 60_000, false)), Some(true));
    }

    #[test]
    fn too_few_checks_prove_nothing() {
        let baseline = probe(200, 1_000, false);
        assert_eq!(flat(&baseline, &probe(499, 1_000, false)), None);
        assert_eq!(flat(&probe(0, 0, false), &probe(600, 1_000, false)), None);
    }

    #[test]
    fn a_censored_percentile_is_never_flat() {
        assert_eq!(
            flat(&probe(200, 1_000, false), &probe(600, 9_000, true)),
            Some(false)
        );
    }
}
