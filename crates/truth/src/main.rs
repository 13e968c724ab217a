//! How often the verdict on a target is right, over services of which the truth is known.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;
use truth::matrix::{Judged, run};
use truth::show;
use truth::twins::{self, Twin};

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
    /// The twins of known services, each in a line
    #[arg(long)]
    twins: bool,
    /// Only this twin, as case:run, with its steps, what was seen in them and the verdict
    #[arg(long, value_name = "NAME")]
    twin: Option<String>,
    /// The table of the ranges that are drawn from, as docs/truth.md has it
    #[arg(long)]
    ranges: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let text = if args.ranges {
        show::ranges()
    } else if args.twins {
        show::twins(args.seed)?
    } else if let Some(name) = args.twin {
        let of_name = |twin: &Twin| format!("{}:{}", twin.name, twin.run).starts_with(&name);
        let twins = twins::all().into_iter().filter(of_name);
        let shown = twins.map(|twin| {
            let driven = twin.drive(args.seed)?;
            let truth = twin.truth.shown();
            let run = show::run(&twin.told, &driven);
            anyhow::Ok(format!("{}:{}, {truth}\n{run}\n", twin.name, twin.run))
        });
        shown.collect::<anyhow::Result<String>>()?
    } else if let Some(number) = args.draw {
        let (judged, draw, driven) = Judged::of(args.seed, number)?;
        format!(
            "{}\n{}\n{}",
            draw.kind.text(),
            judged.line(),
            show::run(&draw.told, &driven)
        )
    } else {
        run(args.seed, 0..args.draws, args.threads.max(1))?.render(args.worst)
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
