use std::time::Duration;

/// Parses a time such as `250ms` or `1m 30s`, for clap.
///
/// # Errors
/// A sentence that shows what a time looks like.
pub fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write a time such as 250ms, 5s or 2m"))
}
