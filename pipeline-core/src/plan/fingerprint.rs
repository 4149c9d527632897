//! What ties an issue to its plan item until the item links to it.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;
use sha2::Digest as _;
use sha2::Sha256;
use unicode_normalization::UnicodeNormalization as _;

/// The sha256 over file, phase, normalised text and occurrence of an item, as it was when its issue was created.
///
/// # Examples
/// ```
/// use pipeline_core::plan::Fingerprint;
///
/// let one = Fingerprint::of("docs/plan.md", Some("Phase 1"), "Log  in", 0);
/// assert_eq!(one, Fingerprint::of("docs/plan.md", Some("Phase 1"), "Log in", 0));
/// assert_ne!(one, Fingerprint::of("docs/plan.md", Some("Phase 1"), "Log in", 1));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Computes it.
    #[must_use]
    pub fn of(file: &str, phase: Option<&str>, text: &str, occurrence: usize) -> Self {
        let mut hash = Sha256::new();
        for part in [
            file,
            phase.unwrap_or_default(),
            text,
            &occurrence.to_string(),
        ] {
            let part = normal(part);
            // The length first, so that no two lists of parts run together to the same bytes.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        Self(hex::encode(hash.finalize()))
    }

    /// Reads one as it stands in an issue.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let hex = text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        hex.then(|| Self(text.to_owned()))
    }

    /// Returns the 64 hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns a text as it is compared: composed, with single spaces.
#[must_use]
pub fn normal(text: &str) -> String {
    let composed: String = text.nfc().collect();
    composed.split_whitespace().collect::<Vec<_>>().join(" ")
}
