use std::time::Duration;

use super::StreamSpec;
use crate::load::{Delivery, shown};
use crate::units::us;

/// The server is blamed if a time exceeds the upstream's own by more than this, in microseconds.
const BLAME_FLOOR_US: u64 = 50_000;

/// Whether streams could not be started, or were slow for a reason other than the server.
pub(crate) fn doubts(delivery: Delivery<'_>) -> Vec<String> {
    let mut reasons = Vec::new();
    let not_started = delivery.recorded.streams.not_sent();
    if not_started > 0 {
        reasons.push(format!(
            "{not_started} streams could not be started by the lab: no port or no file left; raise `ulimit -n`"
        ));
    }
    let streams = delivery.asked.streams.as_ref();
    reasons.extend(
        streams
            .into_iter()
            .flat_map(|spec| others_to_blame(delivery, spec)),
    );
    reasons
}

/// If streams were slower than planned, was it the upstream, or the lab itself, that was late?
fn others_to_blame(delivery: Delivery<'_>, streams: &StreamSpec) -> Vec<String> {
    let figures = &delivery.summary.phases.load.streams;
    let excess = |measured: Option<u64>, planned: Duration| {
        measured.map_or(0, |measured| measured.saturating_sub(us(planned)))
    };
    let gap = excess(figures.gap_us.p99, streams.interval);
    let ttft = excess(figures.ttft_us.p99, streams.ttft);
    let ledger = delivery.summary.upstream.ledger.as_ref();
    let upstream = ledger.map_or(0, |ledger| ledger.lateness_us.p99);
    let lab = delivery.quality.load_dispatch_us.p99;
    [
        ("the upstream sent its chunks", upstream, "the gaps", gap),
        ("the upstream sent its chunks", upstream, "TTFT", ttft),
        ("the lab started its streams", lab, "TTFT", ttft),
    ]
    .into_iter()
    .filter(|&(_, late, _, excess)| excess > BLAME_FLOOR_US && late >= excess / 2)
    .map(|(who, late, what, excess)| {
        format!(
            "{who} up to {} late (p99), which would explain the {} by which {what} exceeds its plan",
            shown(late),
            shown(excess)
        )
    })
    .collect()
}
