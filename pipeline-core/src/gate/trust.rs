//! Whether a folder can prove anything: who owns it, and whether this process could have written it.

use std::fs;
use std::fs::File;
use std::io;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::Access;
use rustix::fs::AtFlags;
use rustix::fs::CWD;
use rustix::fs::Mode;
use rustix::fs::OFlags;

/// Others than the owner may write.
const OTHERS_WRITE: u32 = 0o022;
/// Only owners rename what lies in such a folder.
const STICKY: u32 = 0o1000;

/// As whom we ask, and what the system lets us write.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller {
    /// The effective user.
    pub(super) uid: u32,
    /// Whether this process can write to a path, by every rule of the system (modes, groups, access lists).
    pub(super) can_write: fn(&Path) -> io::Result<bool>,
}

impl Caller {
    /// Returns the user this process acts as.
    pub(super) fn current() -> Self {
        Self {
            uid: rustix::process::geteuid().as_raw(),
            can_write,
        }
    }
}

fn can_write(path: &Path) -> io::Result<bool> {
    match rustix::fs::accessat(CWD, path, Access::WRITE_OK, AtFlags::EACCESS) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::ACCESS | rustix::io::Errno::ROFS | rustix::io::Errno::PERM) => {
            Ok(false)
        }
        Err(e) => Err(e.into()),
    }
}

/// Checks a folder of our own: nobody else may write in it.
pub(super) fn own(folder: &Path, caller: Caller) -> Result<(), String> {
    let meta = fs::symlink_metadata(folder).map_err(|e| e.to_string())?;
    if !meta.is_dir() {
        return Err("it is not a folder: move it away".into());
    }
    if meta.uid() != caller.uid {
        return Err(
            "it belongs to another user: an OK by another user needs the gate `owner`".into(),
        );
    }
    if meta.mode() & OTHERS_WRITE != 0 {
        return Err(format!(
            "other users can write in it: chmod go-w {}",
            folder.display()
        ));
    }
    Ok(())
}

/// Checks a folder of somebody else's: this process can neither write in it nor put another one in its place.
pub(super) fn foreign(folder: &Path, state: &Path, caller: Caller) -> Result<(), String> {
    if caller.uid == 0 {
        return Err(
            "the pipeline runs as root, who can write everywhere: run it as a user of its own"
                .into(),
        );
    }
    let meta = fs::symlink_metadata(folder).map_err(|e| {
        format!("it cannot be looked at ({e}): create it as its owner and let the pipeline's user read it")
    })?;
    if !meta.is_dir() {
        return Err("it is not a folder: name the folder itself and no link to it".into());
    }
    let real = fs::canonicalize(folder).map_err(|e| e.to_string())?;
    if real != folder {
        return Err(format!(
            "a link stands in its path, which could be turned: name it as {}",
            real.display()
        ));
    }
    if fs::canonicalize(state).is_ok_and(|state| real.starts_with(state)) {
        return Err(
            "it lies in the state directory, which the pipeline writes: choose a folder elsewhere"
                .into(),
        );
    }
    if meta.uid() == caller.uid {
        return Err(
            "it belongs to the user the pipeline runs as: create it as the user who gives the OK"
                .into(),
        );
    }
    let writable = |path: &Path| (caller.can_write)(path).map_err(|e| e.to_string());
    if meta.mode() & 0o002 != 0 || writable(folder)? {
        return Err(format!(
            "the pipeline's user can write in it: chmod go-w {} as its owner",
            folder.display()
        ));
    }
    for above in folder.ancestors().skip(1) {
        let meta = fs::symlink_metadata(above).map_err(|e| e.to_string())?;
        let keeps_names = meta.mode() & STICKY != 0;
        if meta.uid() == caller.uid || (writable(above)? && !keeps_names) {
            return Err(format!(
                "the pipeline's user can put another folder in its place, because it can write in {}: choose a path it cannot",
                above.display()
            ));
        }
    }
    Ok(())
}

/// Reads a file that only `owner` can have written, of at most `most` bytes.
pub(super) fn read(path: &Path, owner: u32, most: u64) -> Result<Option<Vec<u8>>, String> {
    // A link could lead anywhere and a pipe would never end.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(fd) => File::from(fd),
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(rustix::io::Errno::LOOP) => return Err("it is a link".into()),
        Err(e) => return Err(io::Error::from(e).to_string()),
    };
    let meta = file.metadata().map_err(|e| e.to_string())?;
    if !meta.is_file() {
        return Err("it is not a file".into());
    }
    if meta.uid() != owner {
        return Err("it does not belong to the owner of its folder".into());
    }
    if meta.mode() & OTHERS_WRITE != 0 {
        return Err("others than its owner can write it: chmod go-w".into());
    }
    let mut bytes = Vec::new();
    file.take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| e.to_string())?;
    if bytes.len() as u64 > most {
        return Err(format!("it is larger than {most} bytes"));
    }
    Ok(Some(bytes))
}
