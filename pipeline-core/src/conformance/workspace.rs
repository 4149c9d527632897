//! The conformance suite of [`WorkspaceProvider`].
//!
//! A provider's tests implement [`WorkspaceHarness`], which sets up a repository and plays the person, and call
//! [`workspace_conformance!`](crate::workspace_conformance). The cases play the agent: they change files in the
//! workspace's directory and nothing else.

mod capturing;
mod ending;
mod making;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;

pub use self::capturing::a_link_is_captured_and_never_followed;
pub use self::capturing::a_patch_holds_every_kind_of_change;
pub use self::capturing::a_patch_over_the_limit_is_an_error_that_keeps_the_work;
pub use self::capturing::an_unchanged_workspace_has_an_empty_patch;
pub use self::capturing::capturing_can_be_repeated;
pub use self::capturing::files_and_folders_may_change_places;
pub use self::capturing::litter_goes_but_never_a_file_of_the_base;
pub use self::capturing::nested_repositories_become_ordinary_files;
pub use self::capturing::peeking_shows_the_work_and_changes_nothing;
pub use self::capturing::the_digest_changes_with_any_file_and_only_then;
pub use self::ending::a_removed_workspace_is_gone_and_its_run_is_free;
pub use self::ending::left_workspaces_are_listed;
pub use self::ending::removal_needs_a_reason_that_is_true;
pub use self::ending::unfinished_work_can_be_salvaged;
pub use self::making::a_base_is_the_tip_of_its_target;
pub use self::making::a_workspace_holds_exactly_its_base;
pub use self::making::excluded_paths_are_absent_and_not_deleted;
pub use self::making::nothing_of_the_person_moves;
pub use self::making::the_base_is_read_without_a_workspace;
pub use self::making::two_workspaces_share_nothing;
use super::Violation;
use super::case::Succeeds as _;
pub use super::files::FileEntry;
pub use super::files::FileSet;
use super::files::write_file;
use crate::BoxError;
use crate::agent::RunId;
use crate::agent::RunMode;
use crate::agent::WorkspaceKind;
use crate::issue::IssueKey;
use crate::workspace::BaseRevision;
use crate::workspace::CommitId;
use crate::workspace::Patch;
use crate::workspace::Target;
use crate::workspace::Workspace;
use crate::workspace::WorkspaceProvider;
use crate::workspace::WorkspaceRequest;

/// One repository under test, and the person beside it.
///
/// What it says about the repository comes by another way than the provider: that is what makes the cases mean
/// something.
#[async_trait]
pub trait WorkspaceHarness: Send + Sync {
    /// Sets up a repository with one target and at least one commit on it.
    async fn fresh() -> Result<Self, BoxError>
    where
        Self: Sized;

    /// Returns a provider as a process that was just started opens it, without hooks.
    async fn provider(&self) -> Result<Arc<dyn WorkspaceProvider>, BoxError>;

    /// Returns the target.
    fn target(&self) -> Target;

    /// Returns the largest patch that the provider accepts, in bytes; at most some megabytes.
    fn patch_limit(&self) -> u64;

    /// Commits on the target, as the person, a tree with exactly these files.
    async fn commit(&self, files: &FileSet) -> Result<CommitId, BoxError>;

    /// Describes everything that no run may change: branches, tags, the person's files and index.
    async fn belongings(&self) -> Result<String, BoxError>;

    /// Applies a patch to the files of its base, by other means than the provider's.
    async fn applied(&self, base: &BaseRevision, patch: &Patch) -> Result<FileSet, BoxError>;

    /// Stores a patch as the integrator does, so that its workspace may go.
    async fn store(&self, patch: &Patch) -> Result<(), BoxError>;

    /// Returns the files that were salvaged under a ref.
    async fn salvaged(&self, name: &str) -> Result<FileSet, BoxError>;
}

/// Expands to one test per behaviour of a [`WorkspaceProvider`], for
/// a type that implements [`WorkspaceHarness`].
///
/// Put it into a module of its own. The tests bring their runtime; the crate needs no tokio.
///
/// ```text
/// mod conformance {
///     pipeline_core::workspace_conformance!(super::MyHarness);
/// }
/// ```
#[macro_export]
macro_rules! workspace_conformance {
    ($harness:ty) => {
        $crate::__conformance_tests!(
            $harness,
            $crate::conformance::workspace::WorkspaceHarness,
            $crate::conformance::workspace,
            [
                a_base_is_the_tip_of_its_target,
                a_link_is_captured_and_never_followed,
                a_patch_holds_every_kind_of_change,
                a_patch_over_the_limit_is_an_error_that_keeps_the_work,
                a_removed_workspace_is_gone_and_its_run_is_free,
                a_workspace_holds_exactly_its_base,
                an_unchanged_workspace_has_an_empty_patch,
                capturing_can_be_repeated,
                excluded_paths_are_absent_and_not_deleted,
                files_and_folders_may_change_places,
                left_workspaces_are_listed,
                litter_goes_but_never_a_file_of_the_base,
                nested_repositories_become_ordinary_files,
                nothing_of_the_person_moves,
                peeking_shows_the_work_and_changes_nothing,
                removal_needs_a_reason_that_is_true,
                the_base_is_read_without_a_workspace,
                the_digest_changes_with_any_file_and_only_then,
                two_workspaces_share_nothing,
                unfinished_work_can_be_salvaged,
            ]
        );
    };
}

const KINDS: [WorkspaceKind; 2] = [
    WorkspaceKind::DetachedWorktree,
    WorkspaceKind::SeparateClone,
];

/// A repository with a bit of everything.
fn sample() -> FileSet {
    let mut files = FileSet::of(&[
        ("app/a.txt", "a1\na2\na3\na4\na5\n"),
        ("app/b.txt", "b\n"),
        ("crlf.txt", "one\r\ntwo\r\n"),
        ("empty", ""),
        ("no-newline", "end"),
        ("logs/2026/old.log", "not for everybody\n"),
        ("名前 と space.txt", "日本語\n"),
    ]);
    files.put("binary", &[0, 159, 146, 150, 255, 10, 0]);
    files.put_entry(
        "run.sh",
        FileEntry {
            content: b"#!/bin/sh\n".to_vec(),
            executable: true,
        },
    );
    files
}

/// A harness with [`sample`] on its target, and what the cases do with it.
struct Bench {
    provider: Arc<dyn WorkspaceProvider>,
    base: BaseRevision,
}

impl Bench {
    async fn of(harness: &dyn WorkspaceHarness) -> Result<Self, Violation> {
        harness
            .commit(&sample())
            .await
            .succeeds("committing as the person")?;
        let provider = harness.provider().await.succeeds("opening the provider")?;
        let base = provider
            .base(&harness.target())
            .await
            .succeeds("reading the base")?;
        Ok(Self { provider, base })
    }

    fn request(&self, kind: WorkspaceKind) -> WorkspaceRequest {
        WorkspaceRequest {
            run: RunId::random(),
            issue: IssueKey::new("SHOP-1").expect("a well-formed key"),
            base: self.base.clone(),
            mode: RunMode::Implement,
            kind,
            exclude: Vec::new(),
        }
    }

    async fn create(&self, kind: WorkspaceKind) -> Result<Workspace, Violation> {
        self.provider
            .create(&self.request(kind))
            .await
            .succeeds("creating a workspace")
    }
}

/// Writes a file into a workspace as an agent does.
fn write(workspace: &Workspace, path: &str, content: impl AsRef<[u8]>) -> Result<(), Violation> {
    let entry = FileEntry {
        content: content.as_ref().to_vec(),
        executable: false,
    };
    write_file(&workspace.path.join(path), &entry).succeeds("writing into the workspace")
}

fn delete(workspace: &Workspace, path: &str) -> Result<(), Violation> {
    std::fs::remove_file(workspace.path.join(path)).succeeds("deleting in the workspace")
}

fn files_of(workspace: &Workspace) -> Result<FileSet, Violation> {
    FileSet::read(&workspace.path).succeeds("reading the workspace")
}
