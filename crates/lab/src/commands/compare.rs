use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};

use super::stdout::print;
use crate::exit::Usage;
use crate::run::{Run, newest};
use crate::show;
use crate::show::comparison::{Format, render};
use verdict::judge::comparison::overview::{has_classes, is_matrix, overview};
use verdict::judge::comparison::{CellRuns, Topic, compare};
use verdict::judge::steps;
use verdict::summary::{State, Summary};

/// Flags of the command.
#[derive(clap::Args, Debug)]
pub struct CompareArgs {
    /// Folders of runs to compare [default: the newest run of each variant]
    runs: Vec<PathBuf>,
    /// Of this scenario [default: that of the newest run]
    #[arg(long, value_name = "NAME", conflicts_with = "runs")]
    scenario: Option<String>,
    /// How to print
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Put the Markdown table between the two "generated" comments of this file instead of printing it
    #[arg(long, value_name = "FILE")]
    into: Option<PathBuf>,
    /// How to lay the cells out [default: a matrix for many cells of one closed loop; classes, phases
    /// and cells for many cells of several classes; else cells, and in JSON always cells]
    #[arg(long, value_enum)]
    table: Option<Layout>,
    /// Only these cells; may be given several times
    #[arg(long, value_name = "CELL")]
    cell: Vec<String>,
    /// Where the folders of the runs are
    #[arg(long, value_name = "DIR", default_value = "results/runs")]
    out: PathBuf,
}

pub(super) fn run(args: &CompareArgs) -> anyhow::Result<ExitCode> {
    let mut runs = args.runs.iter();
    if let Some(other) = runs.find(|run| !run.join("index.json").is_file()) {
        bail!(Usage(format!(
            "{} is not the folder of a run: it has no index.json",
            other.display()
        )));
    }
    let folders = if args.runs.is_empty() {
        newest(&args.out, args.scenario.as_deref())?
    } else {
        args.runs.clone()
    };
    let mut gathered = Gathered::of_folders(&folders)?;
    let is_wanted = |cell: &String| args.cell.is_empty() || args.cell.contains(cell);
    gathered.cells.retain(|cell| is_wanted(&cell.cell));
    if gathered.cells.is_empty() {
        bail!(Usage(
            "these runs have no such cell, or none yet".to_owned()
        ));
    }
    match &args.into {
        Some(file) => replace_generated(file, &gathered.render(args.table, Format::Markdown))?,
        None => print(&gathered.render(args.table, args.format)),
    }
    Ok(ExitCode::SUCCESS)
}

/// Replaces what stands between the comments, so that no figure is ever typed.
fn replace_generated(file: &Path, table: &str) -> anyhow::Result<()> {
    const BEGIN: &str = "<!-- generated";
    const END: &str = "<!-- end generated -->";
    let text =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let bounds = text.find(BEGIN).and_then(|begin| {
        let from = begin + text[begin..].find("-->")? + "-->".len();
        Some((from, from + text[from..].find(END)?))
    });
    let Some((from, to)) = bounds else {
        bail!(Usage(format!(
            "{} has no place for a table: add the lines \"{BEGIN} -->\" and \"{END}\"",
            file.display()
        )));
    };
    let replaced = format!("{}\n\n{table}\n{}", &text[..from], &text[to..]);
    std::fs::write(file, replaced).with_context(|| format!("cannot write {}", file.display()))
}

/// How the cells of a scenario are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Layout {
    /// A table for each cell, with everything that is known of it.
    Cells,
    /// One table with a row for each cell.
    Matrix,
    /// One table with a row for each class of requests of each cell.
    Classes,
    /// One table with a row for each phase that the server times, of each cell.
    Phases,
}

/// The runs in some folders, by cell and variant.
pub(super) struct Gathered {
    cells: Vec<CellRuns>,
    remarks: Vec<String>,
}

impl Gathered {
    /// Reads them, cells in the order in which they were run.
    pub(super) fn of_folders(folders: &[PathBuf]) -> anyhow::Result<Self> {
        let mut cells: Vec<CellRuns> = Vec::new();
        let mut remarks = Vec::new();
        for folder in folders {
            let run = Run::read(folder)?;
            if run.index.state == State::Running {
                let what = if run.is_under_way() {
                    "is still under way"
                } else {
                    "was killed; this is what it had recorded"
                };
                remarks.push(format!("the run in {} {what}.", folder.display()));
            }
            for summary in run.summaries.into_iter().flat_map(each_step) {
                let variant = &run.index.variant;
                let runs = &mut of_cell(&mut cells, &summary).runs;
                match runs.iter_mut().find(|(name, _)| name == variant) {
                    Some((_, summaries)) => summaries.push(summary),
                    None => runs.push((variant.clone(), vec![summary])),
                }
            }
        }
        Ok(Self { cells, remarks })
    }

    /// Whether [`render`](Self::render) shows a matrix.
    pub(super) fn is_matrix(&self, layout: Option<Layout>) -> bool {
        match layout {
            Some(layout) => layout == Layout::Matrix,
            None => is_matrix(&self.cells),
        }
    }

    /// The tables. For programs there is a comparison of each cell, unless another table is asked for.
    pub(super) fn render(&self, layout: Option<Layout>, format: Format) -> String {
        match layout {
            Some(Layout::Matrix) => self.overview(Topic::Cells, format, true),
            Some(Layout::Classes) => self.overview(Topic::Classes, format, true),
            Some(Layout::Phases) => self.overview(Topic::Phases, format, true),
            Some(Layout::Cells) => self.comparisons(format),
            None if format == Format::Json => self.comparisons(format),
            None if is_matrix(&self.cells) => self.overview(Topic::Cells, format, true),
            None if has_classes(&self.cells) => [
                // What must be known of the runs stands with each cell.
                self.overview(Topic::Classes, format, false),
                self.overview(Topic::Phases, format, false),
                self.comparisons(format),
            ]
            .join("\n"),
            None => self.comparisons(format),
        }
    }

    fn overview(&self, topic: Topic, format: Format, stands_alone: bool) -> String {
        let mut overview = overview(&self.cells, topic);
        overview.remarks.extend(self.remarks.iter().cloned());
        if !stands_alone {
            overview.remarks.clear();
            overview.made_by.clear();
        }
        match format {
            Format::Text => show::overview::text(&overview),
            Format::Markdown => show::overview::markdown(&overview),
            Format::Json => show::json(&overview),
        }
    }

    fn comparisons(&self, format: Format) -> String {
        let comparison = |cell| {
            let mut comparison = compare(cell);
            comparison.remarks.extend(self.remarks.iter().cloned());
            comparison
        };
        let comparisons: Vec<_> = self.cells.iter().map(comparison).collect();
        render(&comparisons, format)
    }
}

/// Of a target each step is compared, of anything else the cell.
fn each_step(summary: Summary) -> Vec<Summary> {
    if summary.attach.is_none() || summary.steps.is_empty() {
        return vec![summary];
    }
    let view = |step| {
        let mut view = steps::view(&summary, step);
        view.cell = format!("{} streams", step.name);
        // By the clients' own count, for want of another.
        let served = &mut view.phases.load.streams.served_peak;
        *served = served.or(Some(step.served_at_once));
        view
    };
    summary.steps.iter().map(view).collect()
}

/// The place of the cell that `summary` is of.
fn of_cell<'a>(cells: &'a mut Vec<CellRuns>, summary: &Summary) -> &'a mut CellRuns {
    let is_it = |cell: &CellRuns| cell.scenario == summary.scenario && cell.cell == summary.cell;
    let at = cells.iter().position(is_it).unwrap_or_else(|| {
        cells.push(CellRuns {
            scenario: summary.scenario.clone(),
            cell: summary.cell.clone(),
            runs: Vec::new(),
        });
        cells.len() - 1
    });
    &mut cells[at]
}
