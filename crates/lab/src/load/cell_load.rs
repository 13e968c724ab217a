use std::sync::mpsc::Sender;
use std::time::Duration;

use super::{HangUpLoad, RequestLoad, StreamLoad, StreamPlan};
use crate::measure::Segments;
use verdict::record::Event;
use verdict::scenario;

/// Everything that a cell asks of its server.
#[derive(Debug)]
pub struct Load {
    streams: Option<StreamLoad>,
    requests: Vec<RequestLoad>,
    hang_ups: Option<HangUpLoad>,
}

/// Who is asked, and who knows what became of it.
#[derive(Clone, Debug)]
pub struct Target {
    /// Base URL of the server.
    pub server: String,
    /// Base URLs of its upstreams.
    pub upstreams: Vec<String>,
}

impl Load {
    /// Starts all of it at `start` on the cell's clock; streams are numbered from `first_stream` on.
    ///
    /// # Errors
    /// If a thread or a client cannot be made.
    pub fn start(
        spec: &scenario::Load,
        target: &Target,
        seed: u64,
        (start, first_stream): (Duration, u64),
        segments: &Segments,
        results: &Sender<Event>,
    ) -> anyhow::Result<Self> {
        let base = &target.server;
        let streams = spec
            .streams
            .as_ref()
            .map(|streams| {
                let plan = StreamPlan::of(streams, base, seed, first_stream)?;
                let start = segments.origin() + start;
                StreamLoad::start(plan, start, segments, results.clone())
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
        let hang_ups = spec
            .hang_ups
            .as_ref()
            .map(|spec| {
                let upstreams = target.upstreams.clone();
                HangUpLoad::start(spec, base, upstreams, start, segments, results.clone())
            })
            .transpose()?;
        Ok(Self {
            streams,
            requests,
            hang_ups,
        })
    }

    /// Ends all of it and waits until everything is reported. Clients that have vanished without a word
    /// are there until this is dropped.
    pub fn end(&mut self) {
        for requests in &mut self.requests {
            requests.end();
        }
        if let Some(streams) = &mut self.streams {
            streams.end();
        }
        if let Some(hang_ups) = &mut self.hang_ups {
            hang_ups.end();
        }
    }
}
