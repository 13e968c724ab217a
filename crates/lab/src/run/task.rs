use super::Interrupt;
use crate::http::Reach;
use crate::show::progress::Place;
use verdict::scenario::{Cell, Scenario, Variant};
use verdict::summary::Forecast;

/// One cell of one variant.
pub(super) struct Task<'a> {
    pub scenario: &'a Scenario,
    pub variant: &'a Variant,
    pub cell: &'a Cell,
    pub repeat: u32,
    pub repeats: u32,
    pub command: &'a str,
    pub forecast: Vec<Forecast>,
    pub place: Place,
    pub interrupt: &'a Interrupt,
    /// Of a target.
    pub reach: Reach,
}

impl Task<'_> {
    /// Name of the cell's folder.
    pub(super) fn folder(&self) -> String {
        if self.repeats == 1 {
            self.cell.name.clone()
        } else {
            format!("{}.{}", self.cell.name, self.repeat)
        }
    }
}
