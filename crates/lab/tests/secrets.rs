//! No secret is printed or saved, in whichever way it was given and whatever becomes of the command.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::fake::Fake;
use crate::support::{Bench, stderr, stdout};
use testkit::Nobody;

/// Stands in every secret, also where it is percent-coded.
const MARK: &str = "s3cr3t";

/// Everything that a secret can be in, at a service.
struct Ways {
    stream: String,
    health: String,
    upstream_stats: String,
}

impl Ways {
    fn of(url: impl Fn(&str) -> String, stream: &str) -> Self {
        let with_user = |path: &str| url(path).replace("http://", "http://me:s3cr3t%2DXYZ@");
        Self {
            stream: with_user(&format!(
                "{stream}?api%5Fkey=s3cr3t-1&n=s3cr3t-23&czNjcjN0LVhZWg=="
            )),
            health: with_user("/health?s3cr3t-XYZ&chunks=3"),
            upstream_stats: with_user("/stats?token=s3cr3t") + "#/open",
        }
    }

    fn of_nobody() -> (Nobody, Self) {
        let nobody = Nobody::new();
        let ways = Self::of(|path| nobody.url(path), "/events");
        (nobody, ways)
    }

    fn attach(&self) -> Vec<&str> {
        let urls = ["attach", "--stream", &self.stream, "--health", &self.health];
        let more = [
            "--upstream-stats",
            &self.upstream_stats,
            "--body",
            "body.json",
            "--bearer-env",
            "LAB_TEST_TOKEN",
            "--header",
            "x-api-key: s3cr3t-XYZ",
            "-HCookie: a=s3cr3t-XYZ",
            "-H",
            "accept: text/plain",
            "--streams",
            "1",
            "--for",
            "500ms",
            "--baseline",
            "1s",
            "--settle",
            "1s",
            "--timeout",
            "500ms",
        ];
        urls.into_iter().chain(more).collect()
    }

    fn watch(&self) -> Vec<&str> {
        vec![
            "watch",
            "--sync",
            &self.health,
            "--async",
            &self.stream,
            "--every",
            "100ms",
            "--for",
            "300ms",
            "--timeout",
            "200ms",
            "--bearer-env",
            "LAB_TEST_TOKEN",
            "--header",
            "x-api-key: s3cr3t-XYZ",
        ]
    }

    fn scenario(&self) -> String {
        let Self {
            stream,
            health,
            upstream_stats,
        } = self;
        format!(
            r#"
            schema = 1
            name = "secrets"
            title = "A target with secrets" # s3cr3t-XYZ
            probe = {{ rate = 50, timeout = "500ms" }}
            phases = {{ baseline = "1s", hold = "500ms", recovery = "1s" }}
            [target]
            stream = "{stream}"
            health = "{health}"
            upstream_stats = "{upstream_stats}"
            body = "body.json"
            bearer_env = "LAB_TEST_TOKEN"
            headers = {{ x-api-key = "s3cr3t-XYZ", accept = "text/plain" }}
            command = ["sh", "-c", "exec sleep 60", "serve", "--api-key=s3cr3t-XYZ"]
            settle = "1s"
            [[cell]]
            name = "only"
            steps = [{{ name = "1", streams = 1 }}]
            "#
        )
    }
}

/// Runs the lab and holds what it prints against the mark.
fn run(bench: &Bench, arguments: &[&str], codes: &[i32]) -> String {
    let mut lab = bench.lab(arguments);
    let output = lab
        .env("LAB_TEST_TOKEN", "s3cr3t-XYZ")
        .output()
        .expect("lab runs");
    let text = format!("{}{}", stdout(&output), stderr(&output));
    assert!(!text.contains(MARK), "{arguments:?} prints: {text}");
    let code = output.status.code().unwrap_or(-1);
    assert!(
        codes.contains(&code),
        "{arguments:?} ends with {code}: {text}"
    );
    text
}

fn files_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries.flat_map(|entry| match entry.path() {
        path if path.is_dir() => files_below(&path),
        path => vec![path],
    });
    files.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_printed_or_saved() {
    let fake = Fake::start().await;
    let known = Ways::of(|path| fake.url(path), "/events");
    let refused = Ways::of(|path| fake.url(path), "/nothing");
    let redirected = Ways::of(|path| fake.url(path), "/moved");
    let (_nobody, absent) = Ways::of_nobody();
    let bench = Bench::new(&known.scenario());
    std::fs::write(bench.path().join("body.json"), "{\"key\": \"s3cr3t-XYZ\"}").expect("written");
    let wrong = known.scenario().replace(
        "{ x-api-key = \"s3cr3t-XYZ\", accept = \"text/plain\" }",
        "\"s3cr3t\"",
    );
    std::fs::write(bench.path().join("wrong.toml"), wrong).expect("written");
    let bad = known
        .scenario()
        .replace(&known.stream, "http://me:s3cr3t-XYZ@host:99999/");
    std::fs::write(bench.path().join("bad.toml"), bad).expect("written");

    let done = [0, 1, 3];
    run(&bench, &known.attach(), &done);
    let saved = bench.runs().pop().expect("a run").join("scenario.toml");
    let mode = std::fs::metadata(&saved)
        .expect("there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o077, 0, "{mode:o}");
    let text = std::fs::read_to_string(&saved).expect("readable");
    assert!(
        text.contains("text/plain") && text.contains("chunks=3"),
        "{text}"
    );
    run(&bench, &["compare"], &done);
    run(&bench, &["compare", "--json"], &[0, 1, 2, 3]);
    run(&bench, &[&known.attach()[..], &["--json"]].concat(), &done);
    for ways in [&absent, &refused, &redirected] {
        run(&bench, &ways.attach(), &[4]);
    }
    for ways in [&known, &absent] {
        run(&bench, &ways.watch(), &[0, 1, 4]);
        run(
            &bench,
            &[&ways.watch()[..], &["--json"]].concat(),
            &[0, 1, 4],
        );
    }
    run(
        &bench,
        &[
            "run",
            "short.toml",
            "--set",
            "target.headers.x-key=s3cr3t-XYZ",
        ],
        &done,
    );
    run(
        &bench,
        &[
            "run",
            "short.toml",
            "--set",
            "target.headers.x-key.y=s3cr3t-XYZ",
        ],
        &[2],
    );
    run(&bench, &["run", "wrong.toml"], &[2]);
    run(&bench, &["run", "bad.toml"], &[2]);

    let ok = ["--health", "http://127.0.0.1:1/"];
    for url in [
        "http://me:s3cr3t-XYZ@host:99999/",
        "http://me:pw/s3cr3t-XYZ@host/",
        "http://me:pw?s3cr3t-XYZ@host/",
        "http://me%3As3cr3t-XYZ%40host/",
        "ftp://me:s3cr3t-XYZ@host/",
        "me:s3cr3t-XYZ@host",
    ] {
        run(
            &bench,
            &[&["attach", "--stream", url][..], &ok].concat(),
            &[2, 4],
        );
        run(&bench, &["watch", "--sync", url, "--async", url], &[2, 4]);
        run(
            &bench,
            &[&["attach", url, "--stream", url][..], &ok].concat(),
            &[2],
        );
    }
    for header in [
        "x-api-key s3cr3t-XYZ",
        "x api key: s3cr3t-XYZ",
        "x-api-key: s3cr3t-XYZ\u{7f}",
    ] {
        run(
            &bench,
            &[&known.attach()[..], &["-H", header]].concat(),
            &[2, 4],
        );
        run(
            &bench,
            &[&known.watch()[..], &["-H", header]].concat(),
            &[2, 4],
        );
    }
    run(
        &bench,
        &[&known.attach()[..], &["-H", "x-key:", "s3cr3t-XYZ"]].concat(),
        &[2],
    );
    let mut misnamed = known.attach();
    for argument in &mut misnamed {
        if *argument == "LAB_TEST_TOKEN" {
            *argument = "s3cr3t-XYZ";
        }
    }
    run(&bench, &misnamed, &[4]);

    let files = files_below(&bench.path().join("results"));
    assert!(
        files.iter().any(|file| file.ends_with("latency.hlog")),
        "{files:?}"
    );
    for file in files {
        let bytes = std::fs::read(&file).expect("readable");
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(MARK), "in {}: {text}", file.display());
    }
}
