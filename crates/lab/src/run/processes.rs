use std::path::{Path, PathBuf};

use super::cell::Task;
use super::server::Server;
use crate::stage::{Child, Pod, Port, Records, Spec, StageError};

/// The processes of a cell.
pub(super) struct Stage {
    pub upstream: Child,
    /// The second upstream, if the cell has one.
    pub fallback: Option<Child>,
    pub server: Server,
    /// Base URLs of the server, the same after a restart.
    pub listening: String,
    pub gauges: String,
}

/// Starts them: first the upstreams, then the server that is told of them.
pub(super) async fn start(
    task: &Task<'_>,
    folder: &Path,
    records: &Records,
) -> Result<Stage, StageError> {
    let seed = task.scenario.seed;
    let own = &task.cell.upstream;
    let spec = upstream_spec(seed, &own.args, folder.join("upstream.log"));
    let upstream = Child::start(spec, records).await?;
    let fallback = match &own.fallback {
        None => None,
        Some(args) => {
            let spec = upstream_spec(seed, args, folder.join("fallback.log"));
            Some(Child::start(spec, records).await?)
        }
    };
    let parameters = &task.cell.server;
    let (listening, gauges) = (Port::reserve()?, Port::reserve()?);
    let [listen_at, gauges_at] = [&listening, &gauges].map(|port| port.address().to_string());
    let mut args: Vec<String> = [
        ("--listen", listen_at.clone()),
        ("--gauges", gauges_at.clone()),
        ("--upstream", upstream.url("listening")),
        ("--pool-threads", parameters.pool_threads.to_string()),
        // What is left of the load when a cell ends is of no interest any more.
        ("--drain", "500ms".to_owned()),
    ]
    .into_iter()
    .flat_map(|(flag, value)| [flag.to_owned(), value])
    .collect();
    for (flag, value) in [
        (
            "--worker-threads",
            parameters.worker_threads.map(|workers| workers.to_string()),
        ),
        (
            "--runtime",
            parameters.runtime.map(|runtime| runtime.flag().to_owned()),
        ),
        (
            "--max-upstream",
            parameters.max_upstream.map(|limit| limit.to_string()),
        ),
    ] {
        args.extend(value.into_iter().flat_map(|value| [flag.to_owned(), value]));
    }
    if let Some(fallback) = &fallback {
        args.extend(["--fallback".to_owned(), fallback.url("listening")]);
    }
    args.extend(parameters.args.iter().cloned());
    args.extend(task.variant.args.iter().cloned());
    let pod = Pod::start(
        Spec {
            name: task.variant.server.clone(),
            args,
            announces: vec!["listening", "gauges"],
            log: folder.join("server.log"),
        },
        vec![listening, gauges],
        records,
    )
    .await?;
    Ok(Stage {
        upstream,
        fallback,
        server: Server::new(pod),
        listening: format!("http://{listen_at}"),
        gauges: format!("http://{gauges_at}"),
    })
}

/// An upstream on a free port, with further flags.
fn upstream_spec(seed: u64, args: &[String], log: PathBuf) -> Spec {
    let own = ["--listen", "127.0.0.1:0", "--seed"].map(str::to_owned);
    Spec {
        name: "mock-llm".to_owned(),
        args: own
            .into_iter()
            .chain([seed.to_string()])
            .chain(args.iter().cloned())
            .collect(),
        announces: vec!["listening"],
        log,
    }
}
