//! Attachments: fetched once, stored under the digest of their content, taken by what they are and not by their name.
//!
//! An attachment is a file from a stranger. Its name is never a path; its type is what its first bytes say; pictures
//! are measured by their header before anybody decodes them; archives are never opened. SVG and HTML are text.

mod kind;

use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::Read as _;
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::path::PathBuf;

use sha2::Digest as _;
use sha2::Sha256;

pub use self::kind::FileKind;
use self::kind::decode;
use self::kind::kind_of;
use crate::dossier::Content;
use crate::dossier::Dossier;
use crate::issue::Attachment;
use crate::issue::IssueKey;
use crate::random;
use crate::tracker::Tracker;
use crate::tracker::TrackerError;

/// What is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttachmentLimits {
    /// Largest file, in bytes.
    pub bytes: u64,
    /// Most files of one dossier.
    pub count: usize,
    /// Most pixels of a picture, width times height.
    pub pixels: u64,
}

impl Default for AttachmentLimits {
    fn default() -> Self {
        Self {
            bytes: 10 << 20,
            count: 20,
            pixels: 40_000_000,
        }
    }
}

/// Why an attachment is not taken. Each is a sentence for the prompt and for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotTaken {
    /// It is too large.
    #[error("it is larger than {most} bytes")]
    TooLarge {
        /// The limit.
        most: u64,
    },
    /// There are too many.
    #[error("only the first {most} attachments are taken")]
    TooMany {
        /// The limit.
        most: usize,
    },
    /// It is empty.
    #[error("it is empty")]
    Empty,
    /// It is an archive.
    #[error("it is an archive, and archives are never opened")]
    Archive,
    /// It is something else.
    #[error("its content is neither png, jpeg, gif, webp, pdf nor text")]
    UnknownType,
    /// It says that it is a picture, and its header makes no sense.
    #[error("its header is not that of a whole picture")]
    BrokenPicture,
    /// It is a picture of a size that costs too much to look at.
    #[error("it is a picture of {width} × {height} pixels, and at most {most} are looked at")]
    TooManyPixels {
        /// Its width.
        width: u64,
        /// Its height.
        height: u64,
        /// The limit.
        most: u64,
    },
    /// The tracker no longer has it.
    #[error("the tracker no longer has it")]
    Gone,
    /// Its content is not what the tracker lists.
    #[error("its content is not what the tracker lists")]
    Altered,
    /// The tracker refused it, now and always.
    #[error("the tracker does not give it out: {why}")]
    Withheld {
        /// What the tracker said.
        why: String,
    },
}

/// Something that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The sha256 of its bytes, 64 hexadecimal digits.
    pub address: String,
    /// What it is.
    pub kind: FileKind,
    /// Its size in bytes.
    pub size: u64,
}

/// Why attachments could not be had now.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttachmentError {
    /// The folder cannot be used.
    #[error("attachments cannot be kept in {path}: check the disk and the rights of the state directory", path = path.display())]
    Folder {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The tracker cannot be read now.
    #[error("an attachment of {issue} cannot be fetched now")]
    Tracker {
        /// The issue.
        issue: IssueKey,
        /// Why.
        #[source]
        source: TrackerError,
    },
}

/// A folder of attachments by content.
///
/// # Guarantees
/// - A file's name is the sha256 of its content and an extension of ours; what an uploader called it stands nowhere.
/// - A stored file is whole: it is written aside, synced and then named.
/// - What is read back is compared with its address.
#[derive(Debug, Clone)]
pub struct AttachmentStore {
    folder: PathBuf,
    limits: AttachmentLimits,
}

impl AttachmentStore {
    /// Opens a folder, which is created for this user alone.
    ///
    /// # Errors
    /// [`AttachmentError::Folder`].
    pub fn open(
        folder: impl Into<PathBuf>,
        limits: AttachmentLimits,
    ) -> Result<Self, AttachmentError> {
        let folder = folder.into();
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(|source| AttachmentError::Folder {
                path: folder.clone(),
                source,
            })?;
        Ok(Self { folder, limits })
    }

    /// Stores bytes, if they are of a kind that is taken.
    ///
    /// # Errors
    /// [`AttachmentError::Folder`]; that they are not taken is a value.
    ///
    /// # Examples
    /// ```
    /// use pipeline_core::attachment::{AttachmentLimits, AttachmentStore, FileKind};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let store = AttachmentStore::open(folder.path(), AttachmentLimits::default())?;
    /// let stored = store.put(b"<svg onload=alert(1)>")?.expect("taken");
    /// assert_eq!(stored.kind, FileKind::Text);
    /// assert!(store.put(b"PK\x03\x04...")?.is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn put(&self, bytes: &[u8]) -> Result<Result<Stored, NotTaken>, AttachmentError> {
        let kind = match kind_of(bytes, &self.limits) {
            Ok(kind) => kind,
            Err(why) => return Ok(Err(why)),
        };
        let address = hex::encode(Sha256::digest(bytes));
        let path = self.folder.join(format!("{address}.{}", kind.extension()));
        if self.get(&address)?.is_none_or(|(known, _)| known != kind) {
            self.write(&path, bytes)?;
        }
        Ok(Ok(Stored {
            address,
            kind,
            size: bytes.len() as u64,
        }))
    }

    /// Returns what is stored under an address with its kind, or `None` if nothing whole is.
    ///
    /// # Errors
    /// [`AttachmentError::Folder`] if it is there and cannot be read.
    pub fn get(&self, address: &str) -> Result<Option<(FileKind, Vec<u8>)>, AttachmentError> {
        let Some((kind, path)) = self.find(address) else {
            return Ok(None);
        };
        let read = || {
            let mut bytes = Vec::new();
            File::open(&path)?
                .take(self.limits.bytes + 1)
                .read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = read().map_err(|source| AttachmentError::Folder {
            path: path.clone(),
            source,
        })?;
        if hex::encode(Sha256::digest(&bytes)) == address {
            return Ok(Some((kind, bytes)));
        }
        // Damaged: fetched again, it is written anew.
        fs::remove_file(&path).map_err(|source| AttachmentError::Folder { path, source })?;
        Ok(None)
    }

    /// Returns the files of a dossier's images, in the order in which its prompt names them.
    #[must_use]
    pub fn images(&self, dossier: &Dossier) -> Vec<PathBuf> {
        dossier
            .images()
            .filter_map(|address| self.find(address))
            .map(|(_, path)| path)
            .collect()
    }

    /// Fetches what a dossier lists and notes in it what became of each: at most the configured number, each once.
    ///
    /// # Errors
    /// [`AttachmentError`] if the folder cannot be used or the tracker cannot be read now; a file that cannot be had
    /// at all is noted in the dossier.
    ///
    /// # Cancel safety
    /// Can be repeated; what was fetched is not fetched again.
    pub async fn fetch(
        &self,
        tracker: &dyn Tracker,
        mut dossier: Dossier,
    ) -> Result<Dossier, AttachmentError> {
        let wanted: Vec<Attachment> = dossier.files.iter().map(|f| f.attachment.clone()).collect();
        for (n, attachment) in wanted.into_iter().enumerate() {
            let content = if n < self.limits.count {
                self.content(tracker, &dossier.issue, &attachment).await?
            } else {
                refused(&NotTaken::TooMany {
                    most: self.limits.count,
                })
            };
            dossier = dossier.with_content(attachment.id, content);
        }
        Ok(dossier)
    }

    async fn content(
        &self,
        tracker: &dyn Tracker,
        issue: &IssueKey,
        attachment: &Attachment,
    ) -> Result<Content, AttachmentError> {
        if attachment.size.is_some_and(|s| s > self.limits.bytes) {
            return Ok(refused(&NotTaken::TooLarge {
                most: self.limits.bytes,
            }));
        }
        let note = self.note(tracker, issue, attachment);
        let known = match &attachment.digest {
            Some(digest) => Some(digest.clone()),
            None => fs::read_to_string(&note).ok(),
        };
        if let Some(address) = known
            && let Some((kind, bytes)) = self.get(&address)?
        {
            return Ok(shown(address, kind, &bytes));
        }
        let bytes = match tracker.attachment(issue, attachment.id).await {
            Ok(bytes) => bytes,
            Err(TrackerError::NotFound { .. }) => return Ok(refused(&NotTaken::Gone)),
            Err(TrackerError::TooLarge { .. }) => {
                return Ok(refused(&NotTaken::TooLarge {
                    most: self.limits.bytes,
                }));
            }
            Err(source) if source.is_transient() => {
                return Err(AttachmentError::Tracker {
                    issue: issue.clone(),
                    source,
                });
            }
            Err(e) => return Ok(refused(&NotTaken::Withheld { why: e.to_string() })),
        };
        let stored = match self.put(&bytes)? {
            Ok(stored) => stored,
            Err(why) => return Ok(refused(&why)),
        };
        if attachment
            .digest
            .as_ref()
            .is_some_and(|d| *d != stored.address)
        {
            return Ok(refused(&NotTaken::Altered));
        }
        self.write(&note, stored.address.as_bytes())?;
        Ok(shown(stored.address, stored.kind, &bytes))
    }

    /// Returns the file that says under which address an attachment was stored. Trackers give an attachment's id to
    /// nothing else, but another tracker may.
    fn note(&self, tracker: &dyn Tracker, issue: &IssueKey, attachment: &Attachment) -> PathBuf {
        let name = [
            tracker.identity(),
            issue.to_string(),
            attachment.id.to_string(),
        ];
        let digest = hex::encode(Sha256::digest(name.join("\n")));
        self.folder.join(format!("{digest}.is"))
    }

    fn find(&self, address: &str) -> Option<(FileKind, PathBuf)> {
        let is_address = address.len() == 64
            && address
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if !is_address {
            return None;
        }
        FileKind::ALL.into_iter().find_map(|kind| {
            let path = self.folder.join(format!("{address}.{}", kind.extension()));
            fs::symlink_metadata(&path)
                .is_ok_and(|m| m.is_file())
                .then_some((kind, path))
        })
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), AttachmentError> {
        let temp = self.folder.join(format!(".{}", random::nonce()));
        let put = || {
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&temp)?;
            file.write_all(bytes)?;
            file.sync_data()?;
            fs::rename(&temp, path)
        };
        put().map_err(|source| {
            drop(fs::remove_file(&temp));
            AttachmentError::Folder {
                path: path.to_owned(),
                source,
            }
        })
    }
}

fn shown(address: String, kind: FileKind, bytes: &[u8]) -> Content {
    if kind.is_picture() {
        Content::Image { address }
    } else if kind.is_text() {
        Content::Text {
            address,
            text: decode(bytes),
        }
    } else {
        Content::Stored {
            address,
            kind: kind.extension().to_owned(),
        }
    }
}

fn refused(why: &NotTaken) -> Content {
    Content::Refused {
        reason: why.to_string(),
    }
}

#[cfg(test)]
mod tests;
