use std::io::Write;

/// Prints to standard output. A reader that goes away early, such as `head`, is no error.
pub(super) fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes());
    let _ = stdout.flush();
}
