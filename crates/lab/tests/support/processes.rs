//! The processes of a run, told by the folder that they run in.

use std::path::Path;

use lab::measure::started_ticks;

/// Those that run in a folder, where the lab has its children run too: their IDs and names.
pub fn left_in(folder: &Path) -> Vec<(u32, String)> {
    let folder = folder.canonicalize().expect("a folder");
    let of_entry = |entry: std::fs::DirEntry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let is_in = std::fs::read_link(entry.path().join("cwd")).ok()? == folder;
        let name = std::fs::read_to_string(entry.path().join("comm")).ok()?;
        (is_in && started_ticks(pid).is_some()).then(|| (pid, name.trim().to_owned()))
    };
    let entries = std::fs::read_dir("/proc").expect("/proc");
    entries.flatten().filter_map(of_entry).collect()
}
