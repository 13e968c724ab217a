//! What many cells have in common, in one table across them: a row for each class of requests, or for
//! each phase that a server times.

use serde::Serialize;

use super::{CellRuns, Chosen, Entry, Figure, Provenance, RowUnit, Spread, choose, made_by};
use crate::metrics::number;
use crate::summary::Summary;

/// Fewer cells than this are better read one by one.
const LEAST_CELLS: usize = 6;

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
    let mut runs = cells.iter().flat_map(runs_of);
    cells.len() >= LEAST_CELLS && runs.any(|run| run.phases.load.requests.len() > 1)
}

fn runs_of(cell: &CellRuns) -> impl Iterator<Item = &Summary> {
    cell.runs.iter().flat_map(|(_, runs)| runs)
}

/// The cells of one scenario, in order.
#[must_use]
pub fn overview(cells: &[CellRuns], topic: Topic) -> Overview {
    let chosen: Vec<_> = cells
        .iter()
        .map(|cell| (cell, choose(&cell.runs)))
        .collect();
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in cells.iter().flat_map(|cell| &cell.runs) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let variants = names.into_iter().map(|name| OverviewVariant {
        name: name.to_owned(),
        groups: groups(name, &chosen, topic),
    });
    let remarks = chosen.iter().flat_map(|(cell, chosen)| {
        let named = |remark: &String| format!("{}: {remark}", cell.cell);
        chosen.remarks.iter().map(named)
    });
    let used = chosen.iter().flat_map(|(_, chosen)| chosen.used.iter());
    Overview {
        scenario: cells
            .first()
            .map_or(String::new(), |cell| cell.scenario.clone()),
        topic,
        variants: variants.filter(|one| !one.groups.is_empty()).collect(),
        remarks: remarks.collect(),
        made_by: made_by(used.flatten().copied()),
    }
}

fn groups(variant: &str, cells: &[(&CellRuns, Chosen<'_>)], topic: Topic) -> Vec<OverviewGroup> {
    let mut groups: Vec<OverviewGroup> = Vec::new();
    for (cell, chosen) in cells {
        let Some(at) = cell.runs.iter().position(|(name, _)| name == variant) else {
            continue;
        };
        let rows = match topic {
            Topic::Classes => classes(&cell.cell, &chosen.used[at]),
            Topic::Phases => phases(&cell.cell, &chosen.used[at]),
        };
        for (heading, name, entries) in rows {
            let row = OverviewRow {
                name,
                runs: chosen.used[at].len(),
                is_invalid: chosen.repeats[at].is_invalid,
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
    let Some(last) = runs.last() else {
        return Vec::new();
    };
    let of_class = |(class, figures): (&String, &crate::summary::RequestFigures)| {
        let mut entries = vec![entry("count", RowUnit::Count, runs, &|run| {
            number(&format!("requests.{class}.due"), run)
        })];
        entries.push(entry("min", RowUnit::Us, runs, &|run| {
            let outcomes = &run.phases.load.requests.get(class)?.outcomes;
            Some((outcomes.response_us.min? as f64, outcomes.ok == 0))
        }));
        let others = [
            ("median", "p50"),
            ("mean", "mean"),
            ("p90", "p90"),
            ("p95", "p95"),
            ("p99", "p99"),
            ("max", "max"),
        ];
        entries.extend(others.map(|(label, field)| {
            entry(label, RowUnit::Us, runs, &|run| {
                number(&format!("requests.{class}.{field}"), run)
            })
        }));
        (
            format!("{class}, {}", figures.path),
            cell.to_owned(),
            entries,
        )
    };
    last.phases.load.requests.iter().map(of_class).collect()
}

fn phases(cell: &str, runs: &[&Summary]) -> Vec<NamedRow> {
    let Some(last) = runs.last() else {
        return Vec::new();
    };
    let timings = last.server.timings.iter();
    let timed = timings.filter(|(_, timing)| timing.count > 0);
    let mut names: Vec<_> = timed.map(|(name, _)| name.as_str()).collect();
    names.sort_by_key(|name| {
        PHASES
            .iter()
            .position(|phase| phase == name)
            .unwrap_or(PHASES.len())
    });
    let of_phase = |name: &str| {
        let columns = [
            ("count", "count", RowUnit::Count),
            ("median", "p50", RowUnit::Us),
            ("mean", "mean", RowUnit::Us),
            ("p99", "p99", RowUnit::Us),
            ("max", "max", RowUnit::Us),
        ];
        let entries = columns.map(|(label, field, unit)| {
            entry(label, unit, runs, &|run| {
                number(&format!("timings.{name}.{field}"), run)
            })
        });
        (cell.to_owned(), name.to_owned(), entries.into())
    };
    names.into_iter().map(of_phase).collect()
}

fn entry(
    label: &'static str,
    unit: RowUnit,
    runs: &[&Summary],
    read: &dyn Fn(&Summary) -> Option<(f64, bool)>,
) -> Entry {
    let values: Vec<_> = runs.iter().filter_map(|run| read(run)).collect();
    Entry {
        label,
        unit,
        figure: Spread::of(&values).map_or(Figure::Missing, Figure::Number),
        mark: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
