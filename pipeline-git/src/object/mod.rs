//! Objects of the repository: read through one long-lived git, written in this process.

mod commit;
mod loose;
mod pack;
mod splice;
mod store;
mod tree;

pub(crate) use self::commit::Commit;
pub(crate) use self::commit::NewCommit;
pub(crate) use self::commit::Signature;
pub(crate) use self::loose::sync_dir;
pub(crate) use self::splice::Change;
pub(crate) use self::splice::SpliceError;
pub(crate) use self::splice::splice;
pub(crate) use self::store::Objects;
pub(crate) use self::store::blocking;
pub(crate) use self::store::listed;
pub(crate) use self::tree::Entry;
pub(crate) use self::tree::Mode;
pub(crate) use self::tree::Tree;

#[cfg(test)]
mod tests;
