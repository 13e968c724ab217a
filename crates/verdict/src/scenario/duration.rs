use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A time in a scenario file, written with its unit: `"250ms"`, `"5s"`, `"1m 30s"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub Duration);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Time;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a time with its unit in quotes, such as \"250ms\", \"5s\" or \"2m\"")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Time, E> {
                humantime::parse_duration(text).map(Time).map_err(|error| {
                    E::custom(format!(
                        "\"{text}\" is not a time ({error}): write one with its unit, such as \"250ms\", \"5s\" or \"2m\""
                    ))
                })
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(self.0))
    }
}

/// Reads a time with its unit, for a field that is a [`Duration`].
pub(crate) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    Time::deserialize(deserializer).map(|time| time.0)
}

/// The default of a time that a file need not give.
pub(crate) fn seconds<const N: u64>() -> Duration {
    Duration::from_secs(N)
}

/// The default of a number that a file need not give.
pub(crate) fn count<const N: u32>() -> u32 {
    N
}

/// The default of what a file may switch off.
pub(crate) fn yes() -> bool {
    true
}
