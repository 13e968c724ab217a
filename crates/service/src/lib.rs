//! What the lab's servers share: flags, runtime, listener, announcement, shutdown. Nothing that teaches.
//!
//! A server's `main` parses [`ServerArgs`], hands [`run`] a function that builds the router, and turns
//! the result into an exit code with [`exit`]. The mock upstream, which has flags of its own, uses the
//! pieces: [`Listener`], [`Connection`], [`Drain`].

mod announce;
mod args;
mod bulkhead_args;
mod duration;
mod error;
mod exit;
mod failure;
pub mod lifeline;
mod log;
mod run;
mod runtime_kind;
mod runtimes;
mod serve;
mod shared;
mod shutdown;
mod socket;

pub use announce::announce;
pub use args::ServerArgs;
pub use bulkhead_args::BulkheadArgs;
pub use duration::duration;
pub use error::EnvironmentError;
pub use exit::exit;
pub use failure::{Failure, UnknownVariant};
pub use log::init as init_log;
pub use run::{Services, run};
pub use runtime_kind::RuntimeKind;
pub use serve::serve;
pub use shutdown::{Drain, on_signal};
pub use socket::{Connection, ConnectionObserver, HalfClose, Listener, Peer, WriteLimit};
