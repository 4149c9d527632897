//! From a log to category, summary and fix.
//!
//! A failed verification or CI job leaves a log of a few lines or a few hundred megabytes. This module
//! turns it into one paragraph a person or an agent can act on: what kind of failure it is, whether the
//! code or the infrastructure is to blame, whether trying again makes sense, the lines that show it,
//! and what to do next.
//!
//! - [`FailureAnalyzer`] is the seam; [`RuleAnalyzer`] is the implementation that needs nothing else, and
//!   [`AgentAnalyzer`] lets an agent word what the rules found, or name what they do not know.
//! - [`RuleSet`] holds the rules, which are data: [`RuleSet::builtin`] ships with the crate, a team adds
//!   its own with [`RuleSet::with_rules`].
//!
//! The log is data from a stranger: it is read once, in bounded memory, with regexes that run in linear
//! time, and nothing in it can make the analysis panic or stall.
//!
//! ```
//! use pipeline_core::failure::{FailureCategory, LogAnalysisRequest, RuleAnalyzer};
//!
//! let request = LogAnalysisRequest::from_text(
//!     "$ cargo build\nerror[E0308]: mismatched types\n --> src/lib.rs:3:5\n",
//! );
//! let result = RuleAnalyzer::builtin().analyze_log(&request)?;
//! assert_eq!(result.category, FailureCategory::Compile);
//! assert_eq!(result.evidence[0].anchor, 2);
//! # Ok::<(), pipeline_core::failure::AnalyzeError>(())
//! ```

mod agent;
mod analyzer;
mod answer;
mod choose;
mod clean;
mod lines;
mod literal;
mod passing;
mod request;
mod result;
mod rule;
mod rule_error;
mod ruleset;
mod scan;
mod signature;
mod text;

use std::fmt::Debug;
use std::io;
use std::path::PathBuf;

use async_trait::async_trait;

pub use self::agent::AgentAnalyzer;
pub use self::analyzer::RuleAnalyzer;
pub use self::request::LogAnalysisRequest;
pub use self::request::LogSource;
pub use self::request::LogText;
pub use self::result::AnalysisStatus;
pub use self::result::Blame;
pub use self::result::Evidence;
pub use self::result::EvidenceRole;
pub use self::result::FailureCategory;
pub use self::result::LogAnalysisResult;
pub use self::rule::Strength;
pub use self::rule_error::RuleError;
pub use self::ruleset::RuleCheck;

pub use self::ruleset::RuleInfo;
pub use self::ruleset::RuleSet;

/// Explains why a job failed, from its log.
///
/// # Contract
/// A log that explains nothing is an answer ([`AnalysisStatus::NoMatch`] or [`AnalysisStatus::NoLog`]),
/// not an error: an error only ever means that the analysis itself could not be done. An
/// implementation prefers no answer to a guess, and every line it quotes is in the log it was given.
#[async_trait]
pub trait FailureAnalyzer: Debug + Send + Sync + 'static {
    /// Returns the name people see in reports.
    fn name(&self) -> &str;

    /// Explains the failure that `request` describes.
    ///
    /// # Errors
    /// [`AnalyzeError`], when the log cannot be read or the analysis cannot be carried out.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing outside; work already handed to a blocking thread ends by
    /// itself.
    async fn analyze(
        &self,
        request: &LogAnalysisRequest,
    ) -> Result<LogAnalysisResult, AnalyzeError>;
}

/// Why an analysis could not be carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnalyzeError {
    /// The log file could not be read to its end.
    #[error("cannot read the log {}; check that the file exists and may be read", path.display())]
    ReadLog {
        /// The file that was asked for.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The stream that carries the log broke.
    #[error("the log stream broke after {bytes} bytes; send the log again")]
    ReadStream {
        /// How much had arrived, in bytes.
        bytes: u64,
        /// What the stream said.
        source: io::Error,
    },
    /// The thread that analyses was lost, which only a shutdown does.
    #[error("the analysis was interrupted because the program is shutting down; run it again")]
    Interrupted,
    /// The agent behind an agent-backed analyser could not be run.
    #[error("the agent {agent} could not analyse the log; the rule-based analyser needs no agent")]
    Agent {
        /// The name of the agent.
        agent: String,
        /// What went wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn _object_safe(_: Box<dyn FailureAnalyzer>) {}
}
