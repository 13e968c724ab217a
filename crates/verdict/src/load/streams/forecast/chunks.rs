//! A thread held for each chunk instead of for each stream, simulated job by job.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::super::StreamSpec;
use crate::forecast::row::{async_never_waits, micros, number};
use crate::scenario::Cell;
use crate::summary::Forecast;

/// Every stream has one job in the pool at a time: the wait for its next chunk. The pool is first in,
/// first out, so a sync check waits until all streams that stand before it had their turn.
pub(crate) fn thread_per_chunk(cell: &Cell, streams: &StreamSpec) -> Vec<Forecast> {
    let (n, c) = (streams.count, cell.server.pool_threads);
    let run = ChunkTurns::run(cell, streams);
    let interval = streams.interval.as_secs_f64();
    vec![
        number("served_at_once", "streams.served_peak", n).why(format!(
            "N = {n}: between two chunks a stream holds no thread"
        )),
        number("unserved", "streams.unserved", 0.0)
            .why("every stream has its turn once in an interval"),
        micros("health_sync_p50", "health_sync.p50", run.median_wait * 1e6).why(format!(
            "the queue turns once in I = {:.0} ms, and a check waits for what is left of a turn, \
             simulated",
            interval * 1e3
        )),
        async_never_waits(),
        micros("ttft_max", "ttft.max", run.longest_ttft * 1e6)
            .why(format!(
                "each start waits its turn among {n} streams on {c} threads, simulated"
            ))
            .at_least_if(true),
    ]
}

/// How long the job that connects, sends a request and waits for the head holds its thread, in seconds.
/// On loopback the head of a stream came 0.9 to 1.0 ms later than the answer to a sync check.
///
/// The exact time matters little, but it must not be 0. When a thread comes free, all requests that wait
/// are sent one after the other. If that took no time, all their chunks would be due at the same instants
/// from then on. Threads would wait for them together, and a check would find much of a turn over.
const SEND: f64 = 1e-3;

struct ChunkTurns {
    median_wait: f64,
    longest_ttft: f64,
}

#[derive(Clone, Copy)]
enum Job {
    /// The request is sent and the head awaited, which takes [`SEND`].
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
    /// Whether its job is the wait for a chunk, and not the sending.
    waits_for_chunk: bool,
    is_first: bool,
}

impl ChunkTurns {
    fn run(cell: &Cell, streams: &StreamSpec) -> Self {
        Self::with_send(cell, streams, SEND)
    }

    fn with_send(cell: &Cell, streams: &StreamSpec, send: f64) -> Self {
        let ramp = streams.ramp.as_secs_f64();
        let interval = streams.interval.as_secs_f64();
        let end = ramp + cell.phases.hold.as_secs_f64();
        let step = ramp / f64::from(streams.count);
        let mut all: Vec<_> = (0..streams.count)
            .map(|k| Stream {
                arrived: step * f64::from(k),
                next_chunk: None,
                waits_for_chunk: false,
                is_first: true,
            })
            .collect();
        // Arrivals that depend on nothing else, with the earliest last.
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
        let us = |time: f64| (time * 1e6).round() as u64;
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
                        free -= 1;
                        all[k].next_chunk = Some(now + streams.ttft.as_secs_f64());
                        busy.push(Reverse((us(now + send), k)));
                    }
                    Job::Next(k) => {
                        free -= 1;
                        let arrives = all[k].next_chunk.unwrap_or(now).max(now);
                        all[k].waits_for_chunk = true;
                        busy.push(Reverse((us(arrives), k)));
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
                        if std::mem::take(&mut stream.waits_for_chunk) {
                            if std::mem::take(&mut stream.is_first) {
                                longest_ttft = longest_ttft.max(now - stream.arrived);
                            }
                            // One read takes one chunk, however many have come meanwhile.
                            stream.next_chunk = stream.next_chunk.map(|chunk| chunk + interval);
                        }
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

    /// `count` streams that outlast the load, in the phases of the published scenario.
    fn load(count: u32, ramp: u64, interval_ms: u64) -> (Cell, StreamSpec) {
        let stream = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios/stream.toml");
        let mut cell = scenario::load(stream, &[]).expect("valid").cells.remove(0);
        let mut streams = cell.load.streams.take().expect("a load of streams");
        streams.count = count;
        streams.ramp = Duration::from_secs(ramp);
        streams.interval = Duration::from_millis(interval_ms);
        streams.length = Duration::from_secs(600);
        (cell, streams)
    }

    #[test]
    fn a_check_waits_for_what_is_left_of_a_turn_of_the_queue() {
        // Measured in the published cells, of 200 streams in six runs: 213 to 214 ms.
        for (count, ramp, interval_ms, measured) in [
            (100, 1, 250, 0.210),
            (200, 1, 250, 0.2135),
            (1_000, 5, 1_000, 0.769),
        ] {
            let (mut cell, streams) = load(count, ramp, interval_ms);
            let off = ChunkTurns::run(&cell, &streams).median_wait / measured - 1.0;
            assert!(off.abs() < 0.1, "{count}: {off}");
            // As many threads as streams: nothing waits.
            cell.server.pool_threads = count + 1;
            assert!(ChunkTurns::run(&cell, &streams).median_wait < 1e-3);
        }
    }

    #[test]
    fn how_long_a_request_takes_to_send_matters_little_and_that_it_takes_any_time_does() {
        let (cell, streams) = load(200, 1, 250);
        let of = |send| ChunkTurns::with_send(&cell, &streams, send).median_wait;
        for send in [0.3e-3, 0.5e-3, 2e-3] {
            let off = of(send) / of(SEND) - 1.0;
            assert!(off.abs() < 0.05, "{send}: {off}");
        }
        assert!(
            of(0.0) < 0.9 * of(SEND),
            "streams whose chunks come at once"
        );
    }
}
