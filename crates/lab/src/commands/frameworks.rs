use std::process::ExitCode;

use super::stdout::print;
use crate::show;
use crate::show::comparison::Format;

/// Flags of the command.
#[derive(clap::Args, Debug)]
pub struct FrameworksArgs {
    /// How to print
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub(super) fn run(args: &FrameworksArgs) -> ExitCode {
    print(&show::frameworks::render(args.format));
    ExitCode::SUCCESS
}
