//! The verification worktree: one per target, kept between candidates and reset to each.
//!
//! What runs in it is code from patches, so nothing it leaves is believed: the index with the stat
//! data lies outside of it, every file that changed since is written anew, and everything that is
//! not of the tree goes, ignored files included, but for the paths named `keep`.

use std::path::Path;
use std::path::PathBuf;

use globset::Glob;
use globset::GlobSet;
use globset::GlobSetBuilder;
use pipeline_core::agent::RunId;
use pipeline_core::integrate::IntegrateError;
use pipeline_core::process;
use pipeline_core::workspace::Target;
use serde::Deserialize;
use serde::Serialize;
use sha2::Digest as _;
use sha2::Sha256;

use crate::error::GitError;
use crate::git::GitCommand;
use crate::hooks::HookFailure;
use crate::hooks::HookPoint;
use crate::integrator::failed;
use crate::integrator::options::IntegratorOptions;
use crate::object::Objects;
use crate::object::blocking;
use crate::oid::Oid;
use crate::repository::Repository;
use crate::repository::create_private;
use crate::store::replace;
use crate::workspace::remove_any;
use crate::worktrees;

/// What the worktree was last brought to.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    /// The tree whose files are there.
    tree: String,
    /// The tree for which `after_create` last succeeded.
    prepared: Option<String>,
}

/// The verification worktree of one target.
#[derive(Debug)]
pub(crate) struct VerificationTree<'a> {
    repository: &'a Repository,
    options: &'a IntegratorOptions,
    dir: PathBuf,
}

impl<'a> VerificationTree<'a> {
    pub(crate) fn of(
        repository: &'a Repository,
        options: &'a IntegratorOptions,
        target: &Target,
    ) -> Self {
        // A branch name may be longer than a file name, and differ from another one only in case.
        let digest = hex::encode(Sha256::digest(target.as_str()));
        let name: String = digest.chars().take(16).collect();
        Self {
            repository,
            options,
            dir: folder(repository).join(name),
        }
    }

    fn tree(&self) -> PathBuf {
        self.dir.join("tree")
    }

    fn index(&self) -> PathBuf {
        self.dir.join("index")
    }

    fn state(&self) -> PathBuf {
        self.dir.join("state.json")
    }

    /// Brings the files to a commit, runs the hooks, and returns the directory.
    pub(crate) async fn bring_to(
        &self,
        objects: &Objects,
        commit: &Oid,
        tree: &Oid,
    ) -> Result<PathBuf, IntegrateError> {
        let operation = || format!("check out {commit} for verification");
        // Checks of a process that was killed would go on in the tree, and be blamed on a patch.
        let left = process::sweep(&RunId::of_checks(&self.tree())).await;
        let left = left.map_err(|error| IntegrateError::Other {
            operation: operation(),
            source: Some(error.into()),
        })?;
        if left.ended() > 0 {
            tracing::warn!(ended = left.ended(), "checks that outlived their process");
        }
        let former = self.former().await;
        let reset = match &former {
            Some(_) => self.reset(objects, commit, tree).await,
            None => Err(GitError::NoObject {
                oid: "none yet".to_owned(),
                partial: false,
            }),
        };
        let (former, done) = match reset {
            Ok(()) => (former, Ok(())),
            Err(error) => {
                // Whatever is wrong with it, a fresh one has none of it.
                tracing::debug!(%error, "the verification worktree is made anew");
                (None, self.make(objects, commit, tree).await)
            }
        };
        done.map_err(|error| failed(operation(), error))?;
        let prepared = former.and_then(|state| state.prepared);
        let needs_preparation = self
            .needs_preparation(objects, prepared.as_deref(), tree)
            .await;
        let needs_preparation = needs_preparation.map_err(|error| failed(operation(), error))?;
        let kept = if needs_preparation {
            None
        } else {
            Some(tree.hex())
        };
        self.remember(tree, kept)
            .await
            .map_err(|error| failed(operation(), error))?;
        if needs_preparation {
            self.hook(HookPoint::AfterCreate).await?;
            let prepared = Some(tree.hex());
            self.remember(tree, prepared)
                .await
                .map_err(|error| failed(operation(), error))?;
        }
        self.hook(HookPoint::BeforeVerify).await?;
        Ok(self.tree())
    }

    async fn hook(&self, point: HookPoint) -> Result<(), IntegrateError> {
        let home = self.dir.join("home");
        let checks = RunId::of_checks(&self.tree());
        let ran = self
            .options
            .hooks
            .run(point, &self.tree(), &home, Some(&checks))
            .await;
        ran.map_err(|HookFailure { point, detail }| IntegrateError::Hook {
            hook: point.name().to_owned(),
            detail,
        })
    }

    /// Reads what the worktree was last brought to; `None` when there is nothing to build on.
    async fn former(&self) -> Option<State> {
        let json = tokio::fs::read(self.state()).await.ok()?;
        let state: State = serde_json::from_slice(&json).ok()?;
        // A link here would lead a cleaning somewhere else.
        let whole = self
            .tree()
            .symlink_metadata()
            .is_ok_and(|found| found.is_dir());
        (whole && self.index().exists()).then_some(state)
    }

    async fn remember(&self, tree: &Oid, prepared: Option<String>) -> Result<(), GitError> {
        let state = State {
            tree: tree.hex(),
            prepared,
        };
        let json = serde_json::to_vec(&state).map_err(|error| GitError::File {
            action: "write",
            path: self.state(),
            source: error.into(),
        })?;
        let file = self.state();
        let state_dir = self.repository.state_dir().to_path_buf();
        blocking("write", &self.state(), move || {
            replace(&state_dir, &file, &json)
        })
        .await
    }

    fn command(&self, objects: &Objects, tree: &Oid) -> GitCommand {
        objects
            .plumbing_at(tree)
            .work_tree(&self.tree())
            .index(&self.index())
    }

    async fn make(&self, objects: &Objects, commit: &Oid, tree: &Oid) -> Result<(), GitError> {
        self.remove().await?;
        let dir = self.dir.clone();
        blocking("create", &self.dir, move || create_private(&dir)).await?;
        let git_dir = worktrees::add(self.repository, &self.tree(), commit).await?;
        self.write_files(objects, tree).await?;
        self.show(&git_dir, commit).await
    }

    async fn reset(&self, objects: &Objects, commit: &Oid, tree: &Oid) -> Result<(), GitError> {
        let git_dir = worktrees::git_dir_of(self.repository, &self.tree())
            .await?
            .ok_or_else(|| GitError::Unexpected {
                command: "worktree list".to_owned(),
                what: "no entry of ours",
            })?;
        // Files that verified code left may be in the way of files of the tree.
        self.clean(objects, tree).await?;
        self.write_files(objects, tree).await?;
        self.clean(objects, tree).await?;
        self.point_home(&git_dir).await?;
        self.show(&git_dir, commit).await
    }

    /// Writes every file that is not what the tree says.
    async fn write_files(&self, objects: &Objects, tree: &Oid) -> Result<(), GitError> {
        let command = self.command(objects, tree);
        command
            .args(["read-tree", "--reset", "-u", &tree.hex()])
            .run()
            .await
            .map(|_| ())
    }

    /// Removes everything that is not of the index, nested repositories included.
    async fn clean(&self, objects: &Objects, tree: &Oid) -> Result<(), GitError> {
        let mut command = self
            .command(objects, tree)
            .args(["clean", "-q", "-f", "-f", "-d", "-x"]);
        for path in &self.options.keep {
            command = command.args(["-e", &format!("/{}", path.trim_matches('/'))]);
        }
        command.run().await.map(|_| ())
    }

    /// Puts back the file that names the git directory; the code that ran may have changed it.
    async fn point_home(&self, git_dir: &Path) -> Result<(), GitError> {
        let file = self.tree().join(".git");
        let mut line = std::ffi::OsString::from("gitdir: ");
        line.push(git_dir);
        line.push("\n");
        blocking("write", &file.clone(), move || {
            remove_any(&file)?;
            std::fs::write(&file, line.into_encoded_bytes())
        })
        .await
    }

    /// Lets git inside of the worktree see the commit that is checked out.
    async fn show(&self, git_dir: &Path, commit: &Oid) -> Result<(), GitError> {
        let (from, to) = (self.index(), git_dir.join("index"));
        blocking("write", &to.clone(), move || crate::index::copy(&from, &to)).await?;
        self.repository
            .git()
            .at(git_dir)
            .args(["update-ref", "--no-deref", "HEAD", &commit.hex()])
            .run()
            .await
            .map(|_| ())
    }

    /// Tells whether dependencies have to be installed: never were, or a file that names them changed.
    async fn needs_preparation(
        &self,
        objects: &Objects,
        prepared: Option<&str>,
        tree: &Oid,
    ) -> Result<bool, GitError> {
        let Some(prepared) = prepared.and_then(|hex| Oid::from_hex(hex.as_bytes())) else {
            return Ok(true);
        };
        if prepared == *tree {
            return Ok(false);
        }
        let globs = compile(&self.options.dependency_files);
        let changed = match objects.find(&prepared).await? {
            Some(_) => objects.changed_paths(&prepared, tree).await?,
            // The tree of a candidate that went back may be gone by now.
            None => return Ok(true),
        };
        use std::os::unix::ffi::OsStrExt as _;
        Ok(changed
            .iter()
            .any(|path| globs.is_match(std::ffi::OsStr::from_bytes(path))))
    }

    /// Removes the worktree with everything in it.
    pub(crate) async fn remove(&self) -> Result<(), GitError> {
        let dir = self.dir.clone();
        blocking("remove", &self.dir, move || remove_any(&dir)).await?;
        worktrees::forget(self.repository, &self.tree()).await
    }
}

/// A glob that does not compile matches nothing; the configuration is checked where it is read.
fn compile(globs: &[String]) -> GlobSet {
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        match Glob::new(glob) {
            Ok(glob) => {
                set.add(glob);
            }
            Err(error) => tracing::warn!(%error, "dependency files"),
        }
    }
    set.build().unwrap_or_else(|error| {
        tracing::warn!(%error, "dependency files");
        GlobSet::empty()
    })
}

fn folder(repository: &Repository) -> PathBuf {
    repository.state_dir().join("verify")
}

/// Removes the verification worktrees of every target.
pub(crate) async fn remove_all(repository: &Repository) -> Result<(), GitError> {
    let folder = folder(repository);
    let dirs = blocking("read", &folder.clone(), {
        let folder = folder.clone();
        move || match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            entries => entries?.map(|entry| Ok(entry?.path())).collect(),
        }
    })
    .await?;
    for dir in dirs {
        let gone = dir.clone();
        blocking("remove", &dir, move || remove_any(&gone)).await?;
        worktrees::forget(repository, &dir.join("tree")).await?;
    }
    Ok(())
}
