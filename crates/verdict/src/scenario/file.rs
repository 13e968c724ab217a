//! The shape of a scenario file. What a cell may override is kept as tables here; each cell is read
//! from the file's tables with its own laid over them, by [`super::resolve`].

use serde::Deserialize;
use toml::Table;

use super::duration::yes;
use super::{Expectation, Form, Value};

/// A scenario file, as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Version of this shape; 1.
    pub schema: u32,
    /// Name of the scenario, and of the failure's source file in both servers.
    pub name: String,
    /// One line for `lab list`.
    pub title: String,
    /// What the experiment shows and how it is set up.
    #[serde(default)]
    #[expect(dead_code, reason = "for the reader of the file")]
    pub about: String,
    /// Of everything random; 0 if absent.
    #[serde(default)]
    pub seed: u64,
    // What every cell has unless it says otherwise.
    #[serde(default)]
    pub server: Table,
    #[serde(default)]
    pub upstream: Table,
    #[serde(default)]
    pub load: Table,
    #[serde(default)]
    pub probe: Table,
    #[serde(default)]
    pub phases: Table,
    pub kubelet: Option<Table>,
    /// A service that is not the lab's own.
    pub target: Option<Table>,
    /// What `--quick` lays over every cell, and under what a cell has in a `quick` of its own.
    pub quick: Option<Table>,
    /// What is run against what: at least one, and none of a target, which is its own.
    #[serde(default)]
    pub variant: Vec<Variant>,
    /// What is run one after the other, each with fresh processes: at least one.
    pub cell: Vec<Table>,
    /// What must hold.
    #[serde(default)]
    pub expect: Vec<Expect>,
    /// What must not hold, in any variant and any cell.
    #[serde(default)]
    pub fail_if: Vec<Expectation>,
    /// What other people's systems showed, to be compared with this lab's own run.
    #[serde(default)]
    pub field_report: Vec<FieldReport>,
    /// What no forecast can hold for, and why.
    #[serde(default)]
    pub no_forecast: Vec<NoForecast>,
}

/// One server, or one way to run it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Variant {
    pub name: String,
    /// Name of the binary, beside the lab's own.
    pub server: String,
    /// Further flags of the server.
    #[serde(default)]
    pub args: Vec<String>,
    /// Name of the forecast that it has.
    pub model: String,
    /// Whether it has the routes that the actions of steps ask for; without them it has the same steps
    /// and nobody changes anything.
    #[serde(default = "yes")]
    pub actions: bool,
}

/// One name, or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Names {
    One(String),
    Several(Vec<String>),
}

impl Names {
    pub(super) fn iter(&self) -> impl Iterator<Item = &String> {
        match self {
            Self::One(name) => std::slice::from_ref(name).iter(),
            Self::Several(names) => names.iter(),
        }
    }
}

/// Expectations of one variant, or of several.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expect {
    pub variant: Names,
    /// Names of cells; all of them if absent.
    pub cells: Option<Vec<String>>,
    /// Of which form of the scenario; of both if absent.
    pub form: Option<Form>,
    /// Each `<metric> <operator> <value>`.
    pub that: Vec<Expectation>,
}

/// A figure from the field, to be compared with this lab's own run.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldReport {
    pub(super) variant: Names,
    /// Names of cells; all of them if absent.
    pub(super) cells: Option<Vec<String>>,
    /// The metric it is a value of.
    pub metric: String,
    /// What was reported.
    pub reported: Value,
    /// A class of the same requests whose one client waits for each answer, so that it can be told
    /// whether such a client is where the figure comes from.
    pub closed_loop: Option<String>,
    /// A sentence that is said wherever the claim is judged: what else can explain the figure.
    pub remark: Option<String>,
}

/// Something that no forecast can hold for. With `rows` these are not forecast, for the variants and
/// cells that it names; without, nothing is taken away, because nothing is forecast of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NoForecast {
    /// All of them if absent.
    pub variant: Option<Names>,
    /// Names of cells; all of them if absent.
    pub cells: Option<Vec<String>>,
    /// Of which form of the scenario; of both if absent.
    pub form: Option<Form>,
    /// Names of rows of the forecast.
    #[serde(default)]
    pub rows: Vec<String>,
    /// What is not forecast.
    pub what: String,
    /// Why not.
    pub because: String,
}
