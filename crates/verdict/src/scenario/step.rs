use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use super::Method;
use super::ranges::{Range, range};

/// One of several loads that a cell has one after the other, in the same processes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Name: expectations have it in `steps.<name>.<metric>`.
    pub name: String,
    /// What is asked of the server before the load of the step.
    pub action: Option<Action>,
    /// How many streams, in place of `load.streams.count`.
    pub streams: Option<u32>,
}

/// A request that changes something at the server, such as `PUT /rollout?percentage=20`. It must be
/// answered with success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// How it is asked.
    pub method: Method,
    /// Path with its query.
    pub path: String,
}

impl FromStr for Action {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let request = text.split_once(' ').and_then(|(method, path)| {
            let method = Method::ALL.into_iter().find(|one| one.name() == method)?;
            Some((method, path.trim()))
        });
        match request {
            Some((method, path)) if path.starts_with('/') => Ok(Self {
                method,
                path: path.to_owned(),
            }),
            _ => Err(format!(
                "\"{text}\" is no request: write a method and a path, such as \"PUT /rollout?percentage=20\""
            )),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method.name(), self.path)
    }
}

impl<'de> Deserialize<'de> for Action {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Step {
    /// A step of so many streams, named by their number.
    #[must_use]
    pub fn of_streams(count: u32) -> Self {
        Self {
            name: count.to_string(),
            action: None,
            streams: Some(count),
        }
    }

    pub(super) fn ranges(steps: &[Self]) -> Vec<Range> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let mut names: Vec<_> = steps.iter().map(|step| step.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        vec![
            range(
                "steps.name",
                steps
                    .iter()
                    .all(|step| !step.name.is_empty() && step.name.chars().all(fits)),
                "a-z, 0-9 and -",
            ),
            range(
                "steps.name",
                names.len() == steps.len(),
                "a name of its own for each step",
            ),
            range(
                "steps.streams",
                steps.iter().all(|step| {
                    step.streams
                        .is_none_or(|count| (1..=20_000).contains(&count))
                }),
                "1 to 20000",
            ),
            range("steps", steps.len() <= 100, "at most 100 steps"),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_a_method_and_a_path() {
        let action: Action = "PUT /rollout?percentage=20".parse().expect("an action");
        assert_eq!(
            (action.method, action.path.as_str()),
            (Method::Put, "/rollout?percentage=20")
        );
        assert_eq!(action.to_string(), "PUT /rollout?percentage=20");
        for text in ["/rollout", "PUT rollout", "FETCH /rollout"] {
            assert!(text.parse::<Action>().is_err(), "{text}");
        }
    }
}
