//! The sockets that the servers and the upstream accept connections on.

mod bind;
mod connection;
mod half_close;
mod listener;
mod write_limit;

pub use bind::bind;
pub use connection::{Connection, Peer};
pub use half_close::HalfClose;
pub use listener::Listener;
pub use write_limit::WriteLimit;
