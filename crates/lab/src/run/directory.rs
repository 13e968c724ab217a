use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context;
use serde::de::DeserializeOwned;

use crate::measure::started_ticks;
use crate::show::json;
use crate::stage::{StageError, private_file};
use verdict::summary::{Index, IndexCell, LabProcess, SCHEMA, State, Summary};

/// The folder of one run of one variant.
///
/// ```text
/// <UTC time>-<scenario>-<variant>/
///   scenario.toml      as run, without secrets
///   index.json         every cell with its key figures
///   summary.json       if the run has one cell
///   cells/<name>/      summary.json, latency.hlog, timeline.csv, server.log, upstream.log
///   discarded/<name>.<attempt>/      the same, of an invalid run that was made again
/// ```
#[derive(Debug)]
pub struct RunDirectory {
    path: PathBuf,
    index: Index,
    single_cell: bool,
}

impl RunDirectory {
    /// Makes the folder below `out`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn create(
        out: &Path,
        scenario: &str,
        text: &str,
        variant: &str,
        single_cell: bool,
    ) -> Result<Self, StageError> {
        let now = SystemTime::now();
        let stamp = humantime::format_rfc3339_millis(now)
            .to_string()
            .replace(':', "");
        let path = out.join(format!("{stamp}-{scenario}-{variant}"));
        fs::create_dir_all(path.join("cells")).map_err(StageError::write(&path))?;
        let pid = std::process::id();
        let directory = Self {
            index: Index {
                schema: SCHEMA,
                scenario: scenario.to_owned(),
                variant: variant.to_owned(),
                started_at: humantime::format_rfc3339_seconds(now).to_string(),
                state: State::Running,
                lab: LabProcess {
                    pid,
                    started_ticks: started_ticks(pid),
                },
                cells: Vec::new(),
            },
            path,
            single_cell,
        };
        let scenario = directory.path.join("scenario.toml");
        private_file(&scenario)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(StageError::write(&scenario))?;
        directory.write_index()?;
        Ok(directory)
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the folder of a cell.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn cell(&self, name: &str) -> Result<PathBuf, StageError> {
        let path = self.path.join("cells").join(name);
        fs::create_dir_all(&path).map_err(StageError::write(&path))?;
        Ok(path)
    }

    /// Writes the summary of the cell called `name`, complete or not, and its line in the index.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn record(&mut self, name: &str, summary: &Summary) -> Result<(), StageError> {
        let text = json(summary);
        write_atomically(
            &self.path.join("cells").join(name).join("summary.json"),
            &text,
        )?;
        if self.single_cell {
            write_atomically(&self.path.join("summary.json"), &text)?;
        }
        let line = index_cell(name, summary);
        match self.index.cells.iter_mut().find(|cell| cell.name == name) {
            Some(cell) => *cell = line,
            None => self.index.cells.push(line),
        }
        self.write_index()
    }

    /// Puts the folder of the cell called `name` aside, because the cell will be measured again. The
    /// measurement of this attempt is kept, but does not count.
    ///
    /// # Errors
    /// If it cannot be moved.
    pub fn discard(&self, name: &str, attempt: usize) -> Result<(), StageError> {
        let discarded = self.path.join("discarded");
        let to = discarded.join(format!("{name}.{attempt}"));
        fs::create_dir_all(&discarded)
            .and_then(|()| fs::rename(self.path.join("cells").join(name), &to))
            .map_err(StageError::write(&to))
    }

    /// Marks the run as over.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn finish(&mut self, state: State) -> Result<(), StageError> {
        self.index.state = state;
        self.write_index()
    }

    fn write_index(&self) -> Result<(), StageError> {
        write_atomically(&self.path.join("index.json"), &json(&self.index))
    }
}

/// Replaces a file as a whole: a reader, even after a crash, sees the old text or the new one.
fn write_atomically(path: &Path, text: &str) -> Result<(), StageError> {
    let temporary = path.with_extension("tmp");
    fs::write(&temporary, text)
        .and_then(|()| fs::rename(&temporary, path))
        .inspect_err(|_| {
            let _ = fs::remove_file(&temporary);
        })
        .map_err(StageError::write(path))
}

fn index_cell(name: &str, summary: &Summary) -> IndexCell {
    let probes = &summary.phases.load.probes;
    IndexCell {
        name: name.to_owned(),
        state: summary.state,
        valid: summary.quality.valid,
        diagnosis: summary.diagnosis.kind,
        served_peak: summary.phases.load.streams.served_peak,
        health_p99_us: probes
            .iter()
            .map(|(name, probe)| (name.clone(), probe.response_us.p99))
            .collect(),
        unanswered_percent: probes
            .iter()
            .map(|(name, probe)| (name.clone(), probe.unanswered_percent()))
            .collect(),
        expectations: summary.expectations.clone(),
    }
}

/// A run read back from its folder.
#[derive(Debug)]
pub struct Run {
    /// Its index.
    pub index: Index,
    /// The summaries of its cells, in order.
    pub summaries: Vec<Summary>,
}

impl Run {
    /// Reads a run. If its lab was killed, the run holds what had been recorded until then.
    ///
    /// # Errors
    /// If the folder holds no run, or one of another schema.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let index_path = path.join("index.json");
        let text = fs::read_to_string(&index_path).with_context(|| {
            format!(
                "{} is not the folder of a run: no index.json",
                path.display()
            )
        })?;
        let index = of_this_version(&index_path, &text)?;
        let mut summaries = Vec::new();
        for name in cells(path, &index) {
            let path = path.join("cells").join(name).join("summary.json");
            let text = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            summaries.push(of_this_version(&path, &text)?);
        }
        Ok(Self { index, summaries })
    }

    /// Whether its lab is still at work on it.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        let lab = &self.index.lab;
        self.index.state == State::Running
            && lab.started_ticks.is_some()
            && started_ticks(lab.pid) == lab.started_ticks
    }
}

fn of_this_version<T: DeserializeOwned>(path: &Path, text: &str) -> anyhow::Result<T> {
    serde_json::from_str(text)
        .with_context(|| format!("{} was made by another version of the lab", path.display()))
}

/// The cells that have a summary. First those of the index, in its order, then any that are missing in
/// the index because the disk was full.
fn cells(run: &Path, index: &Index) -> Vec<String> {
    let mut on_disk: Vec<String> = fs::read_dir(run.join("cells"))
        .into_iter()
        .flatten()
        .flatten()
        .filter(|cell| cell.path().join("summary.json").is_file())
        .map(|cell| cell.file_name().to_string_lossy().into_owned())
        .collect();
    on_disk.sort();
    let mut names: Vec<String> = index.cells.iter().map(|cell| cell.name.clone()).collect();
    names.retain(|name| on_disk.contains(name));
    on_disk.retain(|name| !names.contains(name));
    names.extend(on_disk);
    names
}

/// The newest run of each variant of the newest scenario below `out` (or of `scenario`), in order of
/// the variants' names.
///
/// # Errors
/// If there is none, with what would make one.
pub fn newest(out: &Path, scenario: Option<&str>) -> anyhow::Result<Vec<PathBuf>> {
    let mut folders: Vec<PathBuf> = fs::read_dir(out)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.join("index.json").is_file())
        .collect();
    // Names start with the time, so the order of names is the order of time.
    folders.sort();
    let mut wanted = scenario.map(str::to_owned);
    let mut newest: Vec<(String, PathBuf)> = Vec::new();
    for folder in folders.into_iter().rev() {
        let Ok(index) = fs::read_to_string(folder.join("index.json")) else {
            continue;
        };
        let Ok(index) = serde_json::from_str::<Index>(&index) else {
            continue;
        };
        // A run that ended before its first second has nothing to compare.
        if cells(&folder, &index).is_empty() {
            continue;
        }
        let wanted = wanted.get_or_insert_with(|| index.scenario.clone());
        if index.scenario == *wanted && newest.iter().all(|(variant, _)| *variant != index.variant)
        {
            newest.push((index.variant, folder));
        }
    }
    anyhow::ensure!(
        !newest.is_empty(),
        "there is no run{} in {}: make one with `lab run stream`",
        scenario.map_or(String::new(), |scenario| format!(" of {scenario}")),
        out.display()
    );
    newest.sort();
    Ok(newest.into_iter().map(|(_, folder)| folder).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_never_sees_half_a_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("summary.json");
        let text = |n: usize| format!("{n:0>60000}\n");
        write_atomically(&path, &text(0)).expect("written");
        let writer = {
            let path = path.clone();
            std::thread::spawn(move || {
                for n in 1..300 {
                    write_atomically(&path, &text(n)).expect("written");
                }
            })
        };
        while !writer.is_finished() {
            let seen = fs::read_to_string(&path).expect("always there");
            assert_eq!(seen.len(), 60_001);
        }
        writer.join().expect("no panic");
        assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 1);
    }
}
