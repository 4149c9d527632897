//! Cases about the end of workspaces.

use super::Bench;
use super::KINDS;
use super::WorkspaceHarness;
use super::capturing::unfinished;
use super::files_of;
use super::write;
use crate::agent::RunMode;
use crate::conformance::Violation;
use crate::conformance::case::Succeeds as _;
use crate::conformance::case::ensure;
use crate::conformance::case::same;
use crate::workspace::PatchId;
use crate::workspace::RemovalReason;

/// What an agent left unfinished is kept under a ref, untracked files too; keeping it twice keeps it once.
///
/// # Errors
/// Says how the rule is broken.
pub async fn unfinished_work_can_be_salvaged(
    harness: &dyn WorkspaceHarness,
) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    for kind in KINDS {
        let workspace = bench.create(kind).await?;
        let salvage = async || {
            bench
                .provider
                .salvage(&workspace)
                .await
                .succeeds("salvaging")
        };
        same("the ref of nothing", &salvage().await?, &None)?;
        unfinished().write(&workspace.path).succeeds("working")?;
        let name = salvage().await?;
        let name = name.ok_or_else(|| Violation::new("nothing was kept"))?;
        same("the second ref", &salvage().await?, &Some(name.clone()))?;
        same("the workspace", &files_of(&workspace)?, &unfinished())?;
        let kept = harness
            .salvaged(&name)
            .await
            .succeeds("reading what was kept")?;
        same("what was kept", &kept, &unfinished())?;
        let reason = RemovalReason::Salvaged(name);
        bench
            .provider
            .remove(workspace, &reason)
            .await
            .succeeds("removing")?;
    }
    Ok(())
}

/// A workspace goes only for a reason that holds.
///
/// # Errors
/// Says how the rule is broken.
pub async fn removal_needs_a_reason_that_is_true(
    harness: &dyn WorkspaceHarness,
) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    for kind in KINDS {
        let workspace = bench.create(kind).await?;
        write(&workspace, "app/b.txt", "precious\n")?;
        for reason in [
            RemovalReason::Unchanged,
            RemovalReason::ReadOnly,
            RemovalReason::PatchStored(PatchId::of(b"never stored")),
            RemovalReason::Salvaged("refs/agents/salvage/none".to_owned()),
        ] {
            let removed = bench.provider.remove(workspace.clone(), &reason).await;
            ensure(removed.is_err(), || {
                format!("it was removed because of {reason:?}")
            })?;
        }
        same(
            "the work",
            &files_of(&workspace)?.content("app/b.txt"),
            &Some(&b"precious\n"[..]),
        )?;
        let captured = bench
            .provider
            .capture(&workspace, &[])
            .await
            .succeeds("capturing")?;
        harness
            .store(&captured.patch)
            .await
            .succeeds("storing the patch")?;
        let reason = RemovalReason::PatchStored(captured.patch.id().clone());
        bench
            .provider
            .remove(workspace, &reason)
            .await
            .succeeds("removing a stored workspace")?;
        let mut read_only = bench.request(kind);
        read_only.mode = RunMode::ReadOnly;
        let workspace = bench
            .provider
            .create(&read_only)
            .await
            .succeeds("creating")?;
        let removed = bench
            .provider
            .remove(workspace, &RemovalReason::ReadOnly)
            .await;
        removed.succeeds("removing a read-only workspace")?;
    }
    Ok(())
}

/// A removed workspace is not there and not listed, removing it again is fine, and its run can have another.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_removed_workspace_is_gone_and_its_run_is_free(
    harness: &dyn WorkspaceHarness,
) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    for kind in KINDS {
        let request = bench.request(kind);
        let create = async || bench.provider.create(&request).await;
        let workspace = create().await.succeeds("creating")?;
        ensure(create().await.is_err(), || {
            "one run was given two workspaces".to_owned()
        })?;
        ensure(workspace.path.is_dir(), || {
            "the first one is gone after that".to_owned()
        })?;
        for _ in 0..2 {
            let removed = bench
                .provider
                .remove(workspace.clone(), &RemovalReason::Unchanged)
                .await;
            removed.succeeds("removing")?;
        }
        ensure(!workspace.path.exists(), || {
            "its directory is still there".to_owned()
        })?;
        let listed = bench.provider.list().await.succeeds("listing")?;
        ensure(!listed.contains(&workspace), || {
            "it is still listed".to_owned()
        })?;
        create().await.succeeds("creating it again")?;
    }
    Ok(())
}

/// What a process left behind is shown to the next one.
///
/// # Errors
/// Says how the rule is broken.
pub async fn left_workspaces_are_listed(harness: &dyn WorkspaceHarness) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    let mut made = Vec::new();
    for kind in KINDS {
        made.push(bench.create(kind).await?);
    }
    let next = harness
        .provider()
        .await
        .succeeds("opening the provider again")?;
    let listed = next.list().await.succeeds("listing")?;
    for workspace in &made {
        ensure(listed.contains(workspace), || {
            format!("{} is missing", workspace.run)
        })?;
        next.capture(workspace, &[])
            .await
            .succeeds("capturing what was left")?;
    }
    same("the number of workspaces", &listed.len(), &made.len())
}
