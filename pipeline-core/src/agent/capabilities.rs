//! What an agent can do, and how well it is held in.

use std::net::SocketAddr;

use serde::Deserialize;
use serde::Serialize;

/// How far an agent's own sandbox can be opened towards the loopback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoopbackReach {
    /// To one address of it, with all ports that listen there.
    Address,
    /// To one port of `127.0.0.1`, and nothing else.
    Port {
        /// Where commands see it.
        seen_as: SocketAddr,
    },
}

impl LoopbackReach {
    /// Says for people how narrow it is.
    #[must_use]
    pub const fn shown(self) -> &'static str {
        match self {
            Self::Address => "one address of the loopback",
            Self::Port { .. } => "one port of the loopback",
        }
    }
}

/// How well an agent is held in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confinement {
    /// By a mechanism, named for people.
    Confined {
        /// The mechanism (`bubblewrap`, `own sandbox`).
        by: String,
    },
    /// By nothing; memo and `doctor` say so.
    Unconfined,
}

/// Which kind of workspace an agent is safe in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkspaceKind {
    /// A worktree that shares the repository's git directory.
    DetachedWorktree,
    /// A clone with a git directory of its own.
    SeparateClone,
}

/// What an agent can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentCapabilities {
    /// A read-only task cannot write, by mechanism.
    pub enforces_read_only: bool,
    /// The answer is constrained to the schema by the agent itself (it is validated in any case).
    pub structured_output: bool,
    /// It can look at images.
    pub images: bool,
    /// It can change files. False for a bare model.
    pub edits_files: bool,
    /// It can go on with a session.
    pub resumes: bool,
    /// The workspace it is safe in.
    pub workspace: WorkspaceKind,
    /// How it is held in.
    pub confinement: Confinement,
    /// File names its sandbox leaves in the workspace; removed before the diff if they are new and empty.
    pub litter: Vec<String>,
}
