//! The broken server: every failure, one file each, named as in `server-fixed`.

use std::process::ExitCode;

use clap::Parser;
use service::ServerArgs;

/// Every failure on purpose: threads are held while they wait.
#[derive(Parser)]
#[command(version, max_term_width = 80)]
struct Args {
    #[command(flatten)]
    server: ServerArgs,
}

fn main() -> ExitCode {
    let args = Args::parse();
    service::exit(service::run(args.server, server_broken::routes))
}
