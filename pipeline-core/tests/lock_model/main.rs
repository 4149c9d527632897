//! The lock protocol, model-checked over the production fold and its verdicts.
//!
//! `holds` explores every schedule of small worlds, `removed` takes one part of the protocol out at a time and asks for
//! the schedule that breaks it: a checker that finds nothing when the protocol is broken would prove nothing.

#![allow(
    clippy::print_stdout,
    clippy::panic,
    reason = "what a test explored is printed, and a test fails by panicking"
)]

mod holds;
mod model;
mod removed;
mod thread;
