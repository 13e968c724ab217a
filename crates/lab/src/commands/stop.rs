use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use super::stdout::print;
use crate::stage::Records;

/// Flags of the command.
#[derive(clap::Args, Debug)]
pub struct StopArgs {
    /// Where the folders of the runs are
    #[arg(long, value_name = "DIR", default_value = "results/runs")]
    out: PathBuf,
}

pub(super) fn run(args: &StopArgs) -> anyhow::Result<ExitCode> {
    let stopped = Records::below(&args.out)
        .stop_all()
        .with_context(|| format!("cannot read the records in {}", args.out.display()))?;
    let running: Vec<_> = stopped
        .iter()
        .filter(|process| process.was_running)
        .collect();
    if running.is_empty() {
        print("nothing was left running\n");
    }
    for process in running {
        print(&format!("ended {} (pid {})\n", process.name, process.pid));
    }
    Ok(ExitCode::SUCCESS)
}
