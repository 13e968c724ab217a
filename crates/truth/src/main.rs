//! How often the verdict on a target is right, over services of which the truth is known.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;
use truth::matrix::{Judged, run};
use truth::show;

/// Draws services of which the truth is known, and counts how often the verdict is right
#[derive(Parser, Debug)]
struct Args {
    /// How many services
    #[arg(long, default_value_t = 1_000)]
    draws: u64,
    /// Of the series
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Threads
    #[arg(long, default_value_t = 2)]
    threads: u64,
    /// How many of the worst are printed
    #[arg(long, default_value_t = 10)]
    worst: usize,
    /// Only this draw, with its steps, what was seen in them and the verdict
    #[arg(long, value_name = "N")]
    draw: Option<u64>,
    /// The table of the ranges that are drawn from, as docs/truth.md has it
    #[arg(long)]
    ranges: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let text = if args.ranges {
        show::ranges()
    } else if let Some(number) = args.draw {
        let (judged, draw, driven) = Judged::of(args.seed, number)?;
        format!("{}\n{}", judged.line(), show::run(&draw, &driven))
    } else {
        run(args.seed, 0..args.draws, args.threads.max(1))?.render(args.worst)
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
