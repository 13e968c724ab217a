use std::sync::mpsc::Sender;
use std::time::Duration;

use super::{RequestLoad, StreamLoad};
use crate::measure::{Event, Segments};
use crate::scenario;

/// Everything that a cell asks of its server.
#[derive(Debug)]
pub struct Load {
    streams: Option<StreamLoad>,
    requests: Vec<RequestLoad>,
}

impl Load {
    /// Starts all of it at `start` on the cell's clock.
    ///
    /// # Errors
    /// If a thread or a client cannot be made.
    pub fn start(
        spec: &scenario::Load,
        base: &str,
        seed: u64,
        start: Duration,
        segments: &Segments,
        results: &Sender<Event>,
    ) -> anyhow::Result<Self> {
        let streams = spec
            .streams
            .as_ref()
            .map(|streams| {
                StreamLoad::start(streams, base, segments.origin() + start, results.clone())
            })
            .transpose()?;
        let requests = spec
            .requests
            .values()
            .enumerate()
            .map(|(class, spec)| {
                RequestLoad::start(class, spec, base, seed, start, segments, results.clone())
            })
            .collect::<anyhow::Result<_>>()?;
        Ok(Self { streams, requests })
    }

    /// Ends all of it and waits until everything is reported.
    pub fn end(&mut self) {
        for requests in &mut self.requests {
            requests.end();
        }
        if let Some(streams) = &mut self.streams {
            streams.end();
        }
    }
}
