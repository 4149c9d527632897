//! Loose objects: written in a quarantine first, moved into the repository once they are kept.
//!
//! A loose object that a power cut left empty poisons its name: git sees that the file exists and
//! never writes it again. So nothing unsynced is ever placed in the repository. Objects of a
//! candidate under construction lie in a quarantine directory that git reads as an object
//! directory; keeping them means syncing each file and then moving it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use pipeline_core::random::nonce;

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
    // Under a name that is no object's until it is whole: a full disk leaves a part of it.
    let begun = path.with_file_name(format!("tmp_obj_{}", nonce()));
    fs::write(&begun, encode(kind, content))?;
    fs::rename(begun, path)
}

/// Moves every object of a quarantine into the repository so that they survive a power cut.
///
/// On return every object is whole, named and synced. Objects the repository already has as loose
/// files are left alone. Cost: one sync per object and one per directory touched.
pub(crate) fn keep(quarantine: &Path, objects: &Path) -> io::Result<()> {
    let mut dirs = BTreeSet::new();
    let mut moves = Vec::new();
    for (prefix, from_dir) in fan_out(quarantine)? {
        let to_dir = objects.join(&prefix);
        for entry in fs::read_dir(&from_dir)? {
            let entry = entry?;
            let to = to_dir.join(entry.file_name());
            // What git was killed over has a temporary name; it is no object.
            if is_hex(&entry.file_name()) && !to.exists() {
                moves.push((entry.path(), to));
            }
        }
        if !to_dir.exists() {
            fs::create_dir_all(&to_dir)?;
            dirs.insert(objects.to_path_buf());
        }
        dirs.insert(to_dir);
    }
    if moves.is_empty() {
        return Ok(());
    }
    place(&moves)?;
    let dirs: Vec<PathBuf> = dirs.into_iter().collect();
    at_once(&dirs, |dir| sync_dir(dir))
}

/// Lists the directories `00` to `ff` there are.
fn fan_out(objects: &Path) -> io::Result<Vec<(OsString, PathBuf)>> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(objects) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_name().len() == 2 && is_hex(&entry.file_name()) {
            found.push((entry.file_name(), entry.path()));
        }
    }
    Ok(found)
}

fn is_hex(name: &OsStr) -> bool {
    name.as_encoded_bytes().iter().all(u8::is_ascii_hexdigit)
}

/// Syncs files, which nobody may write any more, all at once, and then moves one after the other to where it belongs.
pub(super) fn place(moves: &[(PathBuf, PathBuf)]) -> io::Result<()> {
    at_once(moves, |(from, _)| {
        let file = fs::File::open(from)?;
        let mut permissions = file.metadata()?.permissions();
        permissions.set_readonly(true);
        file.set_permissions(permissions)?;
        file.sync_all()
    })?;
    moves
        .iter()
        .try_for_each(|(from, to)| match move_to(from, to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // A clean-up of somebody else's removes folders that are empty at that moment.
                if let Some(folder) = to.parent() {
                    fs::create_dir_all(folder)?;
                }
                move_to(from, to)
            }
            done => done,
        })
}

fn move_to(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => copy_across(from, to),
        done => done,
    }
}

/// Does the same to many files: the file system merges the syncs that several threads ask for at one time.
fn at_once<T: Sync>(items: &[T], act: impl Fn(&T) -> io::Result<()> + Sync) -> io::Result<()> {
    const THREADS: usize = 8;
    let act = &act;
    std::thread::scope(|scope| {
        let parts = items.chunks(items.len().div_ceil(THREADS).max(1));
        let running: Vec<_> = parts
            .map(|part| scope.spawn(move || part.iter().try_for_each(act)))
            .collect();
        running
            .into_iter()
            .try_for_each(|thread| match thread.join() {
                Ok(done) => done,
                Err(_) => Err(io::Error::other("a thread that synced objects panicked")),
            })
    })
}

/// The state directory may lie on another file system than the repository.
fn copy_across(from: &Path, to: &Path) -> io::Result<()> {
    // git's own garbage collection removes files with this prefix if a crash leaves one.
    let name = to
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let temporary = to.with_file_name(format!("tmp_obj_{name}"));
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
        fs::write(
            path_of(&quarantine, &oid).with_file_name("tmp_obj_x"),
            "half",
        )
        .expect("written");
        keep(&quarantine, &objects).expect("kept");
        keep(&quarantine, &objects).expect("keeping again changes nothing");
        let dir_of_it = path_of(&objects, &oid)
            .parent()
            .expect("a directory")
            .to_path_buf();
        assert_eq!(
            fs::read_dir(dir_of_it).expect("readable").count(),
            1,
            "only whole objects"
        );
        let file = fs::File::open(path_of(&objects, &oid)).expect("placed");
        assert!(file.metadata().expect("metadata").permissions().readonly());
        let mut bytes = Vec::new();
        flate2::read::ZlibDecoder::new(file)
            .read_to_end(&mut bytes)
            .expect("inflates");
        assert_eq!(bytes, b"blob 5\0hello");
    }

    #[test]
    fn keeping_an_object_that_is_there_leaves_it_alone() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let (quarantine, objects) = (dir.path().join("q"), dir.path().join("objects"));
        let oid = ObjectFormat::Sha1
            .name_of(Kind::Blob, b"x")
            .expect("no collision");
        stage(&objects, &oid, Kind::Blob, b"x").expect("written");
        stage(&quarantine, &oid, Kind::Blob, b"x").expect("staged");
        keep(&quarantine, &objects).expect("kept");
        assert!(
            path_of(&quarantine, &oid).exists(),
            "nothing was moved over it"
        );
        keep(&dir.path().join("none"), &objects).expect("an empty quarantine is fine");
    }
}
