//! A slow, honest LLM service. It streams at a pace that is planned beforehand, and fails on purpose when
//! asked to. It keeps a ledger of every stream, the ground truth for measuring what stands in front of it.

mod answering;
mod call;
/// The clock of the ledger.
pub mod clock;
/// The flags.
pub mod config;
/// Randomness that does not depend on the order of arrival.
pub mod dice;
/// How long something takes.
pub mod distribution;
pub mod fault;
pub mod gate;
/// Times, counted by their length.
pub mod histogram;
pub mod ledger;
mod mock;
mod number;
/// The decisions about an answer before it begins.
pub mod plan;
mod refusal;
mod request_names;
mod routes;
/// When each token is due.
pub mod schedule;
mod server;
/// What can be changed while the service runs.
pub mod settings;
/// What an answer looks like in time and size.
pub mod shape;
pub mod socket;
/// The figures of the service itself.
pub mod stats;
pub mod stream;
pub mod wire;

pub use mock::Mock;
pub use server::run;
