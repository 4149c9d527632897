//! Issue tracker as the state machine of AI coding agents: domain types, seams, stages and conformance suites.

pub mod agent;
pub mod answer_fields;
pub mod attachment;
pub mod clock;
pub mod conflict;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod dossier;
pub mod event;
pub mod failure;
pub mod file_lock;
pub mod footprint;
pub mod gate;
pub mod integrate;
pub mod issue;
pub mod issue_state;
pub mod journal;
pub mod ledger;
mod line_log;
pub mod local_check;
pub mod lock;
mod log_file;
pub mod memo;
pub mod memory;
pub mod mirror;
pub mod notify;
pub mod patch;
pub mod pipeline;
pub mod plan;
pub mod post;
pub mod process;
pub mod protected;
pub mod random;
pub mod report;
pub mod runner;
pub mod secret;
pub mod settings;
pub mod ship;
pub mod stages;
pub mod start;
pub mod status;
pub mod thread;
pub mod tracker;
pub mod trailers;
pub mod verify;
pub mod workspace;

/// A cause below an error, whatever it is.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
