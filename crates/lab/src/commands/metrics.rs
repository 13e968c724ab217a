use std::process::ExitCode;

use super::print;
use crate::show;
use crate::show::comparison::Format;

/// Flags of the command.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// How to print
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub(super) fn run(args: &Args) -> ExitCode {
    print(&show::metrics::render(args.format));
    ExitCode::SUCCESS
}
