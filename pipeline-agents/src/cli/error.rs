//! Why a program could not be run at all.

use std::io;
use std::path::PathBuf;

use pipeline_core::agent::AgentError;
use pipeline_core::agent::AgentTask;
use pipeline_core::agent::LoopbackReach;
use pipeline_core::agent::TaskKind;
use pipeline_core::process::ProcessError;

use crate::schema::SchemaError;

/// The precise error; callers see the seam's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the task's schema is not usable")]
    Schema(#[source] SchemaError),
    #[error(
        "the task's schema has {size} bytes, and this program takes it as an argument of at most {most}"
    )]
    LargeSchema { size: usize, most: usize },
    #[error("a folder for the run cannot be made in {}", folder.display())]
    Folder { folder: PathBuf, source: io::Error },
    #[error("the image {} cannot be given to a model: {why}", path.display())]
    Image { path: PathBuf, why: String },
    #[error("its program cannot be run")]
    Process(#[source] ProcessError),
    #[error("its program does not say its version: {said}")]
    NoVersion { said: String },
    #[error("version {found} is too old, {needed} or newer is needed")]
    TooOld { found: String, needed: String },
    #[error("the login {} cannot be used", path.display())]
    Login { path: PathBuf, source: io::Error },
    #[error("it cannot {operation}")]
    Unsupported { operation: &'static str },
}

/// Refuses a task that drives a plan where the program cannot be held to the loopback, and a way to the loopback in any other.
pub(crate) fn check_loopback(task: &AgentTask, reach: Option<LoopbackReach>) -> Result<(), Error> {
    let operation = match (task.kind == TaskKind::PlanDrive, &task.loopback) {
        (false, None) => return Ok(()),
        (true, Some(_)) if reach.is_some() => return Ok(()),
        (true, Some(_)) => "be held to the loopback on this system",
        (true, None) => "drive a plan without being told where to call",
        (false, Some(_)) => "reach the loopback in a task that drives no plan",
    };
    Err(Error::Unsupported { operation })
}

impl Error {
    /// Returns the seam's error for the agent of this name.
    pub(crate) fn of(self, agent: &str) -> AgentError {
        let agent = agent.to_owned();
        match self {
            Self::TooOld { found, needed } => AgentError::TooOld {
                agent,
                found,
                needed,
            },
            Self::Process(ProcessError::NotFound { program, searched }) => {
                let source = ProcessError::NotFound {
                    program: program.clone(),
                    searched,
                };
                AgentError::NotInstalled {
                    agent,
                    program,
                    source: Some(source.into()),
                }
            }
            Self::Unsupported { operation } => AgentError::Unsupported {
                agent,
                operation: operation.to_owned(),
            },
            error => AgentError::Other {
                agent,
                operation: "be run".to_owned(),
                source: Some(error.into()),
            },
        }
    }
}
