//! The user's repository, and the two ways git is run on it.

use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use pipeline_core::random::nonce;

use crate::error::GitError;
use crate::git::Git;
use crate::git::GitCommand;
use crate::git::GitOptions;
use crate::held;
use crate::object::blocking;
use crate::oid::ObjectFormat;
use crate::oid::Oid;
use crate::store::replace;
use crate::version::Version;
use crate::workspace::remove_any;

/// What the name of a git directory begins with until it is whole.
const FRESH: &str = ".new-git-";

/// The user's repository together with the state directory that belongs to it.
///
/// git is run on it in two ways. Where refs and worktree entries are concerned, on the common git
/// directory itself. Everywhere else (objects, indexes, checkouts of workspaces) on a *plumbing*
/// git directory of our own inside the state directory, which shares only the objects: so neither
/// the repository's configuration nor anything an agent left in a `.git` is ever read there.
///
/// Cheap to clone.
///
/// # Examples
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use pipeline_git::{GitOptions, Repository};
///
/// let repository = Repository::open(GitOptions::default(), "/src/shop", "/var/lib/shop-state").await?;
/// println!("git {}", repository.git_version());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Repository {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    git: Git,
    common: PathBuf,
    state: PathBuf,
    format: ObjectFormat,
    partial: bool,
}

/// Why a repository cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("git cannot be used here")]
pub struct OpenError(#[from] GitError);

impl Repository {
    /// Opens the repository that `path` lies in, with its state directory.
    ///
    /// The state directory is created if it is missing, readable by its owner only.
    ///
    /// # Errors
    /// Fails when git is missing or too old, when there is no repository, when it belongs to another
    /// user, and when the state directory cannot be prepared.
    pub async fn open(
        git: GitOptions,
        path: impl Into<PathBuf>,
        state: impl Into<PathBuf>,
    ) -> Result<Self, OpenError> {
        let (path, state) = (path.into(), state.into());
        let git = Git::probe(git).await?;
        let answer = git
            .discovering(&path)
            .args(["rev-parse", "--path-format=absolute"])
            .args(["--show-object-format", "--git-common-dir"])
            .finish()
            .await?;
        if answer.code != Some(0) {
            let said = String::from_utf8_lossy(&answer.stderr);
            return Err(if said.contains("dubious ownership") {
                GitError::ForeignOwner { path }.into()
            } else if said.contains("not a git repository") {
                GitError::NotARepository { path }.into()
            } else {
                answer.failure("rev-parse").into()
            });
        }
        let unexpected = |what| GitError::Unexpected {
            command: "rev-parse --git-common-dir".to_owned(),
            what,
        };
        let mut lines = answer.stdout.splitn(2, |b| *b == b'\n');
        let format = lines
            .next()
            .and_then(ObjectFormat::from_name)
            .ok_or_else(|| unexpected("an unknown object format"))?;
        let mut common = lines.next().unwrap_or_default().to_vec();
        if common.pop() != Some(b'\n') || common.is_empty() {
            return Err(unexpected("no path in it").into());
        }
        let common = PathBuf::from(std::ffi::OsString::from_vec(common));
        let partial = !git
            .at(&common)
            .args(["config", "--get-regexp", r"^remote\..*\.promisor$"])
            .finish()
            .await?
            .stdout
            .is_empty();
        let state = blocking("prepare the state directory", &state.clone(), move || {
            create_private(&state)?;
            // As git writes it into the entries of worktrees, whatever links lead there.
            state.canonicalize()
        })
        .await?;
        let repository = Self {
            inner: Arc::new(Inner {
                git,
                common,
                state,
                format,
                partial,
            }),
        };
        repository.prepare().await?;
        Ok(repository)
    }

    async fn prepare(&self) -> Result<(), GitError> {
        let state = self.inner.state.clone();
        blocking(
            "prepare the state directory",
            &self.inner.state,
            move || {
                create_private(&state.join("quarantine"))?;
                create_private(&state.join("workspaces"))
            },
        )
        .await?;
        self.make_bare(&self.plumbing_dir()).await?;
        if !self.inner.git.knows_attr_source() {
            self.switch_conversions_off().await?;
        }
        Ok(())
    }

    /// Makes a bare git directory appear in one step, unless it is there: git writes it file by file, and of two processes
    /// that start at once the second one would find half of it.
    pub(crate) async fn make_bare(&self, dir: &Path) -> Result<(), GitError> {
        if is_whole(dir) {
            return Ok(());
        }
        let parent = dir.parent().unwrap_or(&self.inner.state).to_path_buf();
        let folder = parent.clone();
        let (fresh, lock) = blocking("prepare", &parent, move || {
            create_private(&folder)?;
            held::sweep_named(&folder, FRESH)?;
            held::create(&folder, FRESH)
        })
        .await?;
        self.inner
            .git
            .discovering(&self.inner.state)
            .args(["init", "--quiet", "--bare", "--template="])
            .args([format!("--object-format={}", self.inner.format.name())])
            .args(["--".as_ref(), fresh.as_os_str()])
            .run()
            .await?;
        let to = dir.to_path_buf();
        blocking("make", dir, move || {
            // Nobody sweeps it away before it has its name, also if nobody waits for this any more.
            let _lock = lock;
            match std::fs::rename(&fresh, &to) {
                // Another process was faster.
                Err(_) if is_whole(&to) => remove_any(&fresh).map(|_| ()),
                Err(_) if to.exists() => {
                    // Half of one, which an interrupted git or a power cut left. It goes with the next sweep.
                    std::fs::rename(&to, parent.join(format!("{FRESH}{}", nonce())))?;
                    std::fs::rename(&fresh, &to)
                }
                renamed => renamed,
            }
        })
        .await
    }

    /// Where git cannot be told to read attributes from the base, nothing in a workspace may turn a conversion on: files
    /// are taken as they are.
    async fn switch_conversions_off(&self) -> Result<(), GitError> {
        // Nothing is above this file.
        let attributes = self.plumbing_dir().join("info").join("attributes");
        let rule = b"* -text -eol -ident -filter -working-tree-encoding -merge\n";
        let state = self.inner.state.clone();
        blocking("write", &attributes.clone(), move || {
            // Another process may be reading it.
            match std::fs::read(&attributes) {
                Ok(there) if there == rule => Ok(()),
                _ => replace(&state, &attributes, rule),
            }
        })
        .await
    }

    /// Returns the version of the git that is used.
    #[must_use]
    pub fn git_version(&self) -> Version {
        self.inner.git.version()
    }

    /// Returns the common git directory.
    #[must_use]
    pub fn common_dir(&self) -> &Path {
        &self.inner.common
    }

    /// Returns the state directory.
    #[must_use]
    pub fn state_dir(&self) -> &Path {
        &self.inner.state
    }

    pub(crate) fn git(&self) -> &Git {
        &self.inner.git
    }

    pub(crate) fn format(&self) -> ObjectFormat {
        self.inner.format
    }

    /// Tells whether the repository lacks objects on purpose; they are never fetched here.
    pub(crate) fn is_partial(&self) -> bool {
        self.inner.partial
    }

    pub(crate) fn objects_dir(&self) -> PathBuf {
        self.inner.common.join("objects")
    }

    pub(crate) fn quarantine(&self) -> PathBuf {
        self.inner.state.join("quarantine")
    }

    pub(crate) fn plumbing_dir(&self) -> PathBuf {
        self.inner.state.join("plumbing.git")
    }

    /// Starts a command on the common git directory: refs, worktree entries, history.
    pub(crate) fn real(&self) -> GitCommand {
        self.inner.git.at(&self.inner.common)
    }

    /// Starts a command on the plumbing directory, with the repository's objects.
    pub(crate) fn plumbing(&self) -> GitCommand {
        self.inner
            .git
            .at(&self.plumbing_dir())
            .env("GIT_OBJECT_DIRECTORY", self.objects_dir())
            .config("core.bare=false")
            .config("core.autocrlf=false")
            .config("core.eol=lf")
            .config("core.safecrlf=false")
    }

    /// Like [`Repository::plumbing`], with attributes read from this tree and from nowhere else.
    pub(crate) fn plumbing_at(&self, base: &Oid) -> GitCommand {
        let command = self.plumbing();
        if self.inner.git.knows_attr_source() {
            command.global([format!("--attr-source={base}")])
        } else {
            command
        }
    }

    /// Resolves a revision to a commit; `None` when it names none.
    pub(crate) async fn resolve(&self, revision: &str) -> Result<Option<Oid>, GitError> {
        let answer = self
            .real()
            .args(["rev-parse", "--verify", "--quiet", "--end-of-options"])
            .args([format!("{revision}^{{commit}}")])
            .finish()
            .await?;
        match answer.code {
            Some(0) => Oid::from_hex(answer.stdout.trim_ascii())
                .map(Some)
                .ok_or_else(|| GitError::Unexpected {
                    command: "rev-parse --verify".to_owned(),
                    what: "no object name in it",
                }),
            Some(1) => Ok(None),
            _ => Err(answer.failure("rev-parse --verify")),
        }
    }
}

/// Tells whether git finds a repository there: what it looks for, of which the objects are made last.
fn is_whole(plumbing: &Path) -> bool {
    let head = std::fs::metadata(plumbing.join("HEAD"));
    head.is_ok_and(|head| head.len() > 0)
        && plumbing.join("refs").is_dir()
        && plumbing.join("objects").is_dir()
}

/// Creates a directory that only its owner can enter; one that exists keeps its mode.
pub(crate) fn create_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

#[cfg(test)]
pub(crate) mod tests;
