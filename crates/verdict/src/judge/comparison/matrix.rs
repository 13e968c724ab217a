//! Many cells of one closed loop in one table: a row for each cell, instead of a table for each.

use serde::Serialize;

use super::{Chosen, Figure, Provenance, Reported, RowUnit, Spread, choose, claims, made_by};
use crate::metrics::number;
use crate::summary::{Forecast, Little, Loop, Summary};

/// Fewer cells than this are better read one by one.
const LEAST_CELLS: usize = 6;

/// The runs of one cell.
#[derive(Clone, Debug)]
pub struct CellRuns {
    /// Name of the scenario.
    pub scenario: String,
    /// Name of the cell.
    pub cell: String,
    /// For each variant in order, its repeats.
    pub runs: Vec<(String, Vec<Summary>)>,
}

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

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// What it is.
    pub label: &'static str,
    /// Unit of the figure.
    pub unit: RowUnit,
    /// Median and range of the runs.
    pub figure: Figure,
    /// Why the figure is not to be taken as it stands, if so.
    pub mark: Option<Mark>,
}

/// Why a figure is not to be taken as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// It was not waited for.
    Extrapolated,
    /// The row is no steady state, or answers are missing from it.
    TransientOrCensored,
}

/// A column: label, unit, what is read of a run and its class.
type Column = (
    &'static str,
    RowUnit,
    fn(&Summary, &str) -> Option<(f64, bool)>,
);

const COLUMNS: [Column; 20] = [
    ("req/s", RowUnit::PerSecond, |run, class| {
        of_class(run, class, "throughput")
    }),
    ("forecast", RowUnit::PerSecond, |run, _| {
        Some((throughput(run)?.predicted, false))
    }),
    ("error", RowUnit::Percent, |run, _| {
        Some((throughput(run)?.error()?, false))
    }),
    ("median", RowUnit::Us, |run, class| {
        of_class(run, class, "p50")
    }),
    ("mean", RowUnit::Us, |run, class| {
        of_class(run, class, "mean")
    }),
    ("p95", RowUnit::Us, |run, class| of_class(run, class, "p95")),
    ("failed", RowUnit::Percent, |run, class| {
        of_class(run, class, "failed")
    }),
    ("unanswered", RowUnit::Percent, |run, class| {
        of_class(run, class, "unanswered")
    }),
    ("Little", RowUnit::Percent, |run, class| {
        let little = run.phases.load.requests.get(class)?.little.as_ref()?;
        Some((little.error_percent, false))
    }),
    ("sync p99", RowUnit::Us, |run, _| {
        number("health_sync.p99", run)
    }),
    ("async p99", RowUnit::Us, |run, _| {
        number("health_async.p99", run)
    }),
    ("CPU", RowUnit::Percent, |run, _| {
        number("server.cpu_percent", run)
    }),
    ("RSS", RowUnit::Bytes, |run, _| {
        number("server.rss_peak_bytes", run)
    }),
    ("threads", RowUnit::Count, |run, _| {
        number("server.threads_peak", run)
    }),
    ("pending", RowUnit::Count, |run, _| {
        number("background.pending_end", run)
    }),
    ("later", RowUnit::Count, |run, _| {
        number("background.pending_later", run)
    }),
    ("refused", RowUnit::Count, |run, _| {
        number("background.refused", run)
    }),
    ("drain", RowUnit::Us, |run, _| {
        number("background.drain", run)
    }),
    ("forecast of drain", RowUnit::Us, |run, _| {
        Some((row(run, "drain")?.predicted, false))
    }),
    ("largest forecast error", RowUnit::Percent, |run, _| {
        let errors = run.forecast.iter().filter_map(Forecast::error);
        Some((errors.map(f64::abs).max_by(f64::total_cmp)?, false))
    }),
];

fn of_class(run: &Summary, class: &str, field: &str) -> Option<(f64, bool)> {
    number(&format!("requests.{class}.{field}"), run)
}

fn row<'a>(run: &'a Summary, name: &str) -> Option<&'a Forecast> {
    run.forecast.iter().find(|row| row.name == name)
}

fn throughput(run: &Summary) -> Option<&Forecast> {
    row(run, "throughput")
}

/// Whether these cells are best shown as a matrix: there are many, and each has one class of users in
/// a closed loop, the same in all, and no other load.
#[must_use]
pub fn is_matrix(cells: &[CellRuns]) -> bool {
    let mut all = cells
        .iter()
        .flat_map(|cell| &cell.runs)
        .flat_map(|(_, runs)| runs);
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
    let remarks = |(cell, chosen): &(&CellRuns, Chosen<'_>)| {
        let named = chosen
            .remarks
            .iter()
            .map(|remark| format!("{}: {remark}", cell.cell));
        named.collect::<Vec<_>>()
    };
    let used = chosen
        .iter()
        .flat_map(|(_, chosen)| chosen.used.iter().flatten());
    Matrix {
        scenario: cells
            .first()
            .map_or(String::new(), |cell| cell.scenario.clone()),
        variants: names.iter().map(|name| variant(name, &chosen)).collect(),
        claims: chosen
            .iter()
            .flat_map(|(cell, chosen)| claims::claims(&cell.runs, &chosen.used))
            .collect(),
        remarks: chosen.iter().flat_map(remarks).collect(),
        made_by: made_by(used.copied()),
    }
}

fn variant(name: &str, cells: &[(&CellRuns, Chosen<'_>)]) -> MatrixVariant {
    let of_cell = |(cell, chosen): &(&CellRuns, Chosen<'_>)| {
        let at = cell.runs.iter().position(|(variant, _)| variant == name)?;
        matrix_row(&cell.cell, &chosen.used[at], chosen.repeats[at].is_invalid)
    };
    let rows: Vec<_> = cells.iter().filter_map(of_cell).collect();
    MatrixVariant {
        name: name.to_owned(),
        held: rows.iter().map(|row| row.held).sum(),
        expectations: rows.iter().map(|row| row.expectations).sum(),
        rows,
    }
}

fn matrix_row(cell: &str, runs: &[&Summary], is_invalid: bool) -> Option<MatrixRow> {
    let last = runs.last()?;
    let class = class_of(last).unwrap_or_default();
    let mut diagnoses: Vec<_> = runs.iter().map(|run| run.diagnosis.kind.name()).collect();
    diagnoses.sort_unstable();
    diagnoses.dedup();
    let outcomes = || runs.iter().flat_map(|run| &run.expectations);
    let entries = COLUMNS.iter().map(|&(label, unit, read)| {
        let values: Vec<_> = runs.iter().filter_map(|run| read(run, class)).collect();
        Entry {
            label,
            unit,
            figure: Spread::of(&values).map_or(Figure::Missing, Figure::Number),
            mark: mark(label, runs, class),
        }
    });
    Some(MatrixRow {
        cell: cell.to_owned(),
        path: last
            .phases
            .load
            .requests
            .get(class)
            .map_or(String::new(), |class| class.path.clone()),
        runs: runs.len(),
        is_invalid,
        diagnosis: diagnoses.join(" / "),
        held: outcomes().filter(|outcome| outcome.held).count(),
        expectations: outcomes().count(),
        entries: entries.collect(),
    })
}

fn mark(label: &str, runs: &[&Summary], class: &str) -> Option<Mark> {
    match label {
        "drain" => {
            let mut backgrounds = runs.iter().filter_map(|run| run.server.background.as_ref());
            backgrounds
                .any(|background| background.drain_extrapolated)
                .then_some(Mark::Extrapolated)
        }
        "Little" => {
            let classes = runs
                .iter()
                .filter_map(|run| run.phases.load.requests.get(class));
            let mut laws = classes.filter_map(|class| class.little.as_ref());
            laws.any(Little::is_missed)
                .then_some(Mark::TransientOrCensored)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::summary;
    use crate::summary::{Background, RequestFigures};

    fn class(arrivals: &str) -> RequestFigures {
        let text = format!(
            r#"{{"due": 100, "ok": 90, "bad_status": 0, "timeout": 0, "connect_failure": 0, "aborted": 0,
            "not_sent": 0, "timeout_us": 1, "response_us": {empty}, "response_ok_us": {empty}, "service_us": {empty},
            "unanswered": 10, "arrivals": "{arrivals}", "path": "/a", "users": 10, "offered_per_second": null,
            "think_us": 1, "statuses": {{}}, "completed": 90, "throughput_per_second": 9.0,
            "completed_by_second": [], "little": null}}"#,
            empty = serde_json::to_string(&crate::summary::Distribution::default()).expect("JSON"),
        );
        serde_json::from_str(&text).expect("a class")
    }

    fn run(cell: &str, throughput: f64) -> Summary {
        let mut run = summary();
        cell.clone_into(&mut run.cell);
        run.quality.valid = true;
        run.phases.load.streams.started = 0;
        let mut users = class("closed");
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
        open[3].runs[0].1[0].phases.load.requests = [("users".to_owned(), class("open"))].into();
        assert!(!is_matrix(&open));
        let mut two = cells(6);
        let requests = &mut two[0].runs[0].1[0].phases.load.requests;
        requests.insert("more".to_owned(), class("closed"));
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
