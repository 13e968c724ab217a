//! The table of frameworks, for a reader who looks for a limit.

use super::comparison::Format;
use verdict::frameworks::{FRAMEWORKS, Framework};
use verdict::units::wrapped;

/// Every framework, in the given format.
#[must_use]
pub fn render(format: Format) -> String {
    match format {
        Format::Text => FRAMEWORKS.iter().map(text).collect(),
        Format::Markdown => markdown(),
        // Its keys are strings, so it always serializes.
        Format::Json => serde_json::to_string_pretty(FRAMEWORKS).unwrap_or_default() + "\n",
    }
}

fn text(framework: &Framework) -> String {
    let first = format!("{}\n", framework.name);
    first + &wrapped("  ", "  ", framework.look_for)
}

fn markdown() -> String {
    let mut text =
        "| framework | known by | limit | default | how to see or change it | source |\n\
                    |---|---|---|---|---|---|\n"
            .to_owned();
    for framework in FRAMEWORKS {
        for (index, limit) in framework.limits.iter().enumerate() {
            let (name, known_by) = match index {
                0 => (framework.name, known_by(framework)),
                _ => ("", String::new()),
            };
            let host = limit.source.split('/').nth(2).unwrap_or_default();
            text += &format!(
                "| {name} | {known_by} | {} | {} | {} | [{host}]({}) |\n",
                limit.what, limit.default, limit.change, limit.source
            );
        }
    }
    text
}

/// What the `Server` header and the command line say.
fn known_by(framework: &Framework) -> String {
    let quoted = |words: &[&str]| {
        words
            .iter()
            .map(|word| format!("`{word}`"))
            .collect::<Vec<_>>()
    };
    let mut parts = Vec::new();
    for (label, words) in [
        ("header", framework.server_header),
        ("process", framework.process),
    ] {
        if !words.is_empty() {
            parts.push(format!("{label} {}", quoted(words).join(", ")));
        }
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use verdict::units::WIDTH;

    #[test]
    fn every_framework_is_in_each_format_and_text_fits_a_terminal() {
        let text = render(Format::Text);
        for line in text.lines() {
            assert!(line.chars().count() <= WIDTH, "{line}");
        }
        let (markdown, json) = (render(Format::Markdown), render(Format::Json));
        for framework in FRAMEWORKS {
            assert!(text.contains(framework.look_for), "{}", framework.name);
            assert!(json.contains(framework.look_for), "{}", framework.name);
            for limit in framework.limits {
                assert!(markdown.contains(limit.source), "{}", framework.name);
            }
        }
    }
}
