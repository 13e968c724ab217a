use serde::Serialize;

use super::spread::{Figure, Spread};
use crate::metrics::MetricUnit;

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub struct ComparisonRow {
    /// What it is.
    pub label: String,
    /// Rows of one group belong together.
    pub group: &'static str,
    /// Unit of the values.
    pub unit: MetricUnit,
    /// One for each variant.
    pub values: Vec<Figure>,
    /// First variant over the second, run by run, where both are exact numbers.
    pub ratio: Option<Spread>,
}
