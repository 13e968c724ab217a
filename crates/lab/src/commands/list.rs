use std::process::ExitCode;

use super::stdout::print;
use crate::exit::USAGE;
use crate::scenario_files;
use verdict::scenario::Scenario;

pub(super) fn run() -> anyhow::Result<ExitCode> {
    let names = scenario_files::names();
    let mut code = ExitCode::SUCCESS;
    for name in names {
        match scenario_files::load(&name, &[]) {
            Ok(scenario) => print(&line(&scenario)),
            Err(error) => {
                print(&format!("{name:<14} cannot be read: {error}\n"));
                code = ExitCode::from(USAGE);
            }
        }
    }
    Ok(code)
}

fn line(scenario: &Scenario) -> String {
    let variants: Vec<_> = scenario
        .variants
        .iter()
        .map(|variant| variant.name.as_str())
        .collect();
    format!(
        "{:<14} {} ({})\n",
        scenario.name,
        scenario.title,
        variants.join(", ")
    )
}
