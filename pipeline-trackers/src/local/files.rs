//! Attached files, stored under the digest of their content.

use std::fs;
use std::io;
use std::io::Read as _;
use std::path::PathBuf;

use sha2::Digest as _;
use sha2::Sha256;

use super::error::LocalError;
use super::folder::sync_dir;
use super::folder::write_whole;

/// The largest file, in bytes.
pub(super) const MAX_BYTES: u64 = 32 * 1024 * 1024;

const PART: &str = "part";

#[derive(Debug)]
pub(super) struct Files {
    dir: PathBuf,
}

impl Files {
    pub(super) const fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Stores content and returns its digest; the caller holds the writers' lock.
    pub(super) fn put(&self, content: &[u8]) -> Result<String, LocalError> {
        let digest = hex::encode(Sha256::digest(content));
        let path = self.dir.join(&digest);
        // One that is there but damaged is mended by this.
        if self.get(&digest).is_ok() {
            return Ok(digest);
        }
        // One name for all: under the lock there is one writer, and a dead one's leftover is overwritten.
        let part = self.dir.join(PART);
        write_whole(&part, content).map_err(LocalError::io("write", &part))?;
        fs::rename(&part, &path).map_err(LocalError::io("write", &path))?;
        sync_dir(&self.dir).map_err(LocalError::io("sync", &self.dir))?;
        Ok(digest)
    }

    pub(super) fn get(&self, digest: &str) -> Result<Vec<u8>, LocalError> {
        let path = self.dir.join(digest);
        let damaged = |what: &str| LocalError::Damaged {
            path: path.clone(),
            line: None,
            reason: format!("{what}; put it back from a backup or attach the file again"),
        };
        let file = fs::File::open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => damaged("the file is gone"),
            _ => LocalError::io("open", &path)(error),
        })?;
        let mut content = Vec::new();
        file.take(MAX_BYTES + 1)
            .read_to_end(&mut content)
            .map_err(LocalError::io("read", &path))?;
        if hex::encode(Sha256::digest(&content)) == digest {
            Ok(content)
        } else {
            Err(damaged("its content is not what was attached"))
        }
    }
}
