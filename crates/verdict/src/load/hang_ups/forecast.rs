//! Clients that hang up: what each mechanism keeps, until when, and which request is the first to
//! find nothing left.

use std::time::Duration;

use crate::forecast::{bounded, row};
use crate::judge::flat;
use crate::scenario::{Cell, HangUpStage, HangUps, Leave, Model};
use crate::summary::{Bound, Forecast, Unit};
use crate::units::us;

/// What a hang-up may take to reach the upstream where nothing waits, in microseconds.
const AT_ONCE_US: f64 = 100_000.0;

/// The servers' own limit on an upstream's silence, if the cell sets none.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// What one request still holds when its client is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Kept {
    permit: bool,
    upstream: bool,
}

impl Kept {
    /// Both as long as `this` is so.
    fn both(this: bool) -> Self {
        Self {
            permit: this,
            upstream: this,
        }
    }
}

/// The forecast of a row of hang-ups; empty for a model of something else, or without a limit.
pub(crate) fn disconnect(cell: &Cell, load: &HangUps, model: Model) -> Vec<Forecast> {
    if cell.upstream.fallback.is_some() && model != Model::Releasing {
        // They know of no second upstream, and the first is there to fail.
        return Vec::new();
    }
    let keeps = |stage| kept(load, model, stage);
    let (Some(keep), Some(limit)) = (keeps(load.stage(1)), cell.server.max_upstream) else {
        return Vec::new();
    };
    let threads = (model == Model::BlockingZombie).then_some(cell.server.pool_threads);
    let capacity = threads.map_or(limit, |threads| threads.min(limit));
    // A stream that was read to its end keeps its permit like any other where the close does nothing.
    let warm = keeps(HangUpStage::Complete).is_some_and(|kept| kept.permit);
    let before = if warm { u64::from(load.warm_up) } else { 0 };
    let mut held = before;
    let mut open = 0;
    let mut first_hanging = None;
    for number in 1..=u64::from(load.count) {
        if held >= u64::from(capacity) {
            first_hanging = Some(number);
            break;
        }
        let kept = keeps(load.stage(number)).unwrap_or_default();
        held += u64::from(kept.permit);
        open += u64::from(kept.upstream);
    }
    let mut rows = Vec::new();
    match first_hanging {
        Some(first) => {
            // With several at once the order in which they come to the limit is nobody's plan.
            if load.concurrency == 1 {
                rows.push(count(
                    "first_hanging",
                    "hang_ups.first_hanging",
                    first,
                    first_formula(first, capacity, limit, threads),
                ));
            }
            if load.after_hanging > 0 {
                rows.push(count(
                    "served_after",
                    "hang_ups.served_after",
                    0,
                    "nothing comes back: after the first that hangs all hang".to_owned(),
                ));
            }
        }
        None => rows.push(count(
            "hanging",
            "hang_ups.hanging",
            0,
            match keep.permit {
                true => format!("{} hang-ups keep no more than {capacity}", load.count),
                false => "a permit comes back with its client's leaving".to_owned(),
            },
        )),
    }
    rows.push(count(
        "left_upstream",
        "leftover.upstream",
        open,
        match open {
            0 => "a stream ends with its client's leaving, or by itself".to_owned(),
            _ => "the streams that go on though their clients are gone".to_owned(),
        },
    ));
    // Requests that have a permit and wait for a thread keep theirs as well, when they are given up.
    if capacity == limit {
        rows.push(count(
            "left_permits",
            "leftover.permits",
            held,
            format!("one for each request that keeps it, P = {limit} at most"),
        ));
    }
    if threads.is_some() {
        rows.push(count(
            "left_threads",
            "leftover.threads",
            held,
            "one for each reader that nobody can stop".to_owned(),
        ));
    }
    rows.extend(release(cell, load, model));
    let pool_is_full = threads.is_some_and(|threads| held >= u64::from(threads));
    rows.extend(health(pool_is_full));
    rows
}

fn first_formula(first: u64, capacity: u32, limit: u32, threads: Option<u32>) -> String {
    let what = match threads {
        Some(threads) => format!("min(P, c) + 1 = min({limit}, {threads}) + 1"),
        None => format!("P + 1 = {limit} + 1"),
    };
    match first == u64::from(capacity) + 1 {
        true => format!("{what}: each request before keeps what it got"),
        false => format!("{what}, and one more for each that keeps nothing"),
    }
}

/// What one request that leaves at `stage` keeps; `None` for a model of something else.
fn kept(load: &HangUps, model: Model, stage: HangUpStage) -> Option<Kept> {
    // What is over by itself is kept by nobody who reads to the end.
    let is_over = match stage {
        HangUpStage::Complete => true,
        HangUpStage::AfterLastContent => !load.silent,
        _ => load.fault.is_some(),
    };
    Some(match model {
        Model::DetachedPump | Model::BlockingZombie => Kept::both(!is_over),
        Model::NoOpClose => {
            // Before the head there is no body whose close could do nothing.
            let has_body = stage != HangUpStage::BeforeHeaders;
            Kept {
                permit: has_body,
                upstream: has_body && !is_over,
            }
        }
        Model::MissedDisconnect => Kept::both(load.silent),
        Model::NoTimeout => Kept::both(load.leave == Leave::Vanish),
        Model::Releasing => Kept::default(),
        _ => return None,
    })
}

/// From a hang-up to the release of the upstream, where it is released.
fn release(cell: &Cell, load: &HangUps, model: Model) -> Option<Forecast> {
    if load
        .stages
        .iter()
        .all(|&stage| stage == HangUpStage::Complete)
    {
        return None;
    }
    let interval = us(load.interval) as f64;
    match (model, load.leave) {
        (Model::Releasing, Leave::Vanish) => {
            let idle = idle_timeout(cell);
            let formula = "the idle timeout: nothing else tells that the client is gone";
            Some(time(
                "release_p50",
                "hang_ups.release_p50",
                us(idle) as f64,
                formula.to_owned(),
            ))
        }
        (Model::Releasing | Model::NoTimeout, Leave::Fin | Leave::Rst) => Some(bounded(
            Bound::AtMost,
            time(
                "release_p99",
                "hang_ups.release_p99",
                AT_ONCE_US,
                "the end of the connection drops the body, and that drops the upstream's: nothing waits"
                    .to_owned(),
            ),
        )),
        (Model::MissedDisconnect, leave) if !load.silent => {
            let (writes, why) = match leave {
                Leave::Rst => (1.0, "the next write fails"),
                _ => (
                    2.0,
                    "the next write is answered with a reset, and the one after it fails",
                ),
            };
            Some(match load.stages[..] {
                [HangUpStage::MidStream] => time(
                    "release_p50",
                    "hang_ups.release_p50",
                    writes * interval,
                    format!("{writes} · interval: {why}"),
                ),
                _ => bounded(
                    Bound::AtMost,
                    time(
                        "release_max",
                        "hang_ups.release_max",
                        us(load.pause + load.ttft) as f64 + writes * interval,
                        format!("the pause of the upstream + its TTFT + {writes} · interval: {why}"),
                    ),
                ),
            })
        }
        _ => None,
    }
}

fn health(pool_is_full: bool) -> Vec<Forecast> {
    let unanswered =
        |name: &str, metric: &str, why: &str| row(name, metric, Unit::Percent, 0.0, why.to_owned());
    let mut rows = vec![unanswered(
        "health_async_unanswered",
        "health_async.unanswered",
        "the event loop is free",
    )];
    if !pool_is_full {
        rows.push(unanswered(
            "health_sync_unanswered",
            "health_sync.unanswered",
            "a thread is free: what is held is not held here",
        ));
        rows.push(bounded(
            Bound::AtMost,
            time(
                "health_sync_p99",
                "health_sync.p99",
                flat::FLOOR_US as f64,
                "so a sync check stays flat".to_owned(),
            ),
        ));
    }
    rows
}

/// As the cell's own flags have it.
fn idle_timeout(cell: &Cell) -> Duration {
    let flags = &cell.server.args;
    let value = flags
        .iter()
        .position(|flag| flag == "--idle-timeout")
        .and_then(|at| flags.get(at + 1));
    value
        .and_then(|text| humantime::parse_duration(text).ok())
        .unwrap_or(IDLE_TIMEOUT)
}

fn count(name: &str, metric: &str, predicted: u64, formula: String) -> Forecast {
    row(name, metric, Unit::Count, predicted as f64, formula)
}

fn time(name: &str, metric: &str, predicted_us: f64, formula: String) -> Forecast {
    row(name, metric, Unit::Us, predicted_us, formula)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(limit: u32, threads: u32) -> Cell {
        let stream = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios/stream.toml");
        let mut cell = crate::scenario::load(stream, &[])
            .expect("valid")
            .cells
            .remove(0);
        cell.server.pool_threads = threads;
        cell.server.max_upstream = Some(limit);
        cell
    }

    fn load(more: &str) -> HangUps {
        let text = format!(
            "path = \"/\"\ncount = 100\nttft = \"10ms\"\ninterval = \"50ms\"\nlength = \"10m\"\n\
             patience = \"1s\"\nafter_hanging = 3\n{more}"
        );
        toml::from_str(&text).expect("a load")
    }

    fn predicted(rows: &[Forecast], name: &str) -> Option<f64> {
        let row = rows.iter().find(|row| row.name == name)?;
        Some(row.predicted)
    }

    const MID: &str = "stages = [\"mid_stream\"]";
    const SILENT: &str = "stages = [\"mid_stream\"]\nsilent = true";
    const WHOLE: &str = "stages = [\"complete\"]";

    #[test]
    fn a_permit_that_never_comes_back_makes_request_p_plus_1_the_first_to_hang() {
        for limit in [2, 50] {
            for model in [Model::DetachedPump, Model::NoOpClose, Model::BlockingZombie] {
                let rows = disconnect(&cell(limit, 64), &load(MID), model);
                let first = predicted(&rows, "first_hanging");
                assert_eq!(first, Some(f64::from(limit) + 1.0), "{model:?}");
                for name in ["left_upstream", "left_permits"] {
                    assert_eq!(predicted(&rows, name), Some(f64::from(limit)), "{model:?}");
                }
                assert_eq!(predicted(&rows, "served_after"), Some(0.0));
            }
        }
    }

    #[test]
    fn a_missed_disconnect_leaks_only_while_the_upstream_is_silent() {
        let missed = |more: &str| disconnect(&cell(2, 4), &load(more), Model::MissedDisconnect);
        assert_eq!(predicted(&missed(SILENT), "first_hanging"), Some(3.0));
        let streaming = missed(MID);
        assert_eq!(predicted(&streaming, "hanging"), Some(0.0));
        assert_eq!(predicted(&streaming, "left_upstream"), Some(0.0));
        assert_eq!(predicted(&streaming, "release_p50"), Some(100_000.0));
        let reset = missed(&format!("{MID}\nleave = \"rst\""));
        assert_eq!(predicted(&reset, "release_p50"), Some(50_000.0));
    }

    #[test]
    fn only_a_no_op_close_leaks_after_a_whole_stream_and_only_its_permit() {
        let rows = disconnect(&cell(2, 4), &load(WHOLE), Model::NoOpClose);
        assert_eq!(predicted(&rows, "first_hanging"), Some(3.0));
        assert_eq!(predicted(&rows, "left_upstream"), Some(0.0));
        assert_eq!(predicted(&rows, "left_permits"), Some(2.0));
        for model in [Model::DetachedPump, Model::BlockingZombie, Model::Releasing] {
            let rows = disconnect(&cell(2, 4), &load(WHOLE), model);
            assert_eq!(predicted(&rows, "hanging"), Some(0.0), "{model:?}");
            assert_eq!(predicted(&rows, "left_permits"), Some(0.0), "{model:?}");
        }
    }

    #[test]
    fn requests_that_keep_nothing_come_before_the_first_that_hangs() {
        let mixed = load("stages = [\"before_headers\", \"mid_stream\"]");
        let rows = disconnect(&cell(2, 4), &mixed, Model::NoOpClose);
        assert_eq!(predicted(&rows, "first_hanging"), Some(5.0));
        let rows = disconnect(&cell(2, 4), &mixed, Model::DetachedPump);
        assert_eq!(predicted(&rows, "first_hanging"), Some(3.0));
    }

    #[test]
    fn zombies_stop_at_the_threads_if_there_are_fewer_of_them() {
        let rows = disconnect(&cell(50, 4), &load(MID), Model::BlockingZombie);
        assert_eq!(predicted(&rows, "first_hanging"), Some(5.0));
        assert_eq!(predicted(&rows, "left_threads"), Some(4.0));
        assert_eq!(predicted(&rows, "left_permits"), None);
        assert_eq!(predicted(&rows, "health_sync_unanswered"), None);
        let rows = disconnect(&cell(2, 4), &load(MID), Model::BlockingZombie);
        assert_eq!(predicted(&rows, "left_threads"), Some(2.0));
        assert_eq!(predicted(&rows, "health_sync_unanswered"), Some(0.0));
    }

    #[test]
    fn clients_that_vanish_cost_the_idle_timeout_or_without_one_a_permit() {
        let vanish = load(&format!("{SILENT}\nleave = \"vanish\""));
        let mut cell = cell(2, 4);
        cell.server.args = ["--idle-timeout", "1s"].map(str::to_owned).to_vec();
        let rows = disconnect(&cell, &vanish, Model::Releasing);
        assert_eq!(predicted(&rows, "release_p50"), Some(1e6));
        assert_eq!(predicted(&rows, "hanging"), Some(0.0));
        let rows = disconnect(&cell, &vanish, Model::NoTimeout);
        assert_eq!(predicted(&rows, "first_hanging"), Some(3.0));
        let rows = disconnect(&cell, &load(SILENT), Model::NoTimeout);
        assert_eq!(predicted(&rows, "hanging"), Some(0.0));
    }

    #[test]
    fn a_row_that_is_sent_side_by_side_has_no_first() {
        let rows = disconnect(
            &cell(2, 4),
            &load(&format!("{MID}\nconcurrency = 5")),
            Model::DetachedPump,
        );
        assert_eq!(predicted(&rows, "first_hanging"), None);
        assert_eq!(predicted(&rows, "left_upstream"), Some(2.0));
    }
}
