//! Large bodies and small ones: how to make them, and who waits for whom.

use std::time::{Duration, Instant};

use crate::http::Request;
use crate::server::Server;

/// A small body.
pub const SMALL: &[u8] = br#"{"model":"m","items":[{"id":1,"text":"small","vector":[0.5]}]}"#;

/// A body of about `bytes` bytes: `items` with short texts and long vectors.
pub fn body(bytes: usize) -> Vec<u8> {
    let vector = vec!["0.1234567"; 1000].join(",");
    let mut body = String::from(r#"{"model":"m","items":["#);
    let mut id = 0;
    while id == 0 || body.len() < bytes {
        let comma = if id == 0 { "" } else { "," };
        let item = format!(r#"{comma}{{"id":{id},"text":"some text","vector":[{vector}]}}"#);
        body.push_str(&item);
        id += 1;
    }
    body.push_str("]}");
    body.into_bytes()
}

/// While one large `/pong` after the other is answered, small requests come on connections of their own
/// without a pause. For each large one, the share of its time in which no small one was answered: the
/// longest pause between two of their answers. The median of these, which a moment in which the machine
/// was busy does not move.
pub async fn longest_pause(server: &Server, large: &[u8], times: usize) -> f64 {
    let mut pauses = Vec::new();
    for _ in 0..times {
        let started = Instant::now();
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let small = async || {
            let mut answers = Vec::new();
            while !*stopped.borrow() {
                let answer = server.post("/ping", SMALL).await;
                assert_eq!(answer.status, 200, "{}", answer.body);
                answers.push(started.elapsed());
            }
            answers
        };
        let large = async {
            let answer = server.post("/pong", large).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            let took = started.elapsed();
            stop.send_replace(true);
            took
        };
        let (took, one, two, three) = tokio::join!(large, small(), small(), small());
        let mut answers = [one, two, three].concat();
        answers.extend([Duration::ZERO, took]);
        answers.retain(|at| *at <= took);
        answers.sort_unstable();
        let pause = answers
            .windows(2)
            .map(|pair| pair[1] - pair[0])
            .max()
            .expect("from its beginning to its end");
        pauses.push(pause.as_secs_f64() / took.as_secs_f64());
    }
    pauses.sort_by(f64::total_cmp);
    println!("pauses as shares: {pauses:.2?}");
    pauses[times / 2]
}

/// What a small body costs that is asked to cost much.
const COSTLY: Duration = Duration::from_millis(300);

/// How often, of `times`, a small request on a connection of its own waited for more than a third of
/// what a costly one takes, which was sent shortly before over a kept connection.
pub async fn waits_behind_a_costly_one(server: &Server, times: usize) -> usize {
    let path = format!("/ping?work={}ms", COSTLY.as_millis());
    // It is sent in one piece, so that it is one event for the server.
    let costly = Request::post(&path, SMALL);
    let mut kept = server.connect().await;
    let mut waits = Vec::new();
    for _ in 0..times {
        tokio::time::sleep(COSTLY / 10).await;
        kept.send(&costly).await;
        tokio::time::sleep(COSTLY / 10).await;
        let answer = server.post("/ping", SMALL).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        waits.push(answer.took);
        let answer = kept.answer().await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    println!("waits: {waits:.0?}");
    waits.iter().filter(|wait| **wait > COSTLY / 3).count()
}

/// The head of a `POST` with a body of `length` bytes, which is still to be sent.
pub fn announce(path: &str, length: usize) -> Request {
    Request::new("POST", path).with(&[("content-length", &length.to_string())])
}
