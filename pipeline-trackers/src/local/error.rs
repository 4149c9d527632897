//! What goes wrong with a folder, and how the seam says it.

use std::io;
use std::path::Path;
use std::path::PathBuf;

use pipeline_core::issue::IssueKey;
use pipeline_core::status::Status;
use pipeline_core::tracker::TrackerError;

use super::NAME;

#[derive(Debug)]
pub(super) enum LocalError {
    Missing(String),
    StatusChanged {
        issue: IssueKey,
        expected: Status,
        found: Status,
    },
    UnknownStatus {
        name: String,
        known: String,
    },
    /// A person's act by an actor who is none.
    NotAPerson(&'static str),
    /// Something the folder does not hold.
    Refused(String),
    TooLarge {
        what: String,
        limit: u64,
    },
    /// The file, its line if it has lines, and what is wrong and to be done.
    Damaged {
        path: PathBuf,
        line: Option<u64>,
        reason: String,
    },
    NoTracker(PathBuf),
    Locked(PathBuf),
    Io {
        doing: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    Unknown {
        issue: String,
        source: io::Error,
    },
}

impl LocalError {
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            doing,
            path,
            source,
        }
    }
}

/// Tells whether the same write may succeed later although nobody changed a setting.
fn may_pass(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::Interrupted
            | io::ErrorKind::ResourceBusy
            | io::ErrorKind::StaleNetworkFileHandle
            | io::ErrorKind::TimedOut
    )
}

impl From<LocalError> for TrackerError {
    fn from(error: LocalError) -> Self {
        let tracker = NAME.to_owned();
        match error {
            LocalError::Missing(what) => Self::NotFound { tracker, what },
            LocalError::StatusChanged {
                issue,
                expected,
                found,
            } => Self::StatusChanged {
                issue,
                expected,
                found,
            },
            LocalError::UnknownStatus { name, known } => Self::UnknownStatus {
                tracker,
                name,
                known,
            },
            LocalError::NotAPerson(operation) => Self::PermissionDenied {
                tracker,
                operation: format!("{operation}, which only a person may"),
            },
            LocalError::Refused(operation) => Self::Unsupported { tracker, operation },
            LocalError::TooLarge { what, limit } => Self::TooLarge { what, limit },
            LocalError::Damaged { path, line, reason } => Self::Corrupt {
                what: match line {
                    Some(line) => format!("{}, line {line},", path.display()),
                    None => path.display().to_string(),
                },
                reason,
            },
            LocalError::NoTracker(path) => Self::Other {
                tracker,
                operation: format!(
                    "open {}, which holds no tracker: make one with `init`",
                    path.display()
                ),
                source: None,
            },
            LocalError::Locked(path) => Self::Unavailable {
                tracker,
                operation: format!("a write, while another process holds {}", path.display()),
                source: None,
            },
            LocalError::Io {
                doing,
                path,
                source,
            } if may_pass(&source) => Self::Unavailable {
                tracker,
                operation: format!("{doing} {}", path.display()),
                source: Some(source.into()),
            },
            LocalError::Io {
                doing,
                path,
                source,
            } => Self::Other {
                tracker,
                operation: format!("{doing} {}", path.display()),
                source: Some(source.into()),
            },
            LocalError::Unknown { issue, source } => Self::OutcomeUnknown {
                tracker,
                issue,
                source: Some(source.into()),
            },
        }
    }
}
