use std::path::{Path, PathBuf};

use thiserror::Error;

use super::file;
use super::resolve::{Scenario, resolve};
use crate::redact;

/// Why a scenario cannot be run. Each is a mistake in what the user gave: exit code 2.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// There is no such file.
    #[error("there is no scenario {name}{hint}")]
    NotFound {
        /// What was asked for.
        name: String,
        /// What there is instead.
        hint: String,
    },
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The file's text is not a scenario.
    #[error("{}:{line}: {message}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong there and what would be right.
        message: String,
    },
    /// A `--set` does not fit the file.
    #[error("--set {setting}: {message}")]
    Set {
        /// As given, without secrets.
        setting: String,
        /// What is wrong with it.
        message: String,
    },
}

/// Reads the text of a scenario that would stand at `path`, with `settings` laid over it:
/// `dotted.key=value` pairs that replace values of the file.
///
/// # Errors
/// [`ScenarioError`], with the line where there is one.
pub fn parse_with(path: &Path, text: &str, settings: &[String]) -> Result<Scenario, ScenarioError> {
    let scenario = parse(path, text)?;
    if settings.is_empty() {
        return Ok(scenario);
    }
    // The file is right by itself: whatever fails from here on is due to a setting.
    let mut table: toml::Table = toml::from_str(text).map_err(|error| at(path, text, &error))?;
    for setting in settings {
        apply(&mut table, setting)?;
    }
    let text = table.to_string();
    parse(path, &text).map_err(|error| ScenarioError::Set {
        setting: redact::arguments(settings.iter().map(String::as_str)).join(" --set "),
        message: match error {
            ScenarioError::Invalid { message, .. } => message,
            other => other.to_string(),
        },
    })
}

/// Reads the text of a scenario that would stand at `path`.
///
/// # Errors
/// [`ScenarioError`], with the line.
pub fn parse(path: &Path, text: &str) -> Result<Scenario, ScenarioError> {
    let file: file::File = toml::from_str(text).map_err(|error| at(path, text, &error))?;
    resolve(&file, redact::scenario(text)).map_err(|invalid| ScenarioError::Invalid {
        path: path.to_owned(),
        line: line_of(
            text,
            invalid
                .near
                .iter()
                .find_map(|near| Some(text.find(near)? + usize::from(near.starts_with('\n'))))
                .unwrap_or(0),
        ),
        message: invalid.message,
    })
}

fn at(path: &Path, text: &str, error: &toml::de::Error) -> ScenarioError {
    ScenarioError::Invalid {
        path: path.to_owned(),
        line: line_of(text, error.span().map_or(0, |span| span.start)),
        message: error.message().replace('\n', "; "),
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text[..offset.min(text.len())].matches('\n').count() + 1
}

fn apply(table: &mut toml::Table, setting: &str) -> Result<(), ScenarioError> {
    let fail = |message: &str| ScenarioError::Set {
        setting: redact::arguments([setting]).concat(),
        message: message.to_owned(),
    };
    let (key, value) = setting
        .split_once('=')
        .ok_or_else(|| fail("write key=value, such as server.pool_threads=40"))?;
    // `5s` is meant as a string; `40`, `true` and `"5s"` are TOML as they stand.
    let value = toml::from_str::<toml::Table>(&format!("v = {value}"))
        .ok()
        .and_then(|mut parsed| parsed.remove("v"))
        .unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let mut parts: Vec<_> = key.split('.').collect();
    let last = parts
        .pop()
        .filter(|last| !last.is_empty())
        .ok_or_else(|| fail("the key is empty"))?;
    // A cell's own value wins over the file's, so a setting must reach both.
    if let Some(toml::Value::Array(cells)) = table.get_mut("cell") {
        for cell in cells.iter_mut().filter_map(toml::Value::as_table_mut) {
            let own = parts
                .iter()
                .try_fold(cell, |table, part| table.get_mut(*part)?.as_table_mut());
            if let Some(slot) = own.and_then(|own| own.get_mut(last)) {
                *slot = value.clone();
            }
        }
    }
    let mut target = table;
    for part in parts {
        target = target
            .entry(part)
            .or_insert_with(|| toml::Value::Table(toml::Table::new()))
            .as_table_mut()
            .ok_or_else(|| fail("only keys of tables such as [server], [load.streams], [probe] and [phases] can be set"))?;
    }
    target.insert(last.to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = include_str!("../../../../scenarios/stream.toml");

    fn error(text: &str) -> String {
        parse(Path::new("s.toml"), text)
            .expect_err("refused")
            .to_string()
    }

    #[test]
    fn the_published_scenario_is_valid() {
        let scenario = parse(Path::new("s.toml"), GOOD).expect("valid");
        assert_eq!(scenario.name, "stream");
        assert!(scenario.cells.iter().any(|cell| cell.quick));
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        let text = GOOD.replacen("[probe]\n", "[probe]\nrates = 5\n", 1);
        let line = text
            .lines()
            .position(|line| line == "rates = 5")
            .expect("inserted")
            + 1;
        let error = error(&text);
        assert!(
            error.starts_with(&format!("s.toml:{line}: unknown field `rates`")),
            "{error}"
        );
    }

    #[test]
    fn a_wrong_unit_is_refused_with_its_line() {
        let text = GOOD.replacen("timeout = \"5s\"", "timeout = \"5 parsecs\"", 1);
        let line = text
            .lines()
            .position(|line| line.contains("parsecs"))
            .expect("replaced")
            + 1;
        let error = error(&text);
        assert!(
            error.starts_with(&format!("s.toml:{line}: \"5 parsecs\" is not a time")),
            "{error}"
        );
    }

    #[test]
    fn a_number_without_a_unit_is_refused() {
        let error = error(&GOOD.replacen("timeout = \"5s\"", "timeout = 5", 1));
        assert!(error.contains("a time with its unit"), "{error}");
    }

    #[test]
    fn an_expectation_that_could_never_hold_is_refused() {
        let error = error(&GOOD.replacen("== pool_threads", "== pool_thread", 1));
        assert!(error.contains("is no parameter"), "{error}");
    }

    #[test]
    fn a_cell_may_leave_the_quick_form_or_have_its_own() {
        let text = r#"
            schema = 1
            name = "s"
            title = "Three cells"
            server.pool_threads = 4
            probe = { rate = 10, timeout = "1s", endpoints = { health = "/health" } }
            phases = { baseline = "2s", hold = "9s", recovery = "9s" }
            load.requests.users = { path = "/", users = 3, timeout = "1s" }
            quick = { phases.hold = "1s", load.requests.users.users = 2 }
            variant = [{ name = "fixed", server = "s", model = "none" }]
            cell = [
                { name = "short" },
                { name = "long", quick = false },
                { name = "own", quick = { phases.hold = "4s" } },
            ]
        "#;
        let shown = |cells: &[crate::scenario::Cell]| {
            let one = |cell: &crate::scenario::Cell| {
                let users = cell.load.requests["users"].users;
                let hold = cell.phases.hold.as_secs();
                (cell.name.clone(), hold, users, cell.shortened)
            };
            cells.iter().map(one).collect::<Vec<_>>()
        };
        let scenario = parse(Path::new("s.toml"), text).expect("valid");
        let whole = ["short", "long", "own"].map(|name| (name.to_owned(), 9, Some(3), false));
        assert_eq!(shown(&scenario.cells), whole);
        assert_eq!(
            shown(&scenario.quick_cells),
            [("short", 1), ("own", 4)].map(|(name, hold)| (name.to_owned(), hold, Some(2), true))
        );
    }

    #[test]
    fn a_setting_reaches_the_cells_too() {
        let mut table: toml::Table = toml::from_str(GOOD).expect("toml");
        apply(&mut table, "load.streams.count=17").expect("applied");
        apply(&mut table, "server.pool_threads=40").expect("applied");
        let scenario = parse(Path::new("s.toml"), &table.to_string()).expect("valid");
        assert!(
            scenario.cells.iter().all(|cell| cell
                .load
                .streams
                .as_ref()
                .is_some_and(|s| s.count == 17))
        );
        assert!(
            scenario
                .cells
                .iter()
                .all(|cell| cell.server.pool_threads == 40)
        );
    }
}
