//! Which of a cell's streams a server in mid-rollout puts on its async path.
//!
//! The lab talks to the servers only by HTTP, so the hash is stated here again, as
//! `relay::rollout::bucket` documents it. Both are tested against the same golden values.

use std::collections::BTreeMap;

use crate::scenario::{Action, Step};

/// The request header whose value is the key.
pub const KEY_HEADER: &str = "x-session-id";

/// The query by which an action sets the percentage.
const PERCENTAGE: &str = "/rollout?percentage=";

/// Who takes which path in one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The percentage in force.
    pub percentage: u8,
    /// The keys, with what stands for seed and number.
    key: String,
}

impl Assignment {
    /// The assignment in the last of `steps`, if streams with these headers have keys. The last action so
    /// far that set a percentage decides, with the server's default seed.
    pub(super) fn in_step(headers: &BTreeMap<String, String>, steps: &[Step]) -> Option<Self> {
        let key = headers.get(KEY_HEADER)?.clone();
        // `{n}` goes on over the steps, so each step would have other sessions.
        if key.contains("{n}") {
            return None;
        }
        let actions = steps.iter().rev().filter_map(|step| step.action.as_ref());
        let percentage = actions.filter_map(percentage).next();
        Some(Self {
            percentage: percentage.unwrap_or(0),
            key,
        })
    }

    /// With the scenario's seed in its keys.
    #[must_use]
    pub fn seeded(self, seed: u64) -> Self {
        let key = with_seed(&self.key, seed);
        Self { key, ..self }
    }

    /// The cohort of the stream `k`, counted from the first of its step.
    #[must_use]
    pub fn cohort(&self, k: u64) -> &'static str {
        if self.bucket(k) < self.percentage {
            "async"
        } else {
            "blocking"
        }
    }

    /// How many of `count` streams take the blocking path at a percentage.
    #[must_use]
    pub fn blocking(&self, count: u32, percentage: u8) -> u32 {
        let all = 0..u64::from(count);
        let blocking = all.filter(|&k| self.bucket(k) >= percentage);
        blocking.count() as u32
    }

    /// The lowest percentage at which fewer than `threads` of `count` streams take the blocking path.
    #[must_use]
    pub fn knee(&self, count: u32, threads: u32) -> Option<u8> {
        (0..=100).find(|&percentage| self.blocking(count, percentage) < threads)
    }

    fn bucket(&self, k: u64) -> u8 {
        bucket(0, with_number(&self.key, k).as_bytes())
    }
}

/// A header's value with the scenario's seed for `{seed}`.
#[must_use]
pub fn with_seed(value: &str, seed: u64) -> String {
    value.replace("{seed}", &seed.to_string())
}

/// A header's value with the number of a stream in its step for `{k}`.
#[must_use]
pub fn with_number(value: &str, k: u64) -> String {
    value.replace("{k}", &k.to_string())
}

fn percentage(action: &Action) -> Option<u8> {
    action.path.strip_prefix(PERCENTAGE)?.parse().ok()
}

/// The bucket of a key, 0 to 99: FNV-1a over its bytes, mixed with the seed by splitmix64, scaled.
fn bucket(seed: u64, key: &[u8]) -> u8 {
    let hash = key.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let hash = mix(hash ^ mix(seed));
    ((u128::from(hash) * 100) >> 64) as u8
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
    use crate::load::streams::StreamSpec;
    use crate::scenario::Cell;

    /// Those of the library that the servers use.
    const GOLDEN: &str = include_str!("../../../../relay/src/rollout/golden.txt");

    #[test]
    fn the_hash_is_that_of_the_server() {
        let lines = GOLDEN.lines().filter(|line| !line.starts_with('#'));
        let mut count = 0;
        for line in lines {
            let fields: Vec<_> = line.split(' ').collect();
            let seed = fields[0].parse().expect(line);
            let expected: u8 = fields[2].parse().expect(line);
            assert_eq!(bucket(seed, fields[1].as_bytes()), expected, "{line}");
            count += 1;
        }
        assert!(count >= 20, "{count} values");
    }

    #[test]
    fn the_knee_is_where_fewer_streams_than_threads_are_left() {
        let assignment = Assignment {
            percentage: 0,
            key: "lab-{seed}-{k}".to_owned(),
        };
        for seed in 0..50 {
            let assignment = assignment.clone().seeded(seed);
            let knee = assignment.knee(40, 4).expect("at 100 % none is left");
            assert!(assignment.blocking(40, knee) < 4);
            assert!(assignment.blocking(40, knee - 1) >= 4);
        }
        assert_eq!(assignment.blocking(40, 0), 40);
        assert_eq!(assignment.knee(3, 4), Some(0), "fewer than threads anyway");
    }

    #[test]
    fn a_step_without_an_action_keeps_the_percentage_of_the_one_before() {
        let step = |name: &str, action: Option<&str>| Step {
            name: name.to_owned(),
            action: action.map(|text| text.parse().expect("an action")),
            streams: None,
        };
        let stream = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios/stream.toml");
        let mut cell = crate::scenario::load(stream, &[])
            .expect("valid")
            .cells
            .remove(0);
        cell.steps = vec![
            step("a", None),
            step("b", Some("PUT /rollout?percentage=20")),
            step("c", Some("GET /health")),
        ];
        let of = |cell: &Cell| {
            let all = cell.steps.iter().map(|step| cell.load_of(step).streams);
            let percentage = |one: Option<StreamSpec>| Some(one?.assignment?.percentage);
            all.map(percentage).collect::<Vec<_>>()
        };
        assert_eq!(of(&cell), [None, None, None], "no key, no assignment");
        let streams = cell.load.streams.as_mut().expect("streams");
        let key = "lab-{seed}-{k}".to_owned();
        streams.headers.insert(KEY_HEADER.to_owned(), key);
        assert_eq!(of(&cell), [Some(0), Some(20), Some(20)]);
    }

    #[test]
    fn a_seed_is_an_assignment_of_its_own() {
        let assignment = |seed| {
            let key = "lab-{seed}-{k}".to_owned();
            let percentage = 50;
            let seeded = Assignment { percentage, key }.seeded(seed);
            (0..40).map(|k| seeded.cohort(k)).collect::<Vec<_>>()
        };
        assert_eq!(assignment(1), assignment(1));
        assert_ne!(assignment(1), assignment(2));
    }
}
