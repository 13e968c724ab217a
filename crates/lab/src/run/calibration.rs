use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::load::json_body;
use verdict::forecast::{Model, PARSE_ON_WORKER, largest_body};
use verdict::load::requests::BodyKind;
use verdict::scenario::Cell;

/// What forecasts need to know of this machine, measured before they are made.
#[derive(Clone, Debug, Default)]
pub struct Calibration {
    parse: BTreeMap<ParseWork, Duration>,
}

/// A parser's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ParseWork {
    size: u64,
    kind: BodyKind,
    /// Whether a fast parser makes the tree of values, as on `/pong`, or a general one, as on `/ping`.
    is_fast: bool,
}

impl ParseWork {
    fn of(cell: &Cell) -> Option<Self> {
        let class = largest_body(cell)?;
        Some(Self {
            size: class.body_bytes?,
            kind: class.body_kind,
            is_fast: class.path.contains("/pong"),
        })
    }
}

/// What a server makes of a body, as far as a parser's work goes.
#[derive(Deserialize)]
#[expect(dead_code, reason = "parsed for the time it takes")]
struct Parameters {
    model: String,
    items: Vec<Item>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "parsed for the time it takes")]
struct Item {
    id: u64,
    text: String,
    vector: Vec<f32>,
}

impl Calibration {
    /// Measures what the forecasts of these cells and models need, if they need anything. It takes some
    /// seconds if large bodies are parsed.
    #[must_use]
    pub fn measure<'a>(cells: impl Iterator<Item = &'a Cell>, models: &[Model]) -> Self {
        let mut calibration = Self::default();
        if !models.contains(&PARSE_ON_WORKER) {
            return calibration;
        }
        for work in cells.filter_map(ParseWork::of) {
            calibration
                .parse
                .entry(work)
                .or_insert_with(|| time_of(work));
        }
        calibration
    }

    /// How long this machine takes to parse the largest body of a cell.
    #[must_use]
    pub fn parse(&self, cell: &Cell) -> Option<Duration> {
        self.parse.get(&ParseWork::of(cell)?).copied()
    }
}

/// Bytes that come out of a socket at once.
const CHUNK: usize = 64 << 10;

/// How often each is timed.
const ROUNDS: usize = 7;

/// Pause between two rounds, because a server has pauses between requests too.
const PAUSE: Duration = Duration::from_millis(20);

/// The median of some rounds, each done as a server does it. It runs on a thread that is not the first of
/// its process, parses a copy of its own, and frees everything. The allocator gives memory of that size
/// back to the system, so every round pays for it again.
#[expect(
    clippy::disallowed_methods,
    reason = "on a thread of its own, which is no worker of a runtime"
)]
fn time_of(work: ParseWork) -> Duration {
    let body = json_body(work.size, work.kind);
    let rounds = move || {
        let mut times: Vec<_> = (0..ROUNDS)
            .map(|_| {
                std::thread::sleep(PAUSE);
                let own = in_chunks(&body);
                let start = Instant::now();
                parse(&own, work.is_fast);
                drop(own);
                start.elapsed()
            })
            .collect();
        times.sort_unstable();
        times[ROUNDS / 2]
    };
    let timed = std::thread::Builder::new()
        .name("calibration".into())
        .spawn(rounds)
        .map(std::thread::JoinHandle::join);
    // Neither the spawn nor the join should fail. If one did, the forecast of 0 would be noticed.
    timed.map_or(Duration::ZERO, Result::unwrap_or_default)
}

/// A copy, made in pieces, as a server reads a body from a socket.
fn in_chunks(body: &[u8]) -> Vec<u8> {
    let mut own = Vec::with_capacity(body.len());
    body.chunks(CHUNK)
        .for_each(|chunk| own.extend_from_slice(chunk));
    own
}

/// Makes a tree of values, and parameters from the tree, as server-broken does. It drops both before it
/// returns. Only the time counts: the lab made the body, so it is valid JSON.
fn parse(body: &[u8], is_fast: bool) {
    if is_fast {
        let text = str::from_utf8(body).unwrap_or_default();
        let tree = sonic_rs::from_str::<sonic_rs::Value>(text);
        drop(tree.and_then(|tree| sonic_rs::from_value::<Parameters>(&tree)));
    } else {
        let tree = serde_json::from_slice::<serde_json::Value>(body);
        drop(tree.and_then(Parameters::deserialize));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(path: &str, body_bytes: u64) -> Cell {
        let text = format!(
            r#"
            name = "x"
            server = {{ pool_threads = 4 }}
            probe = {{ rate = 50, timeout = "5s", endpoints = {{ health_async = "/" }} }}
            phases = {{ baseline = "1s", hold = "1s", recovery = "1s" }}
            [load.requests.small]
            path = "{path}"
            body_bytes = 512
            rate = 50
            timeout = "1s"
            [load.requests.large]
            path = "{path}"
            body_bytes = {body_bytes}
            users = 1
            timeout = "1s"
            "#
        );
        toml::from_str(&text).expect("a cell")
    }

    #[test]
    fn what_is_timed_is_the_largest_body_of_each_cell_the_way_its_route_parses_it() {
        let cells = [
            cell("/ping", 400_000),
            cell("/ping", 8_000_000),
            cell("/pong", 8_000_000),
        ];
        let calibration = Calibration::measure(cells.iter(), &[PARSE_ON_WORKER]);
        let [small, large, fast] = [0, 1, 2].map(|n| calibration.parse(&cells[n]).expect("timed"));
        assert!(small > Duration::ZERO);
        // Twenty times the bytes and a slower parser must take clearly longer.
        assert!(large > small * 4, "{small:?} {large:?}");
        assert!(large > fast, "{large:?} {fast:?}");
    }

    #[test]
    fn nothing_is_timed_that_no_forecast_asks_for() {
        let cells = [cell("/ping", 8_000_000)];
        let calibration = Calibration::measure(cells.iter(), &[Model::NONE]);
        assert_eq!(calibration.parse(&cells[0]), None);
        let other = Calibration::measure(cells.iter(), &[PARSE_ON_WORKER]);
        assert_eq!(other.parse(&cell("/ping", 8_000_001)), None);
    }

    #[test]
    fn what_is_timed_is_parsed() {
        for is_fast in [false, true] {
            let body = json_body(100_000, BodyKind::Items);
            let text = str::from_utf8(&body).expect("text");
            let parameters: Parameters = serde_json::from_str(text).expect("the lab's own shape");
            assert!(parameters.items.len() > 1_000);
            assert_eq!(in_chunks(&body), body);
            parse(&in_chunks(&body), is_fast);
        }
    }
}
