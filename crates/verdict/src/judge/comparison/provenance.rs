use serde::Serialize;

use crate::summary::Summary;

/// How and where a run was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Provenance {
    /// The command line.
    pub command: String,
    /// Commit that the lab was built from.
    pub git_commit: String,
    /// Version of the lab.
    pub lab_version: String,
    /// Operating system and kernel.
    pub os: String,
    /// Model of the processor, if known.
    pub cpu: Option<String>,
    /// Logical processors.
    pub cores: u64,
    /// Memory, if known.
    pub memory_bytes: Option<u64>,
    /// UTC day of the first run made this way.
    pub day: String,
}

impl Provenance {
    fn of(summary: &Summary) -> Self {
        Self {
            command: summary.command.clone(),
            git_commit: summary.git_commit.clone(),
            lab_version: summary.lab_version.clone(),
            os: summary.host.os.clone(),
            cpu: summary.host.cpu.clone(),
            cores: summary.host.cores,
            memory_bytes: summary.host.memory_bytes,
            day: summary
                .started_at
                .split('T')
                .next()
                .unwrap_or_default()
                .to_owned(),
        }
    }
}

/// How and where runs were made, each different way once.
pub(super) fn made_by<'a>(summaries: impl Iterator<Item = &'a Summary>) -> Vec<Provenance> {
    let mut made_by: Vec<Provenance> = Vec::new();
    for summary in summaries {
        let provenance = Provenance::of(summary);
        if !made_by.contains(&provenance) {
            made_by.push(provenance);
        }
    }
    made_by
}
