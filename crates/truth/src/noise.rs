//! Random numbers of a draw: the same for the same seed.

use crate::service::Time;

/// A source of random numbers.
#[derive(Clone, Debug)]
pub struct Noise(fastrand::Rng);

impl Noise {
    /// That of draw `number` of a series.
    #[must_use]
    pub fn of(seed: u64, number: u64) -> Self {
        // Neighbouring seeds must not give neighbouring series.
        let mut mixed = seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self(fastrand::Rng::with_seed(mixed ^ (mixed >> 31)))
    }

    /// Whether something happens that has this probability.
    pub fn happens(&mut self, chance: f64) -> bool {
        chance >= 1.0 || (chance > 0.0 && self.0.f64() < chance)
    }

    /// Evenly from a range.
    pub fn even(&mut self, range: &std::ops::Range<f64>) -> f64 {
        range.start + (range.end - range.start) * self.0.f64()
    }

    /// From a range, each order of magnitude as often as the others.
    pub fn by_magnitude(&mut self, range: &std::ops::Range<f64>) -> f64 {
        self.even(&(range.start.ln()..range.end.ln())).exp()
    }

    /// One of several.
    pub fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.0.usize(0..all.len())]
    }

    /// Until something happens that happens so often in a second, in microseconds.
    pub fn until_next(&mut self, per_second: f64) -> u64 {
        if per_second <= 0.0 {
            return u64::MAX / 4;
        }
        (-(1.0 - self.0.f64()).ln() / per_second * 1e6) as u64
    }

    /// How long something takes this time while so many are at the upstream, in microseconds.
    pub fn time(&mut self, time: Time, active: u64) -> u64 {
        let us = time.us + time.each_us * active as f64;
        if time.sigma <= 0.0 {
            return us as u64;
        }
        // A normal number by Box and Muller.
        let radius = (-2.0 * (1.0 - self.0.f64()).ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * self.0.f64()).cos();
        (us * (time.sigma * normal).exp()) as u64
    }
}
