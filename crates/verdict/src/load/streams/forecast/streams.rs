//! Slow streams: what waits behind what holds a thread, and what does not.

use crate::forecast::{async_never_waits, bounded, row};
use crate::judge::flat;
use crate::judge::pool_queue::PoolQueue;
use crate::scenario::{Cell, Streams};
use crate::summary::{Bound, Forecast, Unit};

/// A thread is held for a whole stream. The pool is first in, first out, so a sync health check waits
/// behind every stream that was queued before it.
pub(crate) fn thread_per_stream(cell: &Cell, streams: &Streams) -> Vec<Forecast> {
    let threads = cell.server.pool_threads;
    let timeout = cell.probe.timeout.as_secs_f64();
    let hold_start = streams.ramp.as_secs_f64();
    let hold_end = hold_start + cell.phases.hold.as_secs_f64();
    let run = Simulation::of(streams, threads, hold_end, timeout);

    // The wait of a check that is due at t in the hold is free_at − t: all streams came before it.
    let checks = 1_000;
    let waits: Vec<_> = (0..checks)
        .map(|n| hold_start + (hold_end - hold_start) * (f64::from(n) + 0.5) / f64::from(checks))
        .map(|due| (run.free_at - due).max(0.0))
        .collect();
    let unanswered =
        waits.iter().filter(|&&wait| wait > timeout).count() as f64 / f64::from(checks);
    let mut sorted = waits;
    sorted.sort_unstable_by(f64::total_cmp);
    let median = sorted[sorted.len() / 2];

    let (n, c) = (streams.count, threads);
    let service = streams.service_time().as_secs_f64();
    let mut rows = vec![
        row(
            "served_at_once",
            "streams.served_peak",
            Unit::Count,
            f64::from(n.min(c)),
            format!("min(N, c) = min({n}, {c})"),
        ),
        row(
            "unserved",
            "streams.unserved",
            Unit::Count,
            run.unserved,
            format!(
                "streams that no thread reaches in the {:.1} s of the load",
                run.load_end
            ),
        ),
        row(
            "health_sync_unanswered",
            "health_sync.unanswered",
            Unit::Percent,
            100.0 * unanswered,
            format!(
                "share of the hold with ⌊N/c⌋·S − t = ⌊{n}/{c}⌋·{service:.1} s − t > {timeout} s"
            ),
        ),
        bounded(
            if median > timeout {
                Bound::AtLeast
            } else {
                Bound::Exact
            },
            row(
                "health_sync_p50",
                "health_sync.p50",
                Unit::Us,
                median.min(timeout) * 1e6,
                "median over the hold of ⌊N/c⌋·S − t, cut at the timeout".to_owned(),
            ),
        ),
        async_never_waits(),
        row(
            "queue_wait_max",
            "pool.queue_wait_max",
            Unit::Us,
            run.longest_wait * 1e6,
            format!(
                "longest wait of a stream or a check in the pool's queue, N = {n} on c = {c}, first in first out"
            ),
        ),
        row(
            "time_to_recover",
            "recovery.time",
            Unit::Us,
            (run.drained_at - run.load_end).max(0.0) * 1e6,
            format!(
                "the queue outlives its clients: {:.0} jobs · {:.0} ms to the first failed write / {c} threads",
                run.unserved,
                streams.ttft.as_secs_f64() * 1e3
            ),
        ),
    ];
    rows.extend(run.ttft_max());
    rows
}

/// A stream is a task on the event loop and holds nothing.
pub(crate) fn event_loop(streams: &Streams) -> Vec<Forecast> {
    let n = streams.count;
    let mut rows = vec![
        row(
            "served_at_once",
            "streams.served_peak",
            Unit::Count,
            f64::from(n),
            format!("N = {n}"),
        ),
        row(
            "unserved",
            "streams.unserved",
            Unit::Count,
            0.0,
            "no stream waits for another".to_owned(),
        ),
    ];
    rows.extend(idle_server("nothing is held"));
    rows.push(row(
        "ttft_p50",
        "ttft.p50",
        Unit::Us,
        streams.ttft.as_secs_f64() * 1e6,
        "the upstream's own time to the first chunk".to_owned(),
    ));
    rows
}

/// A client is built for each stream, on the event loop; then the stream holds nothing.
pub(crate) fn client_per_request(streams: &Streams) -> Vec<Forecast> {
    vec![row(
        "served_at_once",
        "streams.served_peak",
        Unit::Count,
        f64::from(streams.count),
        format!("N = {}, once every client is built", streams.count),
    )]
}

/// A stream has one of the client's connections for as long as it lasts, and the others wait for one.
/// Nothing else does.
pub(crate) fn capped_client(cell: &Cell, streams: &Streams) -> Vec<Forecast> {
    let (n, p) = (streams.count, connections(cell));
    let hold_end = (streams.ramp + cell.phases.hold).as_secs_f64();
    // As if its connections were threads. No check waits, but the load goes on for as long as one could.
    let run = Simulation::of(streams, p, hold_end, cell.probe.timeout.as_secs_f64());
    let mut rows = vec![
        row(
            "served_at_once",
            "streams.served_peak",
            Unit::Count,
            f64::from(n.min(p)),
            format!("min(N, P) = min({n}, {p}), of P connections"),
        ),
        row(
            "unserved",
            "streams.unserved",
            Unit::Count,
            run.unserved,
            format!(
                "streams that get no connection in the {:.1} s of the load; nobody refuses them",
                run.load_end
            ),
        ),
    ];
    rows.extend(idle_server("no stream holds anything of the server"));
    rows.extend(run.ttft_max());
    rows
}

/// Health where neither the pool nor the loop is at work, and why they are not.
fn idle_server(because: &str) -> [Forecast; 3] {
    let never = |name: &str, metric: &str, what: &str| {
        row(
            name,
            metric,
            Unit::Percent,
            0.0,
            format!("{because}: {what} never waits"),
        )
    };
    [
        never(
            "health_sync_unanswered",
            "health_sync.unanswered",
            "a sync check",
        ),
        bounded(
            Bound::AtMost,
            row(
                "health_sync_p99",
                "health_sync.p99",
                Unit::Us,
                flat::FLOOR_US as f64,
                "no job is queued: a sync check finds a thread, and stays flat".to_owned(),
            ),
        ),
        never(
            "health_async_unanswered",
            "health_async.unanswered",
            "an async check",
        ),
    ]
}

/// `--upstream-connections` of the cell, or the server's own default.
fn connections(cell: &Cell) -> u32 {
    let mut from_flag = cell
        .server
        .args
        .iter()
        .skip_while(|arg| *arg != "--upstream-connections");
    let given = from_flag.nth(1).and_then(|value| value.parse().ok());
    given.unwrap_or(100)
}

struct Simulation {
    /// When a job that comes after all streams would start, were the load never to end.
    free_at: f64,
    /// When the load ends: the hold, and until its last check has its outcome.
    load_end: f64,
    unserved: f64,
    longest_wait: f64,
    longest_ttft: f64,
    /// When the last queued job has started, its client long gone.
    drained_at: f64,
}

impl Simulation {
    /// Of a load in which every stream gets its turn.
    fn ttft_max(&self) -> Option<Forecast> {
        (self.unserved == 0.0).then(|| {
            row(
                "ttft_max",
                "ttft.max",
                Unit::Us,
                self.longest_ttft * 1e6,
                "the last wave starts when the one before it ends; + the upstream's own time"
                    .to_owned(),
            )
        })
    }

    fn of(streams: &Streams, threads: u32, hold_end: f64, timeout: f64) -> Self {
        let service = streams.service_time().as_secs_f64();
        let step = streams.ramp.as_secs_f64() / f64::from(streams.count);
        let arrivals = || (0..streams.count).map(|n| step * f64::from(n));

        let mut endless = PoolQueue::new(threads);
        for at in arrivals() {
            endless.add(at, |start| start + service);
        }
        let free_at = endless.next_start();
        let load_end = hold_end + (free_at - hold_end).clamp(0.0, timeout);

        let ttft = streams.ttft.as_secs_f64();
        let interval = streams.interval.as_secs_f64();
        let end = |start: f64| {
            if start + service <= load_end {
                return start + service;
            }
            // The client is gone: the thread notices when it writes the next chunk, which for a job
            // that starts after its client has gone is the first.
            let first = start + ttft;
            let behind = ((load_end - first) / interval).ceil().max(0.0);
            first + behind * interval
        };
        let mut pool = PoolQueue::new(threads);
        let (mut unserved, mut longest_wait, mut longest_ttft) = (0.0, 0.0_f64, 0.0_f64);
        for at in arrivals() {
            let start = pool.add(at, end);
            longest_wait = longest_wait.max(start - at);
            if start + ttft >= load_end {
                unserved += 1.0;
            } else {
                longest_ttft = longest_ttft.max(start - at + ttft);
            }
        }
        // A check that comes right after the last stream waits for the whole queue.
        let last_arrival = arrivals().next_back().unwrap_or(0.0);
        let longest_wait = longest_wait.max(pool.next_start() - last_arrival);
        Self {
            free_at,
            load_end,
            unserved,
            longest_wait,
            longest_ttft,
            drained_at: pool.next_start(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::scenario;

    fn forecast_of(count: u32, threads: u32, length: u64) -> Vec<Forecast> {
        let stream = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios/stream.toml");
        let mut cell = scenario::load(stream, &[]).expect("valid").cells.remove(0);
        cell.server.pool_threads = threads;
        let mut streams = cell.load.streams.take().expect("a load of streams");
        streams.count = count;
        streams.length = Duration::from_secs(length);
        streams.ramp = Duration::ZERO;
        streams.ttft = Duration::ZERO;
        cell.phases.hold = Duration::from_secs(12);
        cell.probe.timeout = Duration::from_secs(5);
        thread_per_stream(&cell, &streams)
    }

    fn predicted(rows: &[Forecast], name: &str) -> f64 {
        rows.iter()
            .find(|row| row.name == name)
            .expect(name)
            .predicted
    }

    #[test]
    fn two_waves_on_four_threads_wait_as_the_formula_says() {
        // 8 streams of 8 s on 4 threads: a check at t waits 16 − t, which exceeds 5 s until t = 11.
        let rows = forecast_of(8, 4, 8);
        assert!((predicted(&rows, "health_sync_unanswered") - 100.0 * 11.0 / 12.0).abs() < 0.2);
        assert!((predicted(&rows, "queue_wait_max") - 16e6).abs() < 1e3);
        assert!((predicted(&rows, "ttft_max") - 8e6).abs() < 1e3);
        assert_eq!(predicted(&rows, "unserved"), 0.0);
    }

    #[test]
    fn fewer_streams_than_threads_hold_nobody_up() {
        let rows = forecast_of(3, 4, 600);
        assert_eq!(predicted(&rows, "health_sync_unanswered"), 0.0);
        assert_eq!(predicted(&rows, "served_at_once"), 3.0);
    }

    #[test]
    fn a_cap_serves_as_many_as_it_has_connections_and_health_knows_nothing() {
        let stream = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios/stream.toml");
        let mut cell = scenario::load(stream, &[]).expect("valid").cells.remove(0);
        let mut streams = cell.load.streams.take().expect("a load of streams");
        (streams.count, streams.length) = (1_000, Duration::from_secs(600));
        let rows = capped_client(&cell, &streams);
        assert_eq!(predicted(&rows, "served_at_once"), 100.0, "the default");
        assert_eq!(predicted(&rows, "unserved"), 900.0);
        assert_eq!(predicted(&rows, "health_sync_unanswered"), 0.0);

        // Two waves: nobody stays unserved, the second waits for the first.
        cell.server.args = ["--upstream-connections", "10"].map(str::to_owned).to_vec();
        cell.phases.hold = Duration::from_secs(12);
        (streams.count, streams.length) = (20, Duration::from_secs(8));
        (streams.ramp, streams.ttft) = (Duration::ZERO, Duration::ZERO);
        let rows = capped_client(&cell, &streams);
        assert_eq!(predicted(&rows, "served_at_once"), 10.0);
        assert_eq!(predicted(&rows, "unserved"), 0.0);
        assert!((predicted(&rows, "ttft_max") - 8e6).abs() < 1e3);
    }

    #[test]
    fn streams_that_outlast_the_load_leave_the_rest_unserved() {
        let rows = forecast_of(200, 4, 600);
        assert_eq!(predicted(&rows, "unserved"), 196.0);
        assert_eq!(predicted(&rows, "health_sync_unanswered"), 100.0);
        let rows = forecast_of(200, 40, 600);
        assert_eq!(predicted(&rows, "unserved"), 160.0);
    }
}
