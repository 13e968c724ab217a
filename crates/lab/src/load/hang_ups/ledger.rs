//! What an upstream says of each stream: the ground truth for when one was released.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::measure::get;
use verdict::load::hang_ups::{LedgerLook, LedgerStream};
use verdict::units::us;

/// A ledger that is not there after this time is given up; it has megabytes after thousands of streams.
const PATIENCE: Duration = Duration::from_secs(20);

/// Microseconds since the Unix epoch, by the clock that this machine's ledgers use.
pub(super) fn unix_us() -> u64 {
    us(SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default())
}

/// The streams that are open at the upstream at `base`; `None` if it does not say.
///
/// # Cancel safety
/// Safe: what was not answered is lost.
pub(super) async fn open_streams(
    client: &reqwest::Client,
    base: &str,
) -> Option<Vec<LedgerStream>> {
    get(client, format!("{base}/streams"), PATIENCE).await
}

/// Every stream that the upstreams at `bases` know of; `None` if one of them does not say.
///
/// # Cancel safety
/// Safe: what was not answered is lost.
pub(super) async fn read_ledgers(client: &reqwest::Client, bases: &[String]) -> Option<LedgerLook> {
    let mut look = LedgerLook {
        at_unix_us: unix_us(),
        upstreams: Vec::new(),
    };
    for base in bases {
        // In this order: a stream that ends in between is in both, and not in neither.
        let mut open = open_streams(client, base).await?;
        let mut streams: Vec<LedgerStream> =
            get(client, format!("{base}/streams?ended=true"), PATIENCE).await?;
        let first_ended = open.first().map_or(u64::MAX, |stream| stream.id);
        let ended: std::collections::HashSet<u64> = streams
            .iter()
            .map(|stream| stream.id)
            .filter(|&id| id >= first_ended)
            .collect();
        open.retain(|stream| !ended.contains(&stream.id));
        streams.append(&mut open);
        look.upstreams.push(streams);
    }
    Some(look)
}
