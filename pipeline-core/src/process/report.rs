//! What is known of a child once it is over.

use std::time::Duration;

use super::capture::Captured;

/// Names one of the two outputs of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Says what ended a child's run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ending {
    /// The child exited, or was ended by a signal that was not ours.
    Exited,
    /// The deadline passed.
    Deadline,
    /// Nothing came out of it for the stall time.
    Stalled,
    /// One output said more than its limit.
    Flooded(Stream),
    /// The caller cancelled.
    Cancelled,
    /// The reader of its lines asked for the end.
    Stopped,
}

/// Says how the child left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Exit {
    /// It exited with this code.
    Code(i32),
    /// It was ended by this signal.
    Signal(i32),
    /// It was told to end and had not left when the time for that was over, or somebody else took its status.
    Unknown,
}

/// What is known of a child once it is over and its process tree is gone.
#[derive(Debug, Clone)]
#[must_use]
pub struct ProcessReport {
    pub(super) ending: Ending,
    pub(super) exit: Exit,
    pub(super) stdout: Captured,
    pub(super) stderr: Captured,
    pub(super) duration: Duration,
    pub(super) escaped: usize,
    pub(super) left_behind: usize,
}

impl ProcessReport {
    /// Returns what ended the run.
    #[must_use]
    pub const fn ending(&self) -> Ending {
        self.ending
    }

    /// Returns how the child left; after an ending of ours, usually by our signal.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        self.exit
    }

    /// Returns the exit code of a child that exited by itself.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        match (self.ending, self.exit) {
            (Ending::Exited, Exit::Code(code)) => Some(code),
            _ => None,
        }
    }

    /// Returns whether the child exited by itself with code 0.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.code() == Some(0)
    }

    /// Returns what was kept of standard output.
    #[must_use]
    pub const fn stdout(&self) -> &Captured {
        &self.stdout
    }

    /// Returns what was kept of standard error.
    #[must_use]
    pub const fn stderr(&self) -> &Captured {
        &self.stderr
    }

    /// Takes the kept bytes of standard output.
    #[must_use]
    pub fn into_stdout(self) -> Vec<u8> {
        self.stdout.into_bytes()
    }

    /// Returns the time from the start to the end of the whole tree.
    #[must_use]
    pub const fn duration(&self) -> Duration {
        self.duration
    }

    /// Returns how many processes of the run had left the child's group, outlived it, and were ended.
    ///
    /// Always 0 for a child without a run id, for which no more than its group is ended, and inside a wrapper that
    /// lets nothing escape.
    #[must_use]
    pub const fn escaped(&self) -> usize {
        self.escaped
    }

    /// Returns how many processes of the run could not be ended in time.
    #[must_use]
    pub const fn left_behind(&self) -> usize {
        self.left_behind
    }
}
