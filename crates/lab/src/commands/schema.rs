use std::process::ExitCode;

use super::stdout::print;
use verdict::summary::Summary;

pub(super) fn run() -> anyhow::Result<ExitCode> {
    let schema = schemars::schema_for!(Summary);
    print(&(serde_json::to_string_pretty(&schema)? + "\n"));
    Ok(ExitCode::SUCCESS)
}
