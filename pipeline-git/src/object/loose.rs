//! Loose objects: written in a quarantine first, moved into the repository once they are kept.
//!
//! A loose object that a power cut left empty poisons its name: git sees that the file exists and
//! never writes it again. So nothing unsynced is ever placed in the repository. Objects of a
//! candidate under construction lie in a quarantine directory that git reads as an object
//! directory; keeping them means syncing each file and then moving it.

use std::fs;
use std::io;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use crate::oid::Kind;
use crate::oid::Oid;

/// Returns the file of a loose object inside an object directory.
pub(crate) fn path_of(objects: &Path, oid: &Oid) -> PathBuf {
    let hex = oid.hex();
    let (dir, file) = hex.split_at(2);
    objects.join(dir).join(file)
}

/// Returns the bytes of the file that holds the object.
pub(crate) fn encode(kind: Kind, content: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    let header = format!("{} {}\0", kind.word(), content.len());
    encoder
        .write_all(header.as_bytes())
        .and_then(|()| encoder.write_all(content))
        .and_then(|()| encoder.finish())
        .expect("writing to memory cannot fail")
}

/// Writes one object into a quarantine, unsynced.
pub(crate) fn stage(quarantine: &Path, oid: &Oid, kind: Kind, content: &[u8]) -> io::Result<()> {
    let path = path_of(quarantine, oid);
    if path.exists() {
        return Ok(());
    }
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    fs::write(path, encode(kind, content))
}

/// Moves staged objects into the repository so that they survive a power cut.
///
/// On return every object is whole, named and synced. Objects the repository already has as loose
/// files are left alone. Cost: one sync per object and one per directory touched.
pub(crate) fn keep(quarantine: &Path, objects: &Path, oids: &[Oid]) -> io::Result<()> {
    let mut dirs = std::collections::BTreeSet::new();
    for oid in oids {
        let from = path_of(quarantine, oid);
        let to = path_of(objects, oid);
        if to.exists() {
            continue;
        }
        let dir = to
            .parent()
            .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        if !dir.exists() {
            fs::create_dir_all(dir)?;
            dirs.insert(objects.to_path_buf());
        }
        let file = fs::File::open(&from)?;
        let mut permissions = file.metadata()?.permissions();
        permissions.set_readonly(true);
        file.set_permissions(permissions)?;
        file.sync_all()?;
        match fs::rename(&from, &to) {
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                copy_across(&from, dir, &to)?;
            }
            done => done?,
        }
        dirs.insert(dir.to_path_buf());
    }
    for dir in dirs {
        sync_dir(&dir)?;
    }
    Ok(())
}

/// The state directory may lie on another file system than the repository.
fn copy_across(from: &Path, dir: &Path, to: &Path) -> io::Result<()> {
    // git's own garbage collection removes files with this prefix if a crash leaves one.
    let name = to
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let temporary = dir.join(format!("tmp_obj_{name}"));
    fs::copy(from, &temporary)?;
    fs::File::open(&temporary)?.sync_all()?;
    fs::rename(&temporary, to)
}

/// Makes the names in a directory survive a power cut.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    fs::File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::oid::ObjectFormat;

    #[test]
    fn a_kept_object_holds_header_and_content() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let (quarantine, objects) = (dir.path().join("q"), dir.path().join("objects"));
        let oid = ObjectFormat::Sha1
            .name_of(Kind::Blob, b"hello")
            .expect("no collision");
        stage(&quarantine, &oid, Kind::Blob, b"hello").expect("staged");
        assert!(
            !path_of(&objects, &oid).exists(),
            "nothing is placed before it is kept"
        );
        keep(&quarantine, &objects, &[oid]).expect("kept");
        keep(&quarantine, &objects, &[oid]).expect("keeping again changes nothing");
        let file = fs::File::open(path_of(&objects, &oid)).expect("placed");
        assert!(file.metadata().expect("metadata").permissions().readonly());
        let mut bytes = Vec::new();
        flate2::read::ZlibDecoder::new(file)
            .read_to_end(&mut bytes)
            .expect("inflates");
        assert_eq!(bytes, b"blob 5\0hello");
    }

    #[test]
    fn keeping_what_was_never_staged_fails() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let oid = ObjectFormat::Sha1
            .name_of(Kind::Blob, b"x")
            .expect("no collision");
        assert!(keep(&dir.path().join("q"), &dir.path().join("o"), &[oid]).is_err());
    }
}
