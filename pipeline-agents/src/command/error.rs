//! Why a command could not be run at all.

use std::io;
use std::path::PathBuf;

use pipeline_core::agent::AgentError;
use pipeline_core::process::ProcessError;

use crate::schema::SchemaError;

/// The precise error; callers see the seam's.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("an agent that was not declared to look at images was given some")]
    Images,
    #[error("the task's schema is not usable")]
    Schema(#[source] SchemaError),
    #[error("the task cannot be written as JSON")]
    Task(#[source] serde_json::Error),
    #[error("a folder for the run cannot be made in {}", scratch.display())]
    Folder { scratch: PathBuf, source: io::Error },
    #[error("its program cannot be run")]
    Process(#[source] ProcessError),
}

impl Error {
    /// Returns the seam's error for the agent of this name.
    pub(super) fn of(self, agent: &str) -> AgentError {
        let agent = agent.to_owned();
        match self {
            Self::Images => AgentError::Unsupported {
                agent,
                operation: "look at images".to_owned(),
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
            error => AgentError::Other {
                agent,
                operation: "be run".to_owned(),
                source: Some(error.into()),
            },
        }
    }
}
