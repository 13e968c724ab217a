//! The slow, honest upstream, as a process.

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use mock_llm::config::Config;
use mock_llm::socket::Listener;
use service::{Drain, EnvironmentError};

fn main() -> ExitCode {
    let config = Config::parse();
    service::init_log();
    service::exit(start(config))
}

fn start(config: Config) -> anyhow::Result<()> {
    service::lifeline::watch().context("cannot start the lifeline's thread")?;
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = config.worker_threads {
        builder.worker_threads(threads as usize);
    }
    let runtime = builder
        .enable_all()
        .build()
        .map_err(|error| EnvironmentError(format!("cannot start the runtime: {error}")))?;
    runtime.block_on(serve(config))
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let listener = Listener::bind(config.listen, "--listen", config.send_buffer)?
        .with_write_timeout(config.write_timeout);
    let drain = Drain::new(config.drain);
    let signalled = drain.clone();
    tokio::spawn(async move {
        match service::on_signal().await {
            Ok(()) => signalled.begin(),
            Err(error) => {
                tracing::warn!(%error, "signals cannot be heard; a drain is not possible");
            }
        }
    });
    service::announce("listening", listener.address()?);
    mock_llm::run(listener, config, drain).await?;
    Ok(())
}
