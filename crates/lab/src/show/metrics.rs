//! The table of metrics, for a reader who writes an expectation.

use serde::Serialize;

use super::comparison::Format;
use verdict::metrics::{FIGURES, GROUPS, MetricUnit};
use verdict::units::wrapped;

/// Every metric, in the given format.
#[must_use]
pub fn render(format: Format) -> String {
    match format {
        Format::Text => text(),
        Format::Markdown => markdown(),
        Format::Json => programs(),
    }
}

fn figures() -> String {
    FIGURES.map(|(figure, _)| figure).join(", ")
}

fn text() -> String {
    let mut text = wrapped("", "", &format!("<figure> is one of {}.", figures()));
    for group in GROUPS {
        let needs = match group.needs {
            "" => String::new(),
            needs => format!(" (needs {needs})"),
        };
        let heading = wrapped("", "", &format!("{}{needs}", group.title));
        text.push_str(&format!("\n{heading}"));
        for metric in group.metrics {
            let first = format!("  {}  ({})", metric.name, metric.unit().name());
            text.push_str(&format!(
                "{first}\n{}",
                wrapped("      ", "      ", metric.about)
            ));
        }
    }
    text + "\nsteps.<step>.<metric>\n      the metric of one step of a cell with steps\n"
}

fn markdown() -> String {
    let mut text = format!(
        "`<figure>` is one of {}. `steps.<step>.<metric>` is the metric of one step of a cell with steps.\n",
        figures()
    );
    for group in GROUPS {
        let needs = match group.needs {
            "" => String::new(),
            needs => format!(" Needs `{needs}`."),
        };
        text.push_str(&format!(
            "\n**{}.**{needs}\n\n| metric | unit | what it means |\n|---|---|---|\n",
            group.title
        ));
        for metric in group.metrics {
            text.push_str(&format!(
                "| `{}` | {} | {} |\n",
                metric.name,
                metric.unit().name(),
                metric.about
            ));
        }
    }
    text
}

/// A metric for programs, each figure by itself.
#[derive(Serialize)]
struct ListedMetric {
    name: String,
    unit: MetricUnit,
    about: &'static str,
    needs: &'static str,
}

fn programs() -> String {
    let listed: Vec<_> = GROUPS
        .iter()
        .flat_map(|group| group.metrics.iter().map(|metric| (group.needs, metric)))
        .flat_map(|(needs, metric)| {
            metric.names().map(move |name| ListedMetric {
                name,
                unit: metric.unit(),
                about: metric.about,
                needs,
            })
        })
        .collect();
    super::json(&listed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use verdict::metrics::unit_of;
    use verdict::units::WIDTH;

    #[test]
    fn every_metric_is_listed_in_each_format_and_text_fits_a_terminal() {
        let (text, markdown) = (render(Format::Text), render(Format::Markdown));
        let wide: Vec<_> = text
            .lines()
            .filter(|line| line.chars().count() > WIDTH)
            .collect();
        assert!(wide.is_empty(), "{wide:#?}");
        for metric in GROUPS.iter().flat_map(|group| group.metrics) {
            assert!(
                text.contains(&format!("  {}  (", metric.name)),
                "{}",
                metric.name
            );
            assert!(
                markdown.contains(&format!("| `{}` |", metric.name)),
                "{}",
                metric.name
            );
        }
        let json: serde_json::Value = serde_json::from_str(&render(Format::Json)).expect("JSON");
        for metric in json.as_array().expect("a list") {
            let name = metric["name"].as_str().expect("a name");
            assert!(
                unit_of(name).is_some() && !name.contains("<figure>"),
                "{name}"
            );
        }
    }
}
