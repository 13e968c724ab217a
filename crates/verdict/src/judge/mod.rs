//! Concludes: forecast, quality, diagnosis, expectations, comparison. Pure: numbers in, verdict out.

pub mod capacity;
pub mod comparison;
pub mod control;
pub mod diagnosis;
pub mod expectations;
pub mod field;
pub mod flat;
pub mod known;
pub mod quality;
pub mod recovery;
mod rules;
pub mod signs;
pub mod steps;
pub mod watch;

#[cfg(test)]
mod test_steps;
