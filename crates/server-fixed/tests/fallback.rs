//! A second upstream behind the first, and clients that hang up on either.

use std::net::SocketAddr;

use crate::SERVER;
use mock_llm::Mock;
use mock_llm::config::Config;
use testkit::{Flow, Moment, Nobody, Request, Stand, eventually, upstream};

const FORMS: [&[&str]; 2] = [&[], &["--variant", "aborted-pump"]];

fn failing(fault: &str) -> (Mock, SocketAddr) {
    upstream(Config {
        fault: Some(fault.parse().expect("a fault")),
        ..config()
    })
}

fn config() -> Config {
    Config {
        ttft: "10ms".parse().expect("a time"),
        interval: "20ms".parse().expect("a time"),
        ..Config::default()
    }
}

/// A server with a first upstream that fails, and the second one.
fn start(form: &[&str], first: (Mock, SocketAddr)) -> (Stand, Mock) {
    let (second, address) = upstream(config());
    let second_url = format!("http://{address}");
    let flags = ["--fallback", &second_url, "--max-upstream", "1"];
    let flags = [form, &flags, &["--idle-timeout", "500ms"]].concat();
    (Stand::before(SERVER, first, &flags), second)
}

async fn fallbacks(stand: &Stand) -> Vec<(String, u64)> {
    let gauges = stand.server.gauges().await;
    let counts = gauges["disconnect"]["fallbacks"].as_object();
    let counts = counts.expect("an object").iter();
    counts
        .map(|(why, count)| (why.clone(), count.as_u64().expect("a count")))
        .filter(|(_, count)| *count > 0)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_upstream_that_fails_before_its_first_byte_is_closed_and_the_second_asked() {
    for form in FORMS {
        for (fault, why) in [
            ("status=503", "upstream_status"),
            ("status=429", "upstream_status"),
            ("slow-headers=1h", "idle_timeout"),
            ("stall@0", "idle_timeout"),
            ("reset@0", "upstream_failed"),
            ("cut@0", "upstream_failed"),
            ("eof@0", "truncated"),
        ] {
            let what = format!("{form:?}, {fault}");
            let (stand, second) = start(form, failing(fault));
            let mut client = stand.send(&Request::get("/disconnect/stream")).await;
            Moment::MidStream.reach(&mut client, 0).await;
            assert_eq!(fallbacks(&stand).await, [(why.to_owned(), 1)], "{what}");
            assert_eq!(second.ledger().tally().open, 1, "{what}");
            eventually(&what, async || stand.open() == 0).await;
            assert_eq!(stand.permits().await, 1, "{what}: one for both");

            drop(client);
            eventually(&what, async || {
                second.ledger().tally().open == 0 && stand.permits().await == 0
            })
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_upstream_that_cannot_be_reached_is_passed_over() {
    let nobody = Nobody::new();
    let (mock, _) = upstream(config());
    let (stand, second) = start(FORMS[0], (mock, nobody.address()));
    stand.ask().await.is_served().await;
    assert_eq!(fallbacks(&stand).await, [("connect_failed".to_owned(), 1)]);
    assert_eq!(second.ledger().tally().completed, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_in_its_middle_is_not_begun_again() {
    for form in FORMS {
        for fault in ["reset@3", "stall@3", "eof@3"] {
            let (stand, second) = start(form, failing(fault));
            let mut client = stand.send(&Request::get("/disconnect/stream")).await;
            client.is_served().await;
            let text = client.seen();
            assert!(text.contains("\"error\""), "{form:?}, {fault}: {text}");
            assert_eq!(second.ledger().tally().started, 0, "{form:?}, {fault}");
            assert_eq!(fallbacks(&stand).await, [], "{form:?}, {fault}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_up_while_the_first_is_waited_for_does_not_reach_the_second() {
    for form in FORMS {
        let (stand, second) = start(form, upstream(config()));
        for moment in [Moment::BeforeHead, Moment::BeforeFirstToken] {
            // The head is not passed on before the first byte: in both a client has seen nothing.
            let shape = moment.shape(Flow::Silent);
            let before = stand.mock.ledger().tally().started;
            let client = stand
                .send(&Request::get("/disconnect/stream").with(&shape))
                .await;
            eventually("the first has it", async || {
                stand.mock.ledger().tally().started > before
            })
            .await;
            drop(client);
            eventually("it is released", async || {
                stand.open() == 0 && stand.permits().await == 0
            })
            .await;
        }
        assert_eq!(second.ledger().tally().started, 0, "{form:?}");
        assert_eq!(fallbacks(&stand).await, [], "{form:?}");
    }
}
