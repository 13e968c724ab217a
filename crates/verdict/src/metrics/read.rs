use super::common::{FORECAST, VERDICT};
use super::metric::{FIGURE, FIGURES, Figure, Measured, Metric, Read};
use super::table::GROUPS;
use super::unit::MetricUnit;
use crate::judge::steps;
use crate::scenario::Value;
use crate::summary::Summary;

/// The metric called `name`; `None` if it was not measured.
#[must_use]
pub fn measured(name: &str, summary: &Summary) -> Option<Measured> {
    if let Some((step, rest)) = of_step(name) {
        let step = summary.steps.iter().find(|one| one.name == step)?;
        return measured(rest, &steps::view(summary, step));
    }
    let found = find(name)?;
    let at = found.places.as_slice();
    let (value, censored) = match found.metric.read {
        Read::Count(read) | Read::Bytes(read) => (Value::Number(read(summary, at)? as f64), false),
        Read::PerSecond(read) => (Value::Number(read(summary, at)?), false),
        Read::Percent(read) => (Value::Percent(read(summary, at)?), false),
        Read::Flag(read) => (Value::Flag(read(summary, at)?), false),
        Read::Word(read) => (Value::Word(read(summary, at)?.to_owned()), false),
        Read::Time(read) => (Value::Time(read(summary, at)?), false),
        Read::TimeOrBound(read) => {
            let (us, censored) = read(summary, at)?;
            (Value::Time(us), censored)
        }
        Read::Figures(read) => {
            let (us, censored) = (found.figure?)(read(summary, at)?);
            (Value::Time(us?), censored)
        }
    };
    Some(Measured { value, censored })
}

/// The metric as a number, times in microseconds, and whether it is a lower bound; `None` if it was
/// not measured or is no number.
#[must_use]
pub fn number(name: &str, summary: &Summary) -> Option<(f64, bool)> {
    let measured = measured(name, summary)?;
    as_number(&measured.value).map(|value| (value, measured.censored))
}

/// A time in microseconds, a percentage or a plain number; nothing else is one.
pub(crate) fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Time(us) => Some(*us as f64),
        Value::Percent(value) | Value::Number(value) => Some(*value),
        Value::Flag(_) | Value::Word(_) => None,
    }
}

/// The unit of the metric called `name`, in which `<…>` may still stand; `None` if there is none.
#[must_use]
pub fn unit_of(name: &str) -> Option<MetricUnit> {
    let name = of_step(name).map_or(name, |(_, rest)| rest);
    Some(find(name)?.metric.unit())
}

/// Whether the metric says something of a load, be it of the cell or of a step of it: not of one that it
/// names, and not of what a whole run comes to.
pub(crate) fn is_of_load(name: &str) -> bool {
    let of_run = || VERDICT.metrics.iter().chain(FORECAST.metrics);
    of_step(name).is_none()
        && find(name).is_some_and(|found| of_run().all(|one| one.name != found.metric.name))
}

/// The step, and the metric of it.
pub(super) fn of_step(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix("steps.")?.split_once('.')
}

/// A metric that has the shape of a name.
pub(super) struct Found<'n> {
    pub metric: &'static Metric,
    /// What stands in the name for each `<…>`.
    pub places: Vec<&'n str>,
    figure: Option<Figure>,
}

/// The first metric that has the shape of `name`.
fn find(name: &str) -> Option<Found<'_>> {
    let metrics = GROUPS.iter().flat_map(|group| group.metrics);
    metrics.into_iter().find_map(|metric| shaped(metric, name))
}

/// `metric`, if `name` has its shape.
pub(super) fn shaped<'n>(metric: &'static Metric, name: &'n str) -> Option<Found<'n>> {
    let found = |pattern, name, figure| {
        places(pattern, name).map(|places| Found {
            metric,
            places,
            figure,
        })
    };
    match metric.name.strip_suffix(FIGURE) {
        None => found(metric.name, name, None),
        Some(stem) => FIGURES
            .iter()
            .find_map(|&(figure, read)| found(stem, name.strip_suffix(figure)?, Some(read))),
    }
}

/// What stands in `name` for each `<…>` of `pattern`. Only the last may have dots of its own, as the
/// forecasts of a step have.
fn places<'n>(pattern: &str, name: &'n str) -> Option<Vec<&'n str>> {
    let Some((literal, rest)) = pattern.split_once('<') else {
        return (pattern == name).then(Vec::new);
    };
    let (_, rest) = rest.split_once('>')?;
    let name = name.strip_prefix(literal)?;
    let end = match rest.split_once('<') {
        None => name.strip_suffix(rest)?.len(),
        Some((literal, _)) => name.find(literal)?,
    };
    let (place, tail) = name.split_at(end);
    let mut places = places(rest, tail)?;
    places.insert(0, place);
    (!place.is_empty()).then_some(places)
}
