use std::collections::BTreeSet;

use serde::Deserialize;
use toml::{Table, Value as Toml};

use super::file::{self, File};
use super::{Cell, Expectation, Model, Step, Target, Value};

/// A validated scenario: every cell has every value, and every name that is used exists.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Name, as in the file.
    pub name: String,
    /// One line.
    pub title: String,
    /// Of everything random: the same seed makes the same run, as far as the machine lets it.
    pub seed: u64,
    /// The file's text, or its text with `--set` applied: what the run directory keeps.
    pub text: String,
    /// In the order of the file, which is the order of interleaving.
    pub variants: Vec<Variant>,
    /// In the order of the file.
    pub cells: Vec<Cell>,
    /// What `--quick` runs: the cells that are marked as quick, or all of them with the file's
    /// `[quick]` laid over.
    pub quick_cells: Vec<Cell>,
    /// What no forecast can hold for.
    pub no_forecast: Vec<NoForecast>,
}

/// One server, or one way to run it.
#[derive(Clone, Debug)]
pub struct Variant {
    /// `broken`, `fixed`, or a name prefixed with one of them.
    pub name: String,
    /// Name of the binary.
    pub server: String,
    /// Further flags.
    pub args: Vec<String>,
    /// Which forecast it has.
    pub model: Model,
    /// Whether the actions of steps are asked of it.
    pub actions: bool,
    expectations: Vec<OfCells<Expectation>>,
    field_reports: Vec<OfCells<FieldReport>>,
}

/// A figure from the field, to be compared with this lab's own run.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldReport {
    /// The metric it is a value of.
    pub metric: String,
    /// What was reported.
    pub reported: Value,
}

/// Something that no forecast can hold for, said before it is run.
#[derive(Clone, Debug)]
pub struct NoForecast {
    /// What is not forecast.
    pub what: String,
    /// Why not.
    pub because: String,
}

/// Something that concerns some of the cells, or all of them.
#[derive(Clone, Debug)]
struct OfCells<T> {
    cells: Option<BTreeSet<String>>,
    what: T,
}

impl Variant {
    /// Name of the one variant of a scenario with a target.
    pub const TARGET: &str = "target";

    /// A service that is not the lab's own, under this name.
    #[must_use]
    pub fn of_target(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            server: String::new(),
            args: Vec::new(),
            actions: true,
            model: Model::None,
            expectations: Vec::new(),
            field_reports: Vec::new(),
        }
    }

    /// `condition` must not hold, in any cell.
    pub fn fail_if(&mut self, condition: &Expectation) {
        self.expectations.push(OfCells {
            cells: None,
            what: condition.negated(),
        });
    }

    /// What must hold in the cell of this name.
    #[must_use]
    pub fn expectations(&self, cell: &str) -> Vec<Expectation> {
        of_cell(&self.expectations, cell)
    }

    /// What the field reports of the cell of this name.
    #[must_use]
    pub fn field_reports(&self, cell: &str) -> Vec<FieldReport> {
        of_cell(&self.field_reports, cell)
    }
}

fn of_cell<T: Clone>(all: &[OfCells<T>], cell: &str) -> Vec<T> {
    all.iter()
        .filter(|one| one.cells.as_ref().is_none_or(|cells| cells.contains(cell)))
        .map(|one| one.what.clone())
        .collect()
}

/// What is wrong with a file that has the right shape, and near which text it is.
pub(super) struct Invalid {
    pub message: String,
    /// Pieces of the file's text to look for, the best first, so that the line can be named.
    pub near: Vec<String>,
}

fn invalid<T>(near: impl Into<String>, message: impl Into<String>) -> Result<T, Invalid> {
    Err(Invalid {
        near: vec![near.into()],
        message: message.into(),
    })
}

/// Fills in what cells inherit and checks every name and range.
pub(super) fn resolve(file: &File, text: String) -> Result<Scenario, Invalid> {
    if file.schema != 1 {
        return invalid(
            "schema",
            format!(
                "schema {} is not known; this lab reads schema 1",
                file.schema
            ),
        );
    }
    unique("scenario", std::iter::once(&file.name))?;
    let cells = file
        .cell
        .iter()
        .map(|cell| resolve_cell(file, &[cell]))
        .collect::<Result<Vec<_>, _>>()?;
    if cells.is_empty() {
        return invalid("cell", "there is no [[cell]]: nothing would be run");
    }
    unique("cell", cells.iter().map(|cell| &cell.name))?;
    let quick_cells = quick_cells(file, &cells)?;
    let variants = resolve_variants(file, &cells)?;
    for cell in &cells {
        for name in cell.variants.iter().flatten() {
            if !variants.iter().any(|variant| &variant.name == name) {
                return invalid(
                    format!("\"{name}\""),
                    format!(
                        "cell \"{}\" names a variant \"{name}\" that is not in the file",
                        cell.name
                    ),
                );
            }
        }
    }
    Ok(Scenario {
        name: file.name.clone(),
        title: file.title.clone(),
        seed: file.seed,
        text,
        variants,
        cells,
        quick_cells,
        no_forecast: file
            .no_forecast
            .iter()
            .map(|one| NoForecast {
                what: one.what.clone(),
                because: one.because.clone(),
            })
            .collect(),
    })
}

/// What `--quick` runs. A cell's own `quick` is `true` (only then), `false` (never then), or a table
/// that is laid over it last.
fn quick_cells(file: &File, cells: &[Cell]) -> Result<Vec<Cell>, Invalid> {
    if file.quick.is_some() && cells.iter().any(|cell| cell.quick) {
        return invalid(
            "[quick]",
            "[quick] shortens every cell, so no cell can be marked as quick",
        );
    }
    let mut quick_cells = Vec::new();
    for (own, cell) in file.cell.iter().zip(cells) {
        match (own.get("quick"), &file.quick) {
            (Some(Toml::Boolean(true)), _) => quick_cells.push(cell.clone()),
            (Some(Toml::Boolean(false)), _) | (None, None) => {}
            (Some(Toml::Table(last)), common) => {
                let tables: Vec<_> = [Some(own), common.as_ref(), Some(last)]
                    .into_iter()
                    .flatten()
                    .collect();
                quick_cells.push(shortened(resolve_cell(file, &tables)?));
            }
            (_, Some(common)) => {
                quick_cells.push(shortened(resolve_cell(file, &[own, common])?));
            }
            // Not a value that a cell can have: reading it has said so.
            (Some(_), None) => {}
        }
    }
    Ok(quick_cells)
}

fn shortened(cell: Cell) -> Cell {
    Cell {
        shortened: true,
        ..cell
    }
}

/// Reads a cell from the file's tables with `own` laid over them in turn.
fn resolve_cell(file: &File, own: &[&Table]) -> Result<Cell, Invalid> {
    let mut merged = Table::new();
    if let Some(target) = &file.target {
        merged.insert("target".to_owned(), Toml::Table(target.clone()));
    } else {
        merged.insert("server".to_owned(), Toml::Table(file.server.clone()));
    }
    for (name, common) in [
        ("upstream", &file.upstream),
        ("load", &file.load),
        ("probe", &file.probe),
        ("phases", &file.phases),
    ] {
        merged.insert(name.to_owned(), Toml::Table(common.clone()));
    }
    if let Some(kubelet) = &file.kubelet {
        merged.insert("kubelet".to_owned(), Toml::Table(kubelet.clone()));
    }
    for &table in own {
        lay_over(&mut merged, table);
    }
    if merged.get("quick").is_some_and(Toml::is_table) {
        merged.remove("quick");
    }
    let name = merged
        .get("name")
        .and_then(Toml::as_str)
        .unwrap_or_default()
        .to_owned();
    let near = format!("\"{name}\"");
    let mut cell = Cell::deserialize(merged).map_err(|error| unreadable(&near, &error))?;
    if let Some(target) = cell.target.as_ref().filter(|target| target.find_capacity)
        && cell.steps.is_empty()
    {
        cell.steps = Target::ladder(target.max_streams)
            .into_iter()
            .map(Step::of_streams)
            .collect();
    }
    // How long one stream takes alone is what everything else is held against.
    let is_alone = |step: &Step| step.streams == Some(1);
    if cell.target.is_some() && cell.steps.first().is_some_and(|first| !is_alone(first)) {
        cell.steps.insert(0, Step::of_streams(1));
    }
    for range in cell.ranges() {
        if !range.fits {
            let key = range.key.rsplit('.').next().unwrap_or(&range.key);
            return Err(Invalid {
                near: vec![format!("{key} = "), near.clone()],
                message: format!(
                    "`{}` of cell {near} is out of range: {}",
                    range.key, range.range
                ),
            });
        }
    }
    Ok(cell)
}

/// Lays `over` over `under`: tables are merged, everything else is replaced.
fn lay_over(under: &mut Table, over: &Table) {
    for (key, value) in over {
        match (under.get_mut(key), value) {
            (Some(Toml::Table(under)), Toml::Table(over)) => lay_over(under, over),
            _ => {
                under.insert(key.clone(), value.clone());
            }
        }
    }
}

/// What a table cannot be read for, in a sentence. The tables were merged, so that the error has no
/// place in the file; the word it quotes has.
fn unreadable(cell: &str, error: &toml::de::Error) -> Invalid {
    let message = error.message();
    let shown = error.to_string();
    let place = shown
        .lines()
        .find_map(|line| line.strip_prefix("in `")?.strip_suffix('`'));
    let quoted = |quote: char| message.split(quote).nth(1).map(str::to_owned);
    if let Some(key) = message.strip_prefix("missing field ").and(quoted('`')) {
        let key = place.map_or(key.clone(), |place| format!("{place}.{key}"));
        return Invalid {
            near: vec![cell.to_owned()],
            message: format!("cell {cell} has no `{key}`, neither of its own nor from the file"),
        };
    }
    let key = if message.starts_with("unknown field") {
        quoted('`').map(|key| vec![format!("\n{key} = "), format!(" {key} = "), key])
    } else {
        let key = place.and_then(|place| place.rsplit('.').next());
        let value = quoted('"').map(|value| format!("\"{value}\""));
        Some(
            value
                .into_iter()
                .chain(key.map(|key| format!("{key} = ")))
                .collect(),
        )
    };
    let mut near = key.unwrap_or_default();
    near.push(cell.to_owned());
    let place = place.map_or(String::new(), |place| {
        format!(" (in `{place}` of cell {cell})")
    });
    Invalid {
        near,
        message: format!("{}{place}", message.replace('\n', "; ")),
    }
}

fn resolve_variants(file: &File, cells: &[Cell]) -> Result<Vec<Variant>, Invalid> {
    if file.variant.is_empty() && file.target.is_none() {
        return invalid("variant", "there is no [[variant]]: nothing would be run");
    }
    if !file.variant.is_empty() && file.target.is_some() {
        return invalid(
            "variant",
            "a [target] is its own variant, \"target\": give no [[variant]]",
        );
    }
    unique("variant", file.variant.iter().map(|variant| &variant.name))?;
    let mut variants = Vec::new();
    if file.target.is_some() {
        variants.push(Variant::of_target(Variant::TARGET));
    }
    for variant in &file.variant {
        if !["broken", "fixed"]
            .iter()
            .any(|prefix| variant.name.starts_with(prefix))
        {
            return invalid(
                format!("\"{}\"", variant.name),
                format!(
                    "variant \"{}\" must be named broken…, or fixed…",
                    variant.name
                ),
            );
        }
        variants.push(Variant {
            name: variant.name.clone(),
            server: variant.server.clone(),
            args: variant.args.clone(),
            actions: variant.actions,
            model: variant.model,
            expectations: Vec::new(),
            field_reports: Vec::new(),
        });
    }
    for expect in &file.expect {
        let names = known_cells("expect", expect.cells.as_ref(), cells)?;
        for expectation in &expect.that {
            check_words(expectation, cells, names.as_ref())?;
        }
        for variant in named("expect", &expect.variant, &mut variants)? {
            for expectation in &expect.that {
                variant.expectations.push(OfCells {
                    cells: names.clone(),
                    what: expectation.clone(),
                });
            }
        }
    }
    for condition in &file.fail_if {
        check_words(condition, cells, None)?;
        for variant in &mut variants {
            variant.fail_if(condition);
        }
    }
    for report in &file.field_report {
        let names = known_cells("field_report", report.cells.as_ref(), cells)?;
        for variant in named("field_report", &report.variant, &mut variants)? {
            variant.field_reports.push(OfCells {
                cells: names.clone(),
                what: FieldReport {
                    metric: report.metric.clone(),
                    reported: report.reported.clone(),
                },
            });
        }
    }
    Ok(variants)
}

/// The variants that `names` has, all of which must be there.
fn named<'a>(
    table: &str,
    names: &file::Names,
    variants: &'a mut [Variant],
) -> Result<Vec<&'a mut Variant>, Invalid> {
    for name in names.iter() {
        if !variants.iter().any(|variant| &variant.name == name) {
            return invalid(
                format!("\"{name}\""),
                format!("[[{table}]] names a variant \"{name}\" that is not in the file"),
            );
        }
    }
    Ok(variants
        .iter_mut()
        .filter(|variant| names.iter().any(|name| *name == variant.name))
        .collect())
}

fn known_cells(
    table: &str,
    names: Option<&Vec<String>>,
    cells: &[Cell],
) -> Result<Option<BTreeSet<String>>, Invalid> {
    for name in names.into_iter().flatten() {
        if !cells.iter().any(|cell| &cell.name == name) {
            return invalid(
                format!("\"{name}\""),
                format!("[[{table}]] names a cell \"{name}\" that is not in the file"),
            );
        }
    }
    Ok(names.map(|names| names.iter().cloned().collect()))
}

/// A word is a diagnosis, which `judge` knows, or a parameter: a misspelt one would never hold.
fn check_words(
    expectation: &Expectation,
    cells: &[Cell],
    names: Option<&BTreeSet<String>>,
) -> Result<(), Invalid> {
    let Value::Word(word) = &expectation.value else {
        return Ok(());
    };
    if expectation.is_of_diagnosis() {
        return Ok(());
    }
    let concerned = || {
        cells
            .iter()
            .filter(|cell| names.is_none_or(|names| names.contains(&cell.name)))
    };
    if concerned().all(|cell| cell.parameters().contains_key(word)) {
        return Ok(());
    }
    let known: Vec<_> = concerned()
        .take(1)
        .flat_map(|cell| cell.parameters().into_keys())
        .collect();
    invalid(
        expectation.metric.clone(),
        format!(
            "\"{word}\" in \"{expectation}\" is no parameter; there are {}",
            known.join(", ")
        ),
    )
}

fn unique<'a>(what: &str, names: impl Iterator<Item = &'a String>) -> Result<(), Invalid> {
    let mut seen = BTreeSet::new();
    for name in names {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || !name.chars().all(fits) {
            return invalid(
                format!("\"{name}\""),
                format!("{what} \"{name}\" becomes a folder's name: use a-z, 0-9 and -"),
            );
        }
        if !seen.insert(name) {
            return invalid(
                format!("\"{name}\""),
                format!("there are two of {what} \"{name}\""),
            );
        }
    }
    Ok(())
}
