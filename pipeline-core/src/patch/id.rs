//! Names of blobs and of patches.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde::Serialize;
use sha1::Sha1;
use sha2::Digest as _;
use sha2::Sha256;

/// The full name of a blob in git: 40 (SHA-1) or 64 (SHA-256) lower-case hexadecimal digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BlobId(String);

impl BlobId {
    /// Reads a full id; `None` for anything shorter, longer or not lower-case hexadecimal.
    #[must_use]
    pub fn from_hex(hex: &[u8]) -> Option<Self> {
        let full = matches!(hex.len(), 40 | 64);
        let digits = hex
            .iter()
            .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        if !full || !digits {
            return None;
        }
        String::from_utf8(hex.to_vec()).ok().map(Self)
    }

    /// Returns the hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Says whether this is the id git writes for "no blob": all zeros.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.0.bytes().all(|digit| digit == b'0')
    }

    /// Says whether a blob with exactly this content has this id.
    #[must_use]
    pub fn names(&self, content: &[u8]) -> bool {
        let header = format!("blob {}\0", content.len());
        let hex = if self.0.len() == 40 {
            hex::encode(
                Sha1::new()
                    .chain_update(header)
                    .chain_update(content)
                    .finalize(),
            )
        } else {
            hex::encode(
                Sha256::new()
                    .chain_update(header)
                    .chain_update(content)
                    .finalize(),
            )
        };
        hex == self.0
    }
}

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<BlobId> for String {
    fn from(id: BlobId) -> Self {
        id.0
    }
}

impl TryFrom<String> for BlobId {
    type Error = InvalidPatchId;

    fn try_from(hex: String) -> Result<Self, Self::Error> {
        Self::from_hex(hex.as_bytes()).ok_or(InvalidPatchId)
    }
}

/// The content address of a patch: SHA-256 over its bytes.
///
/// # Examples
/// ```
/// use pipeline_core::patch::PatchId;
///
/// let id = PatchId::of(b"");
/// assert!(id.to_string().starts_with("e3b0c442"));
/// assert_eq!(id.to_string().parse::<PatchId>(), Ok(id));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PatchId([u8; 32]);

impl PatchId {
    /// Computes the id of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for PatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<PatchId> for String {
    fn from(id: PatchId) -> Self {
        id.to_string()
    }
}

impl FromStr for PatchId {
    type Err = InvalidPatchId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut digest = [0; 32];
        // `hex` would take upper case too, and then one patch had two names.
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(InvalidPatchId);
        }
        hex::decode_to_slice(text, &mut digest).map_err(|_| InvalidPatchId)?;
        Ok(Self(digest))
    }
}

impl TryFrom<String> for PatchId {
    type Error = InvalidPatchId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// The answer to a text that is no id: not the expected number of lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id is 40 or 64 lower-case hexadecimal digits")]
pub struct InvalidPatchId;

#[cfg(test)]
mod tests {
    use super::BlobId;
    use super::PatchId;

    #[test]
    fn a_blob_id_is_gits() {
        let empty = BlobId::from_hex(b"e69de29bb2d1d6434b8b29ae775ad8c2e48c5391").unwrap();
        assert!(empty.names(b""));
        assert!(!empty.names(b"x"));
        let sha256 = b"473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813";
        assert!(BlobId::from_hex(sha256).unwrap().names(b""));
    }

    #[test]
    fn only_full_lower_case_ids_are_ids() {
        assert!(BlobId::from_hex(b"e69de29").is_none());
        assert!(BlobId::from_hex(&[b'A'; 40]).is_none());
        assert!("E3B0".parse::<PatchId>().is_err());
        assert!(
            "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"
                .parse::<PatchId>()
                .is_err()
        );
    }
}
