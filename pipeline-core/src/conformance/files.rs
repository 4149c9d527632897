//! The files of a repository, as cases write and compare them.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// One ordinary file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileEntry {
    /// Its content.
    pub content: Vec<u8>,
    /// Whether it may be executed.
    pub executable: bool,
}

/// Ordinary files by their relative path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileSet {
    files: BTreeMap<String, FileEntry>,
}

impl FileSet {
    /// Makes a set of files that may not be executed.
    #[must_use]
    pub fn of<C: AsRef<[u8]>>(files: &[(&str, C)]) -> Self {
        let mut set = Self::default();
        for (path, content) in files {
            set.put(path, content.as_ref());
        }
        set
    }

    /// Puts a file that may not be executed.
    pub fn put(&mut self, path: &str, content: &[u8]) {
        self.put_entry(
            path,
            FileEntry {
                content: content.to_vec(),
                executable: false,
            },
        );
    }

    /// Puts a file.
    pub fn put_entry(&mut self, path: &str, entry: FileEntry) {
        self.files.insert(path.to_owned(), entry);
    }

    /// Takes a file out.
    pub fn remove(&mut self, path: &str) {
        self.files.remove(path);
    }

    /// Returns the files in the order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &FileEntry)> {
        self.files
            .iter()
            .map(|(path, entry)| (path.as_str(), entry))
    }

    /// Returns the paths.
    #[must_use]
    pub fn paths(&self) -> Vec<&str> {
        self.files.keys().map(String::as_str).collect()
    }

    /// Returns a file's content.
    #[must_use]
    pub fn content(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(|file| file.content.as_slice())
    }

    /// Reads every ordinary file below a directory; `.git` directly in it is left out.
    ///
    /// # Errors
    /// Fails if something cannot be read, or is neither a directory nor an ordinary file.
    pub fn read(root: &Path) -> io::Result<Self> {
        let mut set = Self::default();
        set.read_below(root, "")?;
        Ok(set)
    }

    fn read_below(&mut self, root: &Path, folder: &str) -> io::Result<()> {
        for entry in std::fs::read_dir(root.join(folder))? {
            let entry = entry?;
            let name = OsStr::from_bytes(&entry.file_name().into_vec())
                .to_string_lossy()
                .into_owned();
            if folder.is_empty() && name == ".git" {
                continue;
            }
            let path = if folder.is_empty() {
                name
            } else {
                format!("{folder}/{name}")
            };
            let kind = entry.file_type()?;
            if kind.is_dir() {
                self.read_below(root, &path)?;
            } else if kind.is_file() {
                let executable = entry.metadata()?.permissions().mode() & 0o111 != 0;
                let content = std::fs::read(entry.path())?;
                self.put_entry(
                    &path,
                    FileEntry {
                        content,
                        executable,
                    },
                );
            } else {
                return Err(io::Error::other(format!("{path} is no ordinary file")));
            }
        }
        Ok(())
    }

    /// Makes a directory hold exactly these files; `.git` directly in it stays.
    ///
    /// # Errors
    /// Fails if something cannot be removed or written.
    pub fn write(&self, root: &Path) -> io::Result<()> {
        std::fs::create_dir_all(root)?;
        for entry in std::fs::read_dir(root)? {
            let entry = entry?;
            if entry.file_name() == ".git" {
                continue;
            }
            if entry.file_type()?.is_dir() {
                std::fs::remove_dir_all(entry.path())?;
            } else {
                std::fs::remove_file(entry.path())?;
            }
        }
        for (path, entry) in self.iter() {
            write_file(&root.join(path), entry)?;
        }
        Ok(())
    }
}

/// Writes one file and the directories above it.
pub(super) fn write_file(path: &Path, entry: &FileEntry) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, &entry.content)?;
    let mode = if entry.executable { 0o755 } else { 0o644 };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}
