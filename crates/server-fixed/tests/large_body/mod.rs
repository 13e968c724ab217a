//! Large bodies at the fixed server, over real sockets.

mod fairness;
mod limits;
mod process;
mod taking;
