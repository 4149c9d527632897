//! Keeping packs out of reach of a clean-up until a ref names what is in them.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use crate::object::pack::folder_of;

/// What stands in a guard, so that nobody else's is taken for ours.
const GUARD: &str = "issue pipeline: no ref names it yet\n";
/// Nobody takes so long to set a ref.
const GUARDED: Duration = Duration::from_secs(3600);

/// Keeps a pack out of reach of a `git repack` that runs meanwhile, until a ref names what is in it.
///
/// Loose objects that nothing names are left alone for days; a pack is taken apart at once, without what nothing names.
/// This is git's own way to protect what a push brings, until its refs are set.
#[derive(Debug)]
pub(crate) struct Guard(PathBuf);

impl Guard {
    /// Guards a pack that is about to get this name.
    pub(super) fn over(pack: &Path) -> io::Result<Self> {
        let guard = Self(pack.with_extension("keep"));
        fs::write(&guard.0, GUARD)?;
        Ok(guard)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // One that stays costs space, and the next session takes it away.
        drop(fs::remove_file(&self.0));
    }
}

/// Takes away the guards of processes that died between keeping and naming.
pub(crate) fn sweep(objects: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(folder_of(objects)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        if path.extension() != Some(OsStr::new("keep")) {
            continue;
        }
        let age = fs::metadata(&path).and_then(|about| about.modified());
        let old = age.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > GUARDED));
        if old && fs::read(&path).is_ok_and(|content| content == GUARD.as_bytes()) {
            drop(Guard(path));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn only_an_old_guard_of_ours_is_taken_away() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let folder = folder_of(dir.path());
        fs::create_dir_all(&folder).expect("made");
        let long_ago = SystemTime::now() - 2 * GUARDED;
        for (name, content, at) in [
            ("old", GUARD, long_ago),
            ("young", GUARD, SystemTime::now()),
            ("other", "fetch-pack 7 on elsewhere\n", long_ago),
        ] {
            let path = folder.join(format!("pack-{name}.keep"));
            fs::write(&path, content).expect("written");
            let file = fs::File::options().write(true).open(path);
            file.expect("there").set_modified(at).expect("dated");
        }
        sweep(dir.path()).expect("swept");
        let left = fs::read_dir(&folder).expect("readable");
        let mut left: Vec<_> = left.map(|e| e.expect("readable").file_name()).collect();
        left.sort();
        assert_eq!(left, ["pack-other.keep", "pack-young.keep"]);
        sweep(&dir.path().join("none")).expect("nothing to sweep");
    }
}
