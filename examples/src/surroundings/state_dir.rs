//! The one directory in which the pipeline keeps what it knows about a repository.

use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;

use pipeline_core::random;
use serde::Serialize;
use sha2::Digest as _;
use sha2::Sha256;

use super::FoundRepository;
use super::Surroundings;

const README: &str = "This directory belongs to issue-pipeline.\n\n\
    It holds the journal, patches, approvals, workspaces and, where it is used, the local tracker of one repository.\n\
    What is in here decides what may land: keep it to yourself (mode 0700), back it up, edit nothing while it runs.\n";

/// Why there is no state directory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateDirError {
    /// No place for it can be told.
    #[error("no place for the state directory: set HOME, or name one in [state] dir")]
    NoHome,
    /// It lies inside another one.
    #[error(
        "the state directory {} lies inside another one ({}), where a run could reach it: name another place in [state] dir",
        dir.display(), outer.display()
    )]
    Nested {
        /// The directory.
        dir: PathBuf,
        /// The one around it.
        outer: PathBuf,
    },
    /// It belongs to somebody else.
    #[error("the state directory {} belongs to another user: name another place in [state] dir", dir.display())]
    NotOurs {
        /// The directory.
        dir: PathBuf,
    },
    /// It cannot be made or read.
    #[error("the state directory {} cannot be used", dir.display())]
    Unusable {
        /// The directory.
        dir: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A state directory's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateDir {
    path: PathBuf,
}

impl StateDir {
    /// Names a place.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Returns the default place for a repository (all its worktrees share it), or for a directory without one.
    ///
    /// # Errors
    /// [`StateDirError::NoHome`].
    pub fn default_for(
        around: &Surroundings,
        repository: Option<&FoundRepository>,
    ) -> Result<Self, StateDirError> {
        let root = base(around)
            .ok_or(StateDirError::NoHome)?
            .join("issue-pipeline");
        let (name, identity) = match repository {
            Some(found) => (found.name(), found.common_dir.as_path()),
            None => ("no-repository".to_owned(), around.directory.as_path()),
        };
        let digest = hex::encode(Sha256::digest(identity.as_os_str().as_encoded_bytes()));
        let short = digest.get(..8).unwrap_or(&digest);
        Ok(Self::at(root.join(format!("{name}-{short}"))))
    }

    /// Returns the path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns where the configuration lies unless another place is named.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.path.join("pipeline.toml")
    }

    /// Makes the directory if it is not there, and closes it to others if it is open to them.
    ///
    /// # Errors
    /// [`StateDirError`].
    pub fn prepare(&self) -> Result<(), StateDirError> {
        let unusable = |source| StateDirError::Unusable {
            dir: self.path.clone(),
            source,
        };
        if let Some(outer) = self.outer() {
            return Err(StateDirError::Nested {
                dir: self.path.clone(),
                outer,
            });
        }
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.path)
            .map_err(unusable)?;
        let meta = std::fs::metadata(&self.path).map_err(unusable)?;
        if meta.uid() != rustix::process::geteuid().as_raw() {
            return Err(StateDirError::NotOurs {
                dir: self.path.clone(),
            });
        }
        if meta.mode() & 0o077 != 0 {
            let closed = std::fs::Permissions::from_mode(0o700);
            std::fs::set_permissions(&self.path, closed).map_err(unusable)?;
        }
        let readme = self.path.join("README.txt");
        if !readme.exists() {
            std::fs::write(readme, README).map_err(unusable)?;
        }
        Ok(())
    }

    /// Replaces a small file of the directory as a whole: a reader sees the old content or the new, never a part.
    ///
    /// # Errors
    /// [`StateDirError::Unusable`]; the old content stays then.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StateDirError> {
        let unusable = |source| StateDirError::Unusable {
            dir: self.path.clone(),
            source,
        };
        let part = self.path.join(format!(".{name}.{}", random::nonce()));
        let write = || {
            let mut file = std::fs::File::create(&part)?;
            io::Write::write_all(&mut file, bytes)?;
            file.sync_all()?;
            std::fs::rename(&part, self.path.join(name))
        };
        write().map_err(unusable)
    }

    /// Replaces a small file of the directory by a value as JSON.
    ///
    /// # Errors
    /// [`StateDirError::Unusable`]; the old content stays then.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), StateDirError> {
        let bytes = serde_json::to_vec(value).map_err(|error| StateDirError::Unusable {
            dir: self.path.clone(),
            source: io::Error::other(error),
        })?;
        self.write(name, &bytes)
    }

    /// Returns the content of a small file of the directory; `None` if it is not there.
    ///
    /// # Errors
    /// [`StateDirError::Unusable`].
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StateDirError> {
        match std::fs::read(self.path.join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StateDirError::Unusable {
                dir: self.path.clone(),
                source,
            }),
        }
    }

    fn outer(&self) -> Option<PathBuf> {
        let ours = |dir: &&Path| {
            let text = std::fs::read_to_string(dir.join("README.txt"));
            text.is_ok_and(|t| t.lines().next() == README.lines().next())
        };
        self.path.ancestors().skip(1).find(ours).map(Path::to_owned)
    }

    /// Returns what is unwise about its place, each a sentence.
    #[must_use]
    pub fn concerns(
        &self,
        around: &Surroundings,
        repository: Option<&FoundRepository>,
    ) -> Vec<String> {
        let path = canonical(&self.path);
        let within = |dir: &Path| path.starts_with(canonical(dir));
        let mut found = Vec::new();
        let temporary = around
            .path_variable("TMPDIR")
            .unwrap_or_else(|| "/tmp".into());
        if within(&temporary) || within(Path::new("/tmp")) || within(Path::new("/var/tmp")) {
            found.push(
                "it lies in a temporary directory, which is emptied by the system".to_owned(),
            );
        }
        if let Some(found_repository) = repository {
            if within(&found_repository.common_dir) {
                found.push(
                    "it lies in the git directory, which agents' sandboxes have to reach"
                        .to_owned(),
                );
            } else if within(&found_repository.root) {
                found.push("it lies in the working tree, where `git clean` removes it".to_owned());
            }
        }
        found
    }
}

fn base(around: &Surroundings) -> Option<PathBuf> {
    let home = around.home();
    if cfg!(target_os = "macos") {
        return home.map(|h| h.join("Library/Application Support"));
    }
    // The specification has a relative XDG_STATE_HOME ignored.
    around
        .path_variable("XDG_STATE_HOME")
        .or_else(|| home.map(|h| h.join(".local/state")))
}

/// Resolves links in the part of a path that exists.
fn canonical(path: &Path) -> PathBuf {
    for ancestor in path.ancestors() {
        if let Ok(real) = ancestor.canonicalize() {
            return path
                .strip_prefix(ancestor)
                .map_or_else(|_| real.clone(), |rest| real.join(rest));
        }
    }
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn temporary() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().canonicalize().expect("there");
        (dir, path)
    }

    #[cfg(not(target_os = "macos"))]
    #[test]
    fn the_default_is_one_per_repository_below_the_users_state() {
        let repository = FoundRepository {
            root: "/w/shop".into(),
            common_dir: "/w/shop/.git".into(),
        };
        let other = FoundRepository {
            root: "/v/shop".into(),
            common_dir: "/v/shop/.git".into(),
        };
        let around = Surroundings::new("/w/shop/app", "/x").with("HOME", "/home/rei");
        let dir = StateDir::default_for(&around, Some(&repository)).expect("told");
        assert!(
            dir.path()
                .starts_with("/home/rei/.local/state/issue-pipeline"),
            "{dir:?}"
        );
        assert_ne!(
            dir,
            StateDir::default_for(&around, Some(&other)).expect("told")
        );
        let around = around.with("XDG_STATE_HOME", "relative");
        assert_eq!(
            dir,
            StateDir::default_for(&around, Some(&repository)).expect("told")
        );
        let around = around.with("XDG_STATE_HOME", "/state");
        let dir = StateDir::default_for(&around, Some(&repository)).expect("told");
        assert!(dir.path().starts_with("/state/issue-pipeline"), "{dir:?}");
    }

    #[test]
    fn without_a_home_it_says_what_to_do() {
        let error =
            StateDir::default_for(&Surroundings::new("/w", "/x"), None).expect_err("no home");
        assert!(error.to_string().contains("[state] dir"));
    }

    #[test]
    fn it_is_made_for_us_alone_and_closed_if_it_was_open() {
        let (_dir, top) = temporary();
        let state = StateDir::at(top.join("a/state"));
        state.prepare().expect("made");
        let mode = || std::fs::metadata(state.path()).expect("there").mode() & 0o777;
        assert_eq!(mode(), 0o700);
        std::fs::set_permissions(state.path(), std::fs::Permissions::from_mode(0o755))
            .expect("opened");
        state.prepare().expect("closed");
        assert_eq!(mode(), 0o700);
    }

    #[test]
    fn a_small_file_is_replaced_as_a_whole() {
        let (_dir, top) = temporary();
        let state = StateDir::at(top.join("state"));
        state.prepare().expect("made");
        assert_eq!(state.read("x.json").expect("read"), None);
        state.write("x.json", b"1").expect("written");
        state.write("x.json", b"22").expect("written");
        assert_eq!(state.read("x.json").expect("read"), Some(b"22".to_vec()));
        let names = std::fs::read_dir(state.path()).expect("there").count();
        assert_eq!(names, 2, "nothing is left beside it and the README");
    }

    #[test]
    fn never_inside_another_one() {
        let (_dir, top) = temporary();
        StateDir::at(top.join("state")).prepare().expect("made");
        let error = StateDir::at(top.join("state/workspaces/run-1/state")).prepare();
        assert!(
            matches!(error, Err(StateDirError::Nested { .. })),
            "{error:?}"
        );
    }

    #[test]
    fn an_unwise_place_is_told() {
        let (_dir, top) = temporary();
        let repository = FoundRepository {
            root: top.join("repo"),
            common_dir: top.join("repo/.git"),
        };
        let around = Surroundings::new("/", "/x").with("TMPDIR", top.join("tmp"));
        let concerns = |path: &str| {
            StateDir::at(top.join(path))
                .concerns(&around, Some(&repository))
                .join("; ")
        };
        assert!(concerns("tmp/state").contains("temporary"));
        assert!(concerns("repo/.git/state").contains("git directory"));
        assert!(concerns("repo/state").contains("working tree"));
    }
}
