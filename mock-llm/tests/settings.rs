//! `/admin/config`: what is changed while the service runs is changed as a whole or not at all.

use crate::support;

use std::time::Instant;

use serde_json::{Value, json};
use support::{PATIENCE, Served, chat_body, payloads, raw_get, served, served_with};

async fn shown(served: &Served) -> Value {
    let text = served.get("/admin/config").await.text().await.unwrap();
    serde_json::from_str(&text).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_flags_are_shown_and_what_is_shown_can_be_posted() {
    let served = served_with(|config| {
        config.fault = Some("rate=0.5,stall@1".parse().unwrap());
        config.max_running = Some(3);
    })
    .await;
    let flags = json!({
        "ttft": "5ms", "interval": "5ms", "chunks": 5, "bytes": 0, "fault": "rate=0.5,stall@1",
        "max_running": 3, "max_queued": 100, "load_factor": 1.0
    });
    assert_eq!(shown(&served).await, flags);
    assert_eq!(served.configure(flags.clone()).await, (200, flags.clone()));
    let (status, answer) = served
        .configure(json!({ "fault": null, "chunks": 2 }))
        .await;
    assert_eq!(status, 200);
    assert_eq!(answer, shown(&served).await);
    assert_eq!(
        (&answer["fault"], &answer["ttft"]),
        (&Value::Null, &flags["ttft"])
    );
    let text = served.get("/slow_stream").await.text().await.unwrap();
    assert_eq!(payloads(&text).len(), 2 + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_key_or_value_changes_nothing_and_is_named() {
    let served = served().await;
    let before = shown(&served).await;
    for (changes, param) in [
        (json!({ "chunks": 9, "speed": 3 }), json!("speed")),
        (json!({ "chunks": 9, "ttft": "soon" }), json!("ttft")),
        (json!({ "chunks": 9, "fault": "boom@1" }), json!("fault")),
        (
            json!({ "chunks": 9, "load_factor": 2 }),
            json!("load_factor"),
        ),
        (json!({ "seed": 1 }), json!("seed")),
        (json!([]), Value::Null),
    ] {
        let (status, answer) = served.configure(changes).await;
        assert_eq!(
            (status, &answer["error"]["param"]),
            (400, &param),
            "{answer}"
        );
        assert_eq!(shown(&served).await, before);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_sees_all_of_a_change_or_nothing_of_it() {
    let served = served().await;
    let regimes = [
        json!({ "chunks": 2, "bytes": 1, "ttft": "0s", "interval": "0s" }),
        json!({ "chunks": 7, "bytes": 9, "ttft": "1ms", "interval": "1ms" }),
    ];
    served.configure(regimes[0].clone()).await;
    let switching = tokio::spawn({
        let served = served.clone();
        async move {
            for regime in regimes.iter().cycle() {
                let (status, answer) = served.configure(regime.clone()).await;
                assert_eq!(status, 200);
                for (key, value) in regime.as_object().unwrap() {
                    assert_eq!(&answer[key], value);
                }
            }
        }
    });
    let deadline = Instant::now() + PATIENCE;
    let mut seen = [0, 0];
    while seen[0] < 50 || seen[1] < 50 {
        assert!(Instant::now() < deadline, "only one of the two: {seen:?}");
        // Several at once, or reading and switching fall into step.
        let asks: Vec<_> = (0..8)
            .map(|_| {
                let served = served.clone();
                tokio::spawn(async move { served.get("/slow_stream").await.text().await.unwrap() })
            })
            .collect();
        for ask in asks {
            let text = ask.await.unwrap();
            let payloads = payloads(&text);
            match (payloads.len() - 1, payloads[0].matches('x').count()) {
                (2, 1) => seen[0] += 1,
                (7, 9) => seen[1] += 1,
                other => panic!("a mixture: {other:?}"),
            }
        }
    }
    assert!(!switching.is_finished(), "a change was refused");
    switching.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_set_at_run_time_is_for_those_who_come_later() {
    let served = served().await;
    let mut before = raw_get(served.address, "/slow_stream?interval=100ms").await;
    before.until("\"chunk\":0,").await;
    served
        .configure(json!({ "fault": "first=2,status=503" }))
        .await;
    assert!(before.rest().await.is_terminated());
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(served.chat(chat_body(true), "").await.status().as_u16());
    }
    assert_eq!(statuses, [503, 503, 200, 200]);
    served
        .configure(json!({ "fault": "first=2,status=503" }))
        .await;
    assert_eq!(served.chat(chat_body(true), "none").await.status(), 200);
    assert_eq!(served.chat(chat_body(true), "").await.status(), 503);
}
