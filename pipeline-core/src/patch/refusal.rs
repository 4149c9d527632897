//! Why a patch is refused.

use super::escape::Escaped;
use super::names::NameFault;
use super::path::RepoPath;

/// The reason a patch is refused, as a sentence for the person who reads it.
///
/// A refusal is an answer about the patch, never a fault of the machine: the patch is kept for reading and
/// goes back to its agent. Whatever it quotes from the patch is escaped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatchRefusal {
    /// The patch has more bytes than allowed.
    #[error("the patch has {bytes} bytes, and at most {limit} are accepted")]
    TooLarge {
        /// The size of the patch.
        bytes: u64,
        /// The largest accepted size.
        limit: u64,
    },
    /// The patch touches more files than allowed.
    #[error("the patch touches more than {limit} files")]
    TooManyFiles {
        /// The largest accepted number of files.
        limit: u64,
    },
    /// The unpacked patch is larger than allowed.
    #[error("unpacked up to `{path}` the patch grows beyond {limit} bytes")]
    ExpandsTooFar {
        /// The file at which the limit was passed.
        path: RepoPath,
        /// The largest accepted unpacked size.
        limit: u64,
    },
    /// A line is none that `git diff --binary --full-index` writes there.
    #[error(
        "line {line} of the patch is not what `git diff --binary --full-index` writes: {problem}"
    )]
    Malformed {
        /// The line, counted from 1.
        line: u64,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A binary file is named without its content.
    #[error("`{path}` is a binary file whose content is missing; make the patch with `--binary`")]
    BinaryWithoutContent {
        /// The file.
        path: RepoPath,
    },
    /// Binary content is not the blob that the header announces.
    #[error("the binary content of `{path}` is not the blob that its header names")]
    BlobMismatch {
        /// The file.
        path: RepoPath,
    },
    /// The header lines of one file name different files.
    #[error(
        "the header lines that end at line {line} of the patch do not agree on the file: `{path}`"
    )]
    HeaderDisagrees {
        /// The last line of the header, counted from 1.
        line: u64,
        /// One of the names.
        path: RepoPath,
    },
    /// A path is longer or deeper than any system accepts.
    #[error("`{path}` is longer than 1024 bytes or deeper than 64 folders")]
    PathTooLong {
        /// The path.
        path: RepoPath,
    },
    /// A path is absolute or has empty, `.` or `..` parts.
    #[error("`{path}` points outside the repository")]
    OutsideTree {
        /// The path.
        path: RepoPath,
    },
    /// A path reaches git's own folder, under one of the spellings some file system takes for it.
    #[error("`{path}` reaches into git's own folder")]
    GitFolder {
        /// The path.
        path: RepoPath,
    },
    /// A symbolic link is added, changed or removed.
    #[error("`{path}` is a symbolic link, which a patch may not add, change or remove")]
    Symlink {
        /// The path.
        path: RepoPath,
    },
    /// A submodule entry is added, changed or removed.
    #[error("`{path}` is a submodule, which a patch may not add, change or remove")]
    Gitlink {
        /// The path.
        path: RepoPath,
    },
    /// A mode is neither that of a file nor that of an executable file.
    #[error("`{path}` has mode {mode:06o}; only 100644 and 100755 are accepted")]
    Mode {
        /// The path.
        path: RepoPath,
        /// The mode.
        mode: u32,
    },
    /// An added name is not portable or not what it seems.
    #[error("the new name `{path}` {fault}")]
    Name {
        /// The added path.
        path: RepoPath,
        /// What is wrong with it.
        fault: NameFault,
    },
    /// Two names differ, but some file system takes them for one.
    #[error(
        "`{path}` and `{other}` are one file where upper case, lower case and accents are not told apart"
    )]
    SameWhenFolded {
        /// The added path.
        path: RepoPath,
        /// The path, or folder, it collides with.
        other: RepoPath,
    },
    /// A path is to be a file and a folder at once.
    #[error("`{path}` would be a file and a folder at once")]
    FileAndFolder {
        /// The path.
        path: RepoPath,
    },
    /// Two entries speak about the same path.
    #[error("the patch speaks twice about `{path}`")]
    Contradiction {
        /// The path.
        path: RepoPath,
    },
    /// The written tree differs from the base in a way the patch did not say.
    #[error("the tree that was written does not match the patch at `{path}`")]
    WrittenDiffers {
        /// The path.
        path: RepoPath,
    },
    /// The list of written changes is not what `git diff-tree -r -z --raw --no-abbrev` writes.
    #[error("the list of written changes cannot be read at byte {offset}: `{}`", Escaped::new(found).at_most(40))]
    WrittenMalformed {
        /// The offset of the record that cannot be read.
        offset: u64,
        /// The bytes found there.
        found: Vec<u8>,
    },
}
