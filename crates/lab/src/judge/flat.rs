//! One bound for "health stayed flat", everywhere.

use crate::summary::Probe;

/// Checks that a hold must have before its p99 says anything: five beyond the percentile.
pub const LEAST_CHECKS: u64 = 500;

/// What a check may always take, in microseconds, however fast the baseline was: below it, a shared
/// machine's scheduler decides.
const FLOOR_US: u64 = 10_000;

/// Above this, in microseconds, a health check hurts: it is Kubernetes' default `timeoutSeconds`
/// (1 s) with room for nothing else, and what an operator sees as "slow" on any service.
const HURT_FLOOR_US: u64 = 100_000;

/// The largest response time that still counts as flat, in microseconds: `max(3 × baseline p99, 10 ms)`.
#[must_use]
pub fn bound_us(baseline: &Probe) -> u64 {
    (3 * baseline.response_us.p99.unwrap_or(0)).max(FLOOR_US)
}

/// Whether the hold stayed flat; `None` if either phase has too little to say.
#[must_use]
pub fn is_flat(baseline: &Probe, hold: &Probe) -> Option<bool> {
    if baseline.response_us.count == 0 || hold.due < LEAST_CHECKS {
        return None;
    }
    let p99 = hold.response_us.p99?;
    Some(!hold.response_us.p99_censored && p99 <= bound_us(baseline))
}

/// Whether the hold hurts: more than one check in a hundred fails, or p99 is beyond both three times
/// the baseline and 100 ms. Between flat and hurt lies what a diagnosis should not be built on.
#[must_use]
pub fn is_hurt(baseline: &Probe, hold: &Probe) -> Option<bool> {
    let unanswered = hold.unanswered_percent()?;
    let p99 = hold.response_us.p99?;
    let slow = hold.response_us.p99_censored || p99 > bound_us(baseline).max(HURT_FLOOR_US);
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

    #[test]
    fn the_bound_is_three_baselines_or_ten_milliseconds() {
        let fast = probe(200, 1_000, false);
        assert_eq!(is_flat(&fast, &probe(600, 10_000, false)), Some(true));
        assert_eq!(is_flat(&fast, &probe(600, 10_001, false)), Some(false));
        let slow = probe(200, 20_000, false);
        assert_eq!(is_flat(&slow, &probe(600, 60_000, false)), Some(true));
    }

    #[test]
    fn too_few_checks_prove_nothing() {
        let baseline = probe(200, 1_000, false);
        assert_eq!(is_flat(&baseline, &probe(499, 1_000, false)), None);
        assert_eq!(
            is_flat(&probe(0, 0, false), &probe(600, 1_000, false)),
            None
        );
    }

    #[test]
    fn a_censored_percentile_is_never_flat() {
        assert_eq!(
            is_flat(&probe(200, 1_000, false), &probe(600, 9_000, true)),
            Some(false)
        );
    }
}
