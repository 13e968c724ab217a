//! The command line as it is shown and saved.

use verdict::redact::arguments;

/// The command line as a reader would type it, without what may be a secret.
pub(super) fn command_line() -> String {
    let given: Vec<_> = std::env::args().skip(1).collect();
    let shown = arguments(given.iter().map(String::as_str));
    format!("lab {}", shown.join(" "))
}
