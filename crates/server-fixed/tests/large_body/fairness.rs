//! Who waits while a large body is parsed.

use testkit::bodies::{body, longest_pause, waits_behind_a_costly_one};

use crate::start;

const ONE_LOOP: &str = "--runtime single-threaded --worker-threads 1";

#[tokio::test(flavor = "multi_thread")]
async fn small_requests_are_answered_while_a_large_body_is_parsed() {
    let server = start(ONE_LOOP);
    let pause = longest_pause(&server, &body(8 << 20), 7).await;
    assert!(pause < 0.4, "no small answer for {pause:.2} of its time");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_a_small_body_that_costs_much() {
    let server = start(ONE_LOOP);
    let waited = waits_behind_a_costly_one(&server, 9).await;
    assert!(waited <= 2, "{waited} of 9 waited");
}
