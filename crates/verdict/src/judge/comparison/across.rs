use super::chosen::{Chosen, choose};
use super::claims::{self, Reported};
use super::provenance::{Provenance, made_by};
use crate::summary::Summary;

/// Fewer cells than this are better read one by one.
pub(super) const LEAST_CELLS: usize = 6;

/// The runs of one cell.
#[derive(Clone, Debug)]
pub struct CellRuns {
    /// Name of the scenario.
    pub scenario: String,
    /// Name of the cell.
    pub cell: String,
    /// For each variant in order, its repeats.
    pub runs: Vec<(String, Vec<Summary>)>,
}

impl CellRuns {
    /// All of its runs.
    pub(super) fn summaries(&self) -> impl Iterator<Item = &Summary> + Clone {
        self.runs.iter().flat_map(|(_, runs)| runs)
    }
}

/// The cells of a scenario, and what stands for each variant of each.
pub(super) struct Across<'a> {
    cells: Vec<(&'a CellRuns, Chosen<'a>)>,
}

impl<'a> Across<'a> {
    pub fn of(cells: &'a [CellRuns]) -> Self {
        let chosen = cells.iter().map(|cell| (cell, choose(&cell.runs)));
        Self {
            cells: chosen.collect(),
        }
    }

    pub fn scenario(&self) -> String {
        let first = self.cells.first();
        first.map_or(String::new(), |(cell, _)| cell.scenario.clone())
    }

    /// In the order in which they first come.
    pub fn variants(&self) -> Vec<&'a str> {
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in self.cells.iter().flat_map(|(cell, _)| &cell.runs) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        names
    }

    /// The name of each cell that has the variant, the runs that stand for it, and whether they are
    /// invalid.
    pub fn of_variant(&self, name: &str) -> impl Iterator<Item = (&'a str, &[&'a Summary], bool)> {
        self.cells.iter().filter_map(move |(cell, chosen)| {
            let at = cell.runs.iter().position(|(variant, _)| variant == name)?;
            Some((
                cell.cell.as_str(),
                chosen.used[at].as_slice(),
                chosen.repeats[at].is_invalid,
            ))
        })
    }

    pub fn claims(&self) -> Vec<Reported> {
        let of_cell =
            |(cell, chosen): &(&CellRuns, Chosen<'_>)| claims::claims(&cell.runs, &chosen.used);
        self.cells.iter().flat_map(of_cell).collect()
    }

    pub fn remarks(&self) -> Vec<String> {
        let of_cell = |(cell, chosen): &(&CellRuns, Chosen<'_>)| {
            let named = |remark: &String| format!("{}: {remark}", cell.cell);
            chosen.remarks.iter().map(named).collect::<Vec<_>>()
        };
        self.cells.iter().flat_map(of_cell).collect()
    }

    pub fn made_by(&self) -> Vec<Provenance> {
        let used = self.cells.iter().flat_map(|(_, chosen)| &chosen.used);
        made_by(used.flatten().copied())
    }
}
