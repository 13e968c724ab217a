//! Who waits while a large body is parsed.

use crate::start;
use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn small_requests_are_answered_while_a_large_body_is_parsed() {
    let flags = ["--runtime", "single-threaded", "--worker-threads", "1"];
    let server = start(&flags);
    let pause = longest_pause(&server, &body(8 << 20), 7).await;
    assert!(pause < 0.4, "no small answer for {pause:.2} of its time");
}
