//! What many cells have in common, in one table across them: a row for each class of requests, or for
//! each phase that a server times.

use serde::Serialize;

use super::columns::{Entry, OF_CLASSES, OF_PHASES, entries};
use super::{Across, CellRuns, LEAST_CELLS, Provenance};
use crate::summary::{RequestFigures, Summary};

/// Phases in the order in which a body goes through them; others follow by name.
const PHASES: [&str; 7] = [
    "ping_read",
    "ping_parse",
    "read_chunks",
    "string_conversion",
    "json_parsing",
    "param_creation",
    "body_log",
];

/// What an overview is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// Classes of requests, from when each request was due.
    Classes,
    /// Phases of a request, by the server's own clock.
    Phases,
}

/// One table across cells, in each variant.
#[derive(Clone, Debug, Serialize)]
pub struct Overview {
    /// Name of the scenario.
    pub scenario: String,
    /// What the rows are.
    pub topic: Topic,
    /// A table for each variant that has rows.
    pub variants: Vec<OverviewVariant>,
    /// What a reader must know.
    pub remarks: Vec<String>,
    /// How and where the runs were made, each different way once.
    pub made_by: Vec<Provenance>,
}

/// The rows of one variant.
#[derive(Clone, Debug, Serialize)]
pub struct OverviewVariant {
    /// Its name.
    pub name: String,
    /// What belongs together: the cells of a class and route, or the phases of a cell.
    pub groups: Vec<OverviewGroup>,
}

/// Rows under one heading.
#[derive(Clone, Debug, Serialize)]
pub struct OverviewGroup {
    /// A class and its route, or a cell.
    pub heading: String,
    /// In order.
    pub rows: Vec<OverviewRow>,
}

/// The figures of one class of a cell, or of one phase.
#[derive(Clone, Debug, Serialize)]
pub struct OverviewRow {
    /// The cell, or the phase.
    pub name: String,
    /// Runs behind the figures.
    pub runs: usize,
    /// Whether what stands there is one invalid run, for want of a valid one.
    pub is_invalid: bool,
    /// In the order of the columns.
    pub entries: Vec<Entry>,
}

/// Whether these cells are worth an overview: there are many, and some have several classes.
#[must_use]
pub fn is_overview(cells: &[CellRuns]) -> bool {
    let mut runs = cells.iter().flat_map(CellRuns::summaries);
    cells.len() >= LEAST_CELLS && runs.any(|run| run.phases.load.requests.len() > 1)
}

/// The cells of one scenario, in order.
#[must_use]
pub fn overview(cells: &[CellRuns], topic: Topic) -> Overview {
    let across = Across::of(cells);
    let variants = across.variants().into_iter().map(|name| OverviewVariant {
        name: name.to_owned(),
        groups: groups(&across, name, topic),
    });
    Overview {
        scenario: across.scenario(),
        topic,
        variants: variants.filter(|one| !one.groups.is_empty()).collect(),
        remarks: across.remarks(),
        made_by: across.made_by(),
    }
}

fn groups(across: &Across<'_>, variant: &str, topic: Topic) -> Vec<OverviewGroup> {
    let mut groups: Vec<OverviewGroup> = Vec::new();
    for (cell, runs, is_invalid) in across.of_variant(variant) {
        let rows = match topic {
            Topic::Classes => classes(cell, runs),
            Topic::Phases => phases(cell, runs),
        };
        for (heading, name, entries) in rows {
            let row = OverviewRow {
                name,
                runs: runs.len(),
                is_invalid,
                entries,
            };
            match groups.iter_mut().find(|group| group.heading == heading) {
                Some(group) => group.rows.push(row),
                None => groups.push(OverviewGroup {
                    heading,
                    rows: vec![row],
                }),
            }
        }
    }
    if topic == Topic::Classes {
        // A class's routes side by side, in the order of their cells.
        groups.sort_by(|a, b| class_of(&a.heading).cmp(class_of(&b.heading)));
    }
    groups
}

fn class_of(heading: &str) -> &str {
    heading.split(',').next().unwrap_or_default()
}

/// A heading, a name below it, and figures.
type NamedRow = (String, String, Vec<Entry>);

fn classes(cell: &str, runs: &[&Summary]) -> Vec<NamedRow> {
    let classes = runs
        .last()
        .into_iter()
        .flat_map(|run| &run.phases.load.requests);
    let row = |(class, figures): (&String, &RequestFigures)| {
        let entries = entries(OF_CLASSES, ("<class>", class), runs);
        (
            format!("{class}, {}", figures.path),
            cell.to_owned(),
            entries,
        )
    };
    classes.map(row).collect()
}

fn phases(cell: &str, runs: &[&Summary]) -> Vec<NamedRow> {
    let timings = runs.last().into_iter().flat_map(|run| &run.server.timings);
    let timed = timings.filter(|(_, timing)| timing.count > 0);
    let mut names: Vec<_> = timed.map(|(name, _)| name.as_str()).collect();
    names.sort_by_key(|name| {
        let known = PHASES.iter().position(|phase| phase == name);
        known.unwrap_or(PHASES.len())
    });
    let row = |name: &str| {
        let entries = entries(OF_PHASES, ("<part>", name), runs);
        (cell.to_owned(), name.to_owned(), entries)
    };
    names.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::comparison::Figure;
    use crate::sample::cells;

    fn median(row: &OverviewRow, label: &str) -> (f64, bool) {
        let entry = row.entries.iter().find(|entry| entry.label == label);
        match entry.expect(label).figure {
            Figure::Number(spread) => (spread.median, spread.censored),
            ref other => panic!("{other:?}"),
        }
    }

    #[test]
    fn classes_stand_by_route_and_then_by_cell() {
        let overview = overview(&cells(), Topic::Classes);
        let broken = &overview.variants[0];
        let headings: Vec<_> = broken
            .groups
            .iter()
            .map(|group| &group.heading[..])
            .collect();
        assert_eq!(
            headings,
            [
                "large, /ping",
                "large, /pong",
                "small, /ping",
                "small, /pong"
            ]
        );
        let rows: Vec<_> = broken.groups[2]
            .rows
            .iter()
            .map(|row| &row.name[..])
            .collect();
        assert_eq!(
            rows,
            ["ping-1", "ping-4-closed", "ping-mt4", "ping-1-logged"]
        );
        let row = &broken.groups[3].rows[1];
        assert_eq!((row.name.as_str(), row.runs), ("pong-4", 3));
        assert_eq!(median(row, "count"), (500.0, false));
        assert_eq!(median(row, "min"), (300.0, false));
        assert_eq!(median(row, "median"), (1_300.0, false));
        assert_eq!(median(row, "p99"), (200_000.0, false));
        assert_eq!(median(row, "max"), (10_000_000.0, true));
    }

    #[test]
    fn phases_stand_in_the_order_of_the_work_and_untouched_ones_do_not() {
        let overview = overview(&cells(), Topic::Phases);
        let group = &overview.variants[1].groups[1];
        assert_eq!(group.heading, "pong-1");
        let rows: Vec<_> = group.rows.iter().map(|row| &row.name[..]).collect();
        assert_eq!(rows, ["read_chunks", "json_parsing", "anything_else"]);
        assert_eq!(median(&group.rows[1], "mean"), (210_000.0, false));
    }

    #[test]
    fn invalid_runs_are_left_out_and_marked_where_there_is_no_other() {
        let mut cells = cells();
        cells[0].runs[0].1[1].quality.valid = false;
        for run in &mut cells[1].runs[0].1 {
            run.quality.valid = false;
        }
        let overview = overview(&cells, Topic::Classes);
        let rows = |group: usize| &overview.variants[0].groups[group].rows[0];
        assert_eq!((rows(2).runs, rows(2).is_invalid), (2, false));
        assert_eq!(median(rows(2), "p99").0, 150_000.0);
        assert_eq!((rows(3).runs, rows(3).is_invalid), (1, true));
        assert!(overview.remarks[0].starts_with("ping-1: broken"));
    }

    #[test]
    fn an_overview_is_for_many_cells_of_several_classes() {
        assert!(is_overview(&cells()));
        assert!(!is_overview(&cells()[..5]));
        let mut single = cells();
        for run in single.iter_mut().flat_map(|cell| &mut cell.runs) {
            for run in &mut run.1 {
                run.phases.load.requests.remove("large");
            }
        }
        assert!(!is_overview(&single));
    }
}
