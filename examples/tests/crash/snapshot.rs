//! A machine put back to what it was, and what is compared of two machines.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use crate::world::World;

/// A copy of a machine's files, kept beside it.
#[derive(Debug)]
pub(crate) struct Snapshot {
    kept: tempfile::TempDir,
    top: PathBuf,
}

impl Snapshot {
    pub(crate) fn of(world: &World) -> Self {
        let kept = tempfile::tempdir().expect("temporary directory");
        copy(&world.top, &kept.path().join("top"));
        Self {
            kept,
            top: world.top.clone(),
        }
    }

    /// Puts the machine back.
    pub(crate) fn restore(&self) {
        for entry in fs::read_dir(&self.top).expect("the machine") {
            fs::remove_dir_all(entry.expect("an entry").path()).expect("removed");
        }
        copy(&self.kept.path().join("top"), &self.top);
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    let mode = fs::metadata(from).expect("there").permissions();
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().expect("its type");
        if kind.is_dir() {
            copy(&from, &to);
        } else if kind.is_symlink() {
            let target = fs::read_link(&from).expect("a link");
            std::os::unix::fs::symlink(target, &to).expect("linked");
        } else {
            fs::copy(&from, &to).expect("copied");
        }
    }
    fs::set_permissions(to, mode).expect("as it was");
}

/// What has to be equal however often a process died on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EndState {
    tree: String,
    subjects: String,
    status: String,
    branches: String,
    patches: BTreeSet<String>,
    candidates: String,
    worktrees: usize,
    workspaces: BTreeSet<String>,
    issue: String,
    landed: usize,
    work_done: usize,
}

impl EndState {
    /// Looks at a machine on which an issue has landed.
    pub(crate) async fn of(world: &World, key: &str) -> Self {
        let thread = world.thread(key).await;
        let nonces: Vec<&str> = thread
            .lines()
            .filter_map(|line| line.trim().strip_prefix("nonce: "))
            .collect();
        let distinct: BTreeSet<&str> = nonces.iter().copied().collect();
        assert_eq!(
            distinct.len(),
            nonces.len(),
            "a memo stands twice:\n{thread}"
        );
        let refs = |under: &'static str| async move {
            world
                .git(&["for-each-ref", "--format=%(refname)", under])
                .await
        };
        let issue = world
            .run(&["--json", "issue", "show", key])
            .await
            .ended(0)
            .json();
        let count = |text: &str| thread.matches(text).count();
        Self {
            tree: world.git(&["rev-parse", "main^{tree}"]).await,
            subjects: world.git(&["log", "--format=%an %cn %s", "main"]).await,
            status: world.git(&["status", "--porcelain"]).await,
            branches: refs("refs/heads").await + &refs("refs/tags").await,
            patches: refs("refs/agents/patch")
                .await
                .lines()
                .map(str::to_owned)
                .collect(),
            candidates: refs("refs/agents/candidate").await,
            worktrees: world
                .git(&["worktree", "list", "--porcelain"])
                .await
                .matches("worktree ")
                .count(),
            workspaces: names(&world.state().join("workspaces")),
            issue: issue["status"].to_string(),
            landed: count("kind: landed"),
            work_done: count("result: patch submitted").min(1),
        }
    }
}

fn names(folder: &Path) -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return BTreeSet::new();
    };
    entries
        .map(|e| {
            e.expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect()
}
