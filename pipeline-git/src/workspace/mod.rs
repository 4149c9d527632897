//! Workspaces: private checkouts of a pinned commit, and what is taken out of them.

mod area;
mod capture;
mod changes;
mod exclude;
mod litter;
mod options;
mod pool;
mod prepare;
mod removal;
mod salvage;

use async_trait::async_trait;
use pipeline_core::BoxError;
use pipeline_core::agent::RunMode;
use pipeline_core::agent::WorkspaceKind;
use pipeline_core::footprint::encode_readable;
use pipeline_core::footprint::percent_decode;
use pipeline_core::workspace::BaseRevision;
use pipeline_core::workspace::Captured;
use pipeline_core::workspace::CommitId;
use pipeline_core::workspace::RemovalReason;
use pipeline_core::workspace::Target;
use pipeline_core::workspace::Workspace;
use pipeline_core::workspace::WorkspaceError;
use pipeline_core::workspace::WorkspaceProvider;
use pipeline_core::workspace::WorkspaceRequest;

use crate::error::GitError;
use crate::hooks::HookFailure;
use crate::hooks::HookPoint;
use crate::object::Objects;
use crate::object::SpliceError;
use crate::oid::Oid;
use crate::repository::Repository;
use crate::workspace::area::Area;
use crate::workspace::area::Record;
use crate::workspace::capture::Capture;
pub(crate) use crate::workspace::litter::remove_any;
pub use crate::workspace::options::WorkspaceOptions;
use crate::workspace::pool::Pool;
use crate::worktrees;

/// Workspaces cut from a git repository, without ever creating a branch.
///
/// A workspace is a detached, locked worktree, or a clone with a git directory of its own where the
/// agent needs one or paths are to be left out. Whatever an agent does to the `.git` inside of it,
/// capture does not look there: it compares the files with the base under a private index.
///
/// # Examples
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use pipeline_core::workspace::{Target, WorkspaceProvider as _};
/// use pipeline_git::{GitOptions, GitWorkspaces, Repository, WorkspaceOptions};
///
/// let repository = Repository::open(GitOptions::default(), "/src/shop", "/var/lib/shop-state").await?;
/// let workspaces = GitWorkspaces::new(&repository, WorkspaceOptions::default());
/// let base = workspaces.base(&Target::new("main")?).await?;
/// # let _ = base;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct GitWorkspaces {
    repository: Repository,
    options: WorkspaceOptions,
    pool: Pool,
}

impl GitWorkspaces {
    /// Makes the provider for a repository.
    #[must_use]
    pub fn new(repository: &Repository, options: WorkspaceOptions) -> Self {
        Self {
            pool: Pool::new(repository, options.pool, options.grace),
            repository: repository.clone(),
            options,
        }
    }

    /// Fills the pool with checkouts of a base and returns when it is full.
    ///
    /// That happens by itself while runs go on; a program that knows what comes next may be ahead of it.
    ///
    /// # Errors
    /// [`WorkspaceError::Other`] if a checkout cannot be made.
    pub async fn fill_pool(&self, base: &BaseRevision) -> Result<(), WorkspaceError> {
        self.pool
            .fill(&parsed(&base.commit))
            .await
            .map_err(|error| failed("fill the pool of workspaces".to_owned(), error))
    }

    /// Takes a workspace out of the pool, without the hooks; `None` when none waits there that would do.
    async fn pooled(&self, request: &WorkspaceRequest) -> Result<Option<Area>, GitError> {
        let plain = request.kind == WorkspaceKind::DetachedWorktree && request.exclude.is_empty();
        if !plain || !self.pool.is_on() {
            return Ok(None);
        }
        let base = parsed(&request.base.commit);
        let dir = area::folder(&self.repository).join(request.run.as_str());
        let workspace = workspace_of(request, &dir);
        let record = move |tree: &Oid| Record {
            v: 1,
            workspace: workspace.clone(),
            tree: tree.hex(),
            store: None,
        };
        let json = {
            let record = record.clone();
            move |tree: &Oid| serde_json::to_vec_pretty(&record(tree))
        };
        let exact = self.pool.take(&base, None, &dir, json.clone()).await?;
        let taken = match exact {
            Some(taken) => taken,
            None => {
                let objects = Objects::open(&self.repository)?;
                let tree = objects.commit(&base).await?.tree;
                match self.pool.take(&base, Some(tree), &dir, json).await? {
                    Some(taken) => taken,
                    None => return Ok(None),
                }
            }
        };
        let area = Area::placed(&self.repository, dir, record(&taken.tree), taken.tree);
        if taken.held != taken.tree {
            let moved = async {
                let objects = Objects::open(&self.repository)?;
                if pool::attributes_differ(&objects, &taken.held, &taken.tree).await? {
                    return Ok(false);
                }
                prepare::move_files(&area, &taken.held, &base, &taken.git_dir).await?;
                Ok::<_, GitError>(true)
            };
            match moved.await {
                Ok(true) => {}
                Ok(false) => {
                    removal::discard(&area).await?;
                    return Ok(None);
                }
                Err(error) => {
                    tracing::debug!(%error, "a waiting checkout cannot be moved");
                    removal::discard(&area).await?;
                    return Ok(None);
                }
            }
        }
        Ok(Some(area))
    }

    async fn area(&self, workspace: &Workspace) -> Result<Area, WorkspaceError> {
        let run = &workspace.run;
        Area::open(&self.repository, run)
            .await
            .map_err(|error| failed(format!("open the workspace of {run}"), error))?
            // What is no directory any more was replaced by whoever worked in it.
            .filter(|area| {
                area.path()
                    .symlink_metadata()
                    .is_ok_and(|found| found.is_dir())
            })
            .ok_or_else(|| WorkspaceError::Other {
                operation: format!("open the workspace of {run}: there is none"),
                source: None,
            })
    }

    /// Returns what was captured, or says why it is not the whole.
    fn whole(
        &self,
        area: &Area,
        captured: Result<Capture, GitError>,
    ) -> Result<Captured, WorkspaceError> {
        let Workspace { run, issue, .. } = &area.record.workspace;
        let operation = || format!("take the patch of {issue} ({run})");
        match captured.map_err(|error| failed(operation(), error))? {
            Capture::Whole(captured) => Ok(captured),
            Capture::TooLarge => Err(WorkspaceError::PatchTooLarge {
                issue: issue.clone(),
                limit: self.options.patch_limit,
                path: area.path(),
            }),
        }
    }

    /// Runs a hook in a workspace that may be written.
    async fn hook(&self, point: HookPoint, area: &Area) -> Result<(), HookFailure> {
        let workspace = &area.record.workspace;
        if workspace.mode == RunMode::ReadOnly {
            return Ok(());
        }
        let home = area.dir().join("home");
        self.options
            .hooks
            .run(point, &area.path(), &home, Some(&workspace.run))
            .await
    }

    /// Runs a hook whose failure changes nothing.
    async fn hook_logged(&self, point: HookPoint, area: &Area) {
        if let Err(error) = self.hook(point, area).await {
            tracing::warn!(run = %area.record.workspace.run, %error, "a hook");
        }
    }

    async fn make(&self, request: &WorkspaceRequest) -> Result<Workspace, WorkspaceError> {
        let run = &request.run;
        let operation = || format!("create a workspace for {} ({run})", request.issue);
        let base = parsed(&request.base.commit);
        let own_git = request.kind == WorkspaceKind::SeparateClone || !request.exclude.is_empty();
        let (commit, tree, store) = if request.exclude.is_empty() {
            let objects = Objects::open(&self.repository);
            let found = async { objects?.commit(&base).await }.await;
            (
                base,
                found.map_err(|error| failed(operation(), error))?.tree,
                None,
            )
        } else {
            let set =
                exclude::compile(&request.exclude).map_err(|error| other(operation(), error))?;
            let rest = exclude::without(&self.repository, &base, &request.exclude, &set)
                .await
                .map_err(|error: SpliceError| other(operation(), error))?;
            (rest.commit, rest.tree, Some(rest.store))
        };
        let dir = area::folder(&self.repository).join(run.as_str());
        let workspace = workspace_of(request, &dir);
        let record = Record {
            v: 1,
            workspace: workspace.clone(),
            tree: tree.hex(),
            store,
        };
        let area = Area::create(&self.repository, record, tree)
            .await
            .map_err(|error| failed(operation(), error))?;
        let filled = async {
            let git_dir = if own_git {
                removal::pin(&area, &base).await?;
                prepare::add_clone(&area, &commit).await?
            } else {
                worktrees::add(&self.repository, &area.path(), &commit).await?
            };
            prepare::fill(&area, &git_dir).await
        };
        if let Err(error) = filled.await {
            self.give_up(&area).await;
            return Err(failed(operation(), error));
        }
        self.begin(request, area).await
    }

    /// Runs the hooks of a new workspace; if one fails, nothing is left of it.
    async fn begin(
        &self,
        request: &WorkspaceRequest,
        area: Area,
    ) -> Result<Workspace, WorkspaceError> {
        let made = async {
            for point in [HookPoint::AfterCreate, HookPoint::BeforeRun] {
                let ran = self.hook(point, &area).await;
                ran.map_err(|HookFailure { point, detail }| WorkspaceError::Hook {
                    hook: point.name().to_owned(),
                    issue: request.issue.clone(),
                    detail,
                })?;
            }
            Ok(())
        };
        if let Err(error) = made.await {
            self.give_up(&area).await;
            return Err(error);
        }
        Ok(area.record.workspace)
    }

    async fn give_up(&self, area: &Area) {
        if let Err(error) = removal::discard(area).await {
            let run = &area.record.workspace.run;
            tracing::warn!(%run, %error, "a workspace that was not finished stays");
        }
    }
}

#[async_trait]
impl WorkspaceProvider for GitWorkspaces {
    async fn base(&self, target: &Target) -> Result<BaseRevision, WorkspaceError> {
        let tip = self
            .repository
            .resolve(&format!("refs/heads/{target}"))
            .await
            .map_err(|error| failed(format!("read the tip of {target}"), error))?;
        let Some(tip) = tip else {
            return Err(WorkspaceError::UnknownTarget {
                target: target.clone(),
                hint: crate::target::hint(&self.repository).await,
            });
        };
        Ok(BaseRevision {
            target: target.clone(),
            commit: commit_id(&tip),
        })
    }

    async fn files(&self, base: &BaseRevision) -> Result<Vec<String>, WorkspaceError> {
        let operation = || {
            format!(
                "list the files of {} @ {}",
                base.target,
                base.commit.short()
            )
        };
        let listed = self
            .repository
            .plumbing()
            .args([
                "ls-tree",
                "-r",
                "-z",
                "--name-only",
                "--full-tree",
                base.commit.as_str(),
            ])
            .run()
            .await
            .map_err(|error| failed(operation(), error))?;
        Ok(listed
            .split(|b| *b == 0)
            .filter(|path| !path.is_empty())
            .map(encode_readable)
            .collect())
    }

    async fn file(
        &self,
        base: &BaseRevision,
        path: &str,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, WorkspaceError> {
        let operation = || format!("read {path} of {} @ {}", base.target, base.commit.short());
        let read = async {
            let objects = Objects::open(&self.repository)?;
            let root = objects.commit(&parsed(&base.commit)).await?.tree;
            let path = percent_decode(path).unwrap_or_else(|| path.as_bytes().to_vec());
            // A link is no file: what it points to may lie anywhere.
            match objects.entry(&root, &path).await? {
                Some(entry) if entry.mode.is_file() => objects.blob(&entry.oid).await.map(Some),
                _ => Ok(None),
            }
        };
        let content = read.await.map_err(|error| failed(operation(), error))?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(content.map(|content| content.iter().copied().take(limit).collect()))
    }

    async fn create(&self, request: &WorkspaceRequest) -> Result<Workspace, WorkspaceError> {
        let pooled = match self.pooled(request).await {
            Ok(pooled) => pooled,
            Err(error) => {
                tracing::warn!(%error, "no workspace can be taken out of the pool");
                None
            }
        };
        let made = match pooled {
            Some(area) => self.begin(request, area).await,
            None => {
                removal::sweep(&self.repository, self.options.grace)
                    .await
                    .map_err(|error| failed("clear away former workspaces".to_owned(), error))?;
                self.make(request).await
            }
        };
        self.pool.fill_ahead(&parsed(&request.base.commit));
        made
    }

    async fn digest(&self, workspace: &Workspace) -> Result<String, WorkspaceError> {
        let area = self.area(workspace).await?;
        capture::digest(&area)
            .await
            .map_err(|error| failed(format!("read the workspace of {}", workspace.run), error))
    }

    async fn capture(
        &self,
        workspace: &Workspace,
        litter: &[String],
    ) -> Result<Captured, WorkspaceError> {
        let area = self.area(workspace).await?;
        self.hook_logged(HookPoint::AfterRun, &area).await;
        let captured = capture::capture(&area, litter, self.options.patch_limit).await;
        self.whole(&area, captured)
    }

    async fn peek(&self, workspace: &Workspace) -> Result<Captured, WorkspaceError> {
        let area = self.area(workspace).await?;
        let captured = capture::peek(&area, self.options.patch_limit).await;
        self.whole(&area, captured)
    }

    async fn salvage(&self, workspace: &Workspace) -> Result<Option<String>, WorkspaceError> {
        let operation = || format!("keep what {} left", workspace.run);
        let found = Area::open(&self.repository, &workspace.run).await;
        match found.map_err(|error| failed(operation(), error))? {
            // Whoever made it died before the checkout, or somebody deleted it: there is nothing to keep.
            Some(area) if area.lacks_checkout() => Ok(None),
            Some(area) => salvage::salvage(&area)
                .await
                .map_err(|error| failed(operation(), error)),
            None => {
                let dir = area::folder(&self.repository).join(workspace.run.as_str());
                match dir.symlink_metadata() {
                    // It was about to be made, or is removed already.
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                    _ => Err(WorkspaceError::Other {
                        operation: format!("{}: it has no readable record", operation()),
                        source: None,
                    }),
                }
            }
        }
    }

    async fn remove(
        &self,
        workspace: Workspace,
        reason: &RemovalReason,
    ) -> Result<(), WorkspaceError> {
        let run = &workspace.run;
        let operation = || format!("remove the workspace of {run}");
        let found = Area::open(&self.repository, run)
            .await
            .map_err(|error| failed(operation(), error))?;
        let Some(area) = found else {
            return Ok(());
        };
        removal::check(&area, reason)
            .await
            .map_err(|error| failed(operation(), error))?
            .map_err(|why| WorkspaceError::Other {
                operation: format!("{}: {why}, so it stays", operation()),
                source: None,
            })?;
        self.hook_logged(HookPoint::BeforeRemove, &area).await;
        removal::discard(&area)
            .await
            .map_err(|error| failed(operation(), error))?;
        if self.pool.is_on()
            && let Err(error) = self.pool.take_back(&parsed(&workspace.base.commit)).await
        {
            tracing::warn!(%error, "a former workspace is not taken back");
        }
        removal::sweep(&self.repository, self.options.grace)
            .await
            .map_err(|error| failed(operation(), error))
    }

    async fn list(&self) -> Result<Vec<Workspace>, WorkspaceError> {
        let areas = Area::all(&self.repository)
            .await
            .map_err(|error| failed("list the workspaces".to_owned(), error))?;
        Ok(areas
            .into_iter()
            .map(|area| area.record.workspace)
            .collect())
    }
}

fn workspace_of(request: &WorkspaceRequest, dir: &std::path::Path) -> Workspace {
    Workspace {
        run: request.run.clone(),
        issue: request.issue.clone(),
        path: area::path_in(dir),
        base: request.base.clone(),
        kind: request.kind,
        mode: request.mode,
    }
}

/// Reads back the name inside of a core commit id.
pub(crate) fn parsed(id: &CommitId) -> Oid {
    Oid::from_hex(id.as_str().as_bytes()).expect("a commit id is 40 or 64 lower-case digits")
}

pub(crate) fn commit_id(oid: &Oid) -> CommitId {
    CommitId::new(oid.hex()).expect("an object name is 40 or 64 lower-case digits")
}

fn failed(operation: String, error: GitError) -> WorkspaceError {
    match error {
        GitError::Missing { .. } | GitError::TooOld { .. } => WorkspaceError::Git {
            reason: error.to_string(),
            source: None,
        },
        error => other(operation, error),
    }
}

fn other(operation: String, error: impl Into<BoxError>) -> WorkspaceError {
    WorkspaceError::Other {
        operation,
        source: Some(error.into()),
    }
}

#[cfg(test)]
mod tests;
