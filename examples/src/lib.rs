//! Reference binaries of the issue pipeline, as a library: `compose` apart from `main`.

pub mod compose;
pub mod config;
#[cfg(feature = "crash-points")]
pub mod crash;
pub mod failure_analysis;
pub mod issue_pipeline;
pub mod notify;
pub mod plan_to_issues;
pub mod sandbox;
pub mod schedule;
pub mod surroundings;
pub mod terminal;
pub mod workplace;
