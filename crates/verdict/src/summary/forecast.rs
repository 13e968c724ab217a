use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One prediction.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Forecast {
    /// Short name, which expectations use: `forecast.<name>.error`.
    pub name: String,
    /// The metric that it is compared with.
    #[serde(default)]
    pub metric: String,
    /// The law, with its numbers.
    pub formula: String,
    /// Unit of `predicted` and `measured`.
    pub unit: Unit,
    /// What the law says.
    pub predicted: f64,
    /// What the figure tends to in the long run, by a closed formula, if a run is too short for it.
    pub limit: Option<f64>,
    /// How the prediction is meant.
    pub bound: Bound,
    /// What the run says.
    pub measured: Option<f64>,
    /// Whether the measurement is a lower bound.
    pub measured_censored: bool,
    /// 100 · (measured − predicted) / predicted; `null` if one of them is a bound, or predicted is 0: then
    /// `verdict` says whether it was met.
    pub error_percent: Option<f64>,
    /// What the run says of the prediction; `null` if it was not measured.
    pub verdict: Option<Verdict>,
}

impl Forecast {
    /// Whether 0 was predicted and 0 was measured: it is as predicted, and there is nothing for an error to
    /// be a share of.
    #[must_use]
    pub fn is_met_zero(&self) -> bool {
        self.bound == Bound::Exact
            && self.predicted == 0.0
            && self.measured == Some(0.0)
            && !self.measured_censored
    }

    /// By how much the prediction was off, in percent, where that has a number.
    #[must_use]
    pub fn error(&self) -> Option<f64> {
        self.error_percent.filter(|_| !self.is_met_zero())
    }
}

/// How a prediction is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// This value, with an error.
    Exact,
    /// At least this, because a timeout cuts it off.
    AtLeast,
    /// At most this.
    AtMost,
}

/// What a run says of a prediction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Both are values: `error_percent` tells how far apart.
    Measured,
    /// The measurement lies where the prediction has it; or 0 was predicted and 0 was measured.
    Within,
    /// The measurement contradicts the prediction.
    Refuted,
}

/// The unit of a forecast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Unit {
    Us,
    Count,
    Percent,
    PerSecond,
}
