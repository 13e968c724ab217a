use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;

use super::command_line::command_line;
use super::conclusion::{code, worse};
use super::forecast_text::print_unforecast;
use super::planning;
use super::runtime::runtime;
use super::stdout::print;
use crate::exit::{self, Usage};
use crate::run::{Interrupt, Plan};
use crate::scenario_files;
use crate::show;
use crate::show::progress::Progress;
use verdict::judge::control::{Judged, control};
use verdict::scenario::Scenario;
use verdict::summary::{State, Summary};

/// Flags of the command.
#[derive(clap::Args, Debug)]
pub struct ScenariosArgs {
    /// Only these scenarios [default: every one in scenarios/, or else every one that is built in]
    scenarios: Vec<String>,
    /// How often an invalid cell is measured again before it stands as invalid
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=10))]
    retries: u32,
    /// Where the folders of the runs go
    #[arg(long, value_name = "DIR", default_value = "results/runs")]
    out: PathBuf,
}

/// Every scenario in its short form, and one table of all of them.
pub(super) fn run(args: &ScenariosArgs) -> anyhow::Result<ExitCode> {
    let names = if args.scenarios.is_empty() {
        scenario_files::names()
    } else {
        args.scenarios.clone()
    };
    // All of them are read first: a mistake in the last one must not show after ten minutes.
    let plans = names
        .iter()
        .map(|name| plan(name, args))
        .collect::<anyhow::Result<Vec<_>>>()?;
    for plan in &plans {
        print_unforecast(&plan.scenario, plan.cells.iter());
    }
    let runtime = runtime()?;
    let mut summaries: Vec<(&Scenario, Summary)> = Vec::new();
    let mut worst = 0;
    let mut error = None;
    runtime.block_on(async {
        let interrupt = Interrupt::listen()?;
        for plan in &plans {
            let finished = crate::run::run(plan, &Progress::default(), &interrupt).await?;
            worst = worse(worst, code(&finished));
            summaries.extend(
                finished
                    .summaries
                    .into_iter()
                    .map(|one| (&plan.scenario, one)),
            );
            error = finished.error;
            if finished.state != State::Complete || error.is_some() {
                break;
            }
        }
        anyhow::Ok(())
    })?;
    let judged: Vec<_> = summaries
        .iter()
        .map(|(scenario, summary)| {
            let variants = &mut scenario.variants.iter();
            let variant = variants.find(|variant| variant.name == summary.variant);
            let cells = &mut scenario.quick_cells.iter();
            let cell = cells.find(|cell| cell.name == summary.cell);
            Judged {
                expectations: variant
                    .zip(cell)
                    .map_or(Vec::new(), |(variant, cell)| variant.expectations(cell)),
                summary,
            }
        })
        .collect();
    let controls = control(&judged);
    print(&show::scenarios::render(&judged, &controls));
    if controls.iter().any(|one| one.failed_by.is_none()) {
        // An expectation that nothing can fail proves nothing.
        worst = worse(worst, exit::EXPECTATION);
    }
    match error {
        Some(error) => Err(error.into()),
        None => Ok(ExitCode::from(worst)),
    }
}

fn plan(name: &str, args: &ScenariosArgs) -> anyhow::Result<Plan> {
    let scenario = scenario_files::load(name, &[])?;
    planning::check_metrics(&scenario)?;
    if scenario.quick_cells.is_empty() {
        bail!(Usage(format!(
            "scenario {name} has no short form: mark a cell as quick, or add [quick]"
        )));
    }
    let variants = planning::with_a_cell(&scenario.variants, &scenario.quick_cells);
    Ok(Plan {
        reach: planning::reach_of(&scenario.quick_cells, print)?,
        calibration: planning::calibration(&scenario.quick_cells, &variants),
        variants,
        cells: scenario.quick_cells.clone(),
        repeats: 1,
        retries: args.retries,
        out: args.out.clone(),
        command: command_line(),
        scenario,
    })
}
