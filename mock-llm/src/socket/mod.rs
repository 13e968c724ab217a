//! The sockets: what a service that keeps accounts must know of its clients' connections, and no
//! server in between needs to.

mod listener;
mod peer;
mod serve;

pub use listener::Listener;
pub use peer::{HangUp, HowLeft, Peer};
pub(crate) use serve::{FLUSH, serve};
