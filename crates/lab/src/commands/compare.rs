use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use super::print;
use crate::exit::Usage;
use crate::judge::comparison::{Comparison, compare};
use crate::run::{Run, newest};
use crate::show::comparison::{Format, render};
use crate::summary::{State, Summary};

/// Flags of the command.
#[derive(clap::Args, Debug)]
pub struct Args {
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
    /// Only these cells; may be given several times
    #[arg(long, value_name = "CELL")]
    cell: Vec<String>,
    /// Where the folders of the runs are
    #[arg(long, value_name = "DIR", default_value = "results/runs")]
    out: PathBuf,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if let Some(other) = args
        .runs
        .iter()
        .find(|run| !run.join("index.json").is_file())
    {
        let problem = format!(
            "{} is not the folder of a run: it has no index.json",
            other.display()
        );
        return Err(Usage(problem).into());
    }
    let folders = if args.runs.is_empty() {
        newest(&args.out, args.scenario.as_deref())?
    } else {
        args.runs.clone()
    };
    let mut comparisons = of_folders(&folders)?;
    comparisons.retain(|comparison| args.cell.is_empty() || args.cell.contains(&comparison.cell));
    if comparisons.is_empty() {
        let problem = "these runs have no such cell, or none yet".to_owned();
        return Err(Usage(problem).into());
    }
    match &args.into {
        Some(file) => replace_generated(file, &render(&comparisons, Format::Markdown))?,
        None => print(&render(&comparisons, args.format)),
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
        let problem = format!(
            "{} has no place for a table: add the lines \"{BEGIN} -->\" and \"{END}\"",
            file.display()
        );
        return Err(Usage(problem).into());
    };
    let replaced = format!("{}\n\n{table}\n{}", &text[..from], &text[to..]);
    std::fs::write(file, replaced).with_context(|| format!("cannot write {}", file.display()))
}

/// Compares the runs in these folders, cell by cell in the order in which they were run.
pub(super) fn of_folders(folders: &[PathBuf]) -> anyhow::Result<Vec<Comparison>> {
    let mut cells: Vec<(String, String)> = Vec::new();
    let mut variants: Vec<(String, Vec<Summary>)> = Vec::new();
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
        for summary in &run.summaries {
            let cell = (summary.scenario.clone(), summary.cell.clone());
            if !cells.contains(&cell) {
                cells.push(cell);
            }
        }
        match variants
            .iter_mut()
            .find(|(variant, _)| *variant == run.index.variant)
        {
            Some((_, summaries)) => summaries.extend(run.summaries),
            None => variants.push((run.index.variant, run.summaries)),
        }
    }
    let compared = cells.into_iter().map(|(scenario, cell)| {
        let runs: Vec<_> = variants
            .iter()
            .map(|(variant, summaries)| {
                let of_cell = summaries
                    .iter()
                    .filter(|summary| summary.scenario == scenario && summary.cell == cell)
                    .cloned();
                (variant.clone(), of_cell.collect::<Vec<_>>())
            })
            .filter(|(_, summaries)| !summaries.is_empty())
            .collect();
        let mut comparison = compare(&scenario, &cell, &runs);
        comparison.remarks.extend(remarks.iter().cloned());
        comparison
    });
    Ok(compared.collect())
}
