use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::drive::json_body;
use crate::judge::forecast::largest_body;
use crate::scenario::{Cell, Model};

/// What forecasts need to know of this machine, measured before they are made.
#[derive(Clone, Debug, Default)]
pub struct Calibration {
    parse: BTreeMap<u64, Duration>,
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
        for size in cells.filter_map(largest_body) {
            calibration
                .parse
                .entry(size)
                .or_insert_with(|| time_to_parse(size));
        }
        calibration
    }

    /// How long the largest body of a cell takes to parse here.
    #[must_use]
    pub fn parse(&self, cell: &Cell) -> Option<Duration> {
        self.parse.get(&largest_body(cell)?).copied()
    }
}

/// The median of three: the first one also pays for the memory.
fn time_to_parse(size: u64) -> Duration {
    let body = json_body(size);
    let mut times = [Duration::ZERO; 3];
    for time in &mut times {
        let start = Instant::now();
        // The body was made here and is JSON; what counts is the time.
        let parsed = serde_json::from_slice::<Parameters>(&body);
        *time = start.elapsed();
        drop(parsed);
    }
    times.sort_unstable();
    times[1]
}
