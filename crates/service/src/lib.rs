//! What the lab's servers share: flags, runtime, listener, announcement, shutdown. Nothing that teaches.
//!
//! A server's `main` parses [`ServerArgs`], hands [`run`] a function that builds the router, and turns
//! the result into an exit code with [`exit`]. The mock upstream, which has flags of its own, uses the
//! pieces: [`Listener`], [`serve`], [`Drain`].

mod announce;
mod args;
mod background;
mod bulkhead_args;
mod error;
mod failure;
mod half_close;
pub mod large_body;
pub mod lifeline;
mod listener;
mod log;
mod micros;
mod predictions;
mod query_time;
mod run;
mod runtimes;
mod serve;
mod shared;
mod shutdown;

pub use announce::announce;
pub use args::{ServerArgs, duration};
pub use background::{Background, BackgroundSnapshot, MatrixAnswer, MatrixQuery, Task};
pub use bulkhead_args::BulkheadArgs;
pub use error::{EnvironmentError, exit};
pub use failure::{Failure, UnknownVariant};
pub use half_close::HalfClose;
pub use listener::{Connection, HangUp, Listener, Peer};
pub use log::init as init_log;
pub use predictions::{Liveness, LivezQuery, Pending, PredictQuery, Prediction, Predictions};
pub use query_time::QueryTime;
pub use run::{Services, run};
pub use runtimes::RuntimeKind;
pub use serve::serve;
pub use shutdown::{Drain, on_signal};
