/// Randomness that depends on the request and never on the time. The draw for token `k` of a request is a
/// hash of (seed, request id, `k`), and the draw for the request itself likewise. So a run with the same
/// seed comes out the same in any order of arrival.
#[derive(Clone, Copy, Debug)]
pub struct Dice {
    key: u64,
}

/// Two independent uniform numbers in (0, 1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Draw {
    /// The first number.
    pub u: f64,
    /// The second number.
    pub v: f64,
}

impl Dice {
    /// The dice of one request.
    #[must_use]
    pub fn new(seed: u64, request_id: &str) -> Self {
        // FNV-1a spreads the id over 64 bits, and `mix` makes up for its weak high bits. The standard
        // library's hasher may change with the compiler.
        let hash = request_id
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
            });
        Self {
            key: mix(hash ^ mix(seed)),
        }
    }

    /// The draw for the request as a whole: whether it is among the degraded ones.
    #[must_use]
    pub fn request(self) -> Draw {
        // No answer has so many tokens that one gets this number.
        self.draw(u64::MAX)
    }

    /// The draw for whether a fault befalls the request.
    #[must_use]
    pub fn fault(self) -> Draw {
        self.draw(u64::MAX - 1)
    }

    /// The draw for token `k`.
    #[must_use]
    pub fn draw(self, k: u64) -> Draw {
        let first = mix(self.key ^ mix(k));
        Draw {
            u: uniform(first),
            v: uniform(mix(first)),
        }
    }
}

impl Draw {
    /// A standard normal number (Box and Muller 1958).
    #[must_use]
    pub fn normal(self) -> f64 {
        (-2.0 * self.u.ln()).sqrt() * (std::f64::consts::TAU * self.v).cos()
    }
}

/// One step of SplitMix64 (Steele, Lea and Flood 2014): every input bit reaches every output bit.
#[must_use]
pub fn mix(x: u64) -> u64 {
    let z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number in (0, 1): never 0, whose logarithm is infinite, and never 1.
fn uniform(bits: u64) -> f64 {
    ((bits >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_outputs_are_those_of_the_published_splitmix64() {
        // The reference implementation seeded with 1234567.
        assert_eq!(mix(1_234_567), 6_457_827_717_110_365_317);
        assert_eq!(
            mix(1_234_567_u64.wrapping_add(0x9e37_79b9_7f4a_7c15)),
            3_203_168_211_198_807_973
        );
    }

    #[test]
    fn a_draw_depends_on_seed_request_and_number_and_on_nothing_else() {
        let dice = Dice::new(7, "request-1");
        let forwards: Vec<_> = (0..50).map(|k| dice.draw(k)).collect();
        let again = Dice::new(7, "request-1");
        let mut backwards: Vec<_> = (0..50).rev().map(|k| again.draw(k)).collect();
        backwards.reverse();
        assert_eq!(forwards, backwards);
        assert_ne!(dice.draw(0), Dice::new(8, "request-1").draw(0));
        assert_ne!(dice.draw(0), Dice::new(7, "request-2").draw(0));
        assert_ne!(dice.draw(0), dice.draw(1));
    }

    #[test]
    fn normal_numbers_have_mean_zero_and_deviation_one() {
        let dice = Dice::new(1, "moments");
        let numbers: Vec<f64> = (0..100_000).map(|k| dice.draw(k).normal()).collect();
        let mean = numbers.iter().sum::<f64>() / 100_000.0;
        let variance = numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 100_000.0;
        assert!(mean.abs() < 0.02, "mean {mean}");
        assert!((variance.sqrt() - 1.0).abs() < 0.02, "variance {variance}");
    }
}
