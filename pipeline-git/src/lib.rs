//! Workspaces, patches and the integrator of the issue pipeline, on plain git.

mod error;
mod git;
mod object;
mod oid;
mod version;

pub use crate::git::GitOptions;
pub use crate::version::Version;
