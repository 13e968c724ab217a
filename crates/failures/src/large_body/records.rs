use service::{EnvironmentError, Services};
use vitals::BlockingPool;

use super::{BodyLog, Sizes, Timings};

/// What is recorded of every body.
#[derive(Clone, Debug)]
pub struct Records {
    /// Its size, by client; the gauge `sizes`.
    pub sizes: Sizes,
    /// The phases of large ones; the gauge `timings`.
    pub timings: Timings,
    /// The body itself, if `--log-bodies` asks for it.
    pub log: BodyLog,
    /// Threads for lines of the log that nobody waits for.
    pub log_threads: BlockingPool,
}

impl Records {
    /// Opens the log and publishes the gauges.
    ///
    /// # Errors
    /// As [`BodyLog::open`].
    pub fn open(services: &mut Services) -> Result<Self, EnvironmentError> {
        let (sizes, timings) = (Sizes::default(), Timings::default());
        let log = BodyLog::open(&services.args, &timings)?;
        let (size_gauge, timing_gauge) = (sizes.clone(), timings.clone());
        services.gauge("sizes", move || size_gauge.snapshot());
        services.gauge("timings", move || timing_gauge.snapshot());
        Ok(Self {
            sizes,
            timings,
            log,
            log_threads: services.vitals.pool().clone(),
        })
    }
}
