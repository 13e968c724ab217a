//! Many cells in one table for each variant: in text for a terminal, and in Markdown.

use super::claims;
use super::comparison::{provenance, value};
use super::grid::Grid;
use verdict::judge::comparison::{
    Entry, Figure, Mark, Overview, OverviewRow, OverviewVariant, Part, Topic,
};
use verdict::metrics::MetricUnit;
use verdict::units::wrapped;

/// The tables for a terminal: what each is called, and which columns it has.
fn parts(topic: Topic) -> &'static [(&'static str, Part)] {
    match topic {
        Topic::Cells => &[("requests", Part::Requests), ("server", Part::Server)],
        Topic::Classes => &[("requests, by class and route", Part::Requests)],
        Topic::Phases => &[("phases of a request", Part::Requests)],
    }
}

/// The legend, as sentences.
fn legend(topic: Topic) -> &'static [&'static str] {
    match topic {
        Topic::Cells => &[
            "req/s, median, mean, p95, unanswered (when the load ended) and failed are of ramp and hold, from when each \
             request was due; forecast and error are of req/s, by simulation.",
            "Little: by how much the row misses X·(R + Z) = N; ! marks more than 15 %: transient or censored.",
            "sync and async: p99 of the health checks in the hold. CPU of one core in the hold; RSS and threads at most.",
            "pending: background tasks at the end of the load; later: at most 60 s later; drain: until none is pending, \
             ~ extrapolated.",
        ],
        Topic::Classes => &["Requests of ramp and hold, from when each was due to its answer."],
        Topic::Phases => &[
            "Phases by the server's own clock, over the whole cell. While a phase other than reading \
             lasts, its thread does nothing else.",
        ],
    }
}

/// For a terminal.
#[must_use]
pub fn text(overview: &Overview) -> String {
    let mut text = String::new();
    for variant in &overview.variants {
        let tables = parts(overview.topic).iter().map(|&(title, part)| {
            let table = grid(overview.topic, variant, part).text("", " ");
            format!("{} / {}: {title}\n{table}", overview.scenario, variant.name)
        });
        text.push_str(&tables.collect::<Vec<_>>().join("\n"));
        let rows = || variant.rows.iter();
        let (held, all) = (
            rows().map(|row| row.held).sum::<usize>(),
            rows().map(|row| row.expectations).sum::<usize>(),
        );
        if overview.topic == Topic::Cells && all > 0 {
            text.push_str(&format!("Expectations: {held} of {all} held.\n"));
        }
        text.push('\n');
    }
    for line in below(overview).chain(claims::sentences(&overview.claims)) {
        text.push_str(&wrapped("", "  ", &line));
    }
    text
}

/// For a document.
#[must_use]
pub fn markdown(overview: &Overview) -> String {
    let tables = overview.variants.iter();
    let mut text: String = tables
        .map(|variant| markdown_grid(overview, variant).markdown() + "\n")
        .collect();
    if !overview.claims.is_empty() {
        text.push_str(&claims::markdown(&overview.claims));
        text.push('\n');
    }
    let lines = below(overview).chain(overview.made_by.iter().map(provenance));
    text + &lines.collect::<Vec<_>>().join("\n\n") + "\n"
}

/// What must be said below the tables.
fn below(overview: &Overview) -> impl Iterator<Item = String> {
    let rows = || overview.variants.iter().flat_map(|variant| &variant.rows);
    let is_bound =
        |entry: &Entry| matches!(entry.figure, Figure::Number(spread) if spread.censored);
    let said = [
        (
            rows().any(|row| row.entries.iter().any(is_bound)),
            "≥ marks a lower bound: a timeout, or the end of the load, cut it off.",
        ),
        (
            rows().any(|row| row.is_invalid),
            "* marks a measurement that is invalid, for want of a valid one.",
        ),
        (
            rows().any(|row| row.runs > 1),
            "Figures are the median of the runs.",
        ),
    ];
    let said = said.into_iter().filter(|(is_so, _)| *is_so);
    let said = said.map(|(_, sentence)| sentence);
    let legend = legend(overview.topic).iter().copied();
    let remarks = overview.remarks.iter();
    let remarks = remarks.map(|remark| format!("Note: {remark}"));
    legend.chain(said).map(str::to_owned).chain(remarks)
}

/// What the rows are called that stand together, and each of them.
fn heading_and_name(topic: Topic, row: &OverviewRow) -> (String, &str) {
    match topic {
        Topic::Cells => (row.path.clone(), &row.cell),
        Topic::Classes => (format!("{}, {}", row.of, row.path), &row.cell),
        Topic::Phases => (row.cell.clone(), &row.of),
    }
}

/// One of the tables for a terminal.
fn grid(topic: Topic, variant: &OverviewVariant, part: Part) -> Grid {
    let entries = |row: &'_ OverviewRow| -> Vec<Entry> {
        let entries = row.entries.iter();
        entries
            .filter(|entry| entry.column.part == Some(part))
            .cloned()
            .collect()
    };
    let corner = if topic == Topic::Cells { "cell" } else { "" };
    let columns = variant.rows.first().map_or(Vec::new(), entries);
    let short = columns.iter().map(|entry| entry.column.short.to_owned());
    let row = |row: &OverviewRow| {
        let (mut heading, name) = heading_and_name(topic, row);
        if topic == Topic::Cells && !row.path.is_empty() {
            let of_path = variant.rows.iter().filter(|other| other.path == row.path);
            let mut diagnoses: Vec<_> = of_path.map(|row| row.diagnosis.as_str()).collect();
            diagnoses.dedup();
            heading = format!("{heading}: {}", diagnoses.join(", "));
        }
        let mark = if row.is_invalid { "*" } else { "" };
        let mut cells = vec![format!("{name}{mark}")];
        cells.extend(entries(row).iter().map(compact));
        (heading, cells)
    };
    Grid {
        header: std::iter::once(corner.to_owned()).chain(short).collect(),
        rows: variant.rows.iter().map(row).collect(),
        left: None,
    }
}

/// A median in as few characters as it takes.
fn compact(entry: &Entry) -> String {
    let Figure::Number(spread) = entry.figure else {
        return "n/a".to_owned();
    };
    let value = spread.median;
    let bound = if spread.censored { "≥" } else { "" };
    let figure = match entry.unit {
        MetricUnit::Percent if entry.column.is_signed => format!("{value:+.0} %"),
        MetricUnit::Percent if value > 0.0 && value < 9.95 => format!("{value:.1} %"),
        MetricUnit::Percent => format!("{value:.0} %"),
        MetricUnit::PerSecond => entry.unit.shown(value).trim_end_matches(" /s").to_owned(),
        MetricUnit::Bytes => format!("{:.0} MiB", value / 1_048_576.0),
        unit => unit.shown(value),
    };
    match entry.mark {
        Some(Mark::Extrapolated) => format!("~{figure}"),
        Some(Mark::TransientOrCensored) => format!("{figure}!"),
        None => format!("{bound}{figure}"),
    }
}

fn markdown_grid(overview: &Overview, variant: &OverviewVariant) -> Grid {
    let topic = overview.topic;
    let mut corner = format!("{} / {}", overview.scenario, variant.name);
    let is_of_cells = topic == Topic::Cells;
    if !is_of_cells {
        corner = format!("{corner}: {}", parts(topic)[0].0);
    }
    let columns = variant.rows.first().map_or(&[][..], |row| &row.entries);
    let mut header = vec![corner];
    header.extend(columns.iter().map(|entry| entry.label.to_owned()));
    let left = is_of_cells.then_some(header.len());
    if is_of_cells {
        header.extend(["diagnosis", "expectations"].map(str::to_owned));
    }
    let row = |row: &OverviewRow| {
        let (heading, name) = heading_and_name(topic, row);
        let mark = match row.is_invalid {
            true if is_of_cells => " (INVALID)",
            true => "*",
            false => "",
        };
        let mut cells = vec![format!("{name}{mark}")];
        cells.extend(row.entries.iter().map(|entry| {
            let figure = value(&entry.figure, entry.unit);
            match entry.mark {
                Some(Mark::Extrapolated) => format!("~ {figure}"),
                Some(Mark::TransientOrCensored) => format!("{figure} (transient or censored)"),
                None => figure,
            }
        }));
        if is_of_cells {
            cells.push(row.diagnosis.clone());
            cells.push(format!("{} of {}", row.held, row.expectations));
        }
        (heading, cells)
    };
    Grid {
        rows: variant.rows.iter().map(row).collect(),
        left,
        header,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{cells, summary};
    use verdict::judge::comparison::overview::overview;
    use verdict::judge::comparison::{CellRuns, Spread};
    use verdict::units::WIDTH;

    /// Figures as wide as they get.
    fn widest() -> Overview {
        const WIDEST: [(&str, f64); 18] = [
            ("req/s", 1_234.0),
            ("forecast", 1_234.0),
            ("error", -100.0),
            ("median", 123_000.0),
            ("mean", 11_800_000.0),
            ("p95", 20_200_000.0),
            ("unanswered", 100.0),
            ("failed", 100.0),
            ("Little", -100.0),
            ("sync p99", 123_000.0),
            ("async p99", 123_000.0),
            ("CPU", 100.0),
            ("RSS", 1e8),
            ("threads", 85.0),
            ("pending", 5_761.0),
            ("later", 5_521.0),
            ("refused", 5_103.0),
            ("drain", 1_448e6),
        ];
        let cells = [CellRuns {
            scenario: "route-matrix".to_owned(),
            cell: "route1-100".to_owned(),
            runs: vec![("broken".to_owned(), vec![summary()])],
        }];
        let mut matrix = overview(&cells, Topic::Cells);
        let row = &mut matrix.variants[0].rows[0];
        (row.held, row.expectations) = (4, 5);
        "/async-route-async-inner-async-bg-async-task".clone_into(&mut row.path);
        "blocking_pool_exhausted".clone_into(&mut row.diagnosis);
        row.is_invalid = true;
        for entry in &mut row.entries {
            let widest = WIDEST.iter().find(|(label, _)| *label == entry.label);
            let Some(&(label, median)) = widest else {
                continue;
            };
            entry.figure = Figure::Number(Spread {
                median,
                min: median,
                max: median,
                censored: entry.unit == MetricUnit::Us,
            });
            entry.mark = match label {
                "drain" => Some(Mark::Extrapolated),
                "Little" => Some(Mark::TransientOrCensored),
                _ => None,
            };
        }
        matrix.remarks.clear();
        matrix
    }

    #[test]
    fn a_matrix_fits_a_terminal_and_says_what_a_row_is_worth() {
        let text = text(&widest());
        let too_wide: Vec<_> = text
            .lines()
            .filter(|line| line.chars().count() > WIDTH)
            .collect();
        assert!(too_wide.is_empty(), "{too_wide:#?}");
        for part in [
            "── /async-route-async-inner-async-bg-async-task: blocking_pool_exhausted ",
            "route1-100* ",
            "-100 %!",
            "~1448 s",
            "≥11.8 s",
            "Expectations: 4 of 5 held.",
            "* marks a measurement that is invalid",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn a_matrix_has_every_column_and_one_heading_for_a_route_in_markdown() {
        let text = markdown(&widest());
        let columns = |line: &str| line.matches('|').count();
        let table: Vec<_> = text.lines().filter(|line| line.starts_with('|')).collect();
        assert_eq!(table.len(), 4);
        assert!(
            table.iter().all(|line| columns(line) == columns(table[0])),
            "{text}"
        );
        assert!(
            table[3].contains("-100.0 % (transient or censored)"),
            "{text}"
        );
        assert!(table[3].contains("| ~ ≥ 1448 s |"), "{text}");
    }

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
