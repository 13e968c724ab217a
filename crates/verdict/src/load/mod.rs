//! The kinds of load, a room each: what a file says of it, what is recorded of it, what theory says of it.

pub mod hang_ups;
pub mod kubelet;
pub mod requests;
pub mod streams;
