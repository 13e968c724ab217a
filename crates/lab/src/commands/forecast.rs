use std::process::ExitCode;

use super::stdout::print;
use super::{forecast_text, planning};
use crate::scenario_files;

/// Flags of the command.
#[derive(clap::Args, Debug)]
pub struct ForecastArgs {
    /// Path of a scenario file, name of one in scenarios/, or name of one that is built in
    scenario: String,
    /// Replace a value of the scenario, for instance server.pool_threads=40
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

pub(super) fn run(args: &ForecastArgs) -> anyhow::Result<ExitCode> {
    let scenario = scenario_files::load(&args.scenario, &args.set)?;
    print(&format!("{}: {}\n", scenario.name, scenario.title));
    let cells = scenario.cells.iter().map(|cell| (cell, ""));
    let calibration = planning::calibration(&scenario.cells, &scenario.variants);
    forecast_text::print_all(&scenario, &scenario.variants, &calibration, cells);
    Ok(ExitCode::SUCCESS)
}
