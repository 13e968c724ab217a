//! The command line as it is shown and saved.

use crate::reach::redacted_url;

/// The command line as a reader would type it, without what may be a secret: values of headers, and
/// of some parameters of URLs.
pub(super) fn command_line() -> String {
    shown_arguments(std::env::args().skip(1))
}

fn shown_arguments(arguments: impl Iterator<Item = String>) -> String {
    let mut shown = vec!["lab".to_owned()];
    let mut is_header = false;
    for argument in arguments {
        let attached = ["--header=", "-H"]
            .iter()
            .find(|flag| argument.starts_with(**flag) && argument.len() > flag.len());
        shown.push(match attached {
            _ if is_header => without_value(&argument),
            Some(flag) => format!("{flag}{}", without_value(&argument[flag.len()..])),
            None => match argument.find("://") {
                Some(_) => shown_url(&argument),
                None => argument.clone(),
            },
        });
        is_header = !is_header && (argument == "--header" || argument == "-H");
    }
    shown.join(" ")
}

fn without_value(header: &str) -> String {
    let name = header.split(':').next().unwrap_or_default();
    format!("'{name}: …'")
}

/// A URL, perhaps after `--flag=`.
fn shown_url(argument: &str) -> String {
    match argument.split_once('=') {
        Some((flag, url)) if flag.starts_with("--") => format!("{flag}={}", redacted_url(url)),
        _ => redacted_url(argument),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_saved_without_its_secrets() {
        let line = [
            "attach",
            "--header",
            "Authorization: Bearer abc",
            "-HX-Key: abc",
            "--header=Cookie: abc",
            "--stream",
            "http://u:abc@127.0.0.1/x?api_key=abc",
            "--health=http://127.0.0.1/?token=abc",
            "--bearer-env",
            "TOKEN",
        ];
        let shown = shown_arguments(line.into_iter().map(str::to_owned));
        assert!(!shown.contains("abc"), "{shown}");
        assert!(
            shown.contains("--header 'Authorization: …' -H'X-Key: …'"),
            "{shown}"
        );
        assert!(shown.ends_with("--bearer-env TOKEN"), "{shown}");
    }
}
