//! How large a patch may be.

use serde::Deserialize;
use serde::Serialize;

/// The sizes beyond which a patch is refused unread.
///
/// Every default can be configured; none can be switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct PatchLimits {
    /// The patch itself, in bytes (5 MB).
    pub max_bytes: u64,
    /// The files it touches (500).
    pub max_files: u64,
    /// What it grows to when its compressed parts are unpacked and its deltas applied, in bytes over all
    /// files (50 MB).
    pub max_expanded_bytes: u64,
}

impl Default for PatchLimits {
    fn default() -> Self {
        Self {
            max_bytes: 5_000_000,
            max_files: 500,
            max_expanded_bytes: 50_000_000,
        }
    }
}

impl PatchLimits {
    /// Sets the largest patch, in bytes.
    #[must_use]
    pub fn with_max_bytes(self, bytes: u64) -> Self {
        Self {
            max_bytes: bytes,
            ..self
        }
    }

    /// Sets the largest number of touched files.
    #[must_use]
    pub fn with_max_files(self, files: u64) -> Self {
        Self {
            max_files: files,
            ..self
        }
    }

    /// Sets the largest unpacked size, in bytes over all files.
    #[must_use]
    pub fn with_max_expanded_bytes(self, bytes: u64) -> Self {
        Self {
            max_expanded_bytes: bytes,
            ..self
        }
    }
}
