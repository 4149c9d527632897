//! What can go wrong around a child, apart from what the child itself does.

use std::io;
use std::path::PathBuf;

/// Says why a child could not be started or watched.
///
/// What a child *does* (exits with a code, overstays, floods) is no error: it stands in the
/// [`ProcessReport`](super::ProcessReport).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// No executable file of that name exists where it was looked for.
    #[error("program `{program}` was not found in {searched}; install it or give its full path")]
    NotFound {
        /// The name as it was asked for.
        program: String,
        /// The search path, or the one full path.
        searched: String,
    },
    /// The working directory does not exist or is no directory.
    #[error("working directory `{}` of `{program}` is not a directory", directory.display())]
    Directory {
        /// The program that was to run there.
        program: String,
        /// The directory as it was asked for.
        directory: PathBuf,
    },
    /// An environment variable cannot be set.
    #[error(
        "environment variable {name:?} is not usable: a name is not empty and has no `=`, and neither name nor value has a NUL"
    )]
    Variable {
        /// The name of the variable; its value is never shown.
        name: String,
    },
    /// The operating system refused to start the program.
    #[error("starting `{program}` failed")]
    Spawn {
        /// The program.
        program: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The program cannot be confined as asked.
    #[error("`{program}` cannot be confined")]
    Wrapper {
        /// The program.
        program: String,
        /// Why not.
        source: WrapperError,
    },
    /// The operating system did not say how the child fares.
    #[error("watching `{program}` failed; its process tree was ended")]
    Watch {
        /// The program.
        program: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// A child that answers requests did not answer.
    #[error("`{program}` did not answer as it should")]
    Conversation {
        /// The program.
        program: String,
        /// What went wrong with its pipes, or that it took too long.
        source: io::Error,
    },
    /// The table of running processes cannot be read.
    #[error("reading the table of running processes failed")]
    Table {
        /// What the operating system said.
        source: io::Error,
    },
}

/// Says why a [`Wrapper`](super::Wrapper) cannot confine a child as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WrapperError {
    /// A path that the wrapper was given does not exist.
    #[error("path `{}` of the wrapper cannot be resolved; remove it or create it", path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A path cannot be written down in the wrapper's own language.
    #[error("path `{}` of the wrapper is not usable: it must be absolute, valid UTF-8 where a profile is written, and without control characters", path.display())]
    Unwritable {
        /// The path.
        path: PathBuf,
    },
    /// A path that must stay hidden is asked for by name.
    #[error("path `{}` is a folder that stays hidden from children; name the folders inside it that they need", path.display())]
    Hidden {
        /// The path.
        path: PathBuf,
    },
    /// The program itself would not be visible to the confined child.
    #[error("`{}` is not visible inside the wrapper; name its folder among the wrapper's `read` paths", path.display())]
    Invisible {
        /// The program after links were followed.
        path: PathBuf,
    },
    /// A command template has no word at all.
    #[error("the wrapper's command is empty; give the program and its arguments, or use `none`")]
    EmptyCommand,
    /// A command template names something that is not known.
    #[error(
        "the wrapper's command has the unknown placeholder `{placeholder}`; known are {{workspace}}, {{directory}}, {{access}}, {{network}}, {{read}} and {{command}}"
    )]
    Placeholder {
        /// The placeholder with its braces.
        placeholder: String,
    },
    /// The wrapper was tried and does not run here.
    #[error("the wrapper `{by}` does not work here: {reason}")]
    Unavailable {
        /// The wrapper's name.
        by: String,
        /// What was tried and what came out.
        reason: String,
    },
}
