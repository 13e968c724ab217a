//! Concludes: forecast, quality, diagnosis, expectations, comparison. Pure: numbers in, verdict out.

pub mod capacity;
pub mod closed_loop;
pub mod comparison;
pub mod control;
pub mod diagnosis;
pub mod expectations;
pub mod field;
pub mod flat;
mod leak;
pub(crate) mod metric;
mod outside;
pub(crate) mod pool_queue;
pub mod quality;
pub mod recovery;
pub mod steps;
pub mod watch;

pub use metric::is_known as is_known_metric;
