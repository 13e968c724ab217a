//! Classes of requests, or phases of them, of many cells in one table: in text for a terminal, and in
//! Markdown.

use super::comparison::{provenance, value};
use super::grid::Grid;
use super::matrix::{compact, row_notes};
use verdict::judge::comparison::{Entry, Overview, OverviewVariant, Topic};
use verdict::units::wrapped;

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
        text.push_str(&grid(variant, String::new(), compact).text("", " "));
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
        let corner = format!(
            "{} / {}: {}",
            overview.scenario,
            variant.name,
            topic(overview)
        );
        let figure = |entry: &Entry| value(&entry.figure, entry.unit);
        text.push_str(&grid(variant, corner, figure).markdown());
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
    let rows: Vec<_> = rows
        .map(|row| (row.entries.as_slice(), row.is_invalid, row.runs))
        .collect();
    row_notes(&rows, &overview.remarks)
}

/// Its rows under the headings of their groups, with figures as `show` has them.
fn grid(variant: &OverviewVariant, corner: String, show: impl Fn(&Entry) -> String) -> Grid {
    let groups = &variant.groups;
    let first = groups.iter().flat_map(|group| &group.rows).next();
    let labels = first.into_iter().flat_map(|row| &row.entries);
    let labels = labels.map(|entry| entry.label.to_owned());
    let rows = groups.iter().flat_map(|group| {
        group.rows.iter().map(|row| {
            let mark = if row.is_invalid { "*" } else { "" };
            let name = std::iter::once(format!("{}{mark}", row.name));
            (
                group.heading.clone(),
                name.chain(row.entries.iter().map(&show)).collect(),
            )
        })
    });
    Grid {
        header: std::iter::once(corner).chain(labels).collect(),
        rows: rows.collect(),
        left: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use verdict::judge::comparison::overview::overview;
    use crate::sample::cells;
    use verdict::units::WIDTH;

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
