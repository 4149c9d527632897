//! A patch as data from a stranger: parser, policy, and what it touches.
//!
//! A patch is written by an agent that read untrusted text, so nothing in it is believed. Three steps
//! stand between its bytes and git:
//!
//! 1. [`parse()`] reads the bytes of `git diff --binary --full-index` and refuses whatever that command
//!    does not write. There is no lenient mode: a line that this parser skips and git reads would be a
//!    way around every later rule.
//! 2. [`PatchPolicy::check`] answers with [`Accepted`] or with the [`PatchRefusal`] a person reads.
//! 3. After git has written the tree, [`parse_written`] reads the difference again from the tree itself
//!    (`git diff-tree -r -z --raw --no-abbrev`), [`PatchPolicy::check_written`] applies the same policy
//!    to it, and [`Accepted::agrees_with`] compares the two.
//!
//! What is accepted may still be held: see [`crate::protected`].
//!
//! # Examples
//! ```
//! use pipeline_core::patch::{self, NameSet, PatchLimits, PatchPolicy};
//!
//! let bytes = b"diff --git a/notes.txt b/notes.txt\n\
//!     new file mode 100644\n\
//!     index 0000000000000000000000000000000000000000..ce013625030ba8dba906f756967f9e9ca394464a\n\
//!     --- /dev/null\n\
//!     +++ b/notes.txt\n\
//!     @@ -0,0 +1 @@\n\
//!     +hello\n";
//! let parsed = patch::parse(bytes, &PatchLimits::default())?;
//! let accepted = PatchPolicy::default().check(&parsed, &NameSet::from_paths(["readme.md"]))?;
//! assert_eq!(accepted.touched()[0].path.to_string(), "notes.txt");
//!
//! let escaping = b"diff --git a/../x b/../x\n\
//!     old mode 100644\n\
//!     new mode 100755\n";
//! let parsed = patch::parse(escaping, &PatchLimits::default())?;
//! let refusal = PatchPolicy::default().check(&parsed, &NameSet::default()).unwrap_err();
//! assert_eq!(refusal.to_string(), "`../x` points outside the repository");
//! # Ok::<(), patch::PatchRefusal>(())
//! ```

mod apply;
mod binary;
mod delta;
mod entry;
pub(crate) mod escape;
mod existing;
mod hunk;
mod id;
mod limits;
mod lines;
mod names;
mod parse;
mod path;
mod policy;
mod quote;
mod refusal;
mod touched;
mod written;

pub use self::binary::BinaryChange;
pub use self::binary::BinaryPart;
pub use self::binary::BinaryPayload;
pub use self::entry::ChangeKind;
pub use self::entry::FileMode;
pub use self::escape::Escaped;
pub use self::existing::EntryKind;
pub use self::existing::ExistingNames;
pub use self::existing::NameSet;
pub use self::hunk::Hunk;
pub use self::hunk::Line;
pub use self::hunk::LineKind;
pub use self::hunk::LineRange;
pub use self::id::BlobId;
pub use self::id::InvalidPatchId;
pub use self::id::PatchId;
pub use self::limits::PatchLimits;
pub use self::names::NameFault;
pub(crate) use self::names::fold;
pub use self::parse::Content;
pub use self::parse::FilePatch;
pub use self::parse::ParsedPatch;
pub use self::parse::parse;
pub use self::path::RepoPath;
pub use self::policy::Accepted;
pub use self::policy::PatchPolicy;
pub use self::refusal::PatchRefusal;
pub use self::touched::TouchedFile;
pub use self::written::WrittenChange;
pub use self::written::parse_written;
pub use self::written::written_folders;

#[cfg(test)]
pub(crate) mod tests;
