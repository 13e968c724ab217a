/// The plan of an open-loop probe: check *n* is due at `n / (rate × endpoints)` and asks endpoint
/// `n mod endpoints`, so that each endpoint is asked `rate` times a second and none in step with another.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    rate: f64,
    endpoints: usize,
}

impl Plan {
    /// A plan of `rate` checks a second for each of `endpoints`.
    #[must_use]
    pub fn new(rate: f64, endpoints: usize) -> Self {
        Self { rate, endpoints }
    }

    /// When check `n` is due, on the cell's clock. Never re-anchored: it depends on `n` alone.
    #[must_use]
    pub fn due_us(&self, n: u64) -> u64 {
        (n as f64 * 1e6 / (self.rate * self.endpoints as f64)).round() as u64
    }

    /// The endpoint of check `n`, by position.
    #[must_use]
    pub fn endpoint(&self, n: u64) -> usize {
        (n % self.endpoints as u64) as usize
    }

    /// How many checks of `endpoint` are due in `[start_us, end_us)`.
    #[must_use]
    pub fn due_between(&self, endpoint: usize, start_us: u64, end_us: u64) -> u64 {
        let before = |us: u64| {
            let mut n = (us as f64 * self.rate * self.endpoints as f64 / 1e6).floor() as u64;
            n = n.saturating_sub(2);
            while self.due_us(n) < us {
                n += 1;
            }
            // Of the checks 0..n, those whose position is this endpoint's.
            let endpoints = self.endpoints as u64;
            (n + endpoints - 1 - endpoint as u64) / endpoints
        };
        before(end_us).saturating_sub(before(start_us))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_counts_what_it_has() {
        let plan = Plan::new(50.0, 3);
        for endpoint in 0..3 {
            for (start, end) in [
                (0, 0),
                (0, 1),
                (0, 1_000_000),
                (123_456, 7_654_321),
                (20_000, 40_000),
            ] {
                let counted = (0..2_000)
                    .filter(|&n| {
                        plan.endpoint(n) == endpoint && (start..end).contains(&plan.due_us(n))
                    })
                    .count() as u64;
                assert_eq!(
                    plan.due_between(endpoint, start, end),
                    counted,
                    "{endpoint} {start} {end}"
                );
            }
        }
    }

    #[test]
    fn consecutive_spans_leave_out_no_check() {
        let plan = Plan::new(37.3, 2);
        let whole = plan.due_between(1, 0, 10_000_000);
        let parts = (0..10)
            .map(|n| plan.due_between(1, n * 1_000_000, (n + 1) * 1_000_000))
            .sum::<u64>();
        assert_eq!(whole, parts);
    }
}
