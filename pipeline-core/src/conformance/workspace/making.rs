//! Cases about making workspaces.

use super::Bench;
use super::KINDS;
use super::WorkspaceHarness;
use super::delete;
use super::files_of;
use super::sample;
use super::write;
use crate::conformance::Violation;
use crate::conformance::case::Succeeds as _;
use crate::conformance::case::ensure;
use crate::conformance::case::same;
use crate::workspace::RemovalReason;
use crate::workspace::Target;
use crate::workspace::WorkspaceError;

/// The base of a target is its tip, and moves with it; what is no target is an error of its own.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_base_is_the_tip_of_its_target(
    harness: &dyn WorkspaceHarness,
) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    let mut files = sample();
    files.put("later", b"x\n");
    let tip = harness.commit(&files).await.succeeds("committing")?;
    let base = bench.provider.base(&harness.target()).await;
    same("the base", &base.succeeds("reading the base")?.commit, &tip)?;
    let unknown = Target::new("no-such-branch").succeeds("naming a target")?;
    match bench.provider.base(&unknown).await {
        Err(WorkspaceError::UnknownTarget { target, .. }) => same("the target", &target, &unknown),
        other => Err(Violation::new(format!(
            "an unknown target is answered with {other:?}"
        ))),
    }
}

/// Names and contents of the base are read from the commit, whatever lies in a workspace.
///
/// # Errors
/// Says how the rule is broken.
pub async fn the_base_is_read_without_a_workspace(
    harness: &dyn WorkspaceHarness,
) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    let files = bench.provider.files(&bench.base).await;
    let files = files.succeeds("listing the base")?;
    let mut sorted: Vec<&str> = files.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    same("the list of files", &sorted, &sample().paths())?;
    let read = async |path: &str, limit| {
        let read = bench.provider.file(&bench.base, path, limit).await;
        read.succeeds("reading a file of the base")
    };
    same(
        "the file",
        &read("app/b.txt", 100).await?.as_deref(),
        &Some(b"b\n"),
    )?;
    same(
        "its beginning",
        &read("app/b.txt", 1).await?.as_deref(),
        &Some(b"b"),
    )?;
    for none in ["app", "none", "../x"] {
        same(none, &read(none, 100).await?, &None)?;
    }
    Ok(())
}

/// A workspace holds the files of its base, modes included, and no others; its base stays when the target moves.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_workspace_holds_exactly_its_base(
    harness: &dyn WorkspaceHarness,
) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    let mut later = sample();
    later.put("later", b"x\n");
    later.remove("app/b.txt");
    harness.commit(&later).await.succeeds("committing")?;
    for kind in KINDS {
        let workspace = bench.create(kind).await?;
        same("the files", &files_of(&workspace)?, &sample())?;
        ensure(workspace.path.is_absolute(), || {
            format!("{} is no absolute path", workspace.path.display())
        })?;
        same("the base", &workspace.base, &bench.base)?;
    }
    Ok(())
}

/// What one agent does is not seen in another workspace.
///
/// # Errors
/// Says how the rule is broken.
pub async fn two_workspaces_share_nothing(harness: &dyn WorkspaceHarness) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    for kind in KINDS {
        let (one, other) = (bench.create(kind).await?, bench.create(kind).await?);
        write(&one, "app/b.txt", "changed\n")?;
        write(&one, "new", "x\n")?;
        delete(&one, "no-newline")?;
        same("the other's files", &files_of(&other)?, &sample())?;
        let captured = bench
            .provider
            .capture(&other, &[])
            .await
            .succeeds("capturing")?;
        ensure(captured.patch.is_empty(), || {
            format!(
                "the untouched workspace has a patch of {:?}",
                captured.touched
            )
        })?;
    }
    Ok(())
}

/// Excluded paths are not there, and their absence is no deletion.
///
/// # Errors
/// Says how the rule is broken.
pub async fn excluded_paths_are_absent_and_not_deleted(
    harness: &dyn WorkspaceHarness,
) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    for kind in KINDS {
        let mut request = bench.request(kind);
        request.exclude = vec!["logs".to_owned(), "**/*.txt".to_owned()];
        let workspace = bench.provider.create(&request).await;
        let workspace = workspace.succeeds("creating a workspace without some paths")?;
        let left = files_of(&workspace)?;
        same(
            "what is left",
            &left.paths(),
            &vec!["binary", "empty", "no-newline", "run.sh"],
        )?;
        write(&workspace, "empty", "not any more\n")?;
        let captured = bench
            .provider
            .capture(&workspace, &[])
            .await
            .succeeds("capturing")?;
        same(
            "the touched paths",
            &captured.touched,
            &vec!["empty".to_owned()],
        )?;
    }
    Ok(())
}

/// No branch, tag, file or index of the person changes through a whole run.
///
/// # Errors
/// Says how the rule is broken.
pub async fn nothing_of_the_person_moves(harness: &dyn WorkspaceHarness) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    let before = harness
        .belongings()
        .await
        .succeeds("looking at the person's things")?;
    for kind in KINDS {
        let workspace = bench.create(kind).await?;
        write(&workspace, "app/b.txt", "changed\n")?;
        let captured = bench
            .provider
            .capture(&workspace, &[])
            .await
            .succeeds("capturing")?;
        bench
            .provider
            .salvage(&workspace)
            .await
            .succeeds("salvaging")?;
        harness
            .store(&captured.patch)
            .await
            .succeeds("storing the patch")?;
        let reason = RemovalReason::PatchStored(captured.patch.id().clone());
        bench
            .provider
            .remove(workspace, &reason)
            .await
            .succeeds("removing")?;
        let after = harness
            .belongings()
            .await
            .succeeds("looking at the person's things")?;
        same("what belongs to the person", &after, &before)?;
    }
    Ok(())
}
