use std::collections::BTreeMap;
use std::time::Duration;

use crate::scenario::ranges::Range;
use crate::units::us;

/// What every kind of load can say about its table in a scenario file.
pub(crate) trait Table {
    /// Until the whole load is there.
    fn ramp(&self) -> Duration {
        Duration::ZERO
    }

    /// How long after its start it must be over, if it ends by itself.
    fn within(&self) -> Duration {
        Duration::ZERO
    }

    /// Most connections that it can have open at once.
    fn at_once(&self) -> u64;

    /// Adds what expectations may refer to by name.
    fn name(&self, parameters: &mut Parameters);

    /// Why it cannot be asked for in steps, if it cannot.
    fn without_steps(&self) -> Option<&'static str> {
        None
    }

    /// What its values may be: loads are bounded in count and in time, whatever a file says.
    fn ranges(&self) -> Vec<Range>;
}

/// The parameters of a cell by name: what expectations may refer to and what the summary lists.
#[derive(Debug, Default)]
pub(crate) struct Parameters(pub BTreeMap<String, u64>);

impl Parameters {
    /// Adds a number.
    pub(crate) fn count(&mut self, name: impl Into<String>, value: impl Into<u64>) {
        self.0.insert(name.into(), value.into());
    }

    /// Adds a time; names end in `_us`.
    pub(crate) fn time(&mut self, name: impl Into<String>, value: Duration) {
        self.count(name, us(value));
    }
}
