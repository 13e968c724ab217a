//! The commit that a run's programs were built from.

mod last_commit;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::SystemTime;

use last_commit::last_commit;

/// Where the lab was built.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// What programs are built from there, a path a line.
const CODE: &str = include_str!("../../code.txt");

/// The programs of a run. They stand beside each other.
const PROGRAMS: [&str; 4] = ["lab", "mock-llm", "server-broken", "server-fixed"];

/// The last commit that changed the code of the lab and the servers, with `-dirty` if they differ from
/// it: if there are changes that are not committed, or a program is older than a file that it was built
/// from. A commit of results or of documentation is none of the code.
///
/// It is looked up when it is first asked for, so that no commit makes the lab be built anew. A lab that
/// does not stand where it was built has the commit from then.
pub(super) fn commit() -> &'static str {
    static COMMIT: OnceLock<String> = OnceLock::new();
    COMMIT.get_or_init(|| now().unwrap_or_else(|| env!("LAB_GIT_COMMIT").to_owned()))
}

/// The commit, if the lab is still where it was built.
fn now() -> Option<String> {
    let lab = std::env::current_exe().ok()?;
    let folder = lab.parent()?;
    if !sources_of(&lab).any(|source| source.starts_with(env!("CARGO_MANIFEST_DIR"))) {
        return None;
    }
    let code: Vec<_> = CODE.lines().collect();
    let mut commit = last_commit(SOURCES, &code)?;
    let is_stale = |name| is_older_than_its_sources(&folder.join(name));
    if !commit.ends_with("-dirty") && PROGRAMS.into_iter().any(is_stale) {
        commit += "-dirty";
    }
    Some(commit)
}

fn is_older_than_its_sources(program: &Path) -> bool {
    let built = modified(program);
    sources_of(program).any(|source| source.is_file() && modified(&source) > built)
}

/// The files that Cargo says a program was built from, in the file beside it: `<program>: <files>`.
fn sources_of(program: &Path) -> impl Iterator<Item = PathBuf> {
    let text = std::fs::read_to_string(program.with_extension("d")).unwrap_or_default();
    let files = text.split_once(": ").map_or("", |(_, files)| files);
    let files: Vec<_> = files.split_whitespace().map(PathBuf::from).collect();
    files.into_iter()
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|data| data.modified()).ok()
}

#[cfg(test)]
mod tests {
    use std::fs::{File, write};
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_program_is_older_than_a_source_that_was_changed_after_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        for name in ["program", "one.rs", "other.rs"] {
            write(at(name), "").expect("written");
        }
        let (one, other) = (at("one.rs"), at("other.rs"));
        let text = format!("program: {} {}\n", one.display(), other.display());
        write(at("program.d"), text).expect("written");
        let change = |seconds| {
            let time = modified(&at("program")).expect("a time") + Duration::from_secs(seconds);
            let file = File::options().write(true).open(&other).expect("there");
            file.set_modified(time).expect("set");
        };
        change(0);
        assert!(!is_older_than_its_sources(&at("program")));
        change(1);
        assert!(is_older_than_its_sources(&at("program")));
        assert!(!is_older_than_its_sources(&one), "nothing is known of it");
    }
}
