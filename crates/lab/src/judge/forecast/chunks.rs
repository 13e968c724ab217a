//! A thread held for each chunk instead of for each stream, simulated job by job.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::{bounded, row};
use crate::scenario::{Cell, Streams};
use crate::summary::{Bound, Forecast, Unit};

/// Every stream has one job in the pool at a time: the wait for its next chunk. The pool is first in,
/// first out, so a sync check waits until all streams that stand before it had their turn.
pub(super) fn thread_per_chunk(cell: &Cell, streams: &Streams) -> Vec<Forecast> {
    let (n, c) = (streams.count, cell.server.pool_threads);
    let run = Simulation::run(cell, streams);
    let interval = streams.interval.as_secs_f64();
    vec![
        row(
            "served_at_once",
            "streams.served_peak",
            Unit::Count,
            f64::from(n),
            format!("N = {n}: between two chunks a stream holds no thread"),
        ),
        row(
            "unserved",
            "streams.unserved",
            Unit::Count,
            0.0,
            "every stream has its turn once in an interval".to_owned(),
        ),
        row(
            "health_sync_p50",
            "health_sync.p50",
            Unit::Us,
            run.median_wait * 1e6,
            format!(
                "the queue turns once in an interval: I·(1 − c/N) = {:.0} ms·(1 − {c}/{n}), simulated",
                interval * 1e3
            ),
        ),
        row(
            "health_async_unanswered",
            "health_async.unanswered",
            Unit::Percent,
            0.0,
            "the event loop is free: an async check never waits".to_owned(),
        ),
        bounded(
            Bound::AtLeast,
            row(
                "ttft_max",
                "ttft.max",
                Unit::Us,
                run.longest_ttft * 1e6,
                format!("each start waits its turn among {n} streams on {c} threads, simulated"),
            ),
        ),
    ]
}

struct Simulation {
    median_wait: f64,
    longest_ttft: f64,
}

#[derive(Clone, Copy)]
enum Job {
    /// The request is sent and the head awaited.
    Send(usize),
    /// The next chunk is awaited.
    Next(usize),
    /// A sync health check.
    Check,
}

struct Stream {
    arrived: f64,
    /// When the upstream sends its next chunk that was not read.
    next_chunk: Option<f64>,
    is_first: bool,
}

impl Simulation {
    fn run(cell: &Cell, streams: &Streams) -> Self {
        let ramp = streams.ramp.as_secs_f64();
        let end = ramp + cell.phases.hold.as_secs_f64();
        let step = ramp / f64::from(streams.count);
        let mut all: Vec<_> = (0..streams.count)
            .map(|k| Stream {
                arrived: step * f64::from(k),
                next_chunk: None,
                is_first: true,
            })
            .collect();
        // What arrives by itself, the earliest last.
        let mut arrivals: Vec<_> = all
            .iter()
            .enumerate()
            .map(|(k, stream)| (stream.arrived, Job::Send(k)))
            .collect();
        let checks = (end * cell.probe.rate) as u32;
        arrivals.extend((0..checks).map(|n| (f64::from(n) / cell.probe.rate, Job::Check)));
        arrivals.sort_by(|a, b| b.0.total_cmp(&a.0));

        let mut queue: VecDeque<(f64, Job)> = VecDeque::new();
        let mut free = cell.server.pool_threads;
        // Microseconds, because floats have no total order.
        let mut busy: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
        let (mut waits, mut longest_ttft) = (Vec::new(), 0.0_f64);
        let mut now = 0.0;
        while now < end {
            while free > 0 {
                let Some((since, job)) = queue.pop_front() else {
                    break;
                };
                match job {
                    Job::Check => {
                        if since >= ramp {
                            waits.push(now - since);
                        }
                    }
                    Job::Send(k) => {
                        // The head comes at once, the first chunk after the upstream's own time.
                        all[k].next_chunk = Some(now + streams.ttft.as_secs_f64());
                        queue.push_back((now, Job::Next(k)));
                    }
                    Job::Next(k) => {
                        free -= 1;
                        let arrives = all[k].next_chunk.unwrap_or(now).max(now);
                        busy.push(Reverse(((arrives * 1e6).round() as u64, k)));
                    }
                }
            }
            let next_arrival = arrivals.last().map(|&(at, _)| at);
            let next_end = busy.peek().map(|Reverse((us, _))| *us as f64 / 1e6);
            match (next_arrival, next_end) {
                (Some(at), ended) if ended.is_none_or(|ended| at <= ended) => {
                    now = at;
                    queue.extend(arrivals.pop());
                }
                (_, Some(ended)) => {
                    now = ended;
                    if let Some(Reverse((_, k))) = busy.pop() {
                        free += 1;
                        let stream = &mut all[k];
                        if std::mem::take(&mut stream.is_first) {
                            longest_ttft = longest_ttft.max(now - stream.arrived);
                        }
                        // One read takes everything that has arrived.
                        let interval = streams.interval.as_secs_f64();
                        let mut next = stream.next_chunk.unwrap_or(now) + interval;
                        while next <= now {
                            next += interval;
                        }
                        stream.next_chunk = Some(next);
                        queue.push_back((now, Job::Next(k)));
                    }
                }
                (_, None) => break,
            }
        }
        waits.sort_unstable_by(f64::total_cmp);
        Self {
            median_wait: waits.get(waits.len() / 2).copied().unwrap_or(0.0),
            longest_ttft,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::scenario;

    #[test]
    fn a_check_waits_for_one_turn_of_the_queue() {
        let stream = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios/stream.toml");
        let mut cells = scenario::load(stream, &[]).expect("valid").cells;
        let cell = &mut cells[0];
        let mut streams = cell.load.streams.take().expect("a load of streams");
        streams.count = 200;
        streams.ramp = Duration::from_secs(1);
        streams.interval = Duration::from_millis(250);
        streams.length = Duration::from_secs(600);
        let run = Simulation::run(cell, &streams);
        let turn = 0.25 * (1.0 - 4.0 / 200.0);
        // Where threads wait for late streams and then catch up, a check comes at any point of a turn.
        assert!(
            (turn / 2.0..=turn * 1.05).contains(&run.median_wait),
            "{}",
            run.median_wait
        );
        // As many threads as streams: nothing waits.
        cell.server.pool_threads = 300;
        assert!(Simulation::run(cell, &streams).median_wait < 1e-3);
    }
}
