//! Slow streams: which work waits for them, and for how long.

use super::super::StreamSpec;
use crate::forecast::pool_queue::PoolQueue;
use crate::forecast::row::{async_never_waits, micros, number, stays_flat, unanswered};
use crate::scenario::Cell;
use crate::summary::Forecast;

/// A thread is held for a whole stream. The pool is first in, first out, so a sync health check waits
/// behind every stream that was queued before it.
pub(crate) fn thread_per_stream(cell: &Cell, streams: &StreamSpec) -> Vec<Forecast> {
    let threads = cell.server.pool_threads;
    let timeout = cell.probe.timeout.as_secs_f64();
    let hold_start = streams.ramp.as_secs_f64();
    let hold_end = hold_start + cell.phases.hold.as_secs_f64();
    let run = Waves::of(streams, threads, hold_end, timeout);

    // The wait of a check that is due at t in the hold is free_at − t: all streams came before it.
    let checks = 1_000;
    let waits: Vec<_> = (0..checks)
        .map(|n| hold_start + (hold_end - hold_start) * (f64::from(n) + 0.5) / f64::from(checks))
        .map(|due| (run.free_at - due).max(0.0))
        .collect();
    let share = waits.iter().filter(|&&wait| wait > timeout).count() as f64 / f64::from(checks);
    let mut sorted = waits;
    sorted.sort_unstable_by(f64::total_cmp);
    let median = sorted[sorted.len() / 2];

    let (n, c) = (streams.count, threads);
    let service = streams.service_time().as_secs_f64();
    let mut rows = vec![
        number("served_at_once", "streams.served_peak", f64::from(n.min(c)))
            .why(format!("min(N, c) = min({n}, {c})")),
        number("unserved", "streams.unserved", run.unserved).why(format!(
            "streams that no thread reaches in the {:.1} s of the load",
            run.load_end
        )),
        unanswered("health_sync", 100.0 * share).why(format!(
            "share of the hold with ⌊N/c⌋·S − t = ⌊{n}/{c}⌋·{service:.1} s − t > {timeout} s"
        )),
        micros(
            "health_sync_p50",
            "health_sync.p50",
            median.min(timeout) * 1e6,
        )
        .why("median over the hold of ⌊N/c⌋·S − t, cut at the timeout")
        .at_least_if(median > timeout),
        async_never_waits(),
        micros(
            "queue_wait_max",
            "pool.queue_wait_max",
            run.longest_wait * 1e6,
        )
        .why(format!(
            "longest wait of a stream or a check in the pool's queue, N = {n} on c = {c}, \
                 first in first out"
        )),
        micros("time_to_recover", "recovery.time", run.outlives_by() * 1e6).why(format!(
            "the queue outlives its clients: {:.0} jobs · {:.0} ms to the first failed write \
                 / {c} threads",
            run.unserved,
            streams.ttft.as_secs_f64() * 1e3
        )),
    ];
    rows.extend(run.ttft_max());
    rows
}

/// A stream is a task on the event loop and holds nothing.
pub(crate) fn event_loop(streams: &StreamSpec) -> Vec<Forecast> {
    let n = streams.count;
    let mut rows = vec![
        number("served_at_once", "streams.served_peak", n).why(format!("N = {n}")),
        number("unserved", "streams.unserved", 0.0).why("no stream waits for another"),
    ];
    rows.extend(idle_server("nothing is held"));
    rows.push(
        micros("ttft_p50", "ttft.p50", streams.ttft.as_secs_f64() * 1e6)
            .why("the upstream's own time to the first chunk"),
    );
    rows
}

/// A client is built for each stream, on the event loop; then the stream holds nothing.
pub(crate) fn client_per_request(streams: &StreamSpec) -> Vec<Forecast> {
    vec![
        number("served_at_once", "streams.served_peak", streams.count)
            .why(format!("N = {}, once every client is built", streams.count)),
    ]
}

/// A stream has one of the client's connections for as long as it lasts, and the others wait for one.
/// Nothing else does.
pub(crate) fn capped_client(cell: &Cell, streams: &StreamSpec) -> Vec<Forecast> {
    let connections = connections(cell);
    let idle = idle_server("no stream holds anything of the server");
    beside_health(cell, streams, connections, "P connections", idle)
}

/// A stream has a thread of the streams' own pool for as long as it lasts, and the others wait for one.
/// Health has the threads of another pool.
pub(crate) fn own_pool(cell: &Cell, streams: &StreamSpec) -> Vec<Forecast> {
    let threads = cell.server.pool_threads;
    let idle = idle_server("no stream holds a thread of the pool that health has");
    beside_health(cell, streams, threads, "P threads of their own", idle)
}

/// No more than `limit` streams are served at once, and nothing but streams waits for that.
fn beside_health(
    cell: &Cell,
    streams: &StreamSpec,
    limit: u32,
    of_what: &str,
    idle: [Forecast; 3],
) -> Vec<Forecast> {
    let n = streams.count;
    let hold_end = (streams.ramp + cell.phases.hold).as_secs_f64();
    // The limit works like a number of threads. No check waits, but the load goes on as long as one could.
    let run = Waves::of(streams, limit, hold_end, cell.probe.timeout.as_secs_f64());
    let mut rows = vec![
        number("served_at_once", "streams.served_peak", f64::from(n.min(limit)))
            .why(format!("min(N, P) = min({n}, {limit}), of {of_what}")),
        number("unserved", "streams.unserved", run.unserved).why(format!(
            "streams that get none of the {of_what} in the {:.1} s of the load; nobody refuses them",
            run.load_end
        )),
    ];
    rows.extend(idle);
    rows.extend(run.ttft_max());
    rows
}

/// Health while neither the pool nor the loop is busy, and why they are not.
fn idle_server(because: &str) -> [Forecast; 3] {
    let never = |endpoint: &str, what: &str| {
        unanswered(endpoint, 0.0).why(format!("{because}: {what} never waits"))
    };
    [
        never("health_sync", "a sync check"),
        stays_flat("health_sync")
            .why("no job is queued: a sync check finds a thread, and stays flat"),
        never("health_async", "an async check"),
    ]
}

/// `--upstream-connections` of the cell, or the server's own default.
fn connections(cell: &Cell) -> u32 {
    let given = cell.server.flag("--upstream-connections");
    given.and_then(|value| value.parse().ok()).unwrap_or(100)
}

/// Streams of one length, one after the other on threads, or on another limited resource.
struct Waves {
    /// When a job that comes after all streams would start if the load never ended.
    free_at: f64,
    /// When the load ends: the hold, and until its last check has its outcome.
    load_end: f64,
    unserved: f64,
    longest_wait: f64,
    longest_ttft: f64,
    /// When the last queued job has started. Its client has long left.
    drained_at: f64,
}

impl Waves {
    /// How long after its clients the queue is empty.
    fn outlives_by(&self) -> f64 {
        (self.drained_at - self.load_end).max(0.0)
    }

    /// The longest TTFT of a load in which every stream gets its turn.
    fn ttft_max(&self) -> Option<Forecast> {
        (self.unserved == 0.0).then(|| {
            micros("ttft_max", "ttft.max", self.longest_ttft * 1e6)
                .why("the last wave starts when the one before it ends; + the upstream's own time")
        })
    }

    fn of(streams: &StreamSpec, threads: u32, hold_end: f64, timeout: f64) -> Self {
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
            // The client has left. The thread notices at its next chunk. A job that starts after its
            // client has left notices at its first chunk.
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
    fn a_pool_of_their_own_serves_as_many_as_it_has_threads_and_health_knows_nothing() {
        let stream = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios/stream.toml");
        let mut cell = scenario::load(stream, &[]).expect("valid").cells.remove(0);
        let mut streams = cell.load.streams.take().expect("a load of streams");
        (streams.count, streams.length) = (200, Duration::from_secs(600));
        cell.server.pool_threads = 4;
        let rows = own_pool(&cell, &streams);
        assert_eq!(predicted(&rows, "served_at_once"), 4.0);
        assert_eq!(predicted(&rows, "unserved"), 196.0);
        assert_eq!(predicted(&rows, "health_sync_unanswered"), 0.0);
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
