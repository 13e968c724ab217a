//! A relay's counters at one instant.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The relay's counters at one instant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RelaySnapshot {
    /// Permits held now.
    pub permits_in_use: usize,
    /// Permits there are.
    pub permits_limit: usize,
    /// Most permits ever held at once.
    pub permits_peak: usize,
    /// Requests that wait for a permit.
    pub permits_waiting: usize,
    /// Request bodies being read, of those that were not there at once.
    #[serde(default)]
    pub bodies_reading: usize,
    /// Bytes of memory that request bodies take.
    #[serde(default)]
    pub body_bytes: usize,
    /// Requests refused with 503, for want of anything that [`Scarce`](crate::Scarce) lists.
    pub refused: u64,
    /// Requests without a response head yet; with fallbacks, without a first byte. Over HTTP/2 this
    /// includes requests that are not sent yet, because the connection has as many streams as the
    /// upstream allows.
    pub awaiting_head: usize,
    /// Streams being relayed.
    pub streams_open: usize,
    /// How many upstreams were given up for the next one, by the [`Ending::label`](crate::Ending::label)
    /// that the exchange would have had without a next one. Every label is there.
    pub fallbacks: BTreeMap<String, u64>,
    /// How many exchanges ended in which way, by [`Ending::label`](crate::Ending::label). Every label is
    /// there.
    pub endings: BTreeMap<String, u64>,
}
