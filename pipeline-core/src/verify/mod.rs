//! The seam to the team's own checks.

mod command;

use std::fmt::Debug;
use std::path::PathBuf;

use async_trait::async_trait;
use serde::Deserialize;
use serde::Serialize;

use crate::BoxError;
use crate::agent::Confinement;
use crate::workspace::Target;

pub use self::command::CommandVerifier;
pub use self::command::VerifyCommand;

/// What to verify.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyRequest {
    /// The directory with the tree.
    pub root: PathBuf,
    /// The target it is meant for.
    pub target: Target,
}

/// How a verification ended. A failed check is a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verification {
    /// Every command passed.
    Passed,
    /// There is no command configured; people are told.
    NothingToRun,
    /// A command failed.
    Failed {
        /// The command, by its configured name.
        command: String,
        /// Its exit code; `None` if a signal or the deadline ended it.
        exit_code: Option<i32>,
        /// The end of its output, bounded, lossy UTF-8.
        log: String,
    },
}

/// Runs the team's own checks in a merged tree.
///
/// # Contract
/// The commands come from configuration, never from the patch; they run without any credential and, where a wrapper is
/// configured, without home, state directory and network.
#[async_trait]
pub trait Verifier: Debug + Send + Sync + 'static {
    /// Returns a digest of what would run; part of the candidate's id.
    fn commands_digest(&self, target: &Target) -> String;
    /// Returns whether there is anything to run for a target.
    ///
    /// Where there is nothing, [`verify`](Self::verify) answers [`Verification::NothingToRun`] for any tree; so none is made
    /// for it, and all patches of a queue join the candidate at once.
    fn has_checks(&self, target: &Target) -> bool;
    /// Returns how the commands are held in.
    fn confinement(&self) -> Confinement;
    /// Runs the checks.
    ///
    /// # Errors
    /// Only where they could not be run at all.
    ///
    /// # Cancel safety
    /// Dropping the future ends the commands with their process trees.
    async fn verify(&self, request: &VerifyRequest) -> Result<Verification, VerifyError>;
}

/// Why the checks could not be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// A command cannot be started.
    #[error(
        "verify command `{command}` cannot be started: install it or correct [verify] in the configuration"
    )]
    CannotStart {
        /// The command.
        command: String,
        /// Why.
        #[source]
        source: Option<BoxError>,
    },
    /// Anything else.
    #[error("could not {operation}")]
    Other {
        /// What was tried.
        operation: String,
        /// Why.
        #[source]
        source: Option<BoxError>,
    },
}
