//! Concludes: forecast, quality, diagnosis, expectations, comparison. Pure: numbers in, verdict out.

pub mod capacity;
pub mod comparison;
pub mod control;
pub mod diagnosis;
pub mod expectations;
pub mod field;
pub mod flat;
mod leak;
pub(crate) mod metric;
mod outside;
pub mod quality;
pub mod recovery;
pub mod steps;
pub mod watch;

pub use metric::is_known as is_known_metric;
