use std::process::ExitCode;

/// Flags of the command.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The command line
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    super::runtime()?.block_on(crate::stage::guard(&args.command))
}
