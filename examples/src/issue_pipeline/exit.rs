//! How a command ends: exit codes, and errors as people and programs read them.

use std::fmt;
use std::io;
use std::process::ExitCode;

use pipeline_core::BoxError;
use pipeline_core::integrate::IntegrateError;
use pipeline_core::pipeline::PipelineError;
use pipeline_core::runner::RunnerError;
use pipeline_core::ship::ShipError;
use pipeline_core::tracker::TrackerError;
use serde::Serialize;

use crate::compose::ComposeError;
use crate::config::ConfigError;
use crate::surroundings::EnvFileError;
use crate::surroundings::SecretError;
use crate::surroundings::StateDirError;
use crate::terminal::escape;

/// The exit codes, as `--help` shows them.
pub(super) const EXIT_CODES: &str = "Exit codes:\n  \
    0  done; also where there was nothing to do\n  \
    1  something failed: the message says what and what to do\n  \
    2  wrong usage or configuration\n  \
    3  refused: a gate, a hold or a rule says no\n  \
    4  there is no such issue, candidate, claim or run\n  \
    5  paused: `issue-pipeline resume` goes on\n  \
    130  interrupted";

/// How a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// It did what was asked, or there was nothing to do.
    Done,
    /// Something failed.
    Failed,
    /// Wrong usage or configuration.
    Usage,
    /// A gate, a hold or a rule says no.
    Refused,
    /// There is no such thing.
    NotFound,
    /// `pause` is in force.
    Paused,
    /// A person interrupted it.
    Interrupted,
}

impl Exit {
    /// Returns the code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::NotFound => 4,
            Self::Paused => 5,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command did not do what was asked.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    error: BoxError,
}

impl Failure {
    /// Joins an error with how the command ends for it.
    pub fn new(exit: Exit, error: impl Into<BoxError>) -> Self {
        Self {
            exit,
            error: error.into(),
        }
    }

    /// Makes a failure of wrong usage.
    pub fn usage(sentence: impl Into<String>) -> Self {
        Self::new(Exit::Usage, sentence.into())
    }

    /// Makes a refusal.
    pub fn refused(sentence: impl Into<String>) -> Self {
        Self::new(Exit::Refused, sentence.into())
    }

    /// Returns how the command ends.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        self.exit
    }

    /// Returns the sentences, outermost first.
    #[must_use]
    pub fn chain(&self) -> Vec<String> {
        let mut chain = vec![self.error.to_string()];
        let mut next = self.error.source();
        while let Some(cause) = next {
            chain.push(cause.to_string());
            next = cause.source();
        }
        chain
    }

    /// Returns what a program reads.
    #[must_use]
    pub fn report(&self) -> FailureReport {
        FailureReport {
            error: FailureBody {
                kind: self.exit,
                causes: self.chain(),
            },
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, sentence) in self.chain().iter().enumerate() {
            let sentence = escape(sentence);
            if i == 0 {
                write!(f, "{sentence}")?;
            } else {
                write!(f, "\n  because: {sentence}")?;
            }
        }
        Ok(())
    }
}

/// What a program reads of a failure.
#[derive(Debug, Serialize)]
pub struct FailureReport {
    error: FailureBody,
}

#[derive(Debug, Serialize)]
struct FailureBody {
    kind: Exit,
    causes: Vec<String>,
}

/// Returns an error with its causes on one line.
pub(super) fn one_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

macro_rules! ends {
    ($($error:ty => $exit:expr,)*) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::new($exit, error)
            }
        })*
    };
}

ends! {
    ConfigError => Exit::Usage,
    EnvFileError => Exit::Usage,
    SecretError => Exit::Usage,
    StateDirError => Exit::Usage,
    io::Error => Exit::Failed,
    RunnerError => Exit::Failed,
    ComposeError => Exit::Usage,
}

impl From<IntegrateError> for Failure {
    fn from(error: IntegrateError) -> Self {
        let exit = match &error {
            IntegrateError::NoSuchCandidate { .. } => Exit::NotFound,
            IntegrateError::StaleApproval { .. } => Exit::Refused,
            _ => Exit::Failed,
        };
        Self::new(exit, error)
    }
}

impl From<ShipError> for Failure {
    fn from(error: ShipError) -> Self {
        let exit = match &error {
            ShipError::RulesUnreadable { .. }
            | ShipError::Gate { .. }
            | ShipError::Integrate { .. }
            | ShipError::Journal { .. }
            | ShipError::Process { .. }
            | ShipError::Unwritten { .. } => Exit::Failed,
            _ => Exit::Refused,
        };
        Self::new(exit, error)
    }
}

impl From<PipelineError> for Failure {
    fn from(error: PipelineError) -> Self {
        let exit = match &error {
            PipelineError::Missing { .. } => Exit::Usage,
            PipelineError::Refused(_) => Exit::Refused,
            _ => Exit::Failed,
        };
        match error {
            // What was typed is wrong, not the integrator.
            PipelineError::Integrate {
                source:
                    source @ (IntegrateError::NoSuchCandidate { .. }
                    | IntegrateError::StaleApproval { .. }),
                ..
            } => source.into(),
            error => Self::new(exit, error),
        }
    }
}

impl From<TrackerError> for Failure {
    fn from(error: TrackerError) -> Self {
        let exit = match &error {
            TrackerError::NotFound { .. } => Exit::NotFound,
            TrackerError::UnknownStatus { .. }
            | TrackerError::StatusRenamed { .. }
            | TrackerError::TooLarge { .. } => Exit::Usage,
            TrackerError::PermissionDenied { .. }
            | TrackerError::Unsupported { .. }
            | TrackerError::StatusChanged { .. } => Exit::Refused,
            _ => Exit::Failed,
        };
        Self::new(exit, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_stands_in_the_help() {
        for exit in [
            Exit::Done,
            Exit::Failed,
            Exit::Usage,
            Exit::Refused,
            Exit::NotFound,
            Exit::Paused,
            Exit::Interrupted,
        ] {
            let shown = format!("  {}  ", exit.code());
            assert!(EXIT_CODES.contains(&shown), "{exit:?}");
        }
    }

    #[test]
    fn a_chain_is_told_once_and_escaped() {
        let missing = ConfigError::Unreadable {
            path: "/a\x1b[2J".into(),
            source: io::Error::new(io::ErrorKind::NotFound, "no such file"),
        };
        let failure = Failure::from(missing);
        insta::assert_snapshot!(failure, @r"
        the configuration /a\u{1b}[2J cannot be read
          because: no such file
        ");
        insta::assert_snapshot!(serde_json::to_string(&failure.report()).expect("JSON"), @r#"{"error":{"kind":"usage","causes":["the configuration /a\u001b[2J cannot be read","no such file"]}}"#);
    }
}
