//! Whoever typed a flag is told of that flag, and whoever wrote a file of its key.

use anyhow::Error;

use crate::exit::Usage;
use crate::stage::StageError;
use verdict::scenario::ScenarioError;

/// Keys of a target's file, and the flags of `attach` that stand for them.
const KEYS: [(&str, &str); 27] = [
    ("target.stream", "--stream"),
    ("target.method", "--method"),
    ("target.headers", "--header"),
    ("target.body", "--body"),
    ("target.bearer_env", "--bearer-env"),
    ("target.health", "--health"),
    ("target.sync_health", "--sync-health"),
    ("target.async_health", "--async-health"),
    ("target.pid", "--pid"),
    ("target.upstream_stats", "--upstream-stats"),
    ("target.ca_certificate", "--ca-certificate"),
    ("target.i_own_this_service", "--i-own-this-service"),
    ("target.find_capacity", "--find-capacity"),
    ("target.hang_up", "--hang-up"),
    ("target.settle", "--settle"),
    ("target.max_streams", "--max-streams"),
    ("target.max_rate", "--max-rate"),
    ("target.max_time", "--max-time"),
    ("probe.timeout", "--timeout"),
    ("phases.baseline", "--baseline"),
    ("phases.hold", "--for"),
    ("phases.recovery", "--settle"),
    ("steps.streams", "--streams"),
    ("`steps`", "`--streams`"),
    ("fail_if", "--fail-if"),
    (" of cell \"attach\"", ""),
    ("scenario attach: ", ""),
];

/// A message about keys, for whoever typed flags.
fn in_flags(message: &str) -> String {
    KEYS.iter().fold(message.to_owned(), |text, (key, flag)| {
        text.replace(key, flag)
    })
}

/// A message about flags, for whoever wrote a file.
fn in_keys(message: &str) -> String {
    let mut flags: Vec<_> = KEYS
        .iter()
        .filter(|(_, flag)| flag.starts_with("--"))
        .collect();
    flags.sort_by_key(|(_, flag)| usize::MAX - flag.len());
    flags.iter().fold(message.to_owned(), |text, (key, flag)| {
        text.replace(flag, key)
    })
}

/// An error of the command line of `attach`.
pub(super) fn told_in_flags(error: Error) -> Error {
    told(error, in_flags)
}

/// An error of a scenario file with a target.
pub(super) fn told_in_keys(error: Error) -> Error {
    told(error, in_keys)
}

fn told(error: Error, words: impl Fn(&str) -> String) -> Error {
    let error = match error.downcast() {
        Ok(Usage(message)) => return Usage(words(&message)).into(),
        Err(error) => error,
    };
    let error = match error.downcast() {
        // The place in a text that nobody wrote helps nobody.
        Ok(ScenarioError::Invalid { message, .. }) => return Usage(words(&message)).into(),
        Ok(other) => return other.into(),
        Err(error) => error,
    };
    match error.downcast() {
        Ok(StageError::Target(message)) => StageError::Target(words(&message)).into(),
        Ok(other) => other.into(),
        Err(error) => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_that_was_typed_is_named_and_a_key_that_was_written() {
        let keys =
            "`steps.streams` of cell \"attach\" is out of range: at most `target.max_streams`";
        let flags = "`--streams` is out of range: at most `--max-streams`";
        assert_eq!(in_flags(keys), flags);
        let run = "by --bearer-env or --header, with --max-time, --health and --timeout";
        let file = "by target.bearer_env or target.headers, with target.max_time, target.health and probe.timeout";
        assert_eq!(in_keys(run), file);
        assert_eq!(in_flags(file), run);
    }
}
