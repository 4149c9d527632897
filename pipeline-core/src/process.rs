//! The only place that starts child processes.

use serde::Deserialize;
use serde::Serialize;

/// Which process it is: an id alone may belong to somebody else by now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// The process id.
    pub pid: i32,
    /// When it started, as the system tells it.
    pub started: String,
}
