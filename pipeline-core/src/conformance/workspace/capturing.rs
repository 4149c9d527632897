//! Cases about what is taken out of a workspace.

use std::os::unix::fs::PermissionsExt as _;

use super::Bench;
use super::FileEntry;
use super::FileSet;
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
use crate::workspace::Workspace;
use crate::workspace::WorkspaceError;

/// Where nothing was done there is no patch, whatever the times of the files say.
///
/// # Errors
/// Says how the rule is broken.
pub async fn an_unchanged_workspace_has_an_empty_patch(
    harness: &dyn WorkspaceHarness,
) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    for kind in KINDS {
        let workspace = bench.create(kind).await?;
        write(&workspace, "app/b.txt", "b\n")?;
        let captured = bench
            .provider
            .capture(&workspace, &[])
            .await
            .succeeds("capturing")?;
        ensure(
            captured.patch.is_empty() && captured.touched.is_empty(),
            || format!("it touches {:?}", captured.touched),
        )?;
    }
    Ok(())
}

fn executable(workspace: &Workspace, path: &str, on: bool) -> Result<(), Violation> {
    let mode = if on { 0o755 } else { 0o644 };
    std::fs::set_permissions(
        workspace.path.join(path),
        std::fs::Permissions::from_mode(mode),
    )
    .succeeds("changing a mode")
}

/// New, deleted, renamed and binary files, modes, line ends and names all arrive.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_patch_holds_every_kind_of_change(
    harness: &dyn WorkspaceHarness,
) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    for kind in KINDS {
        let workspace = bench.create(kind).await?;
        let at = |path: &str| workspace.path.join(path);
        write(&workspace, "app/a.txt", "a1\na2\na3\na4\nchanged\n")?;
        std::fs::rename(at("app/a.txt"), at("app/renamed.txt")).succeeds("renaming")?;
        delete(&workspace, "app/b.txt")?;
        delete(&workspace, "empty")?;
        write(&workspace, "crlf.txt", "one\r\nTWO\r\n")?;
        write(&workspace, "no-newline", "another end")?;
        write(&workspace, "binary", [0, 1, 2, 3, 255])?;
        write(&workspace, "new/binary", [0_u8; 70])?;
        write(&workspace, "new/empty", "")?;
        write(&workspace, "new/名前 with \"quotes\"\tand tab", "x\n")?;
        write(&workspace, "名前 と space.txt", "日本\n")?;
        executable(&workspace, "run.sh", false)?;
        write(&workspace, "new/tool", "#!/bin/sh\n")?;
        executable(&workspace, "new/tool", true)?;
        let captured = bench
            .provider
            .capture(&workspace, &[])
            .await
            .succeeds("capturing")?;
        let applied = harness.applied(&bench.base, &captured.patch).await;
        let applied = applied.succeeds("applying the patch to its base")?;
        same("the base with the patch", &applied, &files_of(&workspace)?)?;
        let mut touched = captured.touched;
        touched.sort();
        let expected = [
            "app/a.txt",
            "app/b.txt",
            "app/renamed.txt",
            "binary",
            "crlf.txt",
            "empty",
            "new/binary",
            "new/empty",
            "new/tool",
            "new/名前 with \"quotes\"%09and tab",
            "no-newline",
            "run.sh",
            "名前 と space.txt",
        ];
        same(
            "the touched paths",
            &touched,
            &expected.map(str::to_owned).to_vec(),
        )?;
    }
    Ok(())
}

/// A file may become a folder and a folder a file.
///
/// # Errors
/// Says how the rule is broken.
pub async fn files_and_folders_may_change_places(
    harness: &dyn WorkspaceHarness,
) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    for kind in KINDS {
        let workspace = bench.create(kind).await?;
        std::fs::remove_dir_all(workspace.path.join("app")).succeeds("removing a folder")?;
        write(&workspace, "app", "a file now\n")?;
        delete(&workspace, "run.sh")?;
        write(&workspace, "run.sh/inner", "a folder now\n")?;
        let captured = bench
            .provider
            .capture(&workspace, &[])
            .await
            .succeeds("capturing")?;
        let applied = harness.applied(&bench.base, &captured.patch).await;
        let applied = applied.succeeds("applying the patch to its base")?;
        same("the base with the patch", &applied, &files_of(&workspace)?)?;
    }
    Ok(())
}

/// Capturing twice gives the same patch, and changing on gives the whole difference again.
///
/// # Errors
/// Says how the rule is broken.
pub async fn capturing_can_be_repeated(harness: &dyn WorkspaceHarness) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    for kind in KINDS {
        let workspace = bench.create(kind).await?;
        write(&workspace, "app/b.txt", "first\n")?;
        let capture = async || {
            bench
                .provider
                .capture(&workspace, &[])
                .await
                .succeeds("capturing")
        };
        let first = capture().await?;
        same("the second capture", &capture().await?, &first)?;
        write(&workspace, "crlf.txt", "second\r\n")?;
        let both = vec!["app/b.txt".to_owned(), "crlf.txt".to_owned()];
        same("the touched paths", &capture().await?.touched, &both)?;
        write(&workspace, "app/b.txt", "b\n")?;
        write(&workspace, "crlf.txt", "one\r\ntwo\r\n")?;
        ensure(capture().await?.patch.is_empty(), || {
            "there is still a patch after everything was taken back".to_owned()
        })?;
    }
    Ok(())
}

/// A peek shows what a capture would, at any moment, and leaves every file, litter and nested repositories included.
///
/// # Errors
/// Says how the rule is broken.
pub async fn peeking_shows_the_work_and_changes_nothing(
    harness: &dyn WorkspaceHarness,
) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    for kind in KINDS {
        let workspace = bench.create(kind).await?;
        let peek = async || bench.provider.peek(&workspace).await.succeeds("peeking");
        ensure(peek().await?.patch.is_empty(), || {
            "a peek at an untouched workspace shows a difference".to_owned()
        })?;
        write(&workspace, "app/b.txt", "changed\n")?;
        write(&workspace, "nested/.git/HEAD", "ref: refs/heads/main\n")?;
        write(&workspace, "nested/file", "inside\n")?;
        let before = bench.provider.digest(&workspace).await.succeeds("digest")?;
        let peeked = peek().await?;
        same("what a peek removed", &peeked.removed, &Vec::new())?;
        ensure(
            peeked.touched.iter().any(|path| path == "app/b.txt"),
            || {
                format!(
                    "a peek does not show the changed file: {:?}",
                    peeked.touched
                )
            },
        )?;
        ensure(workspace.path.join("nested/.git/HEAD").exists(), || {
            "a peek removed a nested repository".to_owned()
        })?;
        let after = bench.provider.digest(&workspace).await.succeeds("digest")?;
        same("the tree after a peek", &after, &before)?;
        let captured = bench
            .provider
            .capture(&workspace, &[])
            .await
            .succeeds("capturing after a peek")?;
        same("what a capture touches", &captured.touched, &peeked.touched)?;
        same("the capture", &captured.patch, &peeked.patch)?;
    }
    Ok(())
}

/// A link is captured as a link, for the policy to refuse; what it points to is not read.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_link_is_captured_and_never_followed(
    harness: &dyn WorkspaceHarness,
) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    for kind in KINDS {
        let outside = bench.create(kind).await?;
        write(&outside, "secret", "canary-of-somebody-else\n")?;
        let workspace = bench.create(kind).await?;
        std::os::unix::fs::symlink(&outside.path, workspace.path.join("link"))
            .succeeds("making a link")?;
        std::fs::remove_dir_all(workspace.path.join("app")).succeeds("removing a folder")?;
        std::os::unix::fs::symlink(&outside.path, workspace.path.join("app"))
            .succeeds("making a link")?;
        let captured = bench
            .provider
            .capture(&workspace, &[])
            .await
            .succeeds("capturing")?;
        let patch = String::from_utf8_lossy(captured.patch.bytes()).into_owned();
        ensure(patch.contains("new file mode 120000"), || {
            format!("the patch shows no link: {patch}")
        })?;
        ensure(!patch.contains("canary-of-somebody-else"), || {
            "the patch holds a file from behind a link".to_owned()
        })?;
    }
    Ok(())
}

/// A repository inside of the workspace is no submodule: its files are work like any other.
///
/// # Errors
/// Says how the rule is broken.
pub async fn nested_repositories_become_ordinary_files(
    harness: &dyn WorkspaceHarness,
) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    for kind in KINDS {
        let workspace = bench.create(kind).await?;
        write(&workspace, "vendor/lib/code.txt", "code\n")?;
        // What `git init` makes, as far as git looks before it takes a directory for a repository.
        write(&workspace, "vendor/lib/.git/HEAD", "ref: refs/heads/main\n")?;
        write(&workspace, "vendor/lib/.git/objects/keep", "")?;
        write(&workspace, "vendor/lib/.git/refs/keep", "")?;
        let captured = bench
            .provider
            .capture(&workspace, &[])
            .await
            .succeeds("capturing")?;
        let code = vec!["vendor/lib/code.txt".to_owned()];
        same("the touched paths", &captured.touched, &code)?;
        same(
            "what was removed",
            &captured.removed,
            &vec!["vendor/lib/.git".to_owned()],
        )?;
    }
    Ok(())
}

/// Litter goes before the diff and is named; a file of the base is no litter, and nothing outside is touched.
///
/// # Errors
/// Says how the rule is broken.
pub async fn litter_goes_but_never_a_file_of_the_base(
    harness: &dyn WorkspaceHarness,
) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    for kind in KINDS {
        let other = bench.create(kind).await?;
        let workspace = bench.create(kind).await?;
        write(&workspace, ".sandbox/state", "x")?;
        write(&workspace, "app/b.txt", "changed\n")?;
        std::os::unix::fs::symlink(&other.path, workspace.path.join("way-out"))
            .succeeds("making a link")?;
        let absolute = other.path.join("run.sh").display().to_string();
        let upwards = format!("../{}/run.sh", other.run);
        let litter = [
            ".sandbox",
            "app/b.txt",
            "none",
            "way-out/run.sh",
            &absolute,
            &upwards,
            "",
        ]
        .map(str::to_owned);
        let captured = bench
            .provider
            .capture(&workspace, &litter)
            .await
            .succeeds("capturing")?;
        same(
            "what was removed",
            &captured.removed,
            &vec![".sandbox".to_owned()],
        )?;
        ensure(captured.touched.contains(&"app/b.txt".to_owned()), || {
            format!(
                "the change to a file of the base is missing from {:?}",
                captured.touched
            )
        })?;
        same("the other workspace", &files_of(&other)?, &sample())?;
    }
    Ok(())
}

/// Work that is larger than a patch may be is refused whole, with its place, and stays there.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_patch_over_the_limit_is_an_error_that_keeps_the_work(
    harness: &dyn WorkspaceHarness,
) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    let limit = usize::try_from(harness.patch_limit()).unwrap_or(usize::MAX);
    let workspace = bench.create(KINDS[0]).await?;
    // Nothing that compression or a short diff could make small.
    let mut text = String::new();
    while text.len() <= limit {
        text.push_str(&crate::random::nonce());
        text.push('\n');
    }
    write(&workspace, "large.txt", &text)?;
    match bench.provider.capture(&workspace, &[]).await {
        Err(WorkspaceError::PatchTooLarge { limit, path, .. }) => {
            same("the limit", &limit, &harness.patch_limit())?;
            ensure(path.join("large.txt").exists(), || {
                format!("{} does not hold the work", path.display())
            })
        }
        other => Err(Violation::new(format!("it is answered with {other:?}"))),
    }
}

/// The digest differs for any change of content, name or mode, and is the same for none.
///
/// # Errors
/// Says how the rule is broken.
pub async fn the_digest_changes_with_any_file_and_only_then(
    harness: &dyn WorkspaceHarness,
) -> Result<(), Violation> {
    let bench = Bench::of(harness).await?;
    for kind in KINDS {
        let workspace = bench.create(kind).await?;
        let digest = async || {
            bench
                .provider
                .digest(&workspace)
                .await
                .succeeds("taking a digest")
        };
        let before = digest().await?;
        write(&workspace, "app/b.txt", "b\n")?;
        same("the digest of the same files", &digest().await?, &before)?;
        let mut seen = vec![before];
        let mut new = async |what: &str| {
            let now = digest().await?;
            ensure(!seen.contains(&now), || {
                format!("{what} left the digest as it was")
            })?;
            seen.push(now);
            Ok::<(), Violation>(())
        };
        write(&workspace, "app/b.txt", "B\n")?;
        new("a change").await?;
        write(&workspace, "new", "")?;
        new("a new, empty file").await?;
        write(&workspace, "new", "x")?;
        new("a change of a new file").await?;
        delete(&workspace, "no-newline")?;
        new("a deletion").await?;
        executable(&workspace, "app/a.txt", true)?;
        new("a mode").await?;
        write(&workspace, "vendor/.git/HEAD", "ref: refs/heads/main\n")?;
        write(&workspace, "vendor/inside", "x")?;
        new("a file in a nested repository").await?;
        let whole = files_of(&workspace)?;
        ensure(whole != sample(), || "nothing was changed".to_owned())?;
    }
    Ok(())
}

/// Returns files as an agent left them, for the cases about ending.
pub(super) fn unfinished() -> FileSet {
    let mut files = sample();
    files.put("app/b.txt", b"half done\n");
    files.put("new/file", b"precious\n");
    files.remove("no-newline");
    files.put_entry(
        "new/tool",
        FileEntry {
            content: b"#!/bin/sh\n".to_vec(),
            executable: true,
        },
    );
    files
}
