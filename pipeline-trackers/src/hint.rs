//! What a service's webhook is good for: looking early. It decides nothing, and a missed one costs a wait.

use pipeline_core::issue::IssueKey;
use pipeline_core::secret::Secret;
use sha2::Digest as _;
use sha2::Sha256;

/// Something may have happened at an issue.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hint {
    /// The issue.
    pub issue: IssueKey,
}

impl Hint {
    /// Makes a hint.
    #[must_use]
    pub const fn new(issue: IssueKey) -> Self {
        Self { issue }
    }
}

/// Why a webhook is not listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HintError {
    /// It does not know the secret.
    #[error("the webhook does not carry the secret it was set up with")]
    NotOurs,
    /// It is not what the service sends.
    #[error("the webhook's body is not what this tracker sends")]
    Unreadable,
}

/// Compares without telling by its time how much is right.
pub(crate) fn same_secret(secret: &Secret, given: &str) -> bool {
    // Of digests the time tells nothing about the values.
    Sha256::digest(secret.expose()) == Sha256::digest(given)
}
