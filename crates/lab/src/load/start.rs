use std::time::Duration;

use crate::measure::{CellClock, Results};

/// Who is asked, from when on, and who is told of it.
#[derive(Clone, Debug)]
pub struct Start {
    /// Base URL of the server.
    pub server: String,
    /// Base URLs of its upstreams, which know what became of a request.
    pub upstreams: Vec<String>,
    /// Of the scenario.
    pub seed: u64,
    /// When the load starts, on the cell's clock.
    pub at: Duration,
    /// Number of the first stream: they go on over the steps of a cell.
    pub first_stream: u64,
    /// The cell's clock.
    pub clock: CellClock,
    /// Where events go.
    pub results: Results,
}
