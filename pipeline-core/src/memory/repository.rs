//! A repository in memory: what the workspaces and the integrator in memory share.

mod diff;
mod files;
mod integrator;
mod session;
mod workspaces;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use sha1::Sha1;
use sha2::Digest as _;

use self::files::Files;
pub use self::integrator::MemoryIntegrator;
pub use self::workspaces::MemoryWorkspaces;
use crate::agent::RunId;
use crate::clock::Timestamp;
use crate::gate::Person;
use crate::integrate::Candidate;
use crate::patch::FileMode;
use crate::workspace::CommitId;
use crate::workspace::Patch;
use crate::workspace::PatchId;
use crate::workspace::Target;
use crate::workspace::Workspace;

/// Content by path.
pub type Tree = BTreeMap<String, Vec<u8>>;

/// A repository in memory, shared by the workspaces and the integrator in memory.
///
/// It has no branches but its targets, one checkout of each target that belongs to the person, and
/// commits without merges. Clones share everything.
///
/// # Examples
/// ```
/// use pipeline_core::memory::{MemoryRepository, MemoryWorkspaces, Tree};
/// use pipeline_core::workspace::{Target, WorkspaceProvider as _};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// # let folder = tempfile::tempdir()?;
/// let repository = MemoryRepository::new();
/// let main = Target::new("main")?;
/// let tree = Tree::from([("readme.md".to_owned(), b"hello\n".to_vec())]);
/// let first = repository.commit(&main, tree, "begin");
/// let workspaces = MemoryWorkspaces::new(repository, folder.path());
/// assert_eq!(workspaces.base(&main).await?.commit, first);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct MemoryRepository {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    tips: BTreeMap<Target, CommitId>,
    commits: BTreeMap<CommitId, StoredCommit>,
    trees: BTreeMap<CommitId, Files>,
    /// What the person's checkout of a target holds.
    checkouts: BTreeMap<Target, Files>,
    workspaces: BTreeMap<RunId, MadeWorkspace>,
    salvaged: BTreeMap<String, Files>,
    patches: BTreeMap<PatchId, Patch>,
    candidates: BTreeMap<Target, Candidate>,
    integrating: bool,
    pushes_fail: bool,
}

#[derive(Debug, Clone)]
struct MadeWorkspace {
    workspace: Workspace,
    base: Files,
}

#[derive(Debug, Clone)]
struct StoredCommit {
    parent: Option<CommitId>,
    tree: CommitId,
    author: Person,
    authored: Timestamp,
    committer: Person,
    committed: Timestamp,
    message: String,
}

/// A commit in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryCommit {
    /// The commit before it.
    pub parent: Option<CommitId>,
    /// Its files.
    pub tree: Tree,
    /// Who made the change, and when.
    pub author: (Person, Timestamp),
    /// Who committed it, and when.
    pub committer: (Person, Timestamp),
    /// Its message, trailers included.
    pub message: String,
}

impl MemoryRepository {
    /// Makes an empty repository.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Commits a tree on a target as the person, brings the person's checkout there, and returns the commit.
    ///
    /// A target that does not exist begins with this commit.
    #[expect(
        clippy::must_use_candidate,
        reason = "committing is the point, the id is by the way"
    )]
    pub fn commit(&self, target: &Target, tree: Tree, message: &str) -> CommitId {
        let mut files = Files::default();
        for (path, content) in tree {
            files.put(path.as_bytes(), FileMode::Regular, &content);
        }
        self.state().commit_files(target, files, message)
    }

    /// Returns the tip of a target.
    #[must_use]
    pub fn tip(&self, target: &Target) -> Option<CommitId> {
        self.state().tips.get(target).cloned()
    }

    /// Returns the commits of a target, newest first.
    #[must_use]
    pub fn log(&self, target: &Target) -> Vec<(CommitId, MemoryCommit)> {
        let state = self.state();
        let mut log = Vec::new();
        let mut next = state.tips.get(target).cloned();
        while let Some(id) = next.take() {
            let Some(commit) = state.commits.get(&id) else {
                break;
            };
            next.clone_from(&commit.parent);
            let files = state.trees.get(&commit.tree).cloned().unwrap_or_default();
            let shown = MemoryCommit {
                parent: commit.parent.clone(),
                tree: files.shown(),
                author: (commit.author.clone(), commit.authored),
                committer: (commit.committer.clone(), commit.committed),
                message: commit.message.clone(),
            };
            log.push((id, shown));
        }
        log
    }

    /// Changes a file of the person's checkout of a target without committing it.
    pub fn edit_checkout(&self, target: &Target, path: &str, content: &[u8]) {
        let mut state = self.state();
        let files = state.checkouts.entry(target.clone()).or_default();
        files.put(path.as_bytes(), FileMode::Regular, content);
    }

    /// Lets every push fail as one does that cannot even be tried, or no longer.
    pub fn fail_pushes(&self, fail: bool) {
        self.state().pushes_fail = fail;
    }

    /// Returns the files of the person's checkout of a target.
    #[must_use]
    pub fn checkout(&self, target: &Target) -> Tree {
        let state = self.state();
        state
            .checkouts
            .get(target)
            .map(Files::shown)
            .unwrap_or_default()
    }

    /// A poisoned lock only means that another thread panicked between two whole updates.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn tree(&self, commit: &CommitId) -> Option<Files> {
        self.trees.get(&self.commits.get(commit)?.tree).cloned()
    }

    fn commit_files(&mut self, target: &Target, files: Files, message: &str) -> CommitId {
        let person = Person::new("A person", "person@example.org");
        let commit = StoredCommit {
            parent: self.tips.get(target).cloned(),
            tree: self.keep_tree(files.clone()),
            author: person.clone(),
            authored: Timestamp::EPOCH,
            committer: person,
            committed: Timestamp::EPOCH,
            message: message.to_owned(),
        };
        let id = self.keep_commit(commit);
        self.tips.insert(target.clone(), id.clone());
        self.checkouts.insert(target.clone(), files);
        id
    }

    fn keep_tree(&mut self, tree: Files) -> CommitId {
        let id = tree.id();
        self.trees.insert(id.clone(), tree);
        id
    }

    fn keep_commit(&mut self, commit: StoredCommit) -> CommitId {
        let id = id_of(&format!("{commit:?}"));
        self.commits.insert(id.clone(), commit);
        id
    }

    /// Returns every commit reachable from one, itself included.
    fn reachable(&self, from: &CommitId) -> BTreeSet<CommitId> {
        let mut found = BTreeSet::new();
        let mut next = Some(from.clone());
        while let Some(id) = next {
            next = self
                .commits
                .get(&id)
                .and_then(|commit| commit.parent.clone());
            if self.commits.contains_key(&id) {
                found.insert(id);
            }
        }
        found
    }
}

fn id_of(text: &str) -> CommitId {
    CommitId::new(hex::encode(Sha1::digest(text))).expect("a SHA-1 digest has 40 digits")
}
