use std::process::ExitCode;

use super::print;
use crate::judge::forecast::forecast;
use crate::{scenario, show};

/// Flags of the command.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Path of a scenario file, or the name of one in scenarios/
    scenario: String,
    /// Replace a value of the scenario, for instance server.pool_threads=40
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let scenario = scenario::load(&args.scenario, &args.set)?;
    print(&format!("{}: {}\n", scenario.name, scenario.title));
    for cell in &scenario.cells {
        for variant in &scenario.variants {
            print(&format!(
                "\n{} / {} / {}:\n",
                scenario.name, cell.name, variant.name
            ));
            print(&show::forecast::before(&forecast(cell, variant.model)));
        }
    }
    Ok(ExitCode::SUCCESS)
}
