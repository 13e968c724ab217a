use std::path::PathBuf;
use std::process::ExitCode;

use super::print;
use crate::exit;
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
    /// Where the folders of the runs are
    #[arg(long, value_name = "DIR", default_value = "results/runs")]
    out: PathBuf,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let folders = if args.runs.is_empty() {
        newest(&args.out, args.scenario.as_deref())?
    } else {
        args.runs.clone()
    };
    let comparisons = of_folders(&folders)?;
    if comparisons.is_empty() {
        eprintln!("these runs have no cell yet");
        return Ok(ExitCode::from(exit::INVALID));
    }
    print(&render(&comparisons, args.format));
    Ok(ExitCode::SUCCESS)
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
