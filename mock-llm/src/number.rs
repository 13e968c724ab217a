use std::fmt::Display;
use std::str::FromStr;

/// Reads a number from `least` to `most`.
///
/// # Errors
/// A sentence that gives the range.
pub fn number<N: FromStr + PartialOrd + Display>(
    text: &str,
    least: N,
    most: N,
) -> Result<N, String> {
    text.parse()
        .ok()
        .filter(|number| *number >= least && *number <= most)
        .ok_or_else(|| format!("'{text}' is not a number from {least} to {most}"))
}
