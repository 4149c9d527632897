//! What is answered: category, blame, summary, evidence, fix.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;

/// The kind of a failure.
///
/// Snake case on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailureCategory {
    /// A compiler, type checker or linker refused the code.
    Compile,
    /// A test ran and did not pass.
    Test,
    /// A linter, formatter or policy check refused the change.
    LintPolicy,
    /// A dependency does not exist, does not resolve, or does not fit.
    Dependency,
    /// The job or a tool is set up wrongly: missing command, variable, file or option.
    Config,
    /// Version control refused: conflict, missing ref, dirty tree, rejected push.
    Vcs,
    /// A credential is missing, wrong, expired or not allowed to do this.
    Auth,
    /// Another machine could not be reached or answered with a fault of its own.
    Network,
    /// A container image or an artifact is missing or broken.
    ImageOrArtifact,
    /// Memory, disk, quota, file handles or a rate limit ran out.
    Resource,
    /// Something took longer than it was allowed to.
    Timeout,
    /// The machine or service that runs the job broke.
    Runner,
    /// Somebody or something stopped the job.
    Cancelled,
    /// Nothing in the log says.
    Unknown,
}

impl FailureCategory {
    /// Every category, in the order of this list.
    pub const ALL: [Self; 14] = [
        Self::Compile,
        Self::Test,
        Self::LintPolicy,
        Self::Dependency,
        Self::Config,
        Self::Vcs,
        Self::Auth,
        Self::Network,
        Self::ImageOrArtifact,
        Self::Resource,
        Self::Timeout,
        Self::Runner,
        Self::Cancelled,
        Self::Unknown,
    ];

    /// Returns the name used on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Compile => "compile",
            Self::Test => "test",
            Self::LintPolicy => "lint_policy",
            Self::Dependency => "dependency",
            Self::Config => "config",
            Self::Vcs => "vcs",
            Self::Auth => "auth",
            Self::Network => "network",
            Self::ImageOrArtifact => "image_or_artifact",
            Self::Resource => "resource",
            Self::Timeout => "timeout",
            Self::Runner => "runner",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
        }
    }

    /// Returns who is to blame where a rule does not say otherwise.
    #[must_use]
    pub fn usual_blame(self) -> Blame {
        match self {
            Self::Compile | Self::Test | Self::LintPolicy | Self::Dependency | Self::Config => {
                Blame::Code
            }
            Self::Network | Self::Runner | Self::Cancelled | Self::Auth => Blame::Infra,
            Self::Vcs | Self::ImageOrArtifact | Self::Resource | Self::Timeout | Self::Unknown => {
                Blame::Unclear
            }
        }
    }

    /// Returns whether a second try usually helps, where a rule does not say otherwise.
    #[must_use]
    pub fn usually_retryable(self) -> bool {
        matches!(self, Self::Network | Self::Runner)
    }
}

impl fmt::Display for FailureCategory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who has to act on a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Blame {
    /// The change, or the repository it was made in.
    Code,
    /// What runs the job: network, runner, registry, credentials.
    Infra,
    /// The log does not say.
    Unclear,
}

impl Blame {
    /// Returns the name used on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Infra => "infra",
            Self::Unclear => "unclear",
        }
    }
}

impl fmt::Display for Blame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How far the analysis came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AnalysisStatus {
    /// The failure is explained.
    Ok,
    /// There was no log to read.
    NoLog,
    /// A part of the log is missing; what is answered comes from the rest.
    Truncated,
    /// The log was read and explains nothing that is known.
    NoMatch,
}

/// What a quoted stretch of the log shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EvidenceRole {
    /// The line that names the cause, with its surroundings.
    Cause,
    /// Another line that speaks for a cause.
    Related,
    /// A line that says that something failed, not why.
    Symptom,
    /// The end of the log, quoted because nothing in it is known.
    Tail,
}

/// A stretch of the log that speaks for the answer.
///
/// Line numbers count the `\n` of the log as it was given, from 1. The text is cleaned: without
/// escape sequences, timestamps and runner prefixes, each line cut to a few hundred characters, with
/// credentials blanked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Evidence {
    /// What the lines show.
    pub role: EvidenceRole,
    /// The number of the line that matters most.
    pub anchor: u64,
    /// The number of the first quoted line.
    pub first_line: u64,
    /// The number of the last quoted line.
    pub last_line: u64,
    /// The quoted lines; blank ones are left out.
    pub text: Vec<String>,
}

impl Evidence {
    /// Quotes the single line `line` with the text `text`.
    #[must_use]
    pub fn of_line(role: EvidenceRole, line: u64, text: impl Into<String>) -> Self {
        Self {
            role,
            anchor: line,
            first_line: line,
            last_line: line,
            text: vec![text.into()],
        }
    }
}

/// Why a job failed, as far as its log says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LogAnalysisResult {
    /// How far the analysis came.
    pub status: AnalysisStatus,
    /// The kind of the failure.
    pub category: FailureCategory,
    /// Who has to act.
    pub blame: Blame,
    /// Whether the same job may pass when it is simply run again.
    pub retryable: bool,
    /// How sure the answer is, from 0 to 1.
    pub confidence: f64,
    /// One paragraph that says what happened.
    pub summary: String,
    /// What to do next.
    pub suggested_fix: String,
    /// The lines that speak for the answer, the most important first.
    pub evidence: Vec<Evidence>,
    /// Equal for two failures that are the same but for numbers, paths and times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// The rule that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The tool whose words decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
}

impl LogAnalysisResult {
    /// Answers that the failure is explained by `category`; the rest is what is usual for it.
    #[must_use]
    pub fn explained(category: FailureCategory, summary: impl Into<String>) -> Self {
        Self {
            status: AnalysisStatus::Ok,
            category,
            blame: category.usual_blame(),
            retryable: category.usually_retryable(),
            confidence: 0.5,
            summary: summary.into(),
            suggested_fix: String::new(),
            evidence: Vec::new(),
            signature: None,
            rule: None,
            tool: None,
        }
    }

    /// Answers that the failure stays unexplained.
    #[must_use]
    pub fn unexplained(status: AnalysisStatus, summary: impl Into<String>) -> Self {
        Self {
            status,
            confidence: 0.0,
            ..Self::explained(FailureCategory::Unknown, summary)
        }
    }

    /// Returns whether the answer names a cause.
    #[must_use]
    pub fn is_explained(&self) -> bool {
        self.category != FailureCategory::Unknown
    }

    /// Returns whether the failure must not be counted against the change that was tested.
    ///
    /// True for what the infrastructure did and for what may pass when it is run again.
    #[must_use]
    pub fn spares_the_change(&self) -> bool {
        self.is_explained() && (self.blame == Blame::Infra || self.retryable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_names_are_the_ones_serde_writes() {
        for category in FailureCategory::ALL {
            let json = serde_json::to_value(category).unwrap();
            assert_eq!(json, category.as_str());
        }
    }

    #[test]
    fn an_unexplained_failure_never_spares_the_change() {
        let mut result = LogAnalysisResult::unexplained(AnalysisStatus::NoMatch, "nothing known");
        result.retryable = true;
        assert!(!result.spares_the_change());
        assert!(
            LogAnalysisResult::explained(FailureCategory::Network, "no route").spares_the_change()
        );
    }
}
