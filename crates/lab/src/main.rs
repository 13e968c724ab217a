//! Runs thread-exhaustion experiments; see the library for how.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use lab::commands::Command;

/// Makes thread, event-loop and connection exhaustion happen on purpose, measures it and explains it.
///
/// Exit codes: 0 all expectations held; 1 an expectation failed; 2 bad usage or scenario; 3 the
/// measurement is invalid; 4 the environment failed; 130 interrupted.
#[derive(Parser)]
#[command(version, max_term_width = 80)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    let args = Args::try_parse().unwrap_or_else(|error| without_secrets(error).exit());
    args.command.run().unwrap_or_else(|error| {
        let _ = writeln!(std::io::stderr(), "error: {error:#}");
        lab::exit::code_of(&error)
    })
}

/// An argument that was not expected may be a URL without its flag, or half of a header without quotes.
fn without_secrets(mut error: clap::Error) -> clap::Error {
    if let Some(ContextValue::String(given)) = error.get(ContextKind::InvalidArg)
        && error.kind() == ErrorKind::UnknownArgument
        && !given.starts_with('-')
    {
        let shown = verdict::redact::unexpected(given);
        error.insert(ContextKind::InvalidArg, ContextValue::String(shown));
    }
    error
}
