//! Clients that hang up, at a stage of their stream that is planned for each.

pub(super) mod doubts;
mod figures;
pub(super) mod forecast;
mod ledger;
mod levels;
mod metrics;
mod record;
mod spec;

pub use figures::{HangUpFigures, Leftovers, StageFigures};
pub use ledger::{LedgerLook, LedgerStream};
pub use levels::Levels;
pub(crate) use metrics::METRICS;
pub use record::{HangUp, HangUpEnding, HangUpEvent, HangUpRecorder, ROW_ID, Release};
pub use spec::{HangUpSpec, HangUpStage, Leave};
