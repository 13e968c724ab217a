use super::{Event, Part, Recorder, Times};
use crate::load::{Load, LoadInterval};

/// What became known in one interval of the log.
#[derive(Clone, Debug)]
pub struct Interval {
    pub(super) checks: Recorder,
    pub(super) load: LoadInterval,
}

impl Interval {
    /// Nothing yet, of a cell that asks for this load and whose checks have this timeout.
    #[must_use]
    pub fn new(timeout_us: u64, asked: &Load) -> Self {
        Self {
            checks: Recorder::new(timeout_us),
            load: LoadInterval::new(asked),
        }
    }

    /// Takes in what was measured in `part` of the cell.
    pub fn record(&mut self, event: &Event, part: Part) {
        match event {
            Event::Tick(tick) => self.checks.record(tick, part),
            Event::Load(event) => self.load.add(event),
            _ => {}
        }
    }

    /// The histograms by their tags, such as `hold.health_sync.all`.
    #[must_use]
    pub fn tagged<'a>(&'a self, endpoints: &[String], asked: &'a Load) -> Vec<(String, &'a Times)> {
        let mut all = self.load.tagged(asked);
        for (part, endpoint, series) in self.checks.all() {
            let tag = |what: &str| format!("{part}.{}.{what}", endpoints[endpoint]);
            all.push((tag("all"), &series.response));
            all.push((tag("ok"), &series.response_ok));
            all.push((tag("service"), &series.service));
        }
        all
    }
}
