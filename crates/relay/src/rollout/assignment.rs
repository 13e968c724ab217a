//! Which path a key takes. It is arithmetic only, the same on every machine and in every release.

use http::HeaderValue;
use serde::{Deserialize, Serialize};

use super::percentage::Percentage;

/// The path that a request takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum StreamMethod {
    /// The new path, which holds no thread.
    Async,
    /// The old path, which holds a thread for as long as a stream lasts.
    Blocking,
}

impl StreamMethod {
    /// Both paths.
    pub const BOTH: [Self; 2] = [Self::Async, Self::Blocking];

    /// The name in the header `X-Stream-Method` and in the labels of the metrics.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Async => "async",
            Self::Blocking => "blocking",
        }
    }

    pub(super) fn header(self) -> HeaderValue {
        HeaderValue::from_static(self.label())
    }

    pub(super) fn index(self) -> usize {
        match self {
            Self::Async => 0,
            Self::Blocking => 1,
        }
    }
}

/// The bucket of a key, 0 to 99, from `seed` and `key` alone. It is part of this library's contract: to
/// change it would move users between the paths, and so be a breaking change.
///
/// ```text
/// h      = FNV-1a, 64 bits, over the bytes of the key
/// h      = mix(h xor mix(seed))       mix: one step of splitmix64 (Steele, Lea, Flood 2014)
/// bucket = floor(h * 100 / 2^64)
/// ```
///
/// FNV spreads the key over 64 bits. The bucket is made of the high bits, which FNV mixes badly, so `mix`
/// follows.
///
/// ```
/// use relay::rollout::bucket;
///
/// assert_eq!(bucket(0, b"session-1"), 57);
/// assert_eq!(bucket(1, b"session-1"), 99);
/// ```
#[must_use]
pub fn bucket(seed: u64, key: &[u8]) -> u8 {
    let hash = key.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let hash = mix(hash ^ mix(seed));
    // Below 100 by construction.
    ((u128::from(hash) * 100) >> 64) as u8
}

/// The path of a key: async if its [`bucket`] is below the percentage. A key that is async at 5 % is
/// async at 20 % as well, so nobody moves back while the percentage rises.
#[must_use]
pub fn assign(seed: u64, key: &[u8], percentage: Percentage) -> StreamMethod {
    if bucket(seed, key) < percentage.get() {
        StreamMethod::Async
    } else {
        StreamMethod::Blocking
    }
}

/// The key of the `n`th request that has none of its own.
pub(super) fn keyless(n: u64) -> [u8; 8] {
    n.to_le_bytes()
}

fn mix(state: u64) -> u64 {
    let z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `seed key bucket` in each line. Other programs that compute the assignment test against it too.
    const GOLDEN: &str = include_str!("golden.txt");

    fn percent(of: u8) -> Percentage {
        u64::from(of).try_into().unwrap()
    }

    #[test]
    fn the_hash_is_what_it_was() {
        let mut count = 0;
        for line in GOLDEN.lines().filter(|line| !line.starts_with('#')) {
            let mut fields = line.split(' ');
            let mut field = || fields.next().expect(line);
            let (seed, key) = (field().parse().unwrap(), field());
            let expected: u8 = field().parse().unwrap();
            assert_eq!(bucket(seed, key.as_bytes()), expected, "{line}");
            count += 1;
        }
        assert!(count >= 20, "{count} values");
    }

    #[test]
    fn who_is_async_stays_so_while_the_percentage_rises() {
        for n in 0..2_000_u32 {
            let key = format!("session-{n}");
            let mut was_async = false;
            for share in 0..=100 {
                let is_async = assign(7, key.as_bytes(), percent(share)) == StreamMethod::Async;
                assert!(is_async || !was_async, "{key} moved back at {share} %");
                was_async = is_async;
            }
            assert!(was_async, "{key} at 100 %");
            assert_eq!(
                assign(7, key.as_bytes(), Percentage::NONE),
                StreamMethod::Blocking
            );
        }
    }

    #[test]
    fn the_share_of_async_keys_is_binomial() {
        // Short keys that differ in one digit, which is where a weak hash shows.
        let keys = 10_000_u32;
        for seed in [0, 1, 2, u64::MAX] {
            for share in [5, 20, 50, 90] {
                let count = (0..keys)
                    .filter(|n| {
                        let key = n.to_string();
                        assign(seed, key.as_bytes(), percent(share)) == StreamMethod::Async
                    })
                    .count() as f64;
                let p = f64::from(share) / 100.0;
                let sigma = (f64::from(keys) * p * (1.0 - p)).sqrt();
                let off = (count - f64::from(keys) * p).abs() / sigma;
                assert!(
                    off < 4.0,
                    "seed {seed}, {share} %: {count}, {off:.1} sigma off"
                );
            }
        }
    }

    #[test]
    fn another_seed_is_another_assignment() {
        let differ = (0..1_000_u32)
            .filter(|n| {
                let key = n.to_string();
                assign(1, key.as_bytes(), percent(50)) != assign(2, key.as_bytes(), percent(50))
            })
            .count();
        assert!((400..600).contains(&differ), "{differ} of 1000");
    }

    #[test]
    fn requests_without_a_key_are_shared_out_as_well() {
        let is_async = |n| assign(3, &keyless(n), percent(20)) == StreamMethod::Async;
        let count = (0..10_000).filter(|n| is_async(*n)).count();
        assert!((1_840..2_160).contains(&count), "{count} of 10000 at 20 %");
    }
}
