use std::path::PathBuf;
use std::process::ExitCode;

use super::compare::Gathered;
use super::print;
use crate::exit::{self, Usage};
use crate::http::Reach;
use crate::reach::{reach, redacted_url};
use crate::run::{Calibration, Finished, Interrupt, Plan};
use crate::scenario_files;
use crate::show;
use crate::show::comparison::Format;
use crate::show::progress::Progress;
use verdict::judge::is_known_metric;
use verdict::scenario::{Cell, Expectation, Scenario, Value, Variant};
use verdict::summary::{Kind, State, Summary};

/// Flags of the command.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Path of a scenario file, name of one in scenarios/, or name of one that is built in
    scenario: String,
    /// Run only this variant; may be given several times [default: all]
    #[arg(long, value_name = "V")]
    variant: Vec<String>,
    /// Run only this cell; may be given several times
    #[arg(long, value_name = "CELL", conflicts_with = "quick")]
    cell: Vec<String>,
    /// Run the short form of the scenario: the cells that it marks as quick, or all of them shortened
    #[arg(long)]
    quick: bool,
    /// Run everything this many times, variants in turn
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    repeat: u32,
    /// How often an invalid cell is measured again before it stands as invalid
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=10))]
    retries: u32,
    /// Replace a value of the scenario, for instance server.pool_threads=40
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Where the folders of the runs go
    #[arg(long, value_name = "DIR", default_value = "results/runs")]
    out: PathBuf,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let plan = plan(args)?;
    print_forecasts(&plan);
    let finished = drive(&plan)?;
    let gathered = Gathered::of_folders(&finished.folders)?;
    let is_matrix = gathered.is_matrix(None);
    for summary in &finished.summaries {
        // A matrix has a row for each cell; beside it stands what went wrong.
        if !is_matrix || is_remarkable(summary) {
            print(&show::summary::render(summary));
        }
    }
    print("\n");
    print(&gathered.render(None, Format::Text));
    if is_matrix {
        print("All of a cell: lab compare --cell NAME\n");
    }
    for folder in &finished.folders {
        print(&format!("Saved in {}\n", folder.display()));
    }
    conclude(finished)
}

/// Makes the run, to its end or to Ctrl-C.
pub(super) fn drive(plan: &Plan) -> anyhow::Result<Finished> {
    super::runtime()?.block_on(async {
        let interrupt = Interrupt::listen()?;
        anyhow::Ok(crate::run::run(plan, &Progress::default(), &interrupt).await?)
    })
}

/// What became of it, as an exit code or as the error that ended it.
pub(super) fn conclude(finished: Finished) -> anyhow::Result<ExitCode> {
    let code = code(&finished);
    match finished.error {
        Some(error) => Err(error.into()),
        None => Ok(ExitCode::from(code)),
    }
}

/// Whether an expectation failed, the measurement is invalid, or the cell did not come to its end.
fn is_remarkable(summary: &Summary) -> bool {
    let failed = summary.expectations.iter().any(|outcome| !outcome.held);
    failed || !summary.quality.valid || summary.state != State::Complete
}

fn plan(args: Args) -> anyhow::Result<Plan> {
    let scenario = scenario_files::load(&args.scenario, &args.set)?;
    check_metrics(&scenario)?;
    let variants = select_variants(&scenario, &args.variant)?;
    let cells = if args.cell.is_empty() {
        let cells: Vec<Cell> = if args.quick {
            scenario.quick_cells.clone()
        } else {
            scenario
                .cells
                .iter()
                .filter(|cell| !cell.quick)
                .cloned()
                .collect()
        };
        if cells.is_empty() {
            return Err(Usage(format!(
                "scenario {} has no cell for this; name one with --cell",
                scenario.name
            ))
            .into());
        }
        cells
    } else {
        select(&scenario.cells, &args.cell, "cell", |cell| &cell.name)?
    };
    let variants = with_a_cell(&variants, &cells);
    if variants.is_empty() {
        return Err(Usage(format!(
            "no cell of scenario {} is run in variant {}; name one that is, with --cell",
            scenario.name,
            args.variant.join(" or ")
        ))
        .into());
    }
    Ok(Plan {
        scenario,
        reach: reach_of(&cells)?,
        repeats: args.repeat,
        retries: args.retries,
        calibration: calibration(&cells, &variants),
        out: args.out,
        command: command_line(),
        variants,
        cells,
    })
}

/// The variants in which any of these cells is run: one without leaves no folder behind.
pub(super) fn with_a_cell(variants: &[Variant], cells: &[Cell]) -> Vec<Variant> {
    let has_cell = |variant: &&Variant| cells.iter().any(|cell| cell.has_variant(&variant.name));
    variants.iter().filter(has_cell).cloned().collect()
}

/// How the targets of these cells are reached, if that is allowed.
pub(super) fn reach_of(cells: &[Cell]) -> anyhow::Result<Reach> {
    let mut all = Reach::default();
    for target in cells.iter().filter_map(|cell| cell.target.as_ref()) {
        let one = reach(target)?;
        print(&super::attach::caps(target));
        all.addresses.extend(one.addresses);
        all.ca_certificate = one.ca_certificate.or(all.ca_certificate);
    }
    Ok(all)
}

/// What the forecasts of these cells need to know of this machine.
pub(super) fn calibration(cells: &[Cell], variants: &[Variant]) -> Calibration {
    let models: Vec<_> = variants.iter().map(|variant| variant.model).collect();
    Calibration::measure(cells.iter(), &models)
}

/// The command line as a reader would type it, without what may be a secret: values of headers, and
/// of some parameters of URLs.
pub(super) fn command_line() -> String {
    shown_arguments(std::env::args().skip(1))
}

fn shown_arguments(arguments: impl Iterator<Item = String>) -> String {
    let mut shown = vec!["lab".to_owned()];
    let mut is_header = false;
    for argument in arguments {
        let attached = ["--header=", "-H"]
            .iter()
            .find(|flag| argument.starts_with(**flag) && argument.len() > flag.len());
        shown.push(match attached {
            _ if is_header => without_value(&argument),
            Some(flag) => format!("{flag}{}", without_value(&argument[flag.len()..])),
            None => match argument.find("://") {
                Some(_) => shown_url(&argument),
                None => argument.clone(),
            },
        });
        is_header = !is_header && (argument == "--header" || argument == "-H");
    }
    shown.join(" ")
}

fn without_value(header: &str) -> String {
    let name = header.split(':').next().unwrap_or_default();
    format!("'{name}: …'")
}

/// A URL, perhaps after `--flag=`.
fn shown_url(argument: &str) -> String {
    match argument.split_once('=') {
        Some((flag, url)) if flag.starts_with("--") => format!("{flag}={}", redacted_url(url)),
        _ => redacted_url(argument),
    }
}

/// An expectation of a metric that does not exist would only fail after the run.
pub(super) fn check_metrics(scenario: &Scenario) -> Result<(), Usage> {
    for variant in &scenario.variants {
        for cell in scenario.cells.iter().chain(&scenario.quick_cells) {
            if !cell.has_variant(&variant.name) {
                continue;
            }
            let reports = variant.field_reports(cell);
            for report in reports {
                is_known_metric(&report.metric, cell).map_err(|error| {
                    Usage(format!(
                        "scenario {}: in [[field_report]]: {error}",
                        scenario.name
                    ))
                })?;
            }
            for expectation in variant.expectations(cell) {
                check_diagnosis(&scenario.name, &expectation)?;
                is_known_metric(&expectation.metric, cell).map_err(|error| {
                    Usage(format!(
                        "scenario {}: in [[expect]]: {error}",
                        scenario.name
                    ))
                })?;
            }
        }
    }
    Ok(())
}

/// A misspelt diagnosis would make `!=` hold for ever.
fn check_diagnosis(scenario: &str, expectation: &Expectation) -> Result<(), Usage> {
    let known = Kind::ALL.map(Kind::name);
    match &expectation.value {
        Value::Word(word) if expectation.is_of_diagnosis() && !known.contains(&word.as_str()) => {
            Err(Usage(format!(
                "scenario {scenario}: \"{word}\" in \"{expectation}\" is no diagnosis; there are {}",
                known.join(", ")
            )))
        }
        _ => Ok(()),
    }
}

/// The variants that are named. Where none is called just `broken` or `fixed`, the word means all whose
/// names begin with it.
fn select_variants(scenario: &Scenario, names: &[String]) -> Result<Vec<Variant>, Usage> {
    let all = &scenario.variants;
    let is_group = |name: &String| {
        matches!(name.as_str(), "broken" | "fixed") && all.iter().all(|one| one.name != *name)
    };
    let (groups, exact): (Vec<_>, Vec<_>) = names.iter().cloned().partition(is_group);
    let of_groups = all
        .iter()
        .filter(|one| groups.iter().any(|group| one.name.starts_with(group)))
        .map(|one| one.name.clone());
    let found: Vec<_> = exact.into_iter().chain(of_groups).collect();
    // A group without members is a name that does not exist.
    let names = if found.is_empty() {
        names.to_vec()
    } else {
        found
    };
    select(all, &names, "variant", |variant| &variant.name)
}

fn select<T: Clone>(
    all: &[T],
    names: &[String],
    what: &str,
    name_of: impl Fn(&T) -> &String,
) -> Result<Vec<T>, Usage> {
    if names.is_empty() {
        return Ok(all.to_vec());
    }
    for name in names {
        if !all.iter().any(|one| name_of(one) == name) {
            let known: Vec<_> = all.iter().map(|one| name_of(one).as_str()).collect();
            return Err(Usage(format!(
                "there is no {what} \"{name}\"; there are {}",
                known.join(", ")
            )));
        }
    }
    Ok(all
        .iter()
        .filter(|one| names.contains(name_of(one)))
        .cloned()
        .collect())
}

fn print_forecasts(plan: &Plan) {
    print(&format!(
        "{}: {}\n",
        plan.scenario.name, plan.scenario.title
    ));
    let cells = plan.cells.iter().map(|cell| (cell, "Before the run, "));
    super::forecast::print_all(&plan.scenario, &plan.variants, &plan.calibration, cells);
    print("\n");
}

/// The worse of two exit codes: interrupted, failed, invalid, an expectation, none.
pub(super) fn worse(a: u8, b: u8) -> u8 {
    const ORDER: [u8; 4] = [
        exit::INTERRUPTED,
        exit::ENVIRONMENT,
        exit::INVALID,
        exit::EXPECTATION,
    ];
    let rank = |code: u8| ORDER.iter().position(|&one| one == code);
    match (rank(a), rank(b)) {
        (Some(of_a), Some(of_b)) if of_a <= of_b => a,
        (_, Some(_)) => b,
        (_, None) => a,
    }
}

/// The exit code of a run.
pub(super) fn code(finished: &Finished) -> u8 {
    match finished.state {
        State::Interrupted => return exit::INTERRUPTED,
        State::Failed => return exit::ENVIRONMENT,
        State::Complete | State::Running => {}
    }
    if finished
        .summaries
        .iter()
        .any(|summary| !summary.quality.valid)
    {
        return exit::INVALID;
    }
    let outcomes = || {
        finished
            .summaries
            .iter()
            .flat_map(|summary| &summary.expectations)
    };
    if outcomes().any(|outcome| !outcome.held) {
        exit::EXPECTATION
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variant_without_a_cell_in_the_short_form_is_no_part_of_the_plan() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios/stream.toml");
        let scenario = scenario_files::load(path, &[]).expect("valid");
        let planned = with_a_cell(&scenario.variants, &scenario.quick_cells);
        let is_planned = |name: &str| planned.iter().any(|variant| variant.name == name);
        assert!(is_planned("broken-dns") && is_planned("fixed"));
        // It has one in the full form alone.
        assert!(!is_planned("broken-capped"));
    }

    #[test]
    fn a_command_line_is_saved_without_its_secrets() {
        let line = [
            "attach",
            "--header",
            "Authorization: Bearer abc",
            "-HX-Key: abc",
            "--header=Cookie: abc",
            "--stream",
            "http://u:abc@127.0.0.1/x?api_key=abc",
            "--health=http://127.0.0.1/?token=abc",
            "--bearer-env",
            "TOKEN",
        ];
        let shown = shown_arguments(line.into_iter().map(str::to_owned));
        assert!(!shown.contains("abc"), "{shown}");
        assert!(
            shown.contains("--header 'Authorization: …' -H'X-Key: …'"),
            "{shown}"
        );
        assert!(shown.ends_with("--bearer-env TOKEN"), "{shown}");
    }
}
