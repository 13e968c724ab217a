use serde::Serialize;

use super::chosen::Chosen;

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

/// How and where what stands for each variant was made, each different way once.
pub(super) fn made_by(chosen: &[Chosen<'_>]) -> Vec<Provenance> {
    let mut made_by = Vec::new();
    for summary in chosen.iter().flat_map(|one| &one.used) {
        let day = summary.started_at.split('T').next();
        let provenance = Provenance {
            command: summary.command.clone(),
            git_commit: summary.git_commit.clone(),
            lab_version: summary.lab_version.clone(),
            os: summary.host.os.clone(),
            cpu: summary.host.cpu.clone(),
            cores: summary.host.cores,
            memory_bytes: summary.host.memory_bytes,
            day: day.unwrap_or_default().to_owned(),
        };
        if !made_by.contains(&provenance) {
            made_by.push(provenance);
        }
    }
    made_by
}
