//! The file below a durable log of lines: `<checksum> <json>`, shared by processes, replaced as a whole.

use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::path::PathBuf;

use sha2::Digest as _;
use sha2::Sha256;

/// Opens or creates a file that its owner alone may read, to be appended to.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o600);
    options.open(path)
}

/// Returns the path of a file next to another, named after it.
pub(crate) fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    PathBuf::from(name)
}

/// Lets the name survive a power cut as well as the content.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// Returns whether an open file is the one that its path names.
pub(crate) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let held = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (held.dev(), held.ino())),
        // Moved aside by a person: what is appended now begins a new one.
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

/// Writes a text, synced, into the file that is to take the place of `path`; it is locked before anybody can find it.
pub(crate) fn successor(path: &Path, text: &str) -> io::Result<(PathBuf, File)> {
    let fresh = beside(path, "new");
    remove(&fresh)?;
    let mut file = open(&fresh)?;
    file.lock()?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok((fresh, file))
}

/// Removes a file; one that is not there is fine.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn checksum(json: &str) -> String {
    hex::encode(Sha256::digest(json)).chars().take(16).collect()
}

/// Returns the line of a record, with its end.
pub(crate) fn line_of(json: &str) -> String {
    format!("{} {json}\n", checksum(json))
}

/// Returns the record of a line, without its end.
///
/// # Errors
/// Says what is wrong with it.
pub(crate) fn record_of(line: &[u8]) -> Result<&str, &'static str> {
    let line = std::str::from_utf8(line).map_err(|_| "not UTF-8")?;
    let (sum, json) = line.split_once(' ').ok_or("no checksum")?;
    if sum != checksum(json) {
        return Err("the checksum does not fit");
    }
    Ok(json)
}
