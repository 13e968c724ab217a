//! What many cells have in common, in one table for each variant: a row for each cell, for each class of
//! requests, or for each phase that a server times.

use std::collections::BTreeSet;

use serde::Serialize;

use super::chosen::{CellRuns, Chosen, choose};
use super::claims::{Reported, claims};
use super::columns::{Entry, OF_CELLS, OF_CLASSES, OF_PHASES, entries};
use super::provenance::{Provenance, made_by};
use crate::summary::{Loop, Summary};

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

/// What there is a row for each of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// Cells with one class of users in a closed loop each: a matrix.
    Cells,
    /// Classes of requests, from when each request was due.
    Classes,
    /// Phases of a request, by the server's own clock.
    Phases,
}

/// One table across cells, for each variant.
#[derive(Clone, Debug, Serialize)]
pub struct Overview {
    /// Name of the scenario.
    pub scenario: String,
    /// What the rows are.
    pub topic: Topic,
    /// A table for each variant that has rows.
    pub variants: Vec<OverviewVariant>,
    /// What others reported of the cells, judged by these runs.
    pub claims: Vec<Reported>,
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
    /// In order.
    pub rows: Vec<OverviewRow>,
}

/// The figures of one cell, of one of its classes, or of one of its phases.
#[derive(Clone, Debug, Serialize)]
pub struct OverviewRow {
    /// Name of the cell.
    pub cell: String,
    /// The class or the phase.
    pub of: String,
    /// The route that is asked; empty for a phase.
    pub path: String,
    /// Runs behind the figures.
    pub runs: usize,
    /// Whether what stands there is one invalid run, for want of a valid one.
    pub is_invalid: bool,
    /// The verdicts of its runs, each once.
    pub diagnosis: String,
    /// Expectations of the cell that held.
    pub held: usize,
    /// Expectations of the cell.
    pub expectations: usize,
    /// In the order of the columns.
    pub entries: Vec<Entry>,
}

/// Whether a row for each cell shows these cells best: there are many, and each has one class of users in
/// a closed loop, the same in all, and no other load.
#[must_use]
pub fn is_matrix(cells: &[CellRuns]) -> bool {
    let first = summaries(cells).next().and_then(class_of);
    cells.len() >= LEAST_CELLS
        && first.is_some()
        && summaries(cells).all(|run| class_of(run) == first)
}

/// Whether rows of classes and of phases are worth having: there are many cells, and some have several
/// classes.
#[must_use]
pub fn has_classes(cells: &[CellRuns]) -> bool {
    cells.len() >= LEAST_CELLS && summaries(cells).any(|run| run.phases.load.requests.len() > 1)
}

fn summaries(cells: &[CellRuns]) -> impl Iterator<Item = &Summary> {
    cells
        .iter()
        .flat_map(|cell| &cell.runs)
        .flat_map(|(_, runs)| runs)
}

/// The name of the only class of a closed loop.
fn class_of(run: &Summary) -> Option<&str> {
    let mut classes = run.phases.load.requests.iter();
    let (Some((name, class)), None) = (classes.next(), classes.next()) else {
        return None;
    };
    let is_alone = run.phases.load.streams.started == 0;
    (is_alone && class.arrivals == Loop::Closed).then_some(name)
}

/// The cells of one scenario, in order.
#[must_use]
pub fn overview(cells: &[CellRuns], topic: Topic) -> Overview {
    let chosen: Vec<_> = cells.iter().flat_map(choose).collect();
    let mut variants: Vec<OverviewVariant> = Vec::new();
    for one in &chosen {
        let rows = rows(one, topic);
        match variants.iter_mut().find(|known| known.name == one.variant) {
            Some(known) => known.rows.extend(rows),
            None => variants.push(OverviewVariant {
                name: one.variant.to_owned(),
                rows,
            }),
        }
    }
    variants.retain(|variant| !variant.rows.is_empty());
    if topic == Topic::Classes {
        for variant in &mut variants {
            // The routes of a class side by side, in the order of their cells.
            let route = |row: &OverviewRow| (row.of.clone(), row.path.clone());
            let routes: Vec<_> = variant.rows.iter().map(route).collect();
            variant.rows.sort_by_key(|row| {
                let first = routes.iter().position(|one| *one == route(row));
                (row.of.clone(), first)
            });
        }
    }
    let remark = |one: &Chosen<'_>| {
        let named = |remark: &String| format!("{}: {remark}", one.cell);
        one.remarks.iter().map(named).collect::<Vec<_>>()
    };
    Overview {
        scenario: cells
            .first()
            .map_or(String::new(), |cell| cell.scenario.clone()),
        topic,
        variants,
        claims: claims(if topic == Topic::Cells { &chosen } else { &[] }),
        remarks: chosen.iter().flat_map(remark).collect(),
        made_by: made_by(&chosen),
    }
}

fn rows(chosen: &Chosen<'_>, topic: Topic) -> Vec<OverviewRow> {
    let Some(last) = chosen.used.last() else {
        return Vec::new();
    };
    let (columns, place) = match topic {
        Topic::Cells => (OF_CELLS, "<class>"),
        Topic::Classes => (OF_CLASSES, "<class>"),
        Topic::Phases => (OF_PHASES, "<part>"),
    };
    let names = match topic {
        Topic::Cells => vec![class_of(last).unwrap_or_default()],
        Topic::Classes => last
            .phases
            .load
            .requests
            .keys()
            .map(String::as_str)
            .collect(),
        Topic::Phases => phases(last),
    };
    let diagnoses = chosen.used.iter().map(|run| run.diagnosis.kind.name());
    let diagnoses: Vec<_> = diagnoses.collect::<BTreeSet<_>>().into_iter().collect();
    let outcomes = || chosen.used.iter().flat_map(|run| &run.expectations);
    let row = |name: &str| {
        let class = last.phases.load.requests.get(name);
        OverviewRow {
            cell: chosen.cell.to_owned(),
            of: name.to_owned(),
            path: class.map_or(String::new(), |class| class.path.clone()),
            runs: chosen.used.len(),
            is_invalid: chosen.repeats.is_invalid,
            diagnosis: diagnoses.join(" / "),
            held: outcomes().filter(|outcome| outcome.held).count(),
            expectations: outcomes().count(),
            entries: entries(columns, (place, name), &chosen.used),
        }
    };
    names.into_iter().map(row).collect()
}

fn phases(run: &Summary) -> Vec<&str> {
    let timed = run
        .server
        .timings
        .iter()
        .filter(|(_, timing)| timing.count > 0);
    let mut names: Vec<_> = timed.map(|(name, _)| name.as_str()).collect();
    names.sort_by_key(|name| {
        let known = PHASES.iter().position(|phase| phase == name);
        known.unwrap_or(PHASES.len())
    });
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::comparison::{Figure, Mark};
    use crate::sample;
    use crate::summary::Background;

    fn median(row: &OverviewRow, label: &str) -> (f64, bool) {
        let entry = row.entries.iter().find(|entry| entry.label == label);
        match entry.expect(label).figure {
            Figure::Number(spread) => (spread.median, spread.censored),
            ref other => panic!("{other:?}"),
        }
    }

    /// Cells of one closed loop each.
    fn closed_loops(count: usize) -> Vec<CellRuns> {
        let run = |cell: &str, throughput: f64| {
            let mut run = sample::summary();
            cell.clone_into(&mut run.cell);
            run.quality.valid = true;
            run.phases.load.streams.started = 0;
            let mut users = sample::class();
            users.arrivals = Loop::Closed;
            users.throughput_per_second = Some(throughput);
            run.phases.load.requests = [("users".to_owned(), users)].into();
            run
        };
        let cell = |n: usize| {
            let cell = format!("cell{n}");
            let runs = ["broken", "fixed"].map(|variant| {
                let runs = [8.0, 10.0, 9.0].map(|throughput| run(&cell, throughput));
                (variant.to_owned(), runs.into())
            });
            CellRuns {
                scenario: "sample".to_owned(),
                cell,
                runs: runs.into(),
            }
        };
        (0..count).map(cell).collect()
    }

    #[test]
    fn many_cells_of_one_closed_loop_are_a_matrix_and_nothing_else_is() {
        assert!(is_matrix(&closed_loops(6)));
        assert!(!is_matrix(&closed_loops(5)));
        let spoiled = |spoil: fn(&mut Summary)| {
            let mut cells = closed_loops(6);
            spoil(&mut cells[3].runs[0].1[0]);
            is_matrix(&cells)
        };
        let open = |run: &mut Summary| {
            run.phases.load.requests = [("users".to_owned(), sample::class())].into();
        };
        assert!(!spoiled(open));
        let two = |run: &mut Summary| {
            let requests = &mut run.phases.load.requests;
            requests.insert("more".to_owned(), requests["users"].clone());
        };
        assert!(!spoiled(two));
        assert!(!spoiled(|run| run.phases.load.streams.started = 1));
        assert!(!is_matrix(&[]));
    }

    #[test]
    fn a_row_has_the_median_of_its_runs_and_leaves_invalid_ones_out() {
        let mut cells = closed_loops(6);
        let broken = &mut cells[2].runs[0].1;
        broken[1].quality.valid = false;
        for run in &mut *broken {
            run.server.background = Some(Background {
                drain_us: Some(7),
                drain_extrapolated: true,
                ..Background::default()
            });
        }
        let matrix = overview(&cells, Topic::Cells);
        let names: Vec<_> = matrix.variants.iter().map(|one| &one.name[..]).collect();
        assert_eq!(names, ["broken", "fixed"]);
        let [broken, fixed] = [0, 1].map(|variant| &matrix.variants[variant].rows[2]);
        assert_eq!(median(fixed, "req/s").0, 9.0);
        assert_eq!(median(broken, "req/s").0, 8.5);
        assert_eq!(broken.runs, 2);
        let drain = |row: &OverviewRow| {
            let mut entries = row.entries.iter();
            entries
                .find(|entry| entry.label == "drain")
                .cloned()
                .expect("there")
        };
        assert_eq!(drain(broken).mark, Some(Mark::Extrapolated));
        assert_eq!(drain(fixed).figure, Figure::Missing);
        assert_eq!(matrix.remarks.len(), 1);
        assert!(matrix.remarks[0].starts_with("cell2: broken, run 1: invalid (left out)"));
    }

    #[test]
    fn classes_stand_by_route_and_then_by_cell() {
        let overview = overview(&sample::cells(), Topic::Classes);
        let rows = &overview.variants[0].rows;
        let mut routes: Vec<_> = rows
            .iter()
            .map(|row| (&row.of[..], &row.path[..]))
            .collect();
        routes.dedup();
        let expected = [
            ("large", "/ping"),
            ("large", "/pong"),
            ("small", "/ping"),
            ("small", "/pong"),
        ];
        assert_eq!(routes, expected);
        let cells: Vec<_> = rows[6..10].iter().map(|row| &row.cell[..]).collect();
        assert_eq!(
            cells,
            ["ping-1", "ping-4-closed", "ping-mt4", "ping-1-logged"]
        );
        let row = &rows[11];
        assert_eq!((row.cell.as_str(), row.runs), ("pong-4", 3));
        assert_eq!(median(row, "count"), (500.0, false));
        assert_eq!(median(row, "min"), (300.0, false));
        assert_eq!(median(row, "median"), (1_300.0, false));
        assert_eq!(median(row, "p99"), (200_000.0, false));
        assert_eq!(median(row, "max"), (10_000_000.0, true));
    }

    #[test]
    fn phases_stand_in_the_order_of_the_work_and_untouched_ones_do_not() {
        let overview = overview(&sample::cells(), Topic::Phases);
        let rows = overview.variants[1].rows.iter();
        let rows: Vec<_> = rows.filter(|row| row.cell == "pong-1").collect();
        let names: Vec<_> = rows.iter().map(|row| &row.of[..]).collect();
        assert_eq!(names, ["read_chunks", "json_parsing", "anything_else"]);
        assert_eq!(median(rows[1], "mean"), (210_000.0, false));
    }

    #[test]
    fn invalid_runs_are_left_out_and_marked_where_there_is_no_other() {
        let mut cells = sample::cells();
        cells[0].runs[0].1[1].quality.valid = false;
        for run in &mut cells[1].runs[0].1 {
            run.quality.valid = false;
        }
        let overview = overview(&cells, Topic::Classes);
        let row = |cell: &str| {
            let mut rows = overview.variants[0].rows.iter();
            let row = rows.find(|row| (&row.cell[..], &row.of[..]) == (cell, "small"));
            row.expect(cell)
        };
        assert_eq!((row("ping-1").runs, row("ping-1").is_invalid), (2, false));
        assert_eq!(median(row("ping-1"), "p99").0, 150_000.0);
        assert_eq!((row("pong-1").runs, row("pong-1").is_invalid), (1, true));
        assert!(overview.remarks[0].starts_with("ping-1: broken"));
    }

    #[test]
    fn rows_of_classes_are_for_many_cells_of_several_classes() {
        assert!(has_classes(&sample::cells()));
        assert!(!has_classes(&sample::cells()[..5]));
        let mut single = sample::cells();
        for run in single.iter_mut().flat_map(|cell| &mut cell.runs) {
            for run in &mut run.1 {
                run.phases.load.requests.remove("large");
            }
        }
        assert!(!has_classes(&single));
    }
}
