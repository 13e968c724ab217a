//! Name lookups on a pool that other work fills: what waits, and for how long.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::super::StreamSpec;
use crate::forecast::pool_queue::PoolQueue;
use crate::forecast::row::{async_never_waits, micros, number};
use crate::load::requests::{Arrivals, RequestSpec};
use crate::scenario::Cell;
use crate::summary::Forecast;

/// How long the servers wait for a connection, including its name lookup. No cell changes it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A lookup takes no time itself, but it needs a thread of the pool that users of `/predict` fill. It waits
/// behind everything that was queued before. `None` if nobody fills the pool.
pub(crate) fn name_lookup(cell: &Cell, streams: &StreamSpec) -> Option<Vec<Forecast>> {
    let work = PredictWork::of(cell)?;
    let run = Lookups::run(cell, streams, &work);
    let (users, threads) = (work.users, cell.server.pool_threads);
    let law = format!(
        "a lookup waits behind U − c = {users} − {threads} users: for S·⌊U/c⌋ less what has passed \
         of a turn of S = {:.1} s, simulated",
        work.time
    );
    let mut rows = vec![
        number("refused", "streams.refused", run.too_late as f64).why(format!(
            "lookups that wait longer than a connection may take, {} s",
            CONNECT_TIMEOUT.as_secs()
        )),
        micros("health_sync_p50", "health_sync.p50", run.check_p50 * 1e6)
            .why("a sync check waits in the same queue"),
        async_never_waits(),
    ];
    if run.too_late == 0 {
        let ttft = streams.ttft.as_secs_f64();
        rows.extend([
            number("served_at_once", "streams.served_peak", streams.count).why(format!(
                "N = {}, once each has its connection",
                streams.count
            )),
            micros("ttft_p50", "ttft.p50", (run.lookup_p50 + ttft) * 1e6)
                .why(format!("{law}; + the upstream's own {:.0} ms", ttft * 1e3)),
            micros("ttft_max", "ttft.max", (run.lookup_longest + ttft) * 1e6)
                .why("the lookup that comes right after a turn has begun"),
        ]);
    }
    Some(rows)
}

/// Users who each ask for work that holds a thread, again and again.
struct PredictWork {
    users: u32,
    /// Seconds that one request holds its thread.
    time: f64,
}

impl PredictWork {
    fn of(cell: &Cell) -> Option<Self> {
        let is_predict = |class: &&RequestSpec| class.path.starts_with("/predict");
        let class = cell.load.requests.values().find(is_predict)?;
        let Arrivals::Users(users) = class.arrivals() else {
            return None;
        };
        let time = class.query_time("work")?.as_secs_f64();
        Some(Self { users, time })
    }
}

struct Lookups {
    lookup_p50: f64,
    lookup_longest: f64,
    check_p50: f64,
    too_late: usize,
}

impl Lookups {
    fn run(cell: &Cell, streams: &StreamSpec, work: &PredictWork) -> Self {
        let ramp = streams.ramp.as_secs_f64();
        let end = ramp + cell.phases.hold.as_secs_f64();
        let step = ramp / f64::from(streams.count);
        let lookups = (0..streams.count).map(|k| (step * f64::from(k), true));
        let every = 1.0 / cell.probe.rate;
        let checks = (0..(end * cell.probe.rate) as u32).map(|n| (f64::from(n) * every, false));
        let mut passing: Vec<_> = lookups.chain(checks).collect();
        passing.sort_by(|a, b| a.0.total_cmp(&b.0));

        let mut pool = PoolQueue::new(cell.server.pool_threads);
        // When each user asks again, in microseconds, because floats have no total order.
        let mut users: BinaryHeap<_> = (0..work.users).map(|_| Reverse(0_u64)).collect();
        let (mut waits, mut check_waits) = (Vec::new(), Vec::new());
        for (at, is_lookup) in passing {
            while let Some(Reverse(asks)) = users.peek().copied()
                && asks as f64 / 1e6 <= at
            {
                users.pop();
                let start = pool.add(asks as f64 / 1e6, |start| start + work.time);
                users.push(Reverse(((start + work.time) * 1e6) as u64));
            }
            let wait = pool.add(at, |start| start) - at;
            if is_lookup {
                waits.push(wait);
            } else if at >= ramp {
                check_waits.push(wait);
            }
        }
        let limit = CONNECT_TIMEOUT.as_secs_f64();
        Self {
            too_late: waits.iter().filter(|&&wait| wait > limit).count(),
            lookup_longest: waits.iter().copied().fold(0.0, f64::max),
            lookup_p50: median(waits),
            check_p50: median(check_waits),
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario;

    fn cell(set: &[&str]) -> Cell {
        let stream = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios/stream.toml");
        let set: Vec<_> = set.iter().map(|&one| one.to_owned()).collect();
        let cells = scenario::load(stream, &set).expect("valid").cells;
        let mut named = cells.into_iter().filter(|cell| cell.name == "dns");
        named.next().expect("a cell dns")
    }

    fn run(cell: &Cell, users: u32, time: f64) -> Lookups {
        let streams = cell.load.streams.as_ref().expect("streams");
        Lookups::run(cell, streams, &PredictWork { users, time })
    }

    #[test]
    fn a_lookup_waits_for_one_turn_to_end_and_for_another_one_per_thread_of_users_before_it() {
        let mut cell = cell(&[]);
        cell.server.pool_threads = 4;
        let streams = cell.load.streams.as_mut().expect("streams");
        // Spread over two whole turns, so that they come at every point of one.
        streams.ramp = Duration::from_secs(4);
        streams.count = 400;
        for (users, turns) in [(4, 0.0), (8, 1.0), (12, 2.0)] {
            let run = run(&cell, users, 2.0);
            let longest = 2.0 * (turns + 1.0);
            assert!((run.lookup_longest - longest).abs() < 0.02, "{users}");
            assert!((run.lookup_p50 - longest + 1.0).abs() < 0.02, "{users}");
        }
    }

    #[test]
    fn with_a_free_thread_nothing_waits() {
        let run = run(&cell(&[]), 3, 2.0);
        assert_eq!((run.lookup_p50, run.check_p50, run.too_late), (0.0, 0.0, 0));
    }

    #[test]
    fn a_lookup_beyond_the_time_for_a_connection_is_refused() {
        let cell = cell(&[]);
        let streams = cell.load.streams.as_ref().expect("streams");
        let all = streams.count as usize;
        assert_eq!(run(&cell, 8, 20.0).too_late, all);
        let rows = name_lookup(&cell, streams).expect("somebody fills the pool");
        let of = |name: &str| rows.iter().find(|row| row.name == name).expect(name);
        assert_eq!(of("refused").predicted, 0.0, "not in the published cell");
    }
}
