//! Upstreams that are given by name: looked up where no blocking pool can be in the way.

use std::sync::mpsc;
use std::time::Duration;

use http::Method;
use relay::Relay;
use tokio::sync::oneshot;

use crate::support::*;

#[test]
fn a_name_is_looked_up_while_every_thread_of_the_blocking_pool_is_held() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut held = Vec::new();
        for _ in 0..2 {
            let (release, released) = mpsc::channel::<()>();
            let (begin, begun) = oneshot::channel();
            tokio::task::spawn_blocking(move || {
                begin.send(()).unwrap();
                let _ = released.recv();
            });
            begun.await.unwrap();
            held.push(release);
        }
        let (_mock, address) = upstream(|_| {});
        let upstream = format!("http://localhost:{}", address.port());
        let relay = Relay::new(upstream.parse().unwrap(), generous(), 1).unwrap();
        let answer = relay.build(Method::GET, "/slow_stream").forward().await;
        assert_eq!(answer.status(), 200);
        let text = axum::body::to_bytes(answer.into_body(), 1 << 20).await;
        assert!(text.unwrap().ends_with(b"data: [DONE]\n\n"));

        // A client that looks names up on the pool gets nowhere.
        let plain = reqwest::Client::builder().no_proxy().build().unwrap();
        let asked = plain.get(format!("{upstream}/slow_stream")).send();
        let answer = tokio::time::timeout(Duration::from_secs(1), asked).await;
        assert!(
            answer.is_err(),
            "the pool is not full, or this shows nothing"
        );
        drop(held);
    });
}

#[tokio::test]
async fn a_name_that_nobody_knows_is_a_502_and_is_not_told_to_the_client() {
    // No label of a name has more than 63 letters, RFC 1035, section 2.3.4: no name server is asked.
    let name = "x".repeat(70);
    let upstream = format!("http://{name}/").parse().unwrap();
    let relay = Relay::new(upstream, generous(), 1).unwrap();
    let error = relay.build(Method::GET, "/").try_forward().await;
    let error = error.unwrap_err();
    assert_eq!(
        (error.status().as_u16(), error.code()),
        (502, "upstream_unreachable")
    );
    let (message, log) = (error.message(), error.with_causes());
    assert_eq!(
        message,
        "the upstream cannot be reached: its name cannot be looked up"
    );
    assert!(log.contains(&name), "{log}");
    assert_eq!(relay.snapshot().endings["connect_failed"], 1);
}
