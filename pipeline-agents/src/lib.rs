//! Agent adapters of the issue pipeline.
//!
//! [`CommandAgent`] puts any executable behind the pipeline's [`Agent`](pipeline_core::agent::Agent) seam: it is given
//! its task as JSON and answers as JSON, or just changes files. [`ApiAgent`] asks a bare model over HTTPS, for judgment
//! alone.

mod api;
mod claude;
mod cli;
mod codex;
mod command;
mod private_folder;
mod schema;
mod variables;
mod words;

pub use self::api::ApiAgent;
pub use self::api::ApiAgentBuilder;
pub use self::api::InvalidApiAgent;
pub use self::api::Prices;
pub use self::api::Wire;
pub use self::claude::ClaudeAgent;
pub use self::cli::CliOptions;
pub use self::codex::CodexAgent;
pub use self::command::CommandAgent;
pub use self::command::CommandAgentBuilder;

/// The page about writing an agent, compiled and run with this crate's tests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/writing-an-agent.md")]
struct WritingAnAgent;
