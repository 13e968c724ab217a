use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::gate::Limits;
use crate::shape::{BadParameter, NONE, Shape};

/// What can be changed while the service runs. A flag of the same name sets it at the start.
#[derive(Clone, Debug, Serialize)]
pub struct Settings {
    /// What an answer looks like unless the request says otherwise.
    #[serde(flatten)]
    pub shape: Shape,
    /// How much goes on at once.
    #[serde(flatten)]
    pub limits: Limits,
    /// For how many requests the fault was considered since it was set.
    #[serde(skip)]
    considered: Arc<AtomicU64>,
}

impl Settings {
    /// Settings whose fault was not considered for any request yet.
    #[must_use]
    pub fn new(shape: Shape, limits: Limits) -> Self {
        Self {
            shape,
            limits,
            considered: Arc::default(),
        }
    }

    /// The settings with some keys changed. A value is text as the flag has it, a number, or null for none.
    /// Setting the fault starts its count of requests anew, also if the fault is the same.
    ///
    /// # Errors
    /// The key that is unknown, or whose value cannot be read or does not go with the others.
    pub fn with(&self, changes: &Map<String, Value>) -> Result<Self, BadParameter> {
        let mut changed = self.clone();
        for (key, value) in changes {
            let bad = |reason| BadParameter {
                name: key.clone(),
                reason,
            };
            changed.set(key, &text(value).map_err(bad)?).map_err(bad)?;
        }
        changed.limits.check()?;
        Ok(changed)
    }

    /// Considers the fault for one more request. Returns for how many it was considered before.
    pub fn consider_fault(&self) -> u64 {
        self.considered.fetch_add(1, Ordering::Relaxed)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "ttft" | "interval" | "chunks" | "bytes" => self.shape.set(key, value),
            "fault" => {
                self.considered = Arc::default();
                self.shape.set(key, value)
            }
            "max_running" | "max_queued" | "load_factor" => self.limits.set(key, value),
            _ => Err(
                "unknown; there are ttft, interval, chunks, bytes, fault, max_running, max_queued \
                 and load_factor"
                    .into(),
            ),
        }
    }
}

fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Null => Ok(NONE.into()),
        other => Err(format!("{other} is neither text, a number nor null")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::Config;

    fn changed(settings: &Settings, changes: Value) -> Result<Settings, BadParameter> {
        settings.with(changes.as_object().unwrap())
    }

    #[test]
    fn what_is_shown_can_be_set_again() {
        let settings = Config::default().settings();
        let changes = json!({
            "ttft": "lognormal:200ms,0.5,cap=2s", "chunks": 7, "bytes": "10",
            "fault": "first=2,rate=0.5,status=503", "max_running": 4, "load_factor": 2.5
        });
        let settings = changed(&settings, changes).unwrap();
        let shown = serde_json::to_value(&settings).unwrap();
        assert_eq!(
            shown,
            json!({
                "ttft": "lognormal:200ms,0.5,cap=2s", "interval": "100ms", "chunks": 7, "bytes": 10,
                "fault": "first=2,rate=0.5,status=503,1s",
                "max_running": 4, "max_queued": 100, "load_factor": 2.5
            })
        );
        let again = changed(&settings, shown.clone()).unwrap();
        assert_eq!(serde_json::to_value(again).unwrap(), shown);
        let cleared = json!({ "fault": null, "load_factor": 1, "max_running": null });
        let cleared = changed(&settings, cleared).unwrap();
        assert_eq!(
            (cleared.shape.fault, cleared.limits.max_running),
            (None, None)
        );
    }

    #[test]
    fn what_is_unknown_wrong_or_does_not_fit_is_named() {
        let settings = Config::default().settings();
        for (changes, name) in [
            (json!({ "interval": "1ms", "speed": 3 }), "speed"),
            (json!({ "ttft": "soon" }), "ttft"),
            (json!({ "ttft": 200 }), "ttft"),
            (json!({ "ttft": null }), "ttft"),
            (json!({ "chunks": 0 }), "chunks"),
            (json!({ "fault": ["stall@1"] }), "fault"),
            (json!({ "max_running": 0 }), "max_running"),
            (json!({ "max_queued": -1 }), "max_queued"),
            (
                json!({ "load_factor": 0.5, "max_running": 4 }),
                "load_factor",
            ),
            (json!({ "load_factor": 2 }), "load_factor"),
        ] {
            assert_eq!(changed(&settings, changes).unwrap_err().name, name);
        }
    }

    #[test]
    fn a_fault_counts_anew_when_it_is_set_and_only_then() {
        let settings = Config::default().settings();
        assert_eq!(
            (settings.consider_fault(), settings.consider_fault()),
            (0, 1)
        );
        let other = changed(&settings, json!({ "chunks": 3 })).unwrap();
        assert_eq!(other.consider_fault(), 2);
        let same = changed(&settings, json!({ "fault": null })).unwrap();
        assert_eq!(same.consider_fault(), 0);
    }
}
