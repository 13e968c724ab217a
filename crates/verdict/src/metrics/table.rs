use super::common;
use super::metric::Group;
use crate::load::{hang_ups, kubelet, requests, streams};

/// Every group of metrics, in the order in which they are listed. Checks stand last: an endpoint may have
/// any name, and the words of the other groups come before it.
pub const GROUPS: &[&Group] = &[
    &streams::METRICS,
    &requests::METRICS,
    &hang_ups::METRICS,
    &kubelet::METRICS,
    &common::POOLS,
    &common::SERVER,
    &common::FORECAST,
    &common::VERDICT,
    &common::CLOSED_LOOP,
    &common::CHECKS,
];
