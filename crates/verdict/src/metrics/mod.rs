//! The one table of metrics: what each is called, what it means, its unit, how it is read from a summary,
//! and what a cell must have for it. `[[expect]]`, `--fail-if`, `[[field_report]]`, every table that the
//! lab prints and `lab metrics` go by it.
//!
//! What a kind of load has stands in its room (`load/<kind>/metrics.rs`), what all have in `common.rs`,
//! and the list of both in `table.rs`.

mod check;
mod common;
pub(crate) mod metric;
mod read;
mod table;
mod unit;

pub use check::{check, check_value};
pub use metric::{Asked, FIGURES, Group, Measured, Metric, Names, Read};
pub(crate) use read::{as_number, is_of_load};
pub use read::{measured, number, unit_of};
pub use table::GROUPS;
pub use unit::MetricUnit;
