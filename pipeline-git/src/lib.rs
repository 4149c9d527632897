//! Workspaces, patches and the integrator of the issue pipeline, on plain git.

mod error;
mod git;
mod object;
mod oid;
mod refs;
mod repository;
mod store;
mod target;
#[cfg(test)]
mod testing;
mod version;
mod workspace;
mod worktrees;

pub use crate::git::GitOptions;
pub use crate::repository::OpenError;
pub use crate::repository::Repository;
pub use crate::version::Version;
pub use crate::workspace::GitWorkspaces;
pub use crate::workspace::WorkspaceOptions;
