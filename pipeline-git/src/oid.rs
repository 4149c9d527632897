//! Object names, in repositories of both hash functions.

use std::fmt;

use sha2::Digest as _;

/// The hash function a repository names its objects with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ObjectFormat {
    /// 20-byte names, the default of git.
    Sha1,
    /// 32-byte names, `git init --object-format=sha256`.
    Sha256,
}

impl ObjectFormat {
    /// Reads git's own word for the format.
    pub(crate) fn from_name(name: &[u8]) -> Option<Self> {
        match name {
            b"sha1" => Some(Self::Sha1),
            b"sha256" => Some(Self::Sha256),
            _ => None,
        }
    }

    /// Returns git's own word for the format.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
        }
    }

    /// Returns the length of a binary name in bytes.
    pub(crate) fn len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// Returns the name of the object with this kind and content.
    ///
    /// # Errors
    /// Fails when the content carries a known SHA-1 collision attack, which git itself refuses too.
    pub(crate) fn name_of(self, kind: Kind, content: &[u8]) -> Result<Oid, Collision> {
        let header = format!("{} {}\0", kind.word(), content.len());
        match self {
            Self::Sha1 => {
                use sha1_checked::Digest as _;
                let mut hasher = sha1_checked::Sha1::new();
                hasher.update(header.as_bytes());
                hasher.update(content);
                let result = hasher.try_finalize();
                if result.has_collision() {
                    return Err(Collision);
                }
                Ok(Oid::from_array(self, result.hash()))
            }
            Self::Sha256 => {
                let mut hasher = sha2::Sha256::new();
                hasher.update(header.as_bytes());
                hasher.update(content);
                Ok(Oid::from_array(self, &hasher.finalize()))
            }
        }
    }

    /// Returns the name that stands for "no object".
    pub(crate) fn null(self) -> Oid {
        Oid::from_array(self, &[0; 32][..self.len()])
    }
}

/// The content carries a known SHA-1 collision attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the content carries a SHA-1 collision attack, so it cannot be stored under a safe name")]
pub(crate) struct Collision;

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Blob,
    Tree,
    Commit,
    Tag,
}

impl Kind {
    /// Returns git's own word for the kind.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Blob => "blob",
            Self::Tree => "tree",
            Self::Commit => "commit",
            Self::Tag => "tag",
        }
    }

    /// Reads git's own word for the kind.
    pub(crate) fn from_word(word: &[u8]) -> Option<Self> {
        match word {
            b"blob" => Some(Self::Blob),
            b"tree" => Some(Self::Tree),
            b"commit" => Some(Self::Commit),
            b"tag" => Some(Self::Tag),
            _ => None,
        }
    }
}

/// The name of an object.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Oid {
    len: u8,
    bytes: [u8; 32],
}

impl Oid {
    fn from_array(format: ObjectFormat, hash: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes[..format.len()].copy_from_slice(hash);
        Self {
            len: if format.len() == 20 { 20 } else { 32 },
            bytes,
        }
    }

    /// Reads a whole hexadecimal name of either format; a short one is no name.
    pub(crate) fn from_hex(hex: &[u8]) -> Option<Self> {
        let len: u8 = match hex.len() {
            40 => 20,
            64 => 32,
            _ => return None,
        };
        if hex.iter().any(u8::is_ascii_uppercase) {
            return None;
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(hex, bytes.get_mut(..usize::from(len))?).ok()?;
        Some(Self { len, bytes })
    }

    /// Reads a binary name, as trees hold it.
    pub(crate) fn from_bytes(raw: &[u8]) -> Option<Self> {
        let len: u8 = match raw.len() {
            20 => 20,
            32 => 32,
            _ => return None,
        };
        let mut bytes = [0; 32];
        bytes.get_mut(..usize::from(len))?.copy_from_slice(raw);
        Some(Self { len, bytes })
    }

    /// Returns the binary name.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// Returns the hexadecimal name.
    pub(crate) fn hex(&self) -> String {
        hex::encode(self.as_bytes())
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Oid({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_git() {
        let name = |format: ObjectFormat, content: &[u8]| {
            format
                .name_of(Kind::Blob, content)
                .map(|oid| oid.hex())
                .ok()
        };
        assert_eq!(
            name(ObjectFormat::Sha1, b"").as_deref(),
            Some("e69de29bb2d1d6434b8b29ae775ad8c2e48c5391")
        );
        assert_eq!(
            name(ObjectFormat::Sha256, b"").as_deref(),
            Some("473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813")
        );
    }

    #[test]
    fn only_a_whole_lower_case_name_is_a_name() {
        let hex = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391";
        assert_eq!(
            Oid::from_hex(hex.as_bytes())
                .map(|oid| oid.hex())
                .as_deref(),
            Some(hex)
        );
        for bad in ["", "e69de29", "E69DE29BB2D1D6434B8B29AE775AD8C2E48C5391"] {
            assert_eq!(Oid::from_hex(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(Oid::from_hex(&[b'g'; 40]), None);
    }

    #[test]
    fn a_binary_name_round_trips() {
        for format in [ObjectFormat::Sha1, ObjectFormat::Sha256] {
            let oid = format.name_of(Kind::Tree, b"").expect("no collision");
            assert_eq!(Oid::from_bytes(oid.as_bytes()), Some(oid));
            assert!(format.null().hex().bytes().all(|digit| digit == b'0'));
        }
    }
}
