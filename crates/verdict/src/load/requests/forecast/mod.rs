//! What theory says of classes of requests, one file for each thing that they compete for.

pub(crate) mod bodies;
pub(crate) mod liveness;
pub(crate) mod routes;
