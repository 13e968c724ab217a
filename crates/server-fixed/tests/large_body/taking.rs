//! What is made of a body, small or large.

use testkit::bodies::{SMALL, body};
use testkit::{Request, Server, eventually};

use crate::{SERVER, start};

#[tokio::test(flavor = "multi_thread")]
async fn every_part_of_a_body_counts_and_unknown_keys_do_not() {
    let server = start("");
    let odd = r#"{"user":"x","items":[{"vector":[1,2.5e-3],"id":1,"text":"zwölf","more":[{}]}],"model":"q"}"#;
    for path in ["/ping", "/pong"] {
        let answer = server.post(path, odd.as_bytes()).await;
        let expected = r#"{"model":"q","items":1,"text_bytes":6,"numbers":2}"#;
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
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_json_is_a_400_with_a_sentence_and_the_connection_lives_on() {
    let server = start("");
    let mut cut = body(1 << 20);
    cut.truncate(1 << 20);
    let no_text = "{\"model\":\"\u{fc}".as_bytes();
    let wrong_shape = br#"{"model":"m","items":[{"id":-1,"text":"","vector":[]}]}"#;
    for path in ["/ping", "/pong"] {
        let mut client = server.connect().await;
        for bad in [
            &b"{"[..],
            b"",
            b"\xff\xfe",
            &no_text[..11],
            wrong_shape,
            &cut,
        ] {
            client.send(&Request::post(path, bad)).await;
            let answer = client.answer().await;
            assert_eq!(answer.status, 400, "{path}: {}", answer.body);
            let message = answer.message();
            assert!(
                message.starts_with("the request body cannot be used: ") && !message.contains('\n'),
                "{path}: {message}"
            );
        }
        client.send(&Request::post(path, SMALL)).await;
        assert_eq!(client.answer().await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sizes_are_counted_by_client_and_phases_of_large_bodies_only() {
    let server = start("");
    for bytes in [SMALL.to_vec(), body(1 << 17), body(1 << 21)] {
        assert_eq!(server.post("/pong", &bytes).await.status, 200);
    }
    let sizes = &server.gauge("sizes").await["the test"];
    for (bucket, count) in [("count", 3), ("le_1k", 1), ("le_1m", 1), ("le_16m", 1)] {
        assert_eq!(sizes[bucket], count, "{sizes}");
    }
    let timings = server.gauge("timings").await;
    for phase in ["read_chunks", "string_conversion", "json_parsing"] {
        assert_eq!(timings[phase]["count"], 2, "{timings}");
    }
    // The parameters are made while the text is parsed: a phase of their own would time something else.
    assert!(timings["param_creation"].is_null(), "{timings}");
    assert!(
        timings["json_parsing"]["max_us"].as_u64() > Some(100),
        "{timings}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_holds_the_last_body() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bodies.log");
    let server = Server::start(SERVER, &["--log-bodies", path.to_str().expect("text")]);
    let large = body(1 << 20);
    assert_eq!(server.post("/ping", &large).await.status, 200);
    let text = std::fs::read_to_string(&path).expect("written before the answer");
    let json = std::str::from_utf8(&large).expect("text");
    assert!(text.ends_with(&format!("{json}\n")) && text.lines().count() == 1);
    assert_eq!(server.gauge("timings").await["body_log"]["count"], 1);

    assert_eq!(server.post("/ping", SMALL).await.status, 200);
    let small = std::str::from_utf8(SMALL).expect("text");
    eventually("the small one is written, beside the loop", async || {
        let text = std::fs::read_to_string(&path).expect("text");
        text.ends_with(&format!("{small}\n"))
    })
    .await;
}
