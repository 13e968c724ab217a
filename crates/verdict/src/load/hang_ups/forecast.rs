//! Clients that hang up: what each kind of server keeps, until when, and which request is the first that
//! finds nothing free.

use std::time::Duration;

use super::{HangUpSpec, HangUpStage, Leave};
use crate::forecast::row::{micros, number, stays_flat, unanswered};
use crate::forecast::{Model, Question};
use crate::scenario::Cell;
use crate::summary::Forecast;
use crate::units::us;

/// A hang-up may take this long to reach the upstream if nothing delays it, in microseconds.
const AT_ONCE_US: f64 = 100_000.0;

/// The servers' own limit on an upstream's silence, if the cell sets none.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// What the laws forecast.
pub(crate) const FORECASTS: &[&str] = &[
    "first_hanging",
    "served_after",
    "hanging",
    "left_upstream",
    "left_permits",
    "left_threads",
    "release_p50",
    "release_p99",
    "release_max",
    "<endpoint>_unanswered",
    "<endpoint>_p50",
    "<endpoint>_p99",
];

/// The laws by name.
#[rustfmt::skip]
pub(crate) const MODELS: &[Model] = &[
    Model::new("detached_pump", |question| of(question, Mechanism::DetachedPump)),
    Model::new("no_op_close", |question| of(question, Mechanism::NoOpClose)),
    Model::new("missed_disconnect", |question| of(question, Mechanism::MissedDisconnect)),
    Model::new("blocking_zombie", |question| of(question, Mechanism::BlockingZombie)),
    Model::new("no_timeout", |question| of(question, Mechanism::NoTimeout)),
    Model::new("releasing", |question| of(question, Mechanism::Releasing)),
];

/// What a request holds, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mechanism {
    /// A permit, until a task that nobody stops has drained the upstream.
    DetachedPump,
    /// A permit, for ever, because the close does not free it.
    NoOpClose,
    /// A permit, until something is written to a client that is gone.
    MissedDisconnect,
    /// A permit and a thread of the blocking pool, until the upstream has been read to its end.
    BlockingZombie,
    /// A permit, until the client is known to have left or the upstream sends something.
    NoTimeout,
    /// A permit, until the client is gone.
    Releasing,
}

fn of(question: Question<'_>, holds: Mechanism) -> Vec<Forecast> {
    let load = question.cell.load.hang_ups.as_ref();
    load.map_or(Vec::new(), |load| disconnect(question.cell, load, holds))
}

/// What one request still holds after its client has left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Kept {
    permit: bool,
    upstream: bool,
}

impl Kept {
    /// Keeps both for as long as `this` is true.
    fn both(this: bool) -> Self {
        Self {
            permit: this,
            upstream: this,
        }
    }
}

/// The forecast of a row of hang-ups; empty without a limit.
fn disconnect(cell: &Cell, load: &HangUpSpec, holds: Mechanism) -> Vec<Forecast> {
    if cell.upstream.fallback.is_some() && holds != Mechanism::Releasing {
        // The laws know only one upstream. With a fallback, the first upstream is there to fail.
        return Vec::new();
    }
    let keeps = |stage| kept(load, holds, stage);
    let Some(limit) = cell.server.max_upstream else {
        return Vec::new();
    };
    let threads = (holds == Mechanism::BlockingZombie).then_some(cell.server.pool_threads);
    let capacity = threads.map_or(limit, |threads| threads.min(limit));
    // Where the close does nothing, a stream that was read to its end keeps its permit as well.
    let warm = keeps(HangUpStage::Complete).permit;
    let before = if warm { u64::from(load.warm_up) } else { 0 };
    let mut held = before;
    let mut open = 0;
    let mut first_hanging = None;
    for number in 1..=u64::from(load.count) {
        if held >= u64::from(capacity) {
            first_hanging = Some(number);
            break;
        }
        let kept = keeps(load.stage(number));
        held += u64::from(kept.permit);
        open += u64::from(kept.upstream);
    }
    let mut rows = Vec::new();
    match first_hanging {
        Some(first) => {
            // With several at once, it is chance which of them reaches the limit first.
            if load.concurrency == 1 {
                let why = first_formula(first, capacity, limit, threads);
                rows.push(number("first_hanging", "hang_ups.first_hanging", first as f64).why(why));
            }
            if load.after_hanging > 0 {
                rows.push(
                    number("served_after", "hang_ups.served_after", 0.0)
                        .why("nothing comes back: after the first that hangs all hang"),
                );
            }
        }
        None => {
            let why = match keeps(load.stage(1)).permit {
                true => format!("{} hang-ups keep no more than {capacity}", load.count),
                false => "a permit comes back with its client's leaving".to_owned(),
            };
            rows.push(number("hanging", "hang_ups.hanging", 0.0).why(why));
        }
    }
    let left = number("left_upstream", "leftover.upstream", open as f64);
    rows.push(left.why(match open {
        0 => "a stream ends with its client's leaving, or by itself",
        _ => "the streams that go on though their clients are gone",
    }));
    // A request that waits for a thread has a permit, and keeps it when its client gives up.
    if capacity == limit {
        let left = number("left_permits", "leftover.permits", held as f64);
        rows.push(left.why(format!(
            "one for each request that keeps it, P = {limit} at most"
        )));
    }
    if threads.is_some() {
        let left = number("left_threads", "leftover.threads", held as f64);
        rows.push(left.why("one for each reader that nobody can stop"));
    }
    rows.extend(release(cell, load, holds));
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

/// What one request that leaves at `stage` keeps.
fn kept(load: &HangUpSpec, holds: Mechanism, stage: HangUpStage) -> Kept {
    // A reader that reads to the end does not keep a stream that ends by itself.
    let is_over = match stage {
        HangUpStage::Complete => true,
        HangUpStage::AfterLastContent => !load.silent,
        _ => load.fault.is_some(),
    };
    match holds {
        Mechanism::DetachedPump | Mechanism::BlockingZombie => Kept::both(!is_over),
        Mechanism::NoOpClose => {
            // Before the head the exchange is not in the registry yet, so a hang-up frees it.
            let has_body = stage != HangUpStage::BeforeHeaders;
            Kept {
                permit: has_body,
                upstream: has_body && !is_over,
            }
        }
        Mechanism::MissedDisconnect => Kept::both(load.silent),
        Mechanism::NoTimeout => Kept::both(load.leave == Leave::Vanish),
        Mechanism::Releasing => Kept::default(),
    }
}

/// From a hang-up to the release of the upstream, if it is released.
fn release(cell: &Cell, load: &HangUpSpec, holds: Mechanism) -> Option<Forecast> {
    let mut stages = load.stages.iter();
    if stages.all(|&stage| stage == HangUpStage::Complete) {
        return None;
    }
    let interval = us(load.interval) as f64;
    match (holds, load.leave) {
        (Mechanism::Releasing, Leave::Vanish) => {
            let idle = us(idle_timeout(cell)) as f64;
            let release = micros("release_p50", "hang_ups.release_p50", idle);
            Some(release.why("the idle timeout: nothing else tells that the client is gone"))
        }
        (Mechanism::Releasing | Mechanism::NoTimeout, Leave::Fin | Leave::Rst) => {
            let release = micros("release_p99", "hang_ups.release_p99", AT_ONCE_US);
            Some(release.at_most().why(
                "the end of the connection drops the body, and that drops the upstream's: \
                 nothing waits",
            ))
        }
        (Mechanism::MissedDisconnect, leave) if !load.silent => {
            let (writes, why) = match leave {
                Leave::Rst => (1.0, "the next write fails"),
                _ => (
                    2.0,
                    "the next write is answered with a reset, and the one after it fails",
                ),
            };
            let written = writes * interval;
            Some(match load.stages[..] {
                [HangUpStage::MidStream] => micros("release_p50", "hang_ups.release_p50", written)
                    .why(format!("{writes} · interval: {why}")),
                _ => {
                    let begun = us(load.pause + load.ttft) as f64;
                    micros("release_max", "hang_ups.release_max", begun + written)
                        .at_most()
                        .why(format!(
                            "the pause of the upstream + its TTFT + {writes} · interval: {why}"
                        ))
                }
            })
        }
        _ => None,
    }
}

fn health(pool_is_full: bool) -> Vec<Forecast> {
    let mut rows = vec![unanswered("health_async", 0.0).why("the event loop is free")];
    if !pool_is_full {
        rows.extend([
            unanswered("health_sync", 0.0).why("a thread is free: what is held is not held here"),
            stays_flat("health_sync").why("so a sync check stays flat"),
        ]);
    }
    rows
}

/// As the cell's own flags have it.
fn idle_timeout(cell: &Cell) -> Duration {
    let given = cell.server.flag("--idle-timeout");
    let time = given.and_then(|text| humantime::parse_duration(text).ok());
    time.unwrap_or(IDLE_TIMEOUT)
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

    fn load(more: &str) -> HangUpSpec {
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
            for model in [
                Mechanism::DetachedPump,
                Mechanism::NoOpClose,
                Mechanism::BlockingZombie,
            ] {
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
        let missed = |more: &str| disconnect(&cell(2, 4), &load(more), Mechanism::MissedDisconnect);
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
        let rows = disconnect(&cell(2, 4), &load(WHOLE), Mechanism::NoOpClose);
        assert_eq!(predicted(&rows, "first_hanging"), Some(3.0));
        assert_eq!(predicted(&rows, "left_upstream"), Some(0.0));
        assert_eq!(predicted(&rows, "left_permits"), Some(2.0));
        for model in [
            Mechanism::DetachedPump,
            Mechanism::BlockingZombie,
            Mechanism::Releasing,
        ] {
            let rows = disconnect(&cell(2, 4), &load(WHOLE), model);
            assert_eq!(predicted(&rows, "hanging"), Some(0.0), "{model:?}");
            assert_eq!(predicted(&rows, "left_permits"), Some(0.0), "{model:?}");
        }
    }

    #[test]
    fn requests_that_keep_nothing_come_before_the_first_that_hangs() {
        let mixed = load("stages = [\"before_headers\", \"mid_stream\"]");
        let rows = disconnect(&cell(2, 4), &mixed, Mechanism::NoOpClose);
        assert_eq!(predicted(&rows, "first_hanging"), Some(5.0));
        let rows = disconnect(&cell(2, 4), &mixed, Mechanism::DetachedPump);
        assert_eq!(predicted(&rows, "first_hanging"), Some(3.0));
    }

    #[test]
    fn zombies_stop_at_the_threads_if_there_are_fewer_of_them() {
        let rows = disconnect(&cell(50, 4), &load(MID), Mechanism::BlockingZombie);
        assert_eq!(predicted(&rows, "first_hanging"), Some(5.0));
        assert_eq!(predicted(&rows, "left_threads"), Some(4.0));
        assert_eq!(predicted(&rows, "left_permits"), None);
        assert_eq!(predicted(&rows, "health_sync_unanswered"), None);
        let rows = disconnect(&cell(2, 4), &load(MID), Mechanism::BlockingZombie);
        assert_eq!(predicted(&rows, "left_threads"), Some(2.0));
        assert_eq!(predicted(&rows, "health_sync_unanswered"), Some(0.0));
    }

    #[test]
    fn clients_that_vanish_cost_the_idle_timeout_or_without_one_a_permit() {
        let vanish = load(&format!("{SILENT}\nleave = \"vanish\""));
        let mut cell = cell(2, 4);
        cell.server.args = ["--idle-timeout", "1s"].map(str::to_owned).to_vec();
        let rows = disconnect(&cell, &vanish, Mechanism::Releasing);
        assert_eq!(predicted(&rows, "release_p50"), Some(1e6));
        assert_eq!(predicted(&rows, "hanging"), Some(0.0));
        let rows = disconnect(&cell, &vanish, Mechanism::NoTimeout);
        assert_eq!(predicted(&rows, "first_hanging"), Some(3.0));
        let rows = disconnect(&cell, &load(SILENT), Mechanism::NoTimeout);
        assert_eq!(predicted(&rows, "hanging"), Some(0.0));
    }

    #[test]
    fn a_row_that_is_sent_side_by_side_has_no_first() {
        let rows = disconnect(
            &cell(2, 4),
            &load(&format!("{MID}\nconcurrency = 5")),
            Mechanism::DetachedPump,
        );
        assert_eq!(predicted(&rows, "first_hanging"), None);
        assert_eq!(predicted(&rows, "left_upstream"), Some(2.0));
    }
}
