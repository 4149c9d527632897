//! The files of plans, and replacing one without losing what a person wrote meanwhile.

use std::fmt::Debug;
use std::fs;
use std::io;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;

use crate::random;

/// The largest plan that is read.
const LARGEST: u64 = 64 << 20;

/// Where plans and the documents they refer to are, by the paths people write.
pub trait PlanFiles: Debug + Send + Sync {
    /// Returns a file's text.
    ///
    /// # Errors
    /// [`FilesError`].
    fn read(&self, path: &str) -> Result<String, FilesError>;
    /// Returns whether there is such a file.
    fn exists(&self, path: &str) -> bool;
    /// Tells whether a file could be replaced; writes nothing.
    ///
    /// # Errors
    /// [`FilesError::ReadOnly`] and others.
    fn writable(&self, path: &str) -> Result<(), FilesError>;
    /// Replaces a file as a whole, if it still holds `before`.
    ///
    /// # Errors
    /// [`FilesError`]; the file is as it was then.
    fn replace(&self, path: &str, before: &str, after: &str) -> Result<Replaced, FilesError>;
}

/// What became of a replacement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaced {
    /// The file holds the new text, on the disk.
    Yes,
    /// Somebody changed it meanwhile: nothing was written.
    ChangedMeanwhile,
}

/// Why a plan's file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilesError {
    /// It cannot be read or written.
    #[error("the plan {} cannot be {operation}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// `read` or `written`.
        operation: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is not text.
    #[error("the plan {} is not UTF-8: save it as UTF-8", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// It is too large.
    #[error("the plan {} is larger than {} MiB", path.display(), LARGEST >> 20)]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Nobody may write it.
    #[error("the plan {} is read-only: make it writable, or its links cannot be kept", path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
}

/// Files below a folder of this machine.
#[derive(Debug, Clone)]
pub struct DiskFiles {
    root: PathBuf,
}

impl DiskFiles {
    /// Takes relative paths from here.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// A link is followed, so that the file behind it is replaced and not the link.
    fn real(&self, path: &str) -> Result<PathBuf, FilesError> {
        let path = self.root.join(path);
        fs::canonicalize(&path).map_err(|source| failed(&path, "read", source))
    }
}

fn failed(path: &Path, operation: &'static str, source: io::Error) -> FilesError {
    FilesError::Io {
        path: path.to_owned(),
        operation,
        source,
    }
}

fn read(path: &Path) -> Result<String, FilesError> {
    let size = fs::metadata(path)
        .map_err(|e| failed(path, "read", e))?
        .len();
    if size > LARGEST {
        return Err(FilesError::TooLarge {
            path: path.to_owned(),
        });
    }
    let bytes = fs::read(path).map_err(|e| failed(path, "read", e))?;
    String::from_utf8(bytes).map_err(|_| FilesError::NotText {
        path: path.to_owned(),
    })
}

impl PlanFiles for DiskFiles {
    fn read(&self, path: &str) -> Result<String, FilesError> {
        read(&self.real(path)?)
    }

    fn exists(&self, path: &str) -> bool {
        self.root.join(path).is_file()
    }

    fn writable(&self, path: &str) -> Result<(), FilesError> {
        let path = self.real(path)?;
        let metadata = fs::metadata(&path).map_err(|e| failed(&path, "read", e))?;
        if metadata.permissions().readonly() {
            return Err(FilesError::ReadOnly { path });
        }
        // Opening it changes nothing, and asks the system instead of guessing from the mode.
        match fs::OpenOptions::new().append(true).open(&path) {
            Ok(_) => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
                Err(FilesError::ReadOnly { path })
            }
            Err(e) => Err(failed(&path, "written", e)),
        }
    }

    fn replace(&self, path: &str, before: &str, after: &str) -> Result<Replaced, FilesError> {
        self.writable(path)?;
        let path = self.real(path)?;
        let wrong = |e| failed(&path, "written", e);
        let folder = path.parent().unwrap_or(Path::new("/"));
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let new = folder.join(format!(".{name}.{}", &random::nonce()[..8]));
        let written = (|| {
            let mut options = fs::OpenOptions::new();
            let mut file = options.write(true).create_new(true).open(&new)?;
            file.write_all(after.as_bytes())?;
            file.set_permissions(fs::metadata(&path)?.permissions())?;
            file.sync_all()
        })();
        let changed = || read(&path).map(|now| now != before);
        let swapped = written.map_err(wrong).and_then(|()| {
            // As late as can be: what is left is the time between two system calls.
            if changed()? {
                return Ok(Replaced::ChangedMeanwhile);
            }
            fs::rename(&new, &path).map_err(wrong)?;
            fs::File::open(folder)
                .and_then(|f| f.sync_all())
                .map_err(wrong)?;
            Ok(Replaced::Yes)
        });
        if !matches!(swapped, Ok(Replaced::Yes)) {
            // What could not be put in place is of no use to anybody.
            drop(fs::remove_file(&new));
        }
        swapped
    }
}
