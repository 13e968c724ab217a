//! The routes of `large-body`, the shape of its bodies, their reading, and what is recorded of them.

mod arrival;
mod client;
mod error;
mod incoming;
mod log;
mod mount;
mod parameters;
mod records;
mod sizes;
mod timings;
mod work;

pub use arrival::{Arrival, ReadBody};
pub use error::BodyError;
pub use incoming::{Incoming, READ_WITHIN};
pub use log::BodyLog;
pub use mount::mount;
pub use parameters::{Answer, Item, Parameters};
pub use records::Records;
pub use sizes::{SizeCounts, Sizes};
pub use timings::{Phases, Timing, Timings};
pub use work::Work;

/// Most bytes of a body that counts as small: parsing it takes well below a millisecond.
pub const SMALL: usize = 64 << 10;
