//! The team's deploy rules: what a person has read before permitting anything.

use std::fs::File;
use std::io;
use std::io::Read as _;
use std::path::Path;
use std::path::PathBuf;

use sha2::Digest as _;
use sha2::Sha256;

use super::ShipError;

/// Largest rules file, in bytes.
const LARGEST: u64 = 1 << 20;

/// The team's deploy rules, by content: a permission is bound to their digest.
///
/// # Examples
/// ```
/// use pipeline_core::ship::DeployRules;
///
/// let rules = DeployRules::new("docs/deploy.md", b"Never on Fridays.\n")?;
/// assert_eq!(rules.digest().len(), 64);
/// assert!(DeployRules::new("docs/deploy.md", b"  \n").is_err());
/// # Ok::<(), pipeline_core::ship::ShipError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeployRules {
    name: String,
    text: Vec<u8>,
    digest: String,
    file: Option<PathBuf>,
}

impl DeployRules {
    /// Takes rules that were read elsewhere, such as from the commit that ships.
    ///
    /// # Errors
    /// [`ShipError::NoRules`] if there is nothing in them.
    pub fn new(name: impl Into<String>, bytes: &[u8]) -> Result<Self, ShipError> {
        let name = name.into();
        if bytes.trim_ascii().is_empty() {
            return Err(ShipError::NoRules { name });
        }
        Ok(Self {
            digest: hex::encode(Sha256::digest(bytes)),
            text: bytes.to_owned(),
            name,
            file: None,
        })
    }

    /// Reads the rules from a file, which is read again right before anything ships.
    ///
    /// # Errors
    /// [`ShipError::NoRules`] if the file is missing or empty, [`ShipError::RulesUnreadable`] if it cannot be read or
    /// is larger than a megabyte.
    pub fn read(file: &Path) -> Result<Self, ShipError> {
        let name = file.display().to_string();
        let unreadable = |source| ShipError::RulesUnreadable {
            name: name.clone(),
            source,
        };
        let mut bytes = Vec::new();
        match File::open(file) {
            Ok(f) => f.take(LARGEST + 1).read_to_end(&mut bytes),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(ShipError::NoRules { name });
            }
            Err(e) => Err(e),
        }
        .map_err(unreadable)?;
        if bytes.len() as u64 > LARGEST {
            return Err(unreadable(io::Error::other("it is larger than a megabyte")));
        }
        Ok(Self {
            file: Some(file.to_owned()),
            ..Self::new(name, &bytes)?
        })
    }

    /// Returns how people call them.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns what a person reads before permitting anything.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Returns their sha256, 64 hexadecimal digits.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Checks that the file still says what was read from it.
    pub(super) fn unchanged(&self) -> Result<(), ShipError> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        if Self::read(file)?.digest == self.digest {
            Ok(())
        } else {
            Err(ShipError::RulesChanged {
                name: self.name.clone(),
            })
        }
    }
}
