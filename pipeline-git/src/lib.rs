//! Workspaces, patches and the integrator of the issue pipeline, on plain git.

mod error;
mod git;
mod held;
mod history;
mod hooks;
mod identity;
mod index;
mod integrator;
mod locks;
mod object;
mod oid;
mod parse;
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
pub use crate::history::HistoryError;
pub use crate::history::Merged;
pub use crate::history::Replay;
pub use crate::history::Walk;
pub use crate::hooks::Hook;
pub use crate::hooks::HookPoint;
pub use crate::hooks::Hooks;
pub use crate::integrator::GitIntegrator;
pub use crate::integrator::HoldFinder;
pub use crate::integrator::IntegratorOptions;
pub use crate::integrator::PushOptions;
pub use crate::integrator::Signing;
pub use crate::locks::GitLocks;
pub use crate::locks::LockPlace;
pub use crate::repository::OpenError;
pub use crate::repository::Repository;
pub use crate::version::Version;
pub use crate::workspace::GitWorkspaces;
pub use crate::workspace::WorkspaceOptions;
