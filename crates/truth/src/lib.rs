//! Services in simulated time, of which the truth is known. They are driven and recorded as `lab attach`
//! does it; from there on it is the lab's own code that says the verdict.

pub mod climb;
pub mod driver;
pub mod noise;
pub mod service;
pub mod world;
