use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;

use super::command_line::command_line;
use super::compare::Gathered;
use super::conclusion::{conclude, drive};
use super::keys::told_in_keys;
use super::stdout::print;
use super::{forecast_text, planning};
use crate::exit::Usage;
use crate::run::Plan;
use crate::scenario_files;
use crate::show;
use crate::show::comparison::Format;
use verdict::scenario::{Scenario, Variant};
use verdict::summary::{State, Summary};

/// Flags of the command.
#[derive(clap::Args, Debug)]
pub struct RunArgs {
    /// Path of a scenario file, name of one in scenarios/, or name of one that is built in
    scenario: String,
    /// Run only this variant; may be given several times [default: all]
    #[arg(long, value_name = "V")]
    variant: Vec<String>,
    /// Run only this cell; may be given several times
    #[arg(long, value_name = "CELL", conflicts_with = "quick")]
    cell: Vec<String>,
    /// Run the short form of the scenario: the cells that it marks as quick, or all of them shortened
    #[arg(long)]
    quick: bool,
    /// Run everything this many times, variants in turn
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    repeat: u32,
    /// How often an invalid cell is measured again before it stands as invalid
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=10))]
    retries: u32,
    /// Replace a value of the scenario, for instance server.pool_threads=40
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Where the folders of the runs go
    #[arg(long, value_name = "DIR", default_value = "results/runs")]
    out: PathBuf,
}

pub(super) fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    let scenario = scenario_files::load(&args.scenario, &args.set)?;
    let has_target = scenario.cells.iter().any(|cell| cell.target.is_some());
    run_scenario(scenario, args).map_err(|error| match has_target {
        true => told_in_keys(error),
        false => error,
    })
}

fn run_scenario(scenario: Scenario, args: RunArgs) -> anyhow::Result<ExitCode> {
    let plan = plan(scenario, args)?;
    print_forecasts(&plan);
    let finished = drive(&plan)?;
    let gathered = Gathered::of_folders(&finished.folders)?;
    let is_matrix = gathered.is_matrix(None);
    for summary in &finished.summaries {
        // A matrix has a row for each cell; beside it stands what went wrong.
        if !is_matrix || is_remarkable(summary) {
            print(&show::summary::render(summary));
        }
    }
    print("\n");
    print(&gathered.render(None, Format::Text));
    if is_matrix {
        print("All of a cell: lab compare --cell NAME\n");
    }
    for folder in &finished.folders {
        print(&format!("Saved in {}\n", folder.display()));
    }
    conclude(finished)
}

/// Whether an expectation failed, the measurement is invalid, or the cell did not come to its end.
fn is_remarkable(summary: &Summary) -> bool {
    let failed = summary.expectations.iter().any(|outcome| !outcome.held);
    failed || !summary.quality.valid || summary.state != State::Complete
}

fn plan(scenario: Scenario, args: RunArgs) -> anyhow::Result<Plan> {
    planning::check_metrics(&scenario)?;
    let variants = select_variants(&scenario, &args.variant)?;
    let cells = if args.cell.is_empty() {
        let mut cells = scenario.quick_cells.clone();
        if !args.quick {
            cells.clone_from(&scenario.cells);
            cells.retain(|cell| !cell.quick);
        }
        if cells.is_empty() {
            bail!(Usage(format!(
                "scenario {} has no cell for this; name one with --cell",
                scenario.name
            )));
        }
        cells
    } else {
        select(&scenario.cells, &args.cell, "cell", |cell| &cell.name)?
    };
    let variants = planning::with_a_cell(&variants, &cells);
    if variants.is_empty() {
        bail!(Usage(format!(
            "no cell of scenario {} is run in variant {}; name one that is, with --cell",
            scenario.name,
            args.variant.join(" or ")
        )));
    }
    Ok(Plan {
        scenario,
        reach: planning::reach_of(&cells, print)?,
        repeats: args.repeat,
        retries: args.retries,
        calibration: planning::calibration(&cells, &variants),
        out: args.out,
        command: command_line(),
        variants,
        cells,
    })
}

/// The variants that are named. Where none is called just `broken` or `fixed`, the word means all whose
/// names begin with it.
fn select_variants(scenario: &Scenario, names: &[String]) -> Result<Vec<Variant>, Usage> {
    let all = &scenario.variants;
    let is_group = |name: &String| {
        matches!(name.as_str(), "broken" | "fixed") && all.iter().all(|one| one.name != *name)
    };
    let (groups, exact): (Vec<_>, Vec<_>) = names.iter().cloned().partition(is_group);
    let of_groups = all
        .iter()
        .filter(|one| groups.iter().any(|group| one.name.starts_with(group)))
        .map(|one| one.name.clone());
    let found: Vec<_> = exact.into_iter().chain(of_groups).collect();
    // A group without members is a name that does not exist.
    let names = if found.is_empty() {
        names.to_vec()
    } else {
        found
    };
    select(all, &names, "variant", |variant| &variant.name)
}

fn select<T: Clone>(
    all: &[T],
    names: &[String],
    what: &str,
    name_of: impl Fn(&T) -> &String,
) -> Result<Vec<T>, Usage> {
    if names.is_empty() {
        return Ok(all.to_vec());
    }
    for name in names {
        if !all.iter().any(|one| name_of(one) == name) {
            let known: Vec<_> = all.iter().map(|one| name_of(one).as_str()).collect();
            return Err(Usage(format!(
                "there is no {what} \"{name}\"; there are {}",
                known.join(", ")
            )));
        }
    }
    Ok(all
        .iter()
        .filter(|one| names.contains(name_of(one)))
        .cloned()
        .collect())
}

fn print_forecasts(plan: &Plan) {
    print(&format!(
        "{}: {}\n",
        plan.scenario.name, plan.scenario.title
    ));
    let cells = plan.cells.iter().map(|cell| (cell, "Before the run, "));
    forecast_text::print_all(&plan.scenario, &plan.variants, &plan.calibration, cells);
    print("\n");
}
