use std::net::ToSocketAddrs;
use std::path::{Path, PathBuf};

use super::preflight;
use super::server::Server;
use super::task::Task;
use crate::measure::{LivePid, command_line, listener};
use crate::stage::{Child, Guarded, Pod, Port, Records, Spec, StageError};
use verdict::frameworks;
use verdict::scenario::Target;
use verdict::summary::FirstLook;

/// The processes of a cell.
#[derive(Default)]
pub(super) struct Stage {
    /// Unless the service is not the lab's own.
    pub upstream: Option<Child>,
    /// The second upstream, if the cell has one.
    pub fallback: Option<Child>,
    /// Unless the service is not the lab's own.
    pub server: Option<Server>,
    /// A service that the lab has started and that is not its own.
    pub guarded: Option<Guarded>,
    /// Base URLs of the server, the same after a restart.
    pub listening: String,
    pub gauges: Option<String>,
    /// Of a target.
    pub first_look: Option<FirstLook>,
    /// It is dropped last, because a process may write there until its end.
    _scratch: Option<Scratch>,
}

impl Stage {
    /// The process number of the service, if it is known.
    pub(super) fn pid(&self, task: &Task<'_>) -> LivePid {
        if let Some(server) = &self.server {
            return server.pid();
        }
        let pid = LivePid::default();
        let target = task.cell.target.as_ref();
        let given = target.and_then(|target| target.pid);
        let started = self.guarded.as_ref().map(Guarded::pid);
        pid.set(given.or(started).or_else(|| found_at(&target?.stream)));
        pid
    }

    /// Ends all of them.
    pub(super) async fn stop(self) {
        if let Some(server) = self.server {
            server.stop().await;
        }
        if let Some(guarded) = self.guarded {
            guarded.stop().await;
        }
        for upstream in self.upstream.into_iter().chain(self.fallback) {
            upstream.stop().await;
        }
    }
}

/// The process of this machine that answers at a URL. One that only passes requests on is left out: its CPU
/// says nothing of the service behind it.
fn found_at(url: &str) -> Option<u32> {
    let url: reqwest::Url = url.parse().ok()?;
    let port = url.port_or_known_default()?;
    let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
    let mut addresses = (host.as_str(), port).to_socket_addrs().ok()?;
    let is_here = addresses.all(|address| address.ip().is_loopback());
    let pid = listener(port).filter(|_| is_here)?;
    let framework = command_line(pid).and_then(|line| frameworks::by_process(&line));
    let passes_on = ["HAProxy", "nginx", "Envoy"];
    let is_service = framework.is_none_or(|one| !passes_on.contains(&one.name));
    is_service.then_some(pid)
}

/// Starts the processes: first the upstreams, then the server, which gets their addresses.
pub(super) async fn start(
    task: &Task<'_>,
    folder: &Path,
    records: &Records,
) -> Result<Stage, StageError> {
    if let Some(target) = &task.cell.target {
        return target_stage(target, task, folder, records).await;
    }
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
    let mut args = crate::stage::flags([
        ("--listen", Some(listen_at.clone())),
        ("--gauges", Some(gauges_at.clone())),
        ("--upstream", Some(upstream.url("listening"))),
        ("--pool-threads", Some(parameters.pool_threads.to_string())),
        // When a cell ends, nobody needs the rest of the load, so the drain is short.
        ("--drain", Some("500ms".to_owned())),
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
        (
            "--fallback",
            fallback.as_ref().map(|fallback| fallback.url("listening")),
        ),
    ]);
    args.extend(parameters.args.iter().cloned());
    args.extend(task.variant.args.iter().cloned());
    let scratch = Scratch::fill_in(&mut args, folder)?;
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
        upstream: Some(upstream),
        fallback,
        server: Some(Server::new(pod)),
        guarded: None,
        listening: format!("http://{listen_at}"),
        gauges: Some(format!("http://{gauges_at}")),
        first_look: None,
        _scratch: scratch,
    })
}

/// Starts a service that is not the lab's own, if there is a command for it.
async fn target_stage(
    target: &Target,
    task: &Task<'_>,
    folder: &Path,
    records: &Records,
) -> Result<Stage, StageError> {
    let mut guarded = None;
    if let Some(command) = &target.command {
        let log = folder.join("server.log");
        guarded = Some(Guarded::start(command, &log, records).await?);
    }
    let reach = (&task.reach, task.cell.probe.timeout);
    let first_look = match preflight::look(target, reach, &mut guarded).await {
        Ok(first_look) => first_look,
        Err(error) => {
            if let Some(guarded) = guarded {
                guarded.stop().await;
            }
            return Err(error);
        }
    };
    Ok(Stage {
        guarded,
        first_look: Some(first_look),
        ..Stage::default()
    })
}

/// An upstream on a free port, with further flags.
fn upstream_spec(seed: u64, args: &[String], log: PathBuf) -> Spec {
    let own = [
        ("--listen", Some("127.0.0.1:0".to_owned())),
        ("--seed", Some(seed.to_string())),
    ];
    Spec {
        name: "mock-llm".to_owned(),
        args: [&crate::stage::flags(own), args].concat(),
        announces: vec!["listening"],
        log,
    }
}

/// A folder for what a server writes and nobody keeps. It is beside the records of its cell, so that it is
/// on the same real disk. Dropping this removes the folder with everything in it.
#[derive(Debug)]
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Placeholder for such a folder in a server's flag, as in `--log-bodies {folder}/bodies.log`.
    const PLACEHOLDER: &str = "{folder}";

    /// Replaces every placeholder by a folder below `folder`. Without a placeholder it makes no folder.
    fn fill_in(args: &mut [String], folder: &Path) -> Result<Option<Self>, StageError> {
        let path = folder.join("scratch");
        let mut scratch = None;
        for arg in args
            .iter_mut()
            .filter(|arg| arg.contains(Self::PLACEHOLDER))
        {
            if scratch.is_none() {
                scratch = Some(Self::create(path.clone())?);
            }
            *arg = arg.replace(Self::PLACEHOLDER, &path.to_string_lossy());
        }
        Ok(scratch)
    }

    fn create(path: PathBuf) -> Result<Self, StageError> {
        std::fs::create_dir_all(&path).map_err(StageError::write(&path))?;
        Ok(Self { path })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // It is gone already, or the disk refuses. Neither is a reason to fail a run.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_is_a_folder_that_goes_with_what_was_written_to_it() {
        let cell = tempfile::tempdir().expect("a folder");
        let flags = |last: &str| ["--x", "1", last].map(str::to_owned);
        let mut args = flags("--log={folder}/a.log");
        let scratch = Scratch::fill_in(&mut args, cell.path()).expect("made");
        let path = cell.path().join("scratch/a.log");
        assert_eq!(args, flags(&format!("--log={}", path.display())));
        std::fs::write(&path, "a body").expect("there is a folder for it");
        drop(scratch);
        let left = || std::fs::read_dir(cell.path()).expect("readable").count();
        assert_eq!(left(), 0);

        let mut none = flags("/dev/null");
        let scratch = Scratch::fill_in(&mut none, cell.path()).expect("nothing to make");
        assert!(scratch.is_none() && none == flags("/dev/null"));
        assert_eq!(left(), 0);
    }
}
