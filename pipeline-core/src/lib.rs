//! Issue tracker as the state machine of AI coding agents: domain types, seams, stages and conformance suites.

pub mod conflict;
pub mod failure;
pub mod footprint;
pub mod patch;
pub mod plan;
pub mod process;
pub mod protected;
