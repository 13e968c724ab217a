//! Makes the load. Each kind of load has a folder; each runs on an OS thread and a runtime of its own
//! and reports to a [`crate::measure::Collector`].
//!
//! Whoever adds a kind adds a folder and a line to [`RunningLoad::start`], and if something of the server has to
//! be read before the load and after it, or a file to be written, to the functions of this file.

mod chunk;
mod driven;
mod hang_ups;
mod kubelet;
mod load_thread;
mod requests;
mod sse;
mod start;
mod streams;

use std::path::Path;
use std::time::Duration;

use crate::measure::{Results, Sources};
use driven::Driven;
use verdict::load;
use verdict::record::Recorded;

pub use chunk::{Chunk, Reading, read_chunk};
pub use kubelet::Kubelet;
pub use requests::json_body;
pub use sse::SseReader;
pub use start::Start;
pub(crate) use streams::{Body, Frames};
pub use streams::{Pace, Slots, StreamPlan, StreamRequest};

/// Everything that a cell asks of its server, under way.
#[derive(Debug)]
pub struct RunningLoad {
    all: Vec<Box<dyn Driven>>,
}

impl RunningLoad {
    /// Starts all of it.
    ///
    /// # Errors
    /// If a thread or a client cannot be made, or a path, an address or a header is none.
    pub fn start(asked: &load::Load, start: &Start) -> anyhow::Result<Self> {
        let mut all: Vec<Box<dyn Driven>> = Vec::new();
        for (class, spec) in asked.requests.values().enumerate() {
            all.push(Box::new(requests::start(class, spec, start)?));
        }
        if let Some(spec) = &asked.streams {
            all.push(Box::new(streams::start(spec, start)?));
        }
        if let Some(spec) = &asked.hang_ups {
            all.push(Box::new(hang_ups::HangUpLoad::start(spec, start)?));
        }
        Ok(Self { all })
    }

    /// Ends all of it and waits until everything is reported. Clients that have vanished without a word
    /// are there until this is dropped.
    pub fn end(&mut self) {
        for one in &mut self.all {
            one.end();
        }
    }
}

/// How long it takes to read what [`look_before`] reads; `None` if that is nothing.
#[must_use]
pub fn look_takes(asked: &load::Load) -> Option<Duration> {
    asked.hang_ups.as_ref().map(|_| hang_ups::LEVELS_TAKE)
}

/// Reads what has to be known of the server before the load.
///
/// # Cancel safety
/// Safe: nothing is changed.
pub async fn look_before(asked: &load::Load, sources: &Sources, results: &Results) {
    if asked.hang_ups.is_some() {
        hang_ups::look_before(sources, results).await;
    }
}

/// Reads what has to be known of the server some time after the load.
///
/// # Cancel safety
/// Safe: nothing is changed.
pub async fn look_after(asked: &load::Load, sources: &Sources, results: &Results) {
    if asked.hang_ups.is_some() {
        hang_ups::look_after(sources, results).await;
    }
}

/// Writes what the load has for a file of its own into the cell's folder.
///
/// # Errors
/// If it cannot be written.
pub fn write_files(asked: &load::Load, recorded: &Recorded, folder: &Path) -> std::io::Result<()> {
    if asked.hang_ups.is_some() {
        hang_ups::write(&folder.join("hang_ups.csv"), &recorded.load.hang_ups)?;
    }
    Ok(())
}
