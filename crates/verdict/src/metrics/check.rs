use super::metric::{Asked, Group, Metric, Names};
use super::read::{Found, of_step, shaped, unit_of};
use super::table::GROUPS;
use super::unit::MetricUnit;
use crate::scenario::{Expectation, Operator};

/// Whether `name` is a metric of a cell.
///
/// # Errors
/// A sentence that says what is wrong with it, and which metric has the nearest name.
pub fn check(name: &str, asked: Asked<'_>) -> Result<(), String> {
    let (step, rest) = of_step(name).map_or((None, name), |(step, rest)| (Some(step), rest));
    let is_step = |step: &&str| asked.cell.steps.iter().any(|one| one.name == *step);
    let mut needs = match step {
        Some(_) if asked.cell.steps.is_empty() => "steps",
        _ => "",
    };
    for group in GROUPS {
        let found = group.metrics.iter().find_map(|metric| shaped(metric, rest));
        let Some(found) = found else { continue };
        let names = (group.names)(&asked);
        if is_had(&found, &names) && step.as_ref().is_none_or(is_step) {
            return Ok(());
        }
        if names == Names::None {
            needs = group.needs;
        }
    }
    let cell = &asked.cell.name;
    let hint = match nearest(name, rest, &asked) {
        _ if !needs.is_empty() => format!("it needs {needs}"),
        Some(nearest) => format!("did you mean \"{nearest}\"?"),
        None => "none is called like it".to_owned(),
    };
    Err(format!(
        "\"{name}\" is no metric of cell \"{cell}\": {hint} (`lab metrics` lists all)"
    ))
}

/// Whether the metric of an expectation can be compared with its value.
///
/// # Errors
/// A sentence that says what to write instead.
pub fn check_value(expectation: &Expectation) -> Result<(), String> {
    let written = expectation.as_written();
    let (metric, operator) = (&written.metric, written.operator);
    let Some(unit) = unit_of(metric) else {
        return Ok(());
    };
    let has_order = !matches!(unit, MetricUnit::Flag | MetricUnit::Text);
    if !has_order && !matches!(operator, Operator::Equal | Operator::NotEqual) {
        return Err(format!("\"{written}\" has no order: write == or !="));
    }
    if unit.takes(&written.value) {
        return Ok(());
    }
    let (asked, example) = unit.asked();
    Err(format!(
        "\"{written}\" compares {metric} with something else: write {asked}, \
         such as \"{metric} {operator} {example}\""
    ))
}

fn is_had(found: &Found<'_>, names: &Names) -> bool {
    let first = match names {
        Names::None => false,
        Names::Any => true,
        Names::Of(names) => {
            let first = found.places.first();
            first.is_some_and(|first| names.iter().any(|name| name == first))
        }
    };
    let is_status = |code: &&str| code.len() == 3 && matches!(code.parse(), Ok(100..=599_u16));
    let has_code = found.metric.name.ends_with("<code>");
    first && (!has_code || found.places.last().is_some_and(is_status))
}

/// The metric of the cell whose name takes the fewest strokes to make of `name`, if it takes few.
fn nearest(name: &str, rest: &str, asked: &Asked<'_>) -> Option<String> {
    let steps = asked.cell.steps.iter();
    let prefixes: Vec<_> = steps.map(|step| format!("steps.{}.", step.name)).collect();
    let prefixes = match name.starts_with("step") {
        true => prefixes,
        false => vec![String::new()],
    };
    let names: Vec<_> = GROUPS
        .iter()
        .flat_map(|group| names_in(group, rest, asked))
        .collect();
    let all = prefixes
        .iter()
        .flat_map(|prefix| names.iter().map(move |one| format!("{prefix}{one}")));
    let (strokes, nearest) = all
        .map(|one| (strsim::damerau_levenshtein(name, &one), one))
        .min_by_key(|&(strokes, _)| strokes)?;
    (strokes <= 2 + name.len() / 4).then_some(nearest)
}

/// The names of a group in a cell; where any name may stand, the one that stands there in `typed`.
fn names_in(group: &Group, typed: &str, asked: &Asked<'_>) -> Vec<String> {
    let places = match (group.names)(asked) {
        Names::None => return Vec::new(),
        Names::Of(names) => names,
        Names::Any => typed
            .split('.')
            .skip(1)
            .take(1)
            .map(str::to_owned)
            .collect(),
    };
    let names = group.metrics.iter().flat_map(Metric::names);
    let filled = names.flat_map(|name| match name.split_once('<') {
        None => vec![name],
        Some((before, rest)) => {
            let after = rest.split_once('>').map_or("", |(_, after)| after);
            places
                .iter()
                .map(|place| format!("{before}{place}{after}"))
                .collect()
        }
    });
    filled.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(scenario: &str, name: &str) -> Result<(), String> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios");
        let scenario = crate::scenario::load(&format!("{folder}/{scenario}.toml"), &[]);
        let cell = &scenario.expect("valid").cells[0];
        let forecasts = &["unserved".to_owned(), "calm.unserved".to_owned()];
        check(name, Asked { cell, forecasts })
    }

    #[test]
    fn what_a_cell_has_is_known() {
        for (scenario, name) in [
            ("stream", "health_sync.p99"),
            ("stream", "streams.lost"),
            ("stream", "ttft.p99"),
            ("stream", "cohort.any.ttft_p99"),
            ("stream", "pool.busy_percent"),
            ("stream", "diagnosis"),
            ("stream", "recovery.time"),
            ("stream", "forecast.unserved.error"),
            ("stream", "forecast.calm.unserved.error"),
            ("large-body", "requests.large.status.413"),
            ("large-body", "timings.any_part.p99"),
        ] {
            assert_eq!(checked(scenario, name), Ok(()), "{name}");
        }
    }

    #[test]
    fn a_misspelt_name_is_told_the_nearest() {
        for (scenario, name, nearest) in [
            ("stream", "health_sync.p98", "health_sync.p9"),
            ("stream", "health_snyc.p99", "health_sync.p99"),
            ("stream", "streams.losst", "streams.lost"),
            ("stream", "stream.lost", "streams.lost"),
            ("stream", "cohort.any.sevred", "cohort.any.served"),
            ("stream", "inferred_capcity", "inferred_capacity"),
            (
                "stream",
                "forecast.unservd.error",
                "forecast.unserved.error",
            ),
            ("large-body", "requests.lagre.p99", "requests.large.p99"),
            (
                "rollout",
                "steps.at-90.streams.lots",
                "steps.at-90.streams.lost",
            ),
        ] {
            let error = checked(scenario, name).expect_err(name);
            let hint = format!("did you mean \"{nearest}");
            assert!(error.contains(&hint), "{error}");
        }
        let error = checked("stream", "weather").expect_err("no metric");
        assert!(!error.contains("did you mean"), "{error}");
    }

    #[test]
    fn what_a_cell_lacks_is_told_what_it_needs() {
        for (scenario, name, needs) in [
            ("stream", "kubelet.restarts", "[kubelet]"),
            ("stream", "hang_ups.release_p99", "[load.hang_ups]"),
            ("stream", "steps.calm.streams.lost", "steps"),
            ("large-body", "streams.lost", "[load.streams]"),
        ] {
            let error = checked(scenario, name).expect_err(name);
            assert!(error.contains(&format!("it needs {needs}")), "{error}");
        }
    }

    #[test]
    fn only_a_status_is_one() {
        for code in ["4130", "0413", "99", "teapot", ""] {
            let name = format!("requests.large.status.{code}");
            assert!(checked("large-body", &name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_value_has_the_unit_of_its_metric_or_what_would_is_said() {
        let checked = |text: &str| check_value(&text.parse().expect("an expectation"));
        for text in [
            "health.p99 > 50ms",
            "health.p99 < probe_timeout_us",
            "health.unanswered > 1%",
            "streams.lost > 5",
            "steps.4.streams.served_peak == streams",
            "health.flat != false",
            "diagnosis != healthy",
        ] {
            assert_eq!(checked(text), Ok(()), "{text}");
        }
        for (text, instead) in [
            ("health.p99 > 3", "\"health.p99 > 50ms\""),
            ("health.unanswered > 1", "\"health.unanswered > 1%\""),
            ("steps.4.health.p99 > 1%", "\"steps.4.health.p99 > 50ms\""),
            ("streams.lost > 5ms", "\"streams.lost > 3\""),
            ("health.flat == 1", "\"health.flat == true\""),
            ("diagnosis == 1", "\"diagnosis == healthy\""),
            ("diagnosis > healthy", "== or !="),
            ("health.flat >= true", "== or !="),
        ] {
            let error = checked(text).expect_err(text);
            assert!(error.contains(instead) && error.contains(text), "{error}");
        }
        let condition = "health.p99 > 3".parse::<Expectation>().expect("one");
        let error = check_value(&condition.negated()).expect_err("no unit");
        assert!(error.starts_with("\"health.p99 > 3\""), "{error}");
    }
}
