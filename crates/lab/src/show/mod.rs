//! Prints: tables, a live view, JSON. Knows how things look, decides nothing.

pub mod attach;
mod claims;
pub mod comparison;
pub mod forecast;
pub mod frameworks;
mod grid;
pub mod matrix;
pub mod metrics;
pub mod overview;
pub mod progress;
pub mod scenarios;
pub mod summary;
pub mod watch;
