//! Classes of requests, or phases of them, of many cells in one table: in text for a terminal, and in
//! Markdown.

use super::comparison::{provenance, value};
use super::matrix::{RowNotes, aligned, compact};
use verdict::judge::comparison::{Overview, OverviewRow, OverviewVariant, Topic};
use verdict::units::{WIDTH, wrapped};

/// For a terminal.
#[must_use]
pub fn text(overview: &Overview) -> String {
    let mut text = String::new();
    for variant in &overview.variants {
        text.push_str(&format!(
            "{} / {}: {}\n",
            overview.scenario,
            variant.name,
            topic(overview)
        ));
        text.push_str(&table(variant));
        text.push('\n');
    }
    for line in std::iter::once(legend(overview).to_owned()).chain(notes(overview)) {
        text.push_str(&wrapped("", "  ", &line));
    }
    text
}

/// For a document.
#[must_use]
pub fn markdown(overview: &Overview) -> String {
    let mut text = String::new();
    for variant in &overview.variants {
        text.push_str(&markdown_of(overview, variant));
        text.push('\n');
    }
    let lines: Vec<_> = std::iter::once(legend(overview).to_owned())
        .chain(notes(overview))
        .chain(overview.made_by.iter().map(provenance))
        .collect();
    text + &lines.join("\n\n") + "\n"
}

fn topic(overview: &Overview) -> &'static str {
    match overview.topic {
        Topic::Classes => "requests, by class and route",
        Topic::Phases => "phases of a request",
    }
}

fn legend(overview: &Overview) -> &'static str {
    match overview.topic {
        Topic::Classes => "Requests of ramp and hold, from when each was due to its answer.",
        Topic::Phases => {
            "Phases by the server's own clock, over the whole cell. While a phase other than reading \
             lasts, its thread does nothing else."
        }
    }
}

fn notes(overview: &Overview) -> Vec<String> {
    let groups = overview.variants.iter().flat_map(|variant| &variant.groups);
    let rows = groups.flat_map(|group| &group.rows);
    RowNotes::of(rows.map(|row| (row.entries.as_slice(), row.is_invalid, row.runs)))
        .sentences(&overview.remarks)
}

fn name(row: &OverviewRow) -> String {
    let mark = if row.is_invalid { "*" } else { "" };
    format!("{}{mark}", row.name)
}

fn labels(variant: &OverviewVariant) -> Vec<&'static str> {
    let rows = variant.groups.iter().flat_map(|group| &group.rows);
    rows.take(1)
        .flat_map(|row| row.entries.iter().map(|entry| entry.label))
        .collect()
}

fn table(variant: &OverviewVariant) -> String {
    let header =
        std::iter::once(String::new()).chain(labels(variant).into_iter().map(str::to_owned));
    let mut lines: Vec<Vec<String>> = vec![header.collect()];
    for row in variant.groups.iter().flat_map(|group| &group.rows) {
        let figures = row.entries.iter().map(compact);
        lines.push(std::iter::once(name(row)).chain(figures).collect());
    }
    let mut lines = aligned(&lines).into_iter();
    let mut text = lines.next().unwrap_or_default() + "\n";
    for group in &variant.groups {
        let heading = format!("── {} ", group.heading);
        let rule = WIDTH.saturating_sub(heading.chars().count());
        text.push_str(&format!("{heading}{}\n", "─".repeat(rule)));
        for line in lines.by_ref().take(group.rows.len()) {
            text.push_str(&line);
            text.push('\n');
        }
    }
    text
}

fn markdown_of(overview: &Overview, variant: &OverviewVariant) -> String {
    let labels = labels(variant);
    let mut text = format!(
        "| {} / {}: {} | {} |\n|---|{}\n",
        overview.scenario,
        variant.name,
        topic(overview),
        labels.join(" | "),
        "---:|".repeat(labels.len())
    );
    for group in &variant.groups {
        let empty = " |".repeat(labels.len());
        text.push_str(&format!("| **{}** |{empty}\n", group.heading));
        for row in &group.rows {
            text.push_str(&format!("| {} |", name(row)));
            for entry in &row.entries {
                text.push_str(&format!(" {} |", value(&entry.figure, entry.unit)));
            }
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use verdict::judge::comparison::overview::overview;
    use verdict::sample::cells;

    #[test]
    fn text_fits_a_terminal_and_markdown_has_every_column() {
        for topic in [Topic::Classes, Topic::Phases] {
            let overview = overview(&cells(), topic);
            let text = text(&overview);
            let too_wide: Vec<_> = text
                .lines()
                .filter(|line| line.chars().count() > WIDTH)
                .collect();
            assert!(too_wide.is_empty(), "{too_wide:#?}");
            let markdown = markdown(&overview);
            let table = markdown.lines().filter(|line| line.starts_with('|'));
            let mut columns: Vec<_> = table.map(|line| line.matches('|').count()).collect();
            columns.dedup();
            assert_eq!(columns.len(), 1, "{markdown}");
        }
    }

    #[test]
    fn a_row_has_every_figure_below_its_heading() {
        let text = text(&overview(&cells(), Topic::Classes));
        let mut lines = text
            .lines()
            .skip_while(|line| !line.starts_with("── small, /pong"));
        assert!(lines.next().is_some(), "{text}");
        let words: Vec<_> = lines.next().expect("a row").split_whitespace().collect();
        assert_eq!(
            words.join(" "),
            "pong-1 500 300 µs 1.30 ms ≥20.0 ms 80.0 ms 120 ms 200 ms ≥10.0 s"
        );
        assert!(text.contains("large-body / fixed: requests"), "{text}");
    }
}
