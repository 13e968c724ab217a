//! Concludes: forecast, quality, diagnosis, expectations, comparison. Pure: numbers in, verdict out.

pub mod capacity;
pub mod closed_loop;
pub mod comparison;
pub mod control;
pub mod diagnosis;
pub mod expectations;
pub mod field;
pub mod flat;
pub mod forecast;
mod leak;
mod metric;
mod outside;
mod pool_queue;
pub mod quality;
pub mod recovery;
#[cfg(test)]
pub(crate) mod sample;
pub mod steps;
pub mod watch;

pub use metric::is_known as is_known_metric;
