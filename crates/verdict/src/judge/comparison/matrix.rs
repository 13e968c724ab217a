//! Many cells of one closed loop in one table: a row for each cell, instead of a table for each.

use std::collections::BTreeSet;

use serde::Serialize;

use super::columns::{Entry, OF_CELLS, entries};
use super::{Across, CellRuns, LEAST_CELLS, Provenance, Reported};
use crate::summary::{Loop, Summary};

/// All cells of a scenario, by variant.
#[derive(Clone, Debug, Serialize)]
pub struct Matrix {
    /// Name of the scenario.
    pub scenario: String,
    /// A table for each variant.
    pub variants: Vec<MatrixVariant>,
    /// What others reported, judged by these runs.
    pub claims: Vec<Reported>,
    /// What a reader must know.
    pub remarks: Vec<String>,
    /// How and where the runs were made, each different way once.
    pub made_by: Vec<Provenance>,
}

/// The cells of one variant.
#[derive(Clone, Debug, Serialize)]
pub struct MatrixVariant {
    /// Its name.
    pub name: String,
    /// A row for each cell.
    pub rows: Vec<MatrixRow>,
    /// Expectations that held in all these runs.
    pub held: usize,
    /// Expectations of all these runs.
    pub expectations: usize,
}

/// One cell.
#[derive(Clone, Debug, Serialize)]
pub struct MatrixRow {
    /// Its name.
    pub cell: String,
    /// The route that is asked.
    pub path: String,
    /// Runs behind the figures.
    pub runs: usize,
    /// Whether what stands there is one invalid run, for want of a valid one.
    pub is_invalid: bool,
    /// The verdicts of its runs, each once.
    pub diagnosis: String,
    /// Expectations that held.
    pub held: usize,
    /// Expectations.
    pub expectations: usize,
    /// In the order of the columns.
    pub entries: Vec<Entry>,
}

/// Whether these cells are best shown as a matrix: there are many, and each has one class of users in
/// a closed loop, the same in all, and no other load.
#[must_use]
pub fn is_matrix(cells: &[CellRuns]) -> bool {
    let mut all = cells.iter().flat_map(CellRuns::summaries);
    let first = all.clone().next().and_then(class_of);
    cells.len() >= LEAST_CELLS && first.is_some() && all.all(|run| class_of(run) == first)
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
pub fn matrix(cells: &[CellRuns]) -> Matrix {
    let across = Across::of(cells);
    let variants = across.variants().into_iter().map(|name| {
        let used = across.of_variant(name);
        let rows: Vec<_> = used
            .filter_map(|(cell, runs, is_invalid)| matrix_row(cell, runs, is_invalid))
            .collect();
        MatrixVariant {
            name: name.to_owned(),
            held: rows.iter().map(|row| row.held).sum(),
            expectations: rows.iter().map(|row| row.expectations).sum(),
            rows,
        }
    });
    Matrix {
        scenario: across.scenario(),
        variants: variants.collect(),
        claims: across.claims(),
        remarks: across.remarks(),
        made_by: across.made_by(),
    }
}

fn matrix_row(cell: &str, runs: &[&Summary], is_invalid: bool) -> Option<MatrixRow> {
    let last = runs.last()?;
    let class = class_of(last).unwrap_or_default();
    let path = last.phases.load.requests.get(class);
    let diagnoses: BTreeSet<_> = runs.iter().map(|run| run.diagnosis.kind.name()).collect();
    let outcomes = || runs.iter().flat_map(|run| &run.expectations);
    Some(MatrixRow {
        cell: cell.to_owned(),
        path: path.map_or(String::new(), |class| class.path.clone()),
        runs: runs.len(),
        is_invalid,
        diagnosis: diagnoses.into_iter().collect::<Vec<_>>().join(" / "),
        held: outcomes().filter(|outcome| outcome.held).count(),
        expectations: outcomes().count(),
        entries: entries(OF_CELLS, ("<class>", class), runs),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::comparison::{Figure, Mark};
    use crate::sample::{self, summary};
    use crate::summary::{Background, RequestFigures};

    fn class(arrivals: Loop) -> RequestFigures {
        RequestFigures {
            arrivals,
            ..sample::class()
        }
    }

    fn run(cell: &str, throughput: f64) -> Summary {
        let mut run = summary();
        cell.clone_into(&mut run.cell);
        run.quality.valid = true;
        run.phases.load.streams.started = 0;
        let mut users = class(Loop::Closed);
        users.throughput_per_second = Some(throughput);
        run.phases.load.requests = [("users".to_owned(), users)].into();
        run
    }

    fn cells(count: usize) -> Vec<CellRuns> {
        (0..count)
            .map(|n| {
                let cell = format!("cell{n}");
                let runs = ["broken", "fixed"].map(|variant| {
                    let runs = vec![run(&cell, 8.0), run(&cell, 10.0), run(&cell, 9.0)];
                    (variant.to_owned(), runs)
                });
                CellRuns {
                    scenario: "sample".to_owned(),
                    cell,
                    runs: runs.into(),
                }
            })
            .collect()
    }

    #[test]
    fn many_cells_of_one_closed_loop_are_a_matrix_and_nothing_else_is() {
        assert!(is_matrix(&cells(6)));
        assert!(!is_matrix(&cells(5)));
        let mut open = cells(6);
        open[3].runs[0].1[0].phases.load.requests =
            [("users".to_owned(), class(Loop::Open))].into();
        assert!(!is_matrix(&open));
        let mut two = cells(6);
        let requests = &mut two[0].runs[0].1[0].phases.load.requests;
        requests.insert("more".to_owned(), class(Loop::Closed));
        assert!(!is_matrix(&two));
        let mut streams = cells(6);
        streams[0].runs[0].1[0].phases.load.streams.started = 1;
        assert!(!is_matrix(&streams));
        assert!(!is_matrix(&[]));
    }

    #[test]
    fn a_row_has_the_median_of_its_runs_and_leaves_invalid_ones_out() {
        let mut cells = cells(6);
        let broken = &mut cells[2].runs[0].1;
        broken[1].quality.valid = false;
        for run in &mut *broken {
            run.server.background = Some(Background {
                drain_us: Some(7),
                drain_extrapolated: true,
                ..Background::default()
            });
        }
        let matrix = matrix(&cells);
        let names: Vec<_> = matrix
            .variants
            .iter()
            .map(|one| one.name.as_str())
            .collect();
        assert_eq!(names, ["broken", "fixed"]);
        let entry = |variant: usize, row: usize, label: &str| {
            let row = &matrix.variants[variant].rows[row];
            let entry = row.entries.iter().find(|entry| entry.label == label);
            entry.expect(label).clone()
        };
        let median = |entry: Entry| match entry.figure {
            Figure::Number(spread) => spread.median,
            other => panic!("{other:?}"),
        };
        assert_eq!(median(entry(1, 2, "req/s")), 9.0);
        assert_eq!(median(entry(0, 2, "req/s")), 8.5);
        assert_eq!(matrix.variants[0].rows[2].runs, 2);
        assert_eq!(entry(0, 2, "drain").mark, Some(Mark::Extrapolated));
        assert_eq!(entry(1, 2, "drain").figure, Figure::Missing);
        assert_eq!(matrix.remarks.len(), 1);
        assert!(matrix.remarks[0].starts_with("cell2: broken, run 1: invalid (left out)"));
    }
}
