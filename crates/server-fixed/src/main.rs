//! The cured server: every failure, one file each, named as in `server-broken`.

use std::process::ExitCode;

use clap::Parser;
use service::ServerArgs;

/// Every failure of server-broken, cured: nothing holds a thread while it waits.
#[derive(Parser)]
#[command(version, max_term_width = 80)]
struct Args {
    #[command(flatten)]
    server: ServerArgs,
}

fn main() -> ExitCode {
    let args = Args::parse();
    service::exit(service::run(args.server, server_fixed::routes))
}
