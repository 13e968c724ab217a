//! One table of every scenario: what was expected, what was measured, how far off the forecast was,
//! and the diagnosis.

use verdict::judge::control::{Control, FailedBy, Judged, place};
use verdict::summary::{Forecast, Outcome, State, Summary, Verdict};
use verdict::units::{WIDTH, wrapped};

/// The table, what failed, and the positive control.
#[must_use]
pub fn render(judged: &[Judged<'_>], controls: &[Control]) -> String {
    let summaries = judged.iter().map(|one| one.summary);
    let tables = gathered(summaries.map(|summary| (&summary.scenario, summary)));
    let tables = tables
        .iter()
        .map(|(scenario, rows)| format!("\n{scenario}\n{}", table(rows)));
    tables.collect::<String>() + &failures(judged) + &positive_control(controls)
}

/// What belongs to each key, in the order in which the keys first come.
fn gathered<K: PartialEq, V>(pairs: impl Iterator<Item = (K, V)>) -> Vec<(K, Vec<V>)> {
    let mut all: Vec<(K, Vec<V>)> = Vec::new();
    for (key, value) in pairs {
        match all.iter_mut().find(|(known, _)| *known == key) {
            Some((_, values)) => values.push(value),
            None => all.push((key, vec![value])),
        }
    }
    all
}

const HEADER: [&str; COLUMNS] = [
    "cell",
    "variant",
    "expected",
    "measured",
    "error",
    "diagnosis",
    "",
];

const COLUMNS: usize = 7;

/// What a column has at least if it needs it. With a space between two they fill a terminal.
const LEAST: [usize; COLUMNS] = [10, 11, 19, 9, 7, 11, 7];

/// Columns that get what others leave of the width, in this order.
const GROW: [usize; COLUMNS] = [2, 5, 1, 3, 0, 6, 4];

/// The columns that are set to the right.
const RIGHT: [usize; 1] = [4];

fn table(rows: &[&Summary]) -> String {
    let mut lines = vec![HEADER.map(str::to_owned)];
    lines.extend(rows.iter().map(|summary| row(summary)));
    let widths = widths(&lines);
    lines.iter().map(|line| laid_out(line, &widths)).collect()
}

fn row(summary: &Summary) -> [String; COLUMNS] {
    let headline = headline(summary);
    [
        summary.cell.clone(),
        summary.variant.clone(),
        headline.map_or(String::new(), |one| {
            format!("{} {}", one.name, one.expected)
        }),
        headline.map_or("–".to_owned(), |one| one.measured.clone()),
        forecast_error(summary),
        summary.diagnosis.kind.name().to_owned(),
        verdict(summary),
    ]
}

fn widths(lines: &[[String; COLUMNS]]) -> [usize; COLUMNS] {
    let natural: [usize; COLUMNS] = std::array::from_fn(|column| {
        let cells = lines.iter().map(|line| line[column].chars().count());
        cells.max().unwrap_or(0)
    });
    let mut widths: [usize; COLUMNS] =
        std::array::from_fn(|column| natural[column].min(LEAST[column]));
    let mut left = WIDTH.saturating_sub(COLUMNS - 1 + widths.iter().sum::<usize>());
    for column in GROW {
        let more = left.min(natural[column] - widths[column]);
        widths[column] += more;
        left -= more;
    }
    widths
}

/// A row, in as many lines as its longest cell takes.
fn laid_out(cells: &[String; COLUMNS], widths: &[usize; COLUMNS]) -> String {
    let cells: Vec<_> = cells
        .iter()
        .zip(widths)
        .map(|(cell, &width)| broken(cell, width))
        .collect();
    let height = cells.iter().map(Vec::len).max().unwrap_or(0);
    let mut text = String::new();
    for n in 0..height {
        let parts = cells.iter().zip(widths).enumerate();
        let parts = parts.map(|(column, (lines, &width))| {
            let part = lines.get(n).map_or("", String::as_str);
            if RIGHT.contains(&column) {
                format!("{part:>width$}")
            } else {
                format!("{part:<width$}")
            }
        });
        text.push_str(parts.collect::<Vec<_>>().join(" ").trim_end());
        text.push('\n');
    }
    text
}

/// `text` in lines of at most `width` characters: broken after a space, and inside a name after its
/// `_`, `-` and `.`, where a reader would break it.
fn broken(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for piece in pieces(text) {
        let fits = |line: &String| {
            line.chars().count() + piece.trim_end().chars().count() <= width || line.is_empty()
        };
        match lines.last_mut() {
            Some(line) if fits(line) => line.push_str(piece),
            _ => lines.push(piece.to_owned()),
        }
    }
    let trimmed = lines.iter().map(|line| line.trim_end());
    trimmed.flat_map(|line| cut(line, width)).collect()
}

/// Parts of a text that stay together. A dot in a number is no place to break.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let is_end = |&(at, c): &(usize, char)| match c {
            ' ' | '_' | '-' => true,
            '.' => !rest[at + 1..].starts_with(|next: char| next.is_ascii_digit()),
            _ => false,
        };
        let end = rest.char_indices().find(is_end);
        let (piece, others) = rest.split_at(end.map_or(rest.len(), |(at, c)| at + c.len_utf8()));
        rest = others;
        Some(piece)
    })
}

/// A word that is wider than its column has no better place.
fn cut(line: &str, width: usize) -> Vec<String> {
    let letters: Vec<_> = line.chars().collect();
    let parts = letters.chunks(width.max(1));
    let mut parts: Vec<String> = parts.map(|part| part.iter().collect()).collect();
    if parts.is_empty() {
        parts.push(String::new());
    }
    parts
}

/// The expectation that is shown: the first that failed, or else the first.
fn headline(summary: &Summary) -> Option<&Outcome> {
    let failed = summary.expectations.iter().find(|one| !one.held);
    failed.or(summary.expectations.first())
}

/// The largest error of what was forecast as a value.
fn forecast_error(summary: &Summary) -> String {
    let refuted = summary
        .forecast
        .iter()
        .any(|row| row.verdict == Some(Verdict::Refuted));
    let errors = summary.forecast.iter().filter_map(Forecast::error);
    let largest = errors.map(f64::abs).max_by(f64::total_cmp);
    match largest {
        _ if refuted => "REFUTED".to_owned(),
        Some(error) => format!("{error:.1} %"),
        None if summary.forecast.iter().any(Forecast::is_met_zero) => "met".to_owned(),
        None => "–".to_owned(),
    }
}

fn verdict(summary: &Summary) -> String {
    let held = summary.expectations.iter().filter(|one| one.held).count();
    let all = summary.expectations.len();
    match summary.state {
        State::Complete if !summary.quality.valid => "INVALID".to_owned(),
        State::Complete if held < all => "FAILED".to_owned(),
        State::Complete => format!("{held} of {all}"),
        State::Running | State::Interrupted | State::Failed => "ended early".to_owned(),
    }
}

fn failures(judged: &[Judged<'_>]) -> String {
    let mut text = String::new();
    for summary in judged.iter().map(|one| one.summary) {
        let place = place(summary);
        for outcome in summary.expectations.iter().filter(|one| !one.held) {
            let line = format!(
                "{place}: expected {} {}, measured {}",
                outcome.name, outcome.expected, outcome.measured
            );
            text.push_str(&wrapped("FAILED ", "  ", &line));
        }
        for reason in summary.failure.iter().chain(&summary.quality.reasons) {
            text.push_str(&wrapped("INVALID ", "  ", &format!("{place}: {reason}")));
        }
    }
    if text.is_empty() {
        text.push_str("Every expectation held.\n");
    }
    format!("\n{text}")
}

/// How many expectations a run of another variant fails, by how near it is, and by name those that no run
/// of the same scenario fails.
fn positive_control(controls: &[Control]) -> String {
    let by = |which: Option<FailedBy>| -> Vec<&Control> {
        let those = controls.iter().filter(|one| one.failed_by == which);
        those.collect()
    };
    let many = |which: Option<FailedBy>| by(which).len();
    let mut text = wrapped(
        "",
        "",
        &format!(
            "Positive control: of {} expectations {} fail on another variant's run of the same cell, \
             {} only on one of another cell, {} only on one of another scenario, {} only with another \
             forecast, {} only on their own run with its load spoiled, {} nowhere.",
            controls.len(),
            many(Some(FailedBy::SameCell)),
            many(Some(FailedBy::OtherCell)),
            many(Some(FailedBy::OtherScenario)),
            many(Some(FailedBy::Forecast)),
            many(Some(FailedBy::Spoiled)),
            many(None)
        ),
    );
    for (which, what) in [
        (
            Some(FailedBy::OtherScenario),
            "only on a run of another scenario",
        ),
        (
            Some(FailedBy::Forecast),
            "only with the forecast of another cell or variant",
        ),
        (
            Some(FailedBy::Spoiled),
            "only on their own run, with its load spoiled",
        ),
        (None, "nowhere, and prove nothing"),
    ] {
        let those = by(which);
        if !those.is_empty() {
            text.push_str(&format!(
                "{} fail {what}:\n{}",
                those.len(),
                by_name(&those)
            ));
        }
    }
    text
}

/// A paragraph for all expectations of a variant that have the same cells.
fn by_name(controls: &[&Control]) -> String {
    let expectations = gathered(controls.iter().map(|one| {
        let key = (&one.scenario, &one.variant, &one.expectation);
        (key, one.cell.as_str())
    }));
    let paragraphs = gathered(expectations.into_iter().map(|(key, cells)| {
        let (scenario, variant, expectation) = key;
        let place = format!("{scenario} / {} / {variant}", cells.join(", "));
        (place, expectation.as_str())
    }));
    paragraphs
        .iter()
        .map(|(place, texts)| wrapped("  ", "    ", &format!("{place}: {}", texts.join("; "))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::summary;
    use verdict::summary::Kind;

    fn run(cell: &str, variant: &str, expectation: [&str; 3], kind: Kind) -> Summary {
        let mut run = summary();
        cell.clone_into(&mut run.cell);
        variant.clone_into(&mut run.variant);
        run.diagnosis.kind = kind;
        let [name, expected, measured] = expectation.map(str::to_owned);
        run.expectations = vec![Outcome {
            name,
            expected,
            measured,
            held: true,
        }];
        run
    }

    #[test]
    fn a_wide_table_fits_a_terminal_and_breaks_where_a_reader_would() {
        let runs = [
            run(
                "demo-work-mt4",
                "broken-missed-disconnect",
                ["requests.small.unanswered", "== 0%", "≥ 5.00 s"],
                Kind::BlockingPoolExhausted,
            ),
            run(
                "route4-100",
                "fixed",
                ["forecast.served_at_once.error", "<= 1.5%", "0.2 %"],
                Kind::Healthy,
            ),
        ];
        let rows: Vec<_> = runs.iter().collect();
        let text = table(&rows);
        for line in text.lines() {
            assert!(line.chars().count() <= WIDTH, "{line:?} in\n{text}");
        }
        let words: Vec<_> = text.split_whitespace().collect();
        for word in [
            "missed-",
            "disconnect",
            "blocking_",
            "exhausted",
            "unanswered",
            "1.5%",
        ] {
            let ends = |found: &&str| found.ends_with(word);
            assert!(words.iter().any(ends), "{word} in\n{text}");
        }
    }

    #[test]
    fn a_table_that_fits_is_not_broken() {
        let one = run(
            "demo",
            "broken",
            ["health_async.flat", "== true", "true"],
            Kind::Healthy,
        );
        let text = table(&[&one]);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains("health_async.flat == true"), "{text}");
    }

    #[test]
    fn no_character_is_lost_by_a_break() {
        let text = "requests.small.p99 >= 12.5ms measured_here-and-there ümlautümlautümlaut";
        for width in 1..30 {
            let lines = broken(text, width);
            assert!(lines.iter().all(|line| line.chars().count() <= width));
            let letters = |text: &str| text.replace(' ', "");
            assert_eq!(letters(&lines.concat()), letters(text));
        }
        assert_eq!(broken("p99 12.5ms", 7), ["p99", "12.5ms"]);
    }

    #[test]
    fn what_no_real_run_fails_is_named_once_for_all_its_cells() {
        let control = |cell: &str, expectation: &str, failed_by| Control {
            scenario: "s".to_owned(),
            cell: cell.to_owned(),
            variant: "fixed".to_owned(),
            expectation: expectation.to_owned(),
            failed_by,
        };
        let run = || Some(FailedBy::SameCell);
        let cell = || Some(FailedBy::OtherCell);
        let scenario = || Some(FailedBy::OtherScenario);
        let forecast = || Some(FailedBy::Forecast);
        let spoiled = || Some(FailedBy::Spoiled);
        let text = positive_control(&[
            control("a", "real == 1", run()),
            control("a", "near == 1", cell()),
            control("b", "near == 1", cell()),
            control("b", "far == 1", scenario()),
            control("a", "law < 5%", forecast()),
            control("a", "lost == 0", spoiled()),
            control("b", "lost == 0", spoiled()),
            control("a", "late == 0", spoiled()),
            control("b", "late == 0", spoiled()),
            control("b", "always == 0", None),
        ]);
        let expected = "\
Positive control: of 10 expectations 1 fail on another variant's run of the same
cell, 2 only on one of another cell, 1 only on one of another scenario, 1 only
with another forecast, 4 only on their own run with its load spoiled, 1 nowhere.
1 fail only on a run of another scenario:
  s / b / fixed: far == 1
1 fail only with the forecast of another cell or variant:
  s / a / fixed: law < 5%
4 fail only on their own run, with its load spoiled:
  s / a, b / fixed: lost == 0; late == 0
1 fail nowhere, and prove nothing:
  s / b / fixed: always == 0
";
        assert_eq!(text, expected);
    }
}
