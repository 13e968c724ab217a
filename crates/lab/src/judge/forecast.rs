//! What theory says of a cell, before it is run, and how far off it was.

use super::flat;
use super::pool_queue::PoolQueue;
use crate::scenario::{Cell, Model, Streams};
use crate::summary::{Bound, Forecast, Summary, Unit, Verdict};

/// The forecast of one cell of a variant.
#[must_use]
pub fn forecast(cell: &Cell, model: Model) -> Vec<Forecast> {
    match model {
        Model::ThreadPerStream => thread_per_stream(cell),
        Model::Async => event_loop(cell),
    }
}

fn row(name: &str, unit: Unit, predicted: f64, formula: String) -> Forecast {
    Forecast {
        name: name.to_owned(),
        formula,
        unit,
        predicted,
        bound: Bound::Exact,
        measured: None,
        measured_censored: false,
        error_percent: None,
        verdict: None,
    }
}

/// A thread is held for a whole stream. The pool is first in, first out, so a sync health check waits
/// behind every stream that was queued before it.
fn thread_per_stream(cell: &Cell) -> Vec<Forecast> {
    let streams = &cell.load.streams;
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
            Unit::Streams,
            f64::from(n.min(c)),
            format!("min(N, c) = min({n}, {c})"),
        ),
        row(
            "unserved",
            Unit::Streams,
            run.unserved,
            format!(
                "streams that no thread reaches in the {:.1} s of the load",
                run.load_end
            ),
        ),
        row(
            "health_sync_unanswered",
            Unit::Percent,
            100.0 * unanswered,
            format!(
                "share of the hold with ⌊N/c⌋·S − t = ⌊{n}/{c}⌋·{service:.1} s − t > {timeout} s"
            ),
        ),
        Forecast {
            bound: if median > timeout {
                Bound::AtLeast
            } else {
                Bound::Exact
            },
            ..row(
                "health_sync_p50",
                Unit::Us,
                median.min(timeout) * 1e6,
                "median over the hold of ⌊N/c⌋·S − t, cut at the timeout".to_owned(),
            )
        },
        row(
            "health_async_unanswered",
            Unit::Percent,
            0.0,
            "the event loop is free: an async check never waits".to_owned(),
        ),
        row(
            "queue_wait_max",
            Unit::Us,
            run.longest_wait * 1e6,
            format!(
                "longest wait of a stream or a check in the pool's queue, N = {n} on c = {c}, first in first out"
            ),
        ),
        row(
            "time_to_recover",
            Unit::Us,
            (run.drained_at - run.load_end).max(0.0) * 1e6,
            format!(
                "the queue outlives its clients: {:.0} jobs · {:.0} ms to the first failed write / {c} threads",
                run.unserved,
                streams.ttft.as_secs_f64() * 1e3
            ),
        ),
    ];
    if run.unserved == 0.0 {
        rows.push(row(
            "ttft_max",
            Unit::Us,
            run.longest_ttft * 1e6,
            "the last wave starts when the one before it ends; + the upstream's own time"
                .to_owned(),
        ));
    }
    rows
}

/// A stream is a task on the event loop and holds nothing.
fn event_loop(cell: &Cell) -> Vec<Forecast> {
    let streams = &cell.load.streams;
    let n = streams.count;
    let never = |name: &str, what: &str| {
        row(
            name,
            Unit::Percent,
            0.0,
            format!("nothing is held: {what} never waits"),
        )
    };
    vec![
        row(
            "served_at_once",
            Unit::Streams,
            f64::from(n),
            format!("N = {n}"),
        ),
        row(
            "unserved",
            Unit::Streams,
            0.0,
            "no stream waits for another".to_owned(),
        ),
        never("health_sync_unanswered", "a sync check"),
        Forecast {
            bound: Bound::AtMost,
            ..row(
                "health_sync_p99",
                Unit::Us,
                flat::FLOOR_US as f64,
                "no job is queued: a sync check finds a thread, and stays flat".to_owned(),
            )
        },
        never("health_async_unanswered", "an async check"),
        row(
            "ttft_p50",
            Unit::Us,
            streams.ttft.as_secs_f64() * 1e6,
            "the upstream's own time to the first chunk".to_owned(),
        ),
    ]
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

/// Fills in what was measured and by how much the prediction was off.
pub fn settle(rows: &mut [Forecast], summary: &Summary) {
    for row in rows {
        let Some((measured, censored)) = measured(&row.name, summary) else {
            continue;
        };
        row.measured = Some(measured);
        row.measured_censored = censored;
        row.verdict = Some(verdict(row, measured, censored));
        row.error_percent = match row.verdict {
            Some(Verdict::Measured) if row.predicted == 0.0 => Some(0.0),
            Some(Verdict::Measured) => Some(100.0 * (measured - row.predicted) / row.predicted),
            _ => None,
        };
    }
}

/// Bounds that cannot both be true refute the prediction, and so does anything where nothing was
/// predicted: how far off it was has no number, but it must not pass for unknown.
fn verdict(row: &Forecast, measured: f64, measured_censored: bool) -> Verdict {
    let holds = match (row.bound, measured_censored) {
        (Bound::Exact, false) if row.predicted != 0.0 || measured == 0.0 => {
            return Verdict::Measured;
        }
        (Bound::Exact, false) => false,
        // The true value is at least what was measured.
        (Bound::Exact, true) => measured <= row.predicted,
        (Bound::AtLeast, true) => true,
        (Bound::AtLeast, false) => measured >= row.predicted,
        (Bound::AtMost, censored) => !censored && measured <= row.predicted,
    };
    if holds {
        Verdict::Within
    } else {
        Verdict::Refuted
    }
}

fn measured(name: &str, summary: &Summary) -> Option<(f64, bool)> {
    let load = &summary.phases.load;
    let exact = |value: u64| (value as f64, false);
    let probe = |name: &str| load.probes.get(name);
    match name {
        "served_at_once" => load.streams.served_peak.map(exact),
        "unserved" => Some(exact(load.streams.unserved)),
        "health_sync_unanswered" => probe("health_sync")?
            .unanswered_percent()
            .map(|percent| (percent, false)),
        "health_async_unanswered" => probe("health_async")?
            .unanswered_percent()
            .map(|percent| (percent, false)),
        "health_sync_p50" => {
            let response = &probe("health_sync")?.response_us;
            Some((response.p50? as f64, response.p50_censored))
        }
        "health_sync_p99" => {
            let response = &probe("health_sync")?.response_us;
            Some((response.p99? as f64, response.p99_censored))
        }
        "queue_wait_max" => summary
            .server
            .pool
            .as_ref()
            .map(|pool| exact(pool.oldest_wait_us_peak)),
        "time_to_recover" => summary.phases.recovery.time_to_recover_us.map(exact),
        "ttft_max" => Some((
            load.streams.ttft_us.max? as f64,
            load.streams.ttft_us.max_censored,
        )),
        "ttft_p50" => Some((
            load.streams.ttft_us.p50? as f64,
            load.streams.ttft_us.p50_censored,
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::scenario;

    fn cell(count: u32, threads: u32, length: u64) -> Cell {
        let stream = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios/stream.toml");
        let mut cell = scenario::load(stream, &[]).expect("valid").cells.remove(0);
        cell.server.pool_threads = threads;
        cell.load.streams.count = count;
        cell.load.streams.length = Duration::from_secs(length);
        cell.load.streams.ramp = Duration::ZERO;
        cell.load.streams.ttft = Duration::ZERO;
        cell.phases.hold = Duration::from_secs(12);
        cell.probe.timeout = Duration::from_secs(5);
        cell
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
        let rows = forecast(&cell(8, 4, 8), Model::ThreadPerStream);
        assert!((predicted(&rows, "health_sync_unanswered") - 100.0 * 11.0 / 12.0).abs() < 0.2);
        assert!((predicted(&rows, "queue_wait_max") - 16e6).abs() < 1e3);
        assert!((predicted(&rows, "ttft_max") - 8e6).abs() < 1e3);
        assert_eq!(predicted(&rows, "unserved"), 0.0);
    }

    #[test]
    fn fewer_streams_than_threads_hold_nobody_up() {
        let rows = forecast(&cell(3, 4, 600), Model::ThreadPerStream);
        assert_eq!(predicted(&rows, "health_sync_unanswered"), 0.0);
        assert_eq!(predicted(&rows, "served_at_once"), 3.0);
    }

    #[test]
    fn a_wrong_prediction_is_refuted_and_not_unknown() {
        let refuted = |bound, predicted, measured, censored| {
            let row = Forecast {
                bound,
                ..row("x", Unit::Us, predicted, String::new())
            };
            verdict(&row, measured, censored) == Verdict::Refuted
        };
        assert!(refuted(Bound::Exact, 0.0, 16.0, false));
        assert!(refuted(Bound::Exact, 20.0, 3_000.0, true));
        assert!(refuted(Bound::AtLeast, 1_000.0, 344.0, false));
        assert!(refuted(Bound::AtMost, 10.0, 11.0, false));
        assert!(!refuted(Bound::Exact, 0.0, 0.0, false));
        assert!(!refuted(Bound::AtLeast, 1_000.0, 1_000.0, true));
        assert!(!refuted(Bound::AtMost, 10.0, 0.4, false));
    }

    #[test]
    fn streams_that_outlast_the_load_leave_the_rest_unserved() {
        let rows = forecast(&cell(200, 4, 600), Model::ThreadPerStream);
        assert_eq!(predicted(&rows, "unserved"), 196.0);
        assert_eq!(predicted(&rows, "health_sync_unanswered"), 100.0);
        let rows = forecast(&cell(200, 40, 600), Model::ThreadPerStream);
        assert_eq!(predicted(&rows, "unserved"), 160.0);
    }
}
