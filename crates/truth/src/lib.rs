//! Services in simulated time, of which the truth is known. They are driven and recorded as `lab attach`
//! does it; from there on it is the lab's own code that says the verdict.

pub mod draw;
pub mod driver;
pub mod matrix;
pub mod noise;
pub mod ranges;
pub mod service;
pub mod show;
pub mod truth;
pub mod twins;
pub mod world;
