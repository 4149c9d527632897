//! Workspaces, patches and the integrator of the issue pipeline, on plain git.

mod error;
mod git;
mod object;
mod oid;
mod repository;
#[cfg(test)]
mod testing;
mod version;

pub use crate::git::GitOptions;
pub use crate::repository::OpenError;
pub use crate::repository::Repository;
pub use crate::version::Version;
