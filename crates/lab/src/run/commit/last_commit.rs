//! The commit that some files are of. The build script takes this file in as well.

use std::process::Command;

/// The last commit that changed one of `paths`, which start from `folder`, with `-dirty` if they differ
/// from it; `None` if there is no git, or no repository.
pub(crate) fn last_commit(folder: &str, paths: &[&str]) -> Option<String> {
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        let output = git.args(arguments).args(paths).current_dir(folder).output();
        let output = output.ok().filter(|output| output.status.success())?;
        Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
    };
    let commit = git(&["log", "-1", "--format=%H", "--"]).filter(|commit| !commit.is_empty())?;
    let status = git(&["status", "--porcelain", "--untracked-files=no", "--"]);
    let is_clean = status.is_some_and(|status| status.is_empty());
    Some(commit + if is_clean { "" } else { "-dirty" })
}
