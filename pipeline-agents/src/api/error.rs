//! Why a model could not be asked at all.

use std::io;
use std::path::PathBuf;

use pipeline_core::agent::AgentError;

use crate::schema::SchemaError;

/// The precise error; callers see the seam's.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("the task's schema is not usable")]
    Schema(#[source] SchemaError),
    #[error("the image {} cannot be read", path.display())]
    Image { path: PathBuf, source: io::Error },
    #[error("the image {} cannot be shown: {why}", path.display())]
    NoImage { path: PathBuf, why: &'static str },
    /// The service does not take such a request: the model, the address or what the service speaks is not right.
    #[error(
        "the model service refuses the request ({0}): correct `model`, `url` or `wire` of this agent"
    )]
    Rejected(String),
}

impl Error {
    /// Returns the seam's error for the agent of this name.
    pub(super) fn of(self, agent: &str) -> AgentError {
        AgentError::Other {
            agent: agent.to_owned(),
            operation: "ask its model".to_owned(),
            source: Some(self.into()),
        }
    }
}
