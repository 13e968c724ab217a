use std::time::Duration;

use crate::scenario::Cell;

/// What a forecast is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The cell.
    pub cell: &'a Cell,
    /// Of the scenario: think times depend on it.
    pub seed: u64,
    /// How long the lab took to parse the largest body of the cell, if it was asked to.
    pub parse: Option<Duration>,
}
