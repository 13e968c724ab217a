//! What theory says of streams, one file for each way to hold something while a stream lasts.

pub(crate) mod chunks;
pub(crate) mod lookups;
pub(crate) mod rollout;
pub(crate) mod streams;
