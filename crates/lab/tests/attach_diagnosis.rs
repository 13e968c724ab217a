//! `lab attach` against the lab's own servers, given URLs only: the right diagnosis, or every candidate
//! and the flag that decides, and then the right one when that flag is given.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crate::support::{Bench, stderr};
use serde_json::Value;
use testkit::Stage;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Streams that last longer than any test.
const STREAM: &str = "/chat/stream?chunks=100000&interval=50ms&ttft=20ms";
/// A stream that ends soon and is asked for again.
const ENDING: &str = "/chat/stream?chunks=2&interval=20ms&ttft=10ms";
const RELAY: &str = "/disconnect/stream?chunks=100000&interval=50ms&ttft=20ms";
const SILENT: &str = "/disconnect/stream?chunks=100000&interval=50ms&ttft=20ms&fault=stall@3";
/// A JSON body whose parsing takes a hundred milliseconds and more.
const BODY: u64 = 25_000_000;

const FIND: &[&str] = &["--find-capacity", "--for", "700ms"];

/// One server, one load, and what is to be found with what is given.
struct Case {
    name: &'static str,
    server: &'static str,
    flags: &'static [&'static str],
    path: &'static str,
    load: &'static [&'static str],
    given: &'static [Given],
    /// What is looked at on request only, because it takes its time.
    more: &'static [Given],
}

/// What is given beside the URLs of health, and what is to be found then.
#[derive(Debug)]
enum Given {
    /// This diagnosis, and this capacity.
    Nothing(&'static str, Option<u64>),
    /// None, but these candidates among others, and the flag that decides.
    Undecided(&'static [&'static str], &'static str),
    /// This family, without `--sync-health`.
    NoSync(&'static str),
    Pid(&'static str),
    UpstreamStats(&'static str, Option<u64>),
}

use Given::{NoSync, Nothing, Pid, Undecided, UpstreamStats};

const LOOP_OR_CPU: &[&str] = &["event_loop_blocked", "cpu_saturated"];

const CASES: &[Case] = &[
    Case {
        name: "stream",
        server: "server-broken",
        flags: &["--pool-threads", "4", "--worker-threads", "2"],
        path: STREAM,
        load: FIND,
        given: &[
            Nothing("blocking_pool_exhausted", Some(4)),
            NoSync("limit_shared_with_health"),
        ],
        more: &[],
    },
    Case {
        name: "stream, fixed",
        server: "server-fixed",
        flags: &["--pool-threads", "4", "--worker-threads", "2"],
        path: STREAM,
        load: &["--find-capacity", "--for", "700ms", "--max-streams", "16"],
        given: &[Nothing("healthy", None)],
        more: &[],
    },
    Case {
        name: "disconnect, no-op close",
        server: "server-broken",
        flags: &[
            "--variant",
            "no-op-close",
            "--max-upstream",
            "2",
            "--worker-threads",
            "2",
        ],
        path: RELAY,
        load: FIND,
        given: &[Nothing("connection_leak", Some(2))],
        more: &[UpstreamStats("connection_leak", Some(2))],
    },
    Case {
        name: "large body",
        server: "server-broken",
        flags: &["--runtime", "single-threaded", "--worker-threads", "1"],
        path: "/ping",
        load: &[
            "--method",
            "POST",
            "--body",
            "body.json",
            "--streams",
            "2",
            "--for",
            "2s",
        ],
        given: &[Pid("event_loop_blocked")],
        more: &[Undecided(LOOP_OR_CPU, "--pid")],
    },
    Case {
        name: "liveness",
        server: "server-broken",
        flags: &["--pool-threads", "4", "--worker-threads", "2"],
        path: "/predict?work=300ms",
        load: &["--method", "POST", "--find-capacity", "--for", "1500ms"],
        given: &[Nothing("blocking_pool_exhausted", Some(4))],
        more: &[],
    },
    Case {
        name: "disconnect, a limit of two",
        server: "server-fixed",
        flags: &["--max-upstream", "2", "--worker-threads", "2"],
        path: RELAY,
        load: FIND,
        given: &[],
        more: &[
            Undecided(&["upstream_limit", "bulkhead_full"], "--upstream-stats"),
            UpstreamStats("upstream_limit", Some(2)),
        ],
    },
    Case {
        name: "route-matrix, a blocked loop",
        server: "server-broken",
        flags: &["--runtime", "single-threaded", "--worker-threads", "1"],
        path: "/async-route-sync-inner-async-bg-async-task?inner=200ms&background=10ms",
        load: &["--streams", "8", "--for", "2s"],
        given: &[],
        more: &[Undecided(LOOP_OR_CPU, "--pid"), Pid("event_loop_blocked")],
    },
    Case {
        name: "large body, fixed",
        server: "server-fixed",
        flags: &[
            "--runtime",
            "single-threaded",
            "--worker-threads",
            "1",
            "--cpu-threads",
            "1",
        ],
        path: "/ping",
        load: &[
            "--method",
            "POST",
            "--body",
            "body.json",
            "--streams",
            "2",
            "--for",
            "2s",
        ],
        given: &[],
        more: &[Nothing("healthy", None)],
    },
    Case {
        name: "liveness, dedicated",
        server: "server-broken",
        flags: &[
            "--variant",
            "dedicated",
            "--pool-threads",
            "4",
            "--worker-threads",
            "2",
        ],
        path: "/predict?work=200ms",
        load: &["--method", "POST", "--streams", "8", "--for", "2s"],
        given: &[],
        more: &[
            UpstreamStats("bulkhead_full", Some(1)),
            Undecided(
                &["bulkhead_full", "upstream_limit", "upstream_slow"],
                "--upstream-stats",
            ),
        ],
    },
    Case {
        name: "liveness, fixed",
        server: "server-fixed",
        flags: &[
            "--pool-threads",
            "4",
            "--queue",
            "4",
            "--worker-threads",
            "2",
        ],
        path: "/predict?work=200ms",
        load: &["--method", "POST", "--streams", "16", "--for", "2s"],
        given: &[],
        more: &[Nothing("healthy", Some(4))],
    },
    Case {
        name: "stream, a client per request",
        server: "server-broken",
        flags: &["--variant", "client-per-request", "--worker-threads", "1"],
        path: ENDING,
        load: &["--streams", "128", "--max-rate", "2000", "--for", "2s"],
        given: &[],
        more: &[Undecided(LOOP_OR_CPU, "--pid"), Pid("event_loop_blocked")],
    },
    Case {
        name: "stream that ends, fixed",
        server: "server-fixed",
        flags: &["--worker-threads", "1"],
        path: ENDING,
        load: &["--streams", "128", "--max-rate", "500", "--for", "2s"],
        given: &[],
        more: &[Nothing("healthy", None)],
    },
    Case {
        name: "stream, per chunk",
        server: "server-broken",
        flags: &[
            "--variant",
            "per-chunk",
            "--pool-threads",
            "4",
            "--worker-threads",
            "2",
        ],
        path: "/chat/stream?chunks=100000&interval=250ms&ttft=20ms",
        load: &["--streams", "40", "--for", "2s"],
        given: &[],
        more: &[Nothing("blocking_pool_exhausted", None)],
    },
    Case {
        name: "route-matrix, fixed",
        server: "server-fixed",
        flags: &[
            "--runtime",
            "single-threaded",
            "--worker-threads",
            "1",
            "--pool-threads",
            "40",
        ],
        path: "/async-route-sync-inner-async-bg-async-task?inner=200ms&background=10ms",
        load: &["--streams", "8", "--for", "2s"],
        given: &[],
        more: &[Nothing("healthy", None)],
    },
    Case {
        name: "disconnect, detached pump",
        server: "server-broken",
        flags: &[
            "--variant",
            "detached-pump",
            "--max-upstream",
            "2",
            "--worker-threads",
            "2",
        ],
        path: RELAY,
        load: FIND,
        given: &[],
        more: &[Nothing("connection_leak", Some(2))],
    },
    Case {
        name: "disconnect, missed",
        server: "server-broken",
        flags: &[
            "--variant",
            "missed-disconnect",
            "--max-upstream",
            "2",
            "--worker-threads",
            "2",
        ],
        path: SILENT,
        load: FIND,
        given: &[],
        more: &[Nothing("connection_leak", Some(2))],
    },
    Case {
        name: "disconnect, unread body",
        server: "server-broken",
        flags: &[
            "--variant",
            "unread-body",
            "--max-upstream",
            "2",
            "--worker-threads",
            "2",
        ],
        path: "/disconnect/v1/chat/completions",
        load: &[
            "--method",
            "POST",
            "--body",
            "chat.json",
            "--header",
            "x-mock-fault: stall@3",
            "--find-capacity",
            "--for",
            "700ms",
        ],
        given: &[],
        more: &[Nothing("connection_leak", Some(2))],
    },
    // Whoever hangs up is let go of. What is missing shows with clients that vanish without a word,
    // which attach does not do to a service that is not its own.
    Case {
        name: "disconnect, no timeout",
        server: "server-broken",
        flags: &[
            "--variant",
            "no-timeout",
            "--max-upstream",
            "2",
            "--worker-threads",
            "2",
        ],
        path: SILENT,
        load: FIND,
        given: &[],
        more: &[
            Undecided(&["upstream_limit"], "--upstream-stats"),
            UpstreamStats("upstream_limit", Some(2)),
        ],
    },
    Case {
        name: "disconnect, zombie",
        server: "server-broken",
        flags: &[
            "--variant",
            "blocking-zombie",
            "--pool-threads",
            "4",
            "--worker-threads",
            "2",
        ],
        path: RELAY,
        load: FIND,
        given: &[],
        more: &[Nothing("blocking_pool_exhausted", Some(4))],
    },
    Case {
        name: "disconnect, fixed",
        server: "server-fixed",
        flags: &["--worker-threads", "2"],
        path: RELAY,
        load: &["--streams", "32", "--for", "2s"],
        given: &[],
        more: &[Nothing("healthy", None), UpstreamStats("healthy", None)],
    },
    Case {
        name: "liveness, inline",
        server: "server-broken",
        flags: &["--variant", "inline", "--worker-threads", "1"],
        path: "/predict?work=200ms",
        load: &["--method", "POST", "--streams", "8", "--for", "2s"],
        given: &[],
        more: &[Undecided(LOOP_OR_CPU, "--pid"), Pid("event_loop_blocked")],
    },
    Case {
        name: "route-matrix, a full pool",
        server: "server-broken",
        flags: &[
            "--runtime",
            "single-threaded",
            "--worker-threads",
            "1",
            "--pool-threads",
            "4",
        ],
        path: "/sync-route-sync-inner-async-bg-async-task?inner=200ms&background=10ms",
        load: &["--streams", "12", "--for", "2s"],
        given: &[],
        more: &[Nothing("blocking_pool_exhausted", Some(4))],
    },
];

/// Runs `lab attach` with health URLs and `more`; the summary.
async fn attach(stage: &Stage, case: &'static Case, more: &[String], no_sync: bool) -> Value {
    let url = |path: &str| stage.url(path);
    let mut args: Vec<String> = ["attach", "--json", "--baseline", "1s", "--timeout", "1s"]
        .map(str::to_owned)
        .to_vec();
    args.extend(["--settle", "3s", "--stream"].map(str::to_owned));
    args.push(url(case.path));
    args.extend(["--async-health".to_owned(), url("/debug/health-async")]);
    args.extend(["--health".to_owned(), url("/health")]);
    if !no_sync {
        args.extend(["--sync-health".to_owned(), url("/debug/health-sync")]);
    }
    args.extend(case.load.iter().map(|&arg| arg.to_owned()));
    args.extend(more.iter().cloned());
    let output = tokio::task::spawn_blocking(move || {
        let bench = Bench::new("");
        write_bodies(bench.path(), case);
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        bench.measure(&args)
    });
    let output = output.await.expect("no panic");
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{}: {error}: {}", case.name, stderr(&output)))
}

fn candidates(summary: &Value) -> Vec<(&str, &str)> {
    let all = summary["diagnosis"]["candidates"]
        .as_array()
        .expect("candidates");
    all.iter()
        .map(|one| {
            (
                one["kind"].as_str().expect("a kind"),
                one["decided_by"].as_str().expect("what decides"),
            )
        })
        .collect()
}

/// What is not as it should be with what is `given`.
async fn look(case: &'static Case, given: &Given) -> Result<(), String> {
    for _ in 0..3 {
        match look_once(case, given).await {
            Err((summary, wrong)) if others_had_the_cores(&summary) => {
                println!("looked again, as others had the cores: {wrong}");
            }
            Err((_, wrong)) => return Err(wrong),
            Ok(()) => return Ok(()),
        }
    }
    Err("others have the cores".to_owned())
}

/// Whether the service waited for a core for a fifth of the time that it wanted to run: of two cores it
/// needs one, and the lab hardly any.
fn others_had_the_cores(summary: &Value) -> bool {
    let steps = summary["steps"].as_array().into_iter().flatten();
    let waited = |step: &Value| step["core_wait_percent"].as_f64();
    steps.filter_map(waited).any(|percent| percent > 20.0)
}

async fn look_once(case: &'static Case, given: &Given) -> Result<(), (Value, String)> {
    // A server of its own each time: what hung up may have left something.
    let stage = Stage::start(case.server, case.flags);
    let found = async |more: &[String], no_sync| attach(&stage, case, more, no_sync).await;
    let (summary, kind, capacity) = match given {
        Nothing(kind, capacity) => (found(&[], false).await, *kind, *capacity),
        Pid(kind) => {
            let pid = stage.server.process.pid().to_string();
            let more = ["--pid".to_owned(), pid];
            (found(&more, false).await, *kind, None)
        }
        UpstreamStats(kind, capacity) => {
            let more = [
                "--upstream-stats".to_owned(),
                stage.upstream_url("/stats#/open"),
            ];
            (found(&more, false).await, *kind, *capacity)
        }
        NoSync(family) => {
            let summary = found(&[], true).await;
            let diagnosis = &summary["diagnosis"];
            let wrong = format!("not {family}: {diagnosis:#}");
            let is_right = diagnosis["family"] == *family;
            return if is_right {
                Ok(())
            } else {
                Err((summary, wrong))
            };
        }
        Undecided(expected, flag) => {
            let summary = found(&[], false).await;
            return is_undecided(&summary, expected, flag).map_err(|wrong| (summary, wrong));
        }
    };
    let diagnosis = &summary["diagnosis"];
    if diagnosis["kind"] != kind {
        let wrong = format!("not {kind}: {diagnosis:#}");
        return Err((summary, wrong));
    }
    let found = diagnosis["inferred_capacity"].as_u64();
    if found != capacity && (capacity.is_some() || kind == "healthy") {
        let wrong = format!("not {capacity:?}: {diagnosis:#}");
        return Err((summary, wrong));
    }
    Ok(())
}

/// Whether there is no diagnosis, these candidates among others, and the flag that decides.
fn is_undecided(summary: &Value, expected: &[&str], flag: &str) -> Result<(), String> {
    if summary["diagnosis"]["kind"] != "undecided" {
        return Err(format!("not undecided: {:#}", summary["diagnosis"]));
    }
    let candidates = candidates(summary);
    for kind in expected {
        if !candidates.iter().any(|(one, _)| one == kind) {
            return Err(format!("{kind} is no candidate: {candidates:?}"));
        }
    }
    if !candidates.iter().any(|(_, by)| by.contains(flag)) {
        return Err(format!("{flag} is not named: {candidates:?}"));
    }
    Ok(())
}

/// Looks at these, so many side by side, and prints a line for each; what is not as it should be is said
/// at the end.
async fn look_at(all: Vec<(&'static Case, &'static Given)>, at_once: usize) -> Vec<String> {
    let places = Arc::new(Semaphore::new(at_once));
    let mut looks = JoinSet::new();
    for (case, given) in all {
        let places = Arc::clone(&places);
        looks.spawn(async move {
            let _place = places.acquire().await;
            let start = Instant::now();
            let seen = look(case, given).await;
            let took = start.elapsed().as_secs();
            println!("{}, {given:?}: {took} s, {seen:?}", case.name);
            seen.err().map(|error| format!("{}: {error}", case.name))
        });
    }
    looks.join_all().await.into_iter().flatten().collect()
}

/// The bodies that a case sends, into the folder that it is run in.
fn write_bodies(folder: &Path, case: &Case) {
    let chat = || {
        let question = "x".repeat(200_000);
        format!(
            r#"{{"model":"any","stream":true,"messages":[{{"role":"user","content":"{question}"}}]}}"#
        )
    };
    for (name, body) in [
        ("body.json", &large_body as &dyn Fn() -> String),
        ("chat.json", &chat),
    ] {
        if case.load.contains(&name) {
            std::fs::write(folder.join(name), body()).expect("written");
        }
    }
}

fn large_body() -> String {
    let mut items = String::new();
    let mut n = 0;
    while (items.len() as u64) < BODY {
        let comma = if n == 0 { "" } else { "," };
        items += &format!(
            r#"{comma}{{"id":{n},"text":"tok{n}","vector":[0.{}]}}"#,
            n % 1000
        );
        n += 1;
    }
    format!(r#"{{"model":"m","items":[{items}]}}"#)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_failure_is_named_or_what_would_decide_and_no_healthy_server_is_accused() {
    let all = CASES.iter();
    let all = all.flat_map(|case| case.given.iter().map(move |given| (case, given)));
    // What computes runs alone; of the others most wait.
    let (computing, waiting) = all.partition(|(case, _)| case.load.contains(&"body.json"));
    let mut wrong = look_at(waiting, 4).await;
    wrong.extend(look_at(computing, 1).await);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// `make verify` runs it, on a machine that does nothing else.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes half an hour: make verify"]
async fn five_times_out_of_five() {
    let mut wrong = Vec::new();
    for _ in 0..5 {
        let all = CASES.iter();
        let given = |case: &'static Case| case.given.iter().chain(case.more);
        let all = all.flat_map(|case| given(case).map(move |given| (case, given)));
        wrong.extend(look_at(all.collect(), 1).await);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const fn of_pool(threads: &'static str) -> Case {
    Case {
        name: threads,
        server: "server-broken",
        flags: &[],
        path: STREAM,
        load: FIND,
        given: &[],
        more: &[],
    }
}

const OF_10: Case = of_pool("10");
const OF_40: Case = of_pool("40");

#[tokio::test(flavor = "multi_thread")]
async fn the_capacity_of_larger_pools_is_exact() {
    tokio::join!(is_exact(&OF_10), is_exact(&OF_40));
}

async fn is_exact(case: &'static Case) {
    let threads = case.name;
    let flags = ["--pool-threads", threads, "--worker-threads", "2"];
    let stage = Stage::start(case.server, &flags);
    let summary = attach(&stage, case, &[], false).await;
    let diagnosis = &summary["diagnosis"];
    assert_eq!(
        diagnosis["kind"], "blocking_pool_exhausted",
        "{diagnosis:#}"
    );
    assert_eq!(diagnosis["inferred_capacity"].to_string(), threads);
    let capacity = &summary["attach"]["capacity"];
    let text = format!("{threads}, seen in 2 of 2 steps");
    assert!(
        capacity["confidence"]
            .as_str()
            .is_some_and(|one| one.starts_with(&text)),
        "{capacity:#}"
    );
}
