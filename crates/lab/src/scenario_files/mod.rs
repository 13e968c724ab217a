//! Where scenarios are found: a path, the files of `scenarios/`, or those that the lab was built with.

mod built_in;

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use verdict::scenario::{Scenario, ScenarioError, parse_with};

/// Reads and validates a scenario: a path, the name of a file in `scenarios/`, or the name of one that
/// the lab was built with, in this order.
///
/// `settings` are `dotted.key=value` pairs that replace values of the file.
///
/// # Errors
/// [`ScenarioError`], with the line where there is one.
pub fn load(path_or_name: &str, settings: &[String]) -> Result<Scenario, ScenarioError> {
    let (path, text) = find(path_or_name)?;
    parse_with(&path, &text, settings)
}

/// The place and the text of a scenario.
fn find(path_or_name: &str) -> Result<(PathBuf, Cow<'static, str>), ScenarioError> {
    let named = Path::new("scenarios").join(format!("{path_or_name}.toml"));
    for path in [Path::new(path_or_name), &named] {
        if path.is_file() {
            let text =
                std::fs::read_to_string(path).map_err(|source| ScenarioError::Unreadable {
                    path: path.to_owned(),
                    source,
                })?;
            return Ok((path.to_owned(), text.into()));
        }
    }
    if let Some(text) = built_in::text(path_or_name) {
        return Ok((named, text.into()));
    }
    let hint = format!(
        "; there are {}, or give the path of a file",
        names().join(", ")
    );
    Err(ScenarioError::NotFound {
        name: path_or_name.to_owned(),
        hint,
    })
}

/// The names of the files in `scenarios/`, sorted; where there are none, of the scenarios that the lab
/// was built with.
pub fn names() -> Vec<String> {
    let names = names_in_folder();
    if names.is_empty() {
        return built_in::names().map(str::to_owned).collect();
    }
    names
}

fn names_in_folder() -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir("scenarios")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .filter_map(|path| {
            path.file_stem()
                .map(|stem| stem.to_string_lossy().into_owned())
        })
        .collect();
    names.sort();
    names
}
