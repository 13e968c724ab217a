use std::process::ExitCode;

use super::print;
use crate::exit::Usage;
use crate::scenario;

pub(super) fn run() -> anyhow::Result<ExitCode> {
    let names = scenario::names();
    if names.is_empty() {
        return Err(Usage(
            "there is no folder scenarios/ here: run this in the lab's repository".to_owned(),
        )
        .into());
    }
    for name in names {
        let scenario = scenario::load(&name, &[])?;
        let variants: Vec<_> = scenario
            .variants
            .iter()
            .map(|variant| variant.name.as_str())
            .collect();
        print(&format!(
            "{:<14} {} ({})\n",
            scenario.name,
            scenario.title,
            variants.join(", ")
        ));
    }
    Ok(ExitCode::SUCCESS)
}
