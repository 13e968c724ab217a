//! Prints: tables, a live view, JSON. Knows how things look, decides nothing.

pub mod comparison;
pub mod forecast;
mod format;
pub mod progress;
pub mod summary;

pub use format::{bytes, time};

/// Width of tables where the terminal does not tell.
pub const WIDTH: u16 = 80;
