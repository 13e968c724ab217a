use std::collections::BTreeSet;

use serde::Deserialize;
use toml::{Table, Value as Toml};

use super::file::{self, File};
use super::{Cell, Expectation, Form, Step, Target, Value};
use crate::forecast::Model;
use crate::load;
use crate::metrics::{MetricUnit, unit_of};

/// A validated scenario: every cell has every value, and every name that is used exists.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Name, as in the file.
    pub name: String,
    /// One line.
    pub title: String,
    /// Of everything random: the same seed makes the same run, as far as the machine lets it.
    pub seed: u64,
    /// The file's text, or its text with `--set` applied: what the run directory keeps. Without secrets.
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
    field_reports: Vec<OfCells<file::FieldReport>>,
    unforecast: Vec<OfCells<Vec<String>>>,
}

/// Something that no forecast can hold for, said before it is run.
#[derive(Clone, Debug)]
pub struct NoForecast {
    /// What is not forecast.
    pub what: String,
    /// Why not.
    pub because: String,
    scope: Scope,
}

impl NoForecast {
    /// Whether it is said of `cell`.
    #[must_use]
    pub fn concerns(&self, cell: &Cell) -> bool {
        self.scope.has(cell)
    }
}

/// Some of the cells, or all of them, in one form, or in both.
#[derive(Clone, Debug, Default)]
struct Scope {
    cells: Option<BTreeSet<String>>,
    form: Option<Form>,
}

/// Something that concerns some of the cells.
#[derive(Clone, Debug)]
struct OfCells<T> {
    scope: Scope,
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
            model: Model::NONE,
            expectations: Vec::new(),
            field_reports: Vec::new(),
            unforecast: Vec::new(),
        }
    }

    /// `condition` must not hold, in any cell.
    pub fn fail_if(&mut self, condition: &Expectation) {
        let everywhere = Scope::default();
        self.expectations
            .push(everywhere.limit(condition.negated()));
    }

    /// What must hold in a cell.
    #[must_use]
    pub fn expectations(&self, cell: &Cell) -> Vec<Expectation> {
        of_cell(&self.expectations, cell)
    }

    /// What the field reports of a cell.
    #[must_use]
    pub fn field_reports(&self, cell: &Cell) -> Vec<file::FieldReport> {
        of_cell(&self.field_reports, cell)
    }

    /// The rows that were said to have no forecast in a cell.
    #[must_use]
    pub fn unforecast(&self, cell: &Cell) -> Vec<String> {
        of_cell(&self.unforecast, cell).concat()
    }
}

fn of_cell<T: Clone>(all: &[OfCells<T>], cell: &Cell) -> Vec<T> {
    all.iter()
        .filter(|one| one.scope.has(cell))
        .map(|one| one.what.clone())
        .collect()
}

impl Scope {
    /// What a table such as `[[expect]]` names, all of which must be there.
    fn of(
        table: &str,
        names: Option<&Vec<String>>,
        form: Option<Form>,
        cells: &[Cell],
    ) -> Result<Self, Invalid> {
        let all = cells.iter().map(|cell| &cell.name);
        must_be_there(table, "cell", names.into_iter().flatten(), all)?;
        let cells = names.map(|names| names.iter().cloned().collect());
        Ok(Self { cells, form })
    }

    /// `what`, as far as this goes.
    fn limit<T>(&self, what: T) -> OfCells<T> {
        OfCells {
            scope: self.clone(),
            what,
        }
    }

    fn has(&self, cell: &Cell) -> bool {
        self.names(cell) && self.form.is_none_or(|form| form == cell.form())
    }

    /// Whether it has the cell in whichever form.
    fn names(&self, cell: &Cell) -> bool {
        let cells = self.cells.as_ref();
        cells.is_none_or(|names| names.contains(&cell.name))
    }
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
    for cell in cells.iter().chain(&quick_cells) {
        for variant in variants.iter().filter(|one| cell.has_variant(&one.name)) {
            for expectation in variant.expectations(cell) {
                check_can_be_judged(&expectation, variant, cell)?;
            }
        }
    }
    for cell in &cells {
        let all = variants.iter().map(|variant| &variant.name);
        let place = format!("cell \"{}\"", cell.name);
        must_be_there(&place, "variant", cell.variants.iter().flatten(), all)?;
    }
    let mut no_forecast = Vec::new();
    for one in &file.no_forecast {
        no_forecast.push(NoForecast {
            what: one.what.clone(),
            because: one.because.clone(),
            scope: Scope::of("[[no_forecast]]", one.cells.as_ref(), one.form, &cells)?,
        });
    }
    Ok(Scenario {
        name: file.name.clone(),
        title: file.title.clone(),
        seed: file.seed,
        text,
        variants,
        cells,
        quick_cells,
        no_forecast,
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
        let last = match own.get("quick") {
            Some(Toml::Boolean(true)) => {
                quick_cells.push(cell.clone());
                continue;
            }
            Some(Toml::Table(last)) => Some(last),
            None if file.quick.is_some() => None,
            _ => continue,
        };
        let tables = [Some(own), file.quick.as_ref(), last];
        let tables: Vec<_> = tables.into_iter().flatten().collect();
        quick_cells.push(Cell {
            shortened: true,
            ..resolve_cell(file, &tables)?
        });
    }
    Ok(quick_cells)
}

/// Reads a cell from the file's tables with `own` laid over them in turn.
fn resolve_cell(file: &File, own: &[&Table]) -> Result<Cell, Invalid> {
    let mut merged = Table::new();
    let server = file.target.is_none().then_some(&file.server);
    for (name, common) in [
        ("target", file.target.as_ref()),
        ("server", server),
        ("upstream", Some(&file.upstream)),
        ("load", Some(&file.load)),
        ("probe", Some(&file.probe)),
        ("phases", Some(&file.phases)),
        ("kubelet", file.kubelet.as_ref()),
    ] {
        if let Some(common) = common {
            merged.insert(name.to_owned(), Toml::Table(common.clone()));
        }
    }
    for &table in own {
        lay_over(&mut merged, table);
    }
    if merged.get("quick").is_some_and(Toml::is_table) {
        merged.remove("quick");
    }
    if let (true, Some(Toml::Table(probe))) =
        (merged.contains_key("target"), merged.get_mut("probe"))
    {
        let rate = probe.entry("rate");
        rate.or_insert(Toml::Float(Target::CHECKS));
    }
    let name = merged
        .get("name")
        .and_then(Toml::as_str)
        .unwrap_or_default()
        .to_owned();
    let near = format!("\"{name}\"");
    let mut cell = Cell::deserialize(merged).map_err(|error| unreadable(&near, &error))?;
    if let Some(target) = &mut cell.target {
        target.ask_for_chat();
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
    // A string in the wrong place of a target may be a secret.
    let is_of_target = place.is_some_and(|place| place.starts_with("target"));
    let what = match message.split_once("invalid type: string ") {
        Some((_, rest)) if is_of_target => {
            let expected = rest.rsplit_once(", ").map_or("", |(_, expected)| expected);
            format!("invalid type: a string, {expected}")
        }
        _ => message.replace('\n', "; "),
    };
    let place = place.map_or(String::new(), |place| {
        format!(" (in `{place}` of cell {cell})")
    });
    Invalid {
        near,
        message: format!("{what}{place}"),
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
            server: variant.server.clone(),
            args: variant.args.clone(),
            actions: variant.actions,
            model: model(&variant.model)?,
            ..Variant::of_target(&variant.name)
        });
    }
    for expect in &file.expect {
        let scope = Scope::of("[[expect]]", expect.cells.as_ref(), expect.form, cells)?;
        for expectation in &expect.that {
            check_words(expectation, cells, &scope)?;
        }
        for variant in named("[[expect]]", &expect.variant, &mut variants)? {
            let that = expect.that.iter().map(|what| scope.limit(what.clone()));
            variant.expectations.extend(that);
        }
    }
    for condition in &file.fail_if {
        check_words(condition, cells, &Scope::default())?;
        for variant in &mut variants {
            variant.fail_if(condition);
        }
    }
    for report in &file.field_report {
        let scope = Scope::of("[[field_report]]", report.cells.as_ref(), None, cells)?;
        check_closed_loop(report, cells, &scope)?;
        for variant in named("[[field_report]]", &report.variant, &mut variants)? {
            variant.field_reports.push(scope.limit(report.clone()));
        }
    }
    for one in file.no_forecast.iter().filter(|one| !one.rows.is_empty()) {
        let scope = Scope::of("[[no_forecast]]", one.cells.as_ref(), one.form, cells)?;
        let concerned = match &one.variant {
            Some(names) => named("[[no_forecast]]", names, &mut variants)?,
            None => variants.iter_mut().collect(),
        };
        for variant in concerned {
            variant.unforecast.push(scope.limit(one.rows.clone()));
        }
    }
    Ok(variants)
}

/// The model of this name.
fn model(name: &str) -> Result<Model, Invalid> {
    if let Some(model) = load::model(name) {
        return Ok(model);
    }
    let known: Vec<_> = load::models()
        .map(|one| format!("`{}`", one.name()))
        .collect();
    invalid(
        format!("\"{name}\""),
        format!(
            "unknown variant `{name}`, expected one of {}",
            known.join(", ")
        ),
    )
}

/// What is named in `place` must be in the file.
fn must_be_there<'a>(
    place: &str,
    what: &str,
    mut names: impl Iterator<Item = &'a String>,
    all: impl Iterator<Item = &'a String> + Clone,
) -> Result<(), Invalid> {
    match names.find(|&name| all.clone().all(|one| one != name)) {
        None => Ok(()),
        Some(name) => invalid(
            format!("\"{name}\""),
            format!("{place} names a {what} \"{name}\" that is not in the file"),
        ),
    }
}

/// The variants that `names` has, all of which must be there.
fn named<'a>(
    table: &str,
    names: &file::Names,
    variants: &'a mut [Variant],
) -> Result<Vec<&'a mut Variant>, Invalid> {
    let all = variants.iter().map(|variant| &variant.name);
    must_be_there(table, "variant", names.iter(), all)?;
    Ok(variants
        .iter_mut()
        .filter(|variant| names.iter().any(|name| *name == variant.name))
        .collect())
}

/// What can never be measured would never hold: whether health stayed flat, of too few checks, and the
/// error of a forecast that there is none of.
fn check_can_be_judged(
    expectation: &Expectation,
    variant: &Variant,
    cell: &Cell,
) -> Result<(), Invalid> {
    let form = if cell.shortened {
        ", in its short form,"
    } else {
        ""
    };
    let place = format!("\"{expectation}\" of cell \"{}\"{form}", cell.name);
    let near = |message: String| Invalid {
        near: vec![format!("\"{}\"", cell.name), expectation.metric.clone()],
        message,
    };
    let checks = cell.checks_in_hold();
    let least = cell.least_checks();
    if expectation.metric.ends_with(".flat") && checks < least {
        return Err(near(format!(
            "{place} would never be measured: {} checks a second make {checks} in a hold of {}, and it takes \
             {least}; raise probe.rate or phases.hold",
            cell.probe.rate,
            humantime::format_duration(cell.phases.hold)
        )));
    }
    let row = expectation.metric.strip_prefix("forecast.");
    let row = row.and_then(|row| row.strip_suffix(".error"));
    if let Some(row) = row.filter(|row| variant.unforecast(cell).iter().any(|name| name == row)) {
        return Err(near(format!(
            "{place} would never be measured: [[no_forecast]] says that there is no \"{row}\" of it in variant \"{}\"",
            variant.name
        )));
    }
    Ok(())
}

/// A class that does not wait for its answers shows what every open loop does.
fn check_closed_loop(
    report: &file::FieldReport,
    cells: &[Cell],
    scope: &Scope,
) -> Result<(), Invalid> {
    let Some(class) = &report.closed_loop else {
        return Ok(());
    };
    let waits = |cell: &&Cell| {
        let class = cell.load.requests.get(class);
        class.is_some_and(|class| class.users.is_some())
    };
    let mut concerned = cells.iter().filter(|cell| scope.names(cell));
    match concerned.find(|cell| !waits(cell)) {
        None => Ok(()),
        Some(cell) => invalid(
            format!("closed_loop = \"{class}\""),
            format!(
                "[[field_report]] names a class \"{class}\" as its closed loop, and cell \"{}\" has no such class with `users`",
                cell.name
            ),
        ),
    }
}

/// A word is a diagnosis, which `judge` knows, or a parameter: a misspelt one would never hold.
fn check_words(expectation: &Expectation, cells: &[Cell], scope: &Scope) -> Result<(), Invalid> {
    let Value::Word(word) = &expectation.value else {
        return Ok(());
    };
    if unit_of(&expectation.metric) == Some(MetricUnit::Text) {
        return Ok(());
    }
    let concerned = || cells.iter().filter(|cell| scope.names(cell));
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::scenario::{Cell, Scenario, parse};

    /// One cell of 100 checks a second for 9 s, with what `more` has.
    fn scenario(more: &str) -> Result<Scenario, String> {
        let text = format!(
            r#"
            schema = 1
            name = "s"
            title = "One cell"
            server.pool_threads = 4
            probe = {{ rate = 100, timeout = "1s", endpoints = {{ health = "/health" }} }}
            phases = {{ baseline = "2s", hold = "9s", recovery = "9s" }}
            load.streams = {{ path = "/", count = 3, ramp = "1s", ttft = "1s", interval = "1s", length = "9s", bytes = 1, stall_after = "9s" }}
            variant = [
                {{ name = "broken", server = "s", model = "thread_per_stream" }},
                {{ name = "fixed", server = "s", model = "async" }},
            ]
            {more}
            "#
        );
        parse(Path::new("s.toml"), &text).map_err(|error| error.to_string())
    }

    const CELL: &str = "cell = [{ name = \"only\" }]";

    fn refused(more: &str) -> String {
        scenario(more).expect_err("refused")
    }

    #[test]
    fn flat_of_too_few_checks_is_refused_in_whichever_form_and_step() {
        let expect = |metric: &str| {
            format!("expect = [{{ variant = \"fixed\", that = [\"{metric} == true\"] }}]")
        };
        let flat = expect("health.flat");
        assert!(scenario(&format!("{flat}\n{CELL}")).is_ok(), "900 checks");
        let short = format!("{flat}\ncell = [{{ name = \"only\", phases.hold = \"4990ms\" }}]");
        let error = refused(&short);
        assert!(
            error.contains("\"health.flat == true\" of cell \"only\" would never be measured: 100 checks a second make 499"),
            "{error}"
        );
        let just = short.replace("4990ms", "5s");
        assert!(scenario(&just).is_ok(), "500 checks");
        let error = refused(&format!(
            "quick = {{ phases.hold = \"2s\" }}\n{flat}\n{CELL}"
        ));
        assert!(
            error.contains("of cell \"only\", in its short form,"),
            "{error}"
        );
        let of_step = expect("steps.one.health.flat");
        let steps =
            "cell = [{ name = \"only\", phases.hold = \"2s\", steps = [{ name = \"one\" }] }]";
        assert!(refused(&format!("{of_step}\n{steps}")).contains("make 200"));
        // Anything else says something of few checks as well, and so does the other variant.
        let other = short.replace("health.flat == true", "health.max <= 1s");
        assert!(scenario(&other).is_ok());
        let elsewhere = short.replace("4990ms\"", "4990ms\", variants = [\"broken\"]");
        assert!(scenario(&elsewhere).is_ok());
    }

    #[test]
    fn an_expectation_may_be_of_one_form_only() {
        let text = r#"
            quick = { phases.hold = "6s" }
            cell = [{ name = "only" }]
            expect = [
                { variant = "fixed", form = "full", that = ["health.max <= 1s"] },
                { variant = "fixed", form = "quick", that = ["health.max <= 2s"] },
                { variant = "fixed", that = ["health.max <= 3s"] },
            ]
        "#;
        let scenario = scenario(text).expect("valid");
        let of = |cell: &Cell| {
            let fixed = &scenario.variants[1];
            let all = fixed.expectations(cell).into_iter();
            all.map(|one| one.value.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(of(&scenario.cells[0]), ["1s", "3s"]);
        assert_eq!(of(&scenario.quick_cells[0]), ["2s", "3s"]);
    }

    #[test]
    fn what_has_no_forecast_is_named_by_row_and_no_expectation_may_ask_for_it() {
        let text = |rows: &str| {
            format!(
                "{CELL}\nno_forecast = [{{ variant = \"broken\", cells = [\"only\"], rows = [\"{rows}\"], what = \"it\", because = \"so\" }}]"
            )
        };
        let one = scenario(&text("unserved")).expect("valid");
        let of = |variant: usize| one.variants[variant].unforecast(&one.cells[0]);
        assert_eq!((of(0), of(1)), (vec!["unserved".to_owned()], vec![]));
        let expect = "expect = [{ variant = [\"broken\", \"fixed\"], that = [\"forecast.unserved.error <= 1%\"] }]";
        let error = refused(&format!("{}\n{expect}", text("unserved")));
        assert!(
            error.contains("no \"unserved\" of it in variant \"broken\""),
            "{error}"
        );
        assert!(scenario(&format!("{}\n{expect}", text("other"))).is_ok());
        let error = refused(&text("unserved").replace("[\"only\"]", "[\"onyl\"]"));
        assert!(error.contains("names a cell \"onyl\""), "{error}");
    }

    #[test]
    fn something_is_expected_of_every_cell_of_large_bodies_in_every_variant() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../scenarios/large-body.toml"
        );
        let scenario = crate::scenario::load(path, &[]).expect("valid");
        for variant in &scenario.variants {
            let run = |cell: &&Cell| cell.has_variant(&variant.name);
            for cell in scenario.cells.iter().filter(run) {
                let expected = variant.expectations(cell);
                assert!(!expected.is_empty(), "{} / {}", cell.name, variant.name);
            }
        }
    }

    #[test]
    fn a_closed_loop_must_be_one_and_be_there() {
        let text = |class: &str| {
            format!(
                r#"
                load.requests.small = {{ path = "/", rate = 50, timeout = "1s" }}
                load.requests.patient = {{ path = "/", users = 1, timeout = "1s" }}
                {CELL}
                field_report = [{{ variant = "broken", metric = "requests.small.p90", reported = "1s", closed_loop = "{class}" }}]
                "#
            )
        };
        let one = scenario(&text("patient")).expect("valid");
        let report = one.variants[0].field_reports(&one.cells[0]).remove(0);
        assert_eq!(report.closed_loop.as_deref(), Some("patient"));
        for class in ["small", "missing"] {
            let error = refused(&text(class));
            assert!(error.contains("has no such class with `users`"), "{error}");
        }
    }
}
