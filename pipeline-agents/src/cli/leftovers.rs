//! What a program's sandbox leaves in a workspace: empty files and folders that nobody wrote.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;

/// What lay in a workspace before a run.
#[derive(Debug)]
pub(crate) struct Leftovers {
    directory: PathBuf,
    before: BTreeSet<OsString>,
}

impl Leftovers {
    /// Looks at a workspace before a run.
    pub(crate) fn before(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            before: names(directory).collect(),
        }
    }

    /// Removes what came since then and cannot be work: empty files that nobody may write, empty folders, and the named
    /// folders of the program's own below them.
    pub(crate) fn clear(&self, own: &[&str]) -> usize {
        let mut cleared = 0;
        for name in own {
            let path = self.directory.join(name);
            let first = Path::new(name).iter().next().unwrap_or_default();
            // A link may lead anywhere: it is left alone.
            let plain = !self.directory.join(first).is_symlink() && !path.is_symlink();
            if plain && path.is_dir() && fs::remove_dir_all(&path).is_ok() {
                cleared += 1;
            }
        }
        for name in names(&self.directory).filter(|name| !self.before.contains(name)) {
            let path = self.directory.join(name);
            let Ok(meta) = path.symlink_metadata() else {
                continue;
            };
            let gone = if meta.is_dir() {
                // Fails where something lies in it.
                fs::remove_dir(&path).is_ok()
            } else {
                let untouchable = meta.permissions().mode() & 0o777 == 0o444;
                meta.is_file() && meta.len() == 0 && untouchable && fs::remove_file(&path).is_ok()
            };
            cleared += usize::from(gone);
        }
        cleared
    }
}

fn names(directory: &Path) -> impl Iterator<Item = OsString> {
    fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_wrote_goes_and_work_stays() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let write = |name: &str, text: &str, mode: u32| {
            let path = root.join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        };
        write("base-empty", "", 0o444);
        let before = Leftovers::before(root);
        write(".bashrc", "", 0o444);
        write("package.json", "", 0o444);
        write("__init__.py", "", 0o644);
        write("read-only.txt", "text", 0o444);
        fs::create_dir_all(root.join(".claude/.cc-writes")).unwrap();
        fs::create_dir(root.join(".codex")).unwrap();
        fs::create_dir(root.join("src")).unwrap();
        write("src/lib.rs", "work", 0o644);
        assert_eq!(before.clear(&[".claude/.cc-writes"]), 5);
        let mut left: Vec<_> = names(root).collect();
        left.sort();
        assert_eq!(left, ["__init__.py", "base-empty", "read-only.txt", "src"]);
    }

    #[test]
    fn a_link_is_not_followed() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(other.path().join(".cc-writes")).unwrap();
        let before = Leftovers::before(dir.path());
        std::os::unix::fs::symlink(other.path(), dir.path().join(".claude")).unwrap();
        assert_eq!(before.clear(&[".claude/.cc-writes"]), 0);
        assert!(other.path().join(".cc-writes").exists());
    }
}
