use std::process::ExitCode;

/// Flags of the command.
#[derive(clap::Args, Debug)]
pub struct GuardArgs {
    /// The command line
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

pub(super) fn run(args: &GuardArgs) -> anyhow::Result<ExitCode> {
    super::runtime::runtime()?.block_on(crate::stage::guard(&args.command))
}
