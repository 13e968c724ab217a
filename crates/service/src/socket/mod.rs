//! The sockets that the servers and the upstream accept connections on.

mod bind;
mod connection;
mod half_close;
mod listener;
mod observer;
mod peer;
mod write_limit;

pub use connection::Connection;
pub use half_close::HalfClose;
pub use listener::Listener;
pub use observer::ConnectionObserver;
pub use peer::Peer;
pub use write_limit::WriteLimit;
