use std::process::ExitCode;

use super::stdout::print;
use crate::show;
use crate::show::comparison::Format;

/// Flags of the command.
#[derive(clap::Args, Debug)]
pub struct MetricsArgs {
    /// How to print
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub(super) fn run(args: &MetricsArgs) -> ExitCode {
    print(&show::metrics::render(args.format));
    ExitCode::SUCCESS
}
