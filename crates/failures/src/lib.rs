//! What the broken and the fixed server share of each failure: routes, set-up, gauges, queries and
//! answers. The lesson is not here. It is which thread waits, and for how long: see the file of the
//! failure's name in `server-broken` and in `server-fixed`.
//!
//! A module has the name of its failure. Its `mount` takes the function that is the lesson and returns
//! the routes around it.

pub mod disconnect;
pub mod large_body;
pub mod liveness;
mod micros;
mod query_time;
mod relaying;
pub mod rollout;
pub mod route_matrix;
pub mod stream;

pub use query_time::QueryTime;
pub use relaying::{task_is_gone, timeouts, upstream_url};
