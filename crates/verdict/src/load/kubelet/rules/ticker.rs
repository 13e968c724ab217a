use std::time::Duration;

/// When a probe is due: at every multiple of its period. A restart of the container does not change that.
///
/// As with the Go ticker in the kubelet's worker, probes of one kind never overlap, one tick that falls
/// into a probe is made up for right after it, and further ones are lost.
#[derive(Clone, Copy, Debug)]
pub struct Ticker {
    period: Duration,
    tick: u32,
}

impl Ticker {
    /// The first tick is at 0.
    #[must_use]
    pub fn new(period: Duration) -> Self {
        Self { period, tick: 0 }
    }

    /// When the next probe is due, that of the last tick having ended at `done`.
    pub fn next(&mut self, done: Duration) -> Duration {
        let passed = (done.as_nanos() / self.period.as_nanos().max(1)) as u32;
        if passed > self.tick {
            self.tick = passed;
            done
        } else {
            self.tick += 1;
            self.period * self.tick
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_that_fits_its_period_does_not_shift_the_next() {
        let ms = Duration::from_millis;
        let mut ticker = Ticker::new(ms(1_000));
        assert_eq!(ticker.next(ms(3)), ms(1_000));
        assert_eq!(ticker.next(ms(1_500)), ms(2_000));
        assert_eq!(ticker.next(ms(2_999)), ms(3_000));
    }

    #[test]
    fn of_the_ticks_that_fall_into_a_probe_one_is_made_up_for() {
        let ms = Duration::from_millis;
        let mut ticker = Ticker::new(ms(1_000));
        assert_eq!(ticker.next(ms(3_500)), ms(3_500));
        assert_eq!(ticker.next(ms(3_600)), ms(4_000));
    }
}
