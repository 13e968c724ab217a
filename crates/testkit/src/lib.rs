//! What the tests of several packages share: programs that are started and end with the test, waiting
//! for a condition, clients that send what they are told to, a port that is held, and a watch that tells
//! a machine that stood still from a server that did.
//!
//! Everything here panics when something does not go as it must, as a test does.

mod alone;
pub mod bodies;
mod http;
mod nobody;
mod process;
mod schema;
mod server;
mod stage;
mod stalls;
#[cfg(feature = "upstream")]
mod stand;
#[cfg(feature = "upstream")]
mod upstream;
mod wait;

pub use alone::{Alone, Beside};
pub use http::{Answer, Client, Request, Rest, ask};
pub use nobody::Nobody;
pub use process::{Process, Signal, program, signal};
pub use schema::schema_errors;
pub use server::{Server, all};
pub use stage::{Stage, mock_llm};
pub use stalls::{Stalls, check, unless_stalled};
#[cfg(feature = "upstream")]
pub use stand::{FLOWS, Flow, MOMENTS, Moment, STUCK, Stand};
#[cfg(feature = "upstream")]
pub use upstream::{client, quick, upstream};
pub use wait::{MS, PATIENCE, block_until, eventually};
