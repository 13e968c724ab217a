use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use super::runtime::runtime;
use super::stdout::print;
use crate::exit;
use crate::run::Interrupt;
use crate::stage::{Child, Records, Spec, StageError, flags};

/// Flags of the command.
#[derive(clap::Args, Debug)]
pub struct UpArgs {
    /// Name of the server
    #[arg(value_parser = ["broken", "fixed"])]
    server: String,
    /// Address of the server
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8000")]
    listen: SocketAddr,
    /// Address of the upstream
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:9000")]
    upstream: SocketAddr,
    /// Address of the server's gauges
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8001")]
    gauges: SocketAddr,
    /// Threads of the blocking pool
    #[arg(long, value_name = "N", default_value_t = 4)]
    pool_threads: u32,
    /// Where logs and records go
    #[arg(long, value_name = "DIR", default_value = "results/runs")]
    out: PathBuf,
}

pub(super) fn run(args: UpArgs) -> anyhow::Result<ExitCode> {
    let runtime = runtime()?;
    runtime.block_on(up(args))
}

async fn up(args: UpArgs) -> anyhow::Result<ExitCode> {
    let interrupt = Interrupt::listen()?;
    std::fs::create_dir_all(&args.out).map_err(StageError::write(&args.out))?;
    let records = Records::below(&args.out);
    let mut upstream = Child::start(
        Spec {
            name: "mock-llm".to_owned(),
            args: vec!["--listen".to_owned(), args.upstream.to_string()],
            announces: vec!["listening"],
            log: args.out.join("up-upstream.log"),
        },
        &records,
    )
    .await?;
    let flags = flags([
        ("--listen", Some(args.listen.to_string())),
        ("--gauges", Some(args.gauges.to_string())),
        ("--upstream", Some(upstream.url("listening"))),
        ("--pool-threads", Some(args.pool_threads.to_string())),
        ("--drain", Some("1s".to_owned())),
    ]);
    let mut server = Child::start(
        Spec {
            name: format!("server-{}", args.server),
            args: flags,
            announces: vec!["listening", "gauges"],
            log: args.out.join("up-server.log"),
        },
        &records,
    )
    .await?;
    print(&hints(
        &args,
        &server.url("listening"),
        &server.url("gauges"),
        &upstream.url("listening"),
    ));
    let ended = tokio::select! {
        () = interrupt.requested() => None,
        status = server.wait() => Some(format!("{} ended: {status}", server.name())),
        status = upstream.wait() => Some(format!("{} ended: {status}", upstream.name())),
    };
    server.stop().await;
    upstream.stop().await;
    match ended {
        None => {
            print("\nstopped\n");
            Ok(ExitCode::SUCCESS)
        }
        Some(reason) => {
            eprintln!("error: {reason}");
            Ok(ExitCode::from(exit::ENVIRONMENT))
        }
    }
}

fn hints(args: &UpArgs, server: &str, gauges: &str, upstream: &str) -> String {
    let more = args.pool_threads + 1;
    format!(
        "server-{name} on {server}, {threads} pool threads; upstream on {upstream}; gauges on {gauges}

One stream, as it arrives:
  curl -N '{server}/chat/stream?chunks=20&interval=500ms'
Hold every thread of the pool for a minute, and one stream more:
  for i in $(seq {more}); do curl -sN '{server}/chat/stream?chunks=120&interval=500ms' >/dev/null & done
Then ask for health, sync and async; the first one waits if streams hold threads:
  curl -m 10 -w ' %{{time_total}} s\\n' {server}/debug/health-sync
  curl -m 10 -w ' %{{time_total}} s\\n' {server}/debug/health-async
  curl -m 10 -w ' %{{time_total}} s\\n' {server}/health
What the server and the upstream know:
  curl {gauges}/gauges
  curl {upstream}/stats

Ctrl-C ends both.
",
        name = args.server,
        threads = args.pool_threads,
    )
}
