//! The cure at scale: a thousand streams at once through the fixed server.

use crate::support;

use support::{Bench, SHORT, stderr, stdout};

#[test]
fn a_thousand_streams_are_served_at_once_and_none_loses_a_chunk() {
    let text = SHORT
        .replace("count = 20", "count = 1000")
        .replace("ramp = \"200ms\"", "ramp = \"3s\"")
        .replace("interval = \"50ms\"", "interval = \"500ms\"")
        .replace("rate = 50", "rate = 200")
        .replace("hold = \"2s\"", "hold = \"3s\"")
        .replace(
            "\"streams.lost == 0\"",
            "\"streams.lost == 0\", \"health_sync.flat == true\", \"health_async.flat == true\", \"diagnosis == healthy\"",
        );
    let bench = Bench::new(&text);
    let output = bench.measure_alone(&["run", "short.toml", "--variant", "fixed"]);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}\n{}",
        stdout(&output),
        stderr(&output)
    );
    let summary = bench.summary("only").expect("saved");
    let streams = &summary["phases"]["load"]["streams"];
    assert_eq!(streams["served_peak"], 1000);
    assert_eq!(streams["cancelled"], 1000, "{streams}");
    assert_eq!(streams["sequence_errors"], 0);
    assert!(streams["chunks"].as_u64() > Some(4_000), "{streams}");
    for name in ["health_sync", "health_async"] {
        let probe = &summary["phases"]["load"]["probes"][name];
        assert_eq!(probe["ok"], probe["due"], "{name}");
    }
    assert_eq!(
        summary["upstream"]["ledger"]["open"], 0,
        "the upstream still has streams open"
    );
}
