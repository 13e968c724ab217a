use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::drive::json_body;
use crate::judge::forecast::largest_body;
use crate::scenario::{BodyKind, Cell, Model};

/// What forecasts need to know of this machine, measured before they are made.
#[derive(Clone, Debug, Default)]
pub struct Calibration {
    parse: BTreeMap<Work, Duration>,
}

/// A parser's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Work {
    size: u64,
    kind: BodyKind,
    /// By way of a JSON value, as `/pong` does it, or at once, as `/ping` does.
    by_value: bool,
}

impl Work {
    fn of(cell: &Cell) -> Option<Self> {
        let class = largest_body(cell)?;
        Some(Self {
            size: class.body_bytes?,
            kind: class.body_kind,
            by_value: class.path.contains("/pong"),
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
    vector: Vec<f64>,
}

impl Calibration {
    /// Measures what the forecasts of these cells in these models need; nothing if they need nothing.
    /// Takes about a second where large bodies are parsed.
    #[must_use]
    pub fn measure<'a>(cells: impl Iterator<Item = &'a Cell>, models: &[Model]) -> Self {
        let mut calibration = Self::default();
        if !models.contains(&Model::ParseOnWorker) {
            return calibration;
        }
        for work in cells.filter_map(Work::of) {
            calibration
                .parse
                .entry(work)
                .or_insert_with(|| time_of(work));
        }
        calibration
    }

    /// How long the largest body of a cell takes to parse here.
    #[must_use]
    pub fn parse(&self, cell: &Cell) -> Option<Duration> {
        self.parse.get(&Work::of(cell)?).copied()
    }
}

/// Once, with memory that is fresh: a server gives it back after each body, and pays for it again.
fn time_of(work: Work) -> Duration {
    let body = json_body(work.size, work.kind);
    let start = Instant::now();
    // The body was made here and is JSON; what counts is the time.
    let parsed = if work.by_value {
        serde_json::from_slice::<serde_json::Value>(&body)
            .and_then(serde_json::from_value::<Parameters>)
    } else {
        serde_json::from_slice(&body)
    };
    drop(parsed);
    start.elapsed()
}
