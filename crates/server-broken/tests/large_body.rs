//! Large bodies at the broken server, over real sockets: it does what it should, and it fails as it
//! should.

use std::time::{Duration, Instant};

use testkit::bodies::{SMALL, announce, body, longest_pause, waits_behind_a_costly_one};
use testkit::{Client, Request, Server};
use tokio::task::JoinSet;

use crate::{SERVER, start};

const VARIANTS: [&str; 2] = ["", "--variant typed"];

#[tokio::test(flavor = "multi_thread")]
async fn every_part_of_a_body_counts_and_unknown_keys_do_not() {
    for variant in VARIANTS {
        let server = start(variant);
        let odd = r#"{"user":"x","items":[{"vector":[1,2.5e-3],"id":1,"text":"zwölf\n","more":[{}]}],"model":"q"}"#;
        for path in ["/ping", "/pong"] {
            let answer = server.post(path, odd.as_bytes()).await;
            let expected = r#"{"model":"q","items":1,"text_bytes":7,"numbers":2}"#;
            assert_eq!(
                (answer.status, answer.body.as_str()),
                (200, expected),
                "{path}"
            );

            let large = server.post(path, &body(1 << 20)).await.json();
            let items = large["items"].as_u64().expect("a number");
            assert!(items > 100, "{large}");
            assert_eq!(large["numbers"], items * 1000, "{path}");
        }
        let timings = server.gauge("timings").await;
        for phase in ["read_chunks", "string_conversion", "json_parsing"] {
            assert_eq!(timings[phase]["count"], 1, "{timings}");
        }
        let makes_a_tree = variant.is_empty();
        let of_trees = timings["param_creation"]["count"].as_u64();
        assert_eq!(of_trees, makes_a_tree.then_some(1), "{timings}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_json_is_a_400_with_a_sentence() {
    for variant in VARIANTS {
        let server = start(variant);
        let wrong_shape = br#"{"model":"m","items":[{"id":-1,"text":"","vector":[]}]}"#;
        for path in ["/ping", "/pong"] {
            let mut client = server.connect().await;
            for bad in [&b"{"[..], b"", b"\xff\xfe", wrong_shape] {
                client.send(&Request::post(path, bad)).await;
                let answer = client.answer().await;
                assert_eq!(answer.status, 400, "{path}: {}", answer.body);
                let message = answer.message();
                let expected = "the request body cannot be used: ";
                assert!(message.starts_with(expected), "{path}: {message}");
            }
            client.send(&Request::post(path, SMALL)).await;
            assert_eq!(client.answer().await.status, 200);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_larger_than_anyone_should_send_is_refused_here_too() {
    let server = start("");
    let mut client = server.connect().await;
    client.send(&announce("/ping", (64 << 20) + 1)).await;
    assert_eq!(client.answer().await.status, 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn small_requests_wait_while_a_large_body_is_parsed() {
    for variant in VARIANTS {
        let server = start(&format!(
            "--runtime single-threaded --worker-threads 1 {variant}"
        ));
        let pause = longest_pause(&server, &body(8 << 20), 7).await;
        assert!(
            pause > 0.4,
            "no small answer for only {pause:.2} of its time"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_single_threaded_runtimes_answer_meanwhile() {
    let server = start("--runtime single-threaded --worker-threads 3");
    let pause = longest_pause(&server, &body(8 << 20), 7).await;
    assert!(pause < 0.4, "no small answer for {pause:.2} of its time");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_written_before_the_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bodies.log");
    let server = Server::start(SERVER, &["--log-bodies", path.to_str().expect("text")]);
    for bytes in [&body(1 << 20)[..], SMALL] {
        assert_eq!(server.post("/pong", bytes).await.status, 200);
        let text = std::fs::read_to_string(&path).expect("text");
        let json = std::str::from_utf8(bytes).expect("text");
        assert!(text.ends_with(&format!("{json}\n")) && text.lines().count() == 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn four_workers_of_one_runtime_wait_for_the_one_that_blocks_and_four_runtimes_do_not() {
    let waits = async |kind: &str, workers: &str| {
        let server = start(&format!("--runtime {kind} --worker-threads {workers}"));
        waits_behind_a_costly_one(&server, 9).await
    };
    let one = waits("single-threaded", "1").await;
    let of_one_runtime = waits("multi-thread", "4").await;
    let four_runtimes = waits("single-threaded", "4").await;
    assert!(one >= 8, "one worker made only {one} of 9 wait");
    assert!(of_one_runtime >= 4, "only {of_one_runtime} of 9 waited");
    assert!(four_runtimes <= 2, "{four_runtimes} of 9 waited");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_connection_waits_with_its_worker_and_a_new_one_goes_to_another() {
    let four = "--runtime single-threaded --worker-threads 4";
    // Two connections on each worker: one of the seven others is where the costly one is.
    // Whoever sends late, on a machine that stands still, waits for less.
    let mut tries = Vec::new();
    for _ in 0..3 {
        let kept = waits_beside_a_costly_one(&start(four), true).await;
        tries.push(kept.iter().filter(|&&waited| waited > 0).count());
        if tries.last() >= Some(&4) {
            break;
        }
    }
    assert!(tries.last() >= Some(&4), "rounds of 5: {tries:?}");
    let closed = start(&format!("{four} --keep-alive off"));
    let closed = waits_beside_a_costly_one(&closed, false).await;
    assert!(closed.iter().sum::<usize>() <= 2, "{closed:?}");
}

/// In each of five rounds one of eight clients sends what costs 300 ms, and meanwhile each of the others
/// a small request: how many of these waited for more than a third of it. All `keep` their connections
/// from the first round to the last, or make a new one for each request.
async fn waits_beside_a_costly_one(server: &Server, keep: bool) -> Vec<usize> {
    const COSTLY: Duration = Duration::from_millis(300);
    let mut clients: Vec<Option<Client>> = Vec::new();
    for _ in 0..8 {
        let mut client = server.connect().await;
        // With the answer it is known that a worker has the connection.
        client.send(&Request::post("/ping", SMALL)).await;
        assert_eq!(client.answer().await.status, 200);
        clients.push(keep.then_some(client));
    }
    let address = server.address;
    let ask = move |client: Option<Client>, path: &'static str| async move {
        let asked = Instant::now();
        let mut client = match client {
            Some(kept) => kept,
            None => Client::connect(address).await,
        };
        client.send(&Request::post(path, SMALL)).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        (keep.then_some(client), asked.elapsed())
    };
    let mut waited = Vec::new();
    for _ in 0..5 {
        // Each time another one's turn.
        let costly = tokio::spawn(ask(clients.remove(0), "/ping?work=300ms"));
        tokio::time::sleep(COSTLY / 10).await;
        let small = clients.drain(..).map(|client| ask(client, "/ping"));
        let small = small.collect::<JoinSet<_>>().join_all().await;
        waited.push(small.iter().filter(|(_, took)| *took > COSTLY / 3).count());
        clients.extend(small.into_iter().map(|(client, _)| client));
        clients.push(costly.await.expect("answered").0);
    }
    waited
}
