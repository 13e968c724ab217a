//! Who waits while a large body is parsed.

use super::start;
use super::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn small_requests_are_answered_while_a_large_body_is_parsed() {
    let flags = ["--runtime", "single-threaded", "--worker-threads", "1"];
    let server = start(&flags);
    let pause = longest_pause(&server, &body(8 << 20), 7).await;
    assert!(pause < 0.4, "no small answer for {pause:.2} of its time");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_a_small_body_that_costs_much() {
    let server = start(&["--runtime", "single-threaded", "--worker-threads", "1"]);
    let waited = waits_behind_a_costly_one(&server, 9).await;
    assert!(waited <= 2, "{waited} of 9 waited");
}
