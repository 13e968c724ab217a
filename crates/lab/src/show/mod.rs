//! Prints: tables, a live view, JSON. Knows how things look, decides nothing.

pub mod attach;
mod claims;
pub mod comparison;
pub mod forecast;
pub mod frameworks;
mod grid;
pub mod metrics;
pub mod overview;
pub mod progress;
pub mod scenarios;
pub mod summary;
pub mod watch;

/// For programs, with a newline at its end.
#[must_use]
pub fn json(value: &(impl serde::Serialize + ?Sized)) -> String {
    // The keys of all that is shown are strings, so it always serializes.
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}
