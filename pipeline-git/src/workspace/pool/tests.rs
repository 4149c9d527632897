use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::fs::symlink;

use pipeline_core::agent::RunId;
use pipeline_core::agent::RunMode;
use pipeline_core::agent::WorkspaceKind;
use pipeline_core::issue::IssueKey;
use pipeline_core::workspace::RemovalReason;
use pipeline_core::workspace::Target;
use pipeline_core::workspace::Workspace;
use pipeline_core::workspace::WorkspaceProvider as _;
use pipeline_core::workspace::WorkspaceRequest;

use super::*;
use crate::testing::Fixture;
use crate::testing::git;
use crate::testing::write;
use crate::workspace::GitWorkspaces;
use crate::workspace::WorkspaceOptions;

const SIZE: usize = 2;

async fn fixture() -> Fixture {
    Fixture::with(&[
        ("src/a.txt", "one\ntwo\n"),
        ("src/b.txt", "b\n"),
        ("src/deep/c.txt", "c\n"),
        ("run.sh", "#!/bin/sh\n"),
        (".gitignore", "target/\n"),
    ])
    .await
}

fn pooled(fixture: &Fixture) -> GitWorkspaces {
    let options = WorkspaceOptions::default().pool(SIZE).grace(Duration::ZERO);
    GitWorkspaces::new(&fixture.repository, options)
}

async fn request(workspaces: &GitWorkspaces, run: &str) -> WorkspaceRequest {
    WorkspaceRequest {
        run: RunId::new(run).expect("an id"),
        issue: IssueKey::new("SHOP-1").expect("a key"),
        base: workspaces
            .base(&Target::new("main").expect("a branch"))
            .await
            .expect("there"),
        mode: RunMode::Implement,
        kind: WorkspaceKind::DetachedWorktree,
        exclude: Vec::new(),
    }
}

/// Fills the pool for the tip, and takes a workspace out of it.
async fn taken(workspaces: &GitWorkspaces, run: &str) -> Workspace {
    let request = request(workspaces, run).await;
    workspaces.fill_pool(&request.base).await.expect("filled");
    let pool = folder(&workspaces.repository);
    let before = members(&pool).expect("listed").len();
    let area = workspaces.pooled(&request).await.expect("asked");
    assert_eq!(members(&pool).expect("listed").len(), before - 1);
    area.expect("one waits").record.workspace
}

/// Everything that can be seen of a checkout, but for its `.git`.
fn seen(root: &Path) -> BTreeMap<String, (u32, u64, Vec<u8>)> {
    let mut seen = BTreeMap::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).expect("readable") {
            let path = entry.expect("readable").path();
            let name = path
                .strip_prefix(root)
                .expect("below")
                .display()
                .to_string();
            if name == ".git" {
                continue;
            }
            let found = std::fs::symlink_metadata(&path).expect("there");
            let (links, content) = if found.is_dir() {
                open.push(path);
                (0, Vec::new())
            } else {
                let content = std::fs::read(&path).unwrap_or_default();
                (found.nlink(), content)
            };
            seen.insert(name, (found.mode(), links, content));
        }
    }
    seen
}

#[tokio::test]
async fn a_workspace_of_the_pool_is_what_a_new_one_would_be() {
    let fixture = fixture().await;
    let fresh = GitWorkspaces::new(&fixture.repository, WorkspaceOptions::default());
    let new = fresh
        .create(&request(&fresh, "run-new").await)
        .await
        .expect("created");
    let workspaces = pooled(&fixture);
    let old = taken(&workspaces, "run-1").await;
    assert_eq!(seen(&old.path), seen(&new.path));
    assert_eq!(git(&old.path, &["status", "--porcelain", "--ignored"]), "");
    assert_eq!(
        git(&old.path, &["rev-parse", "HEAD"]),
        old.base.commit.as_str()
    );
    assert_eq!(
        git(&old.path, &["rev-parse", "--abbrev-ref", "HEAD"]),
        "HEAD"
    );
    let listed = fixture.git(&["worktree", "list", "--porcelain"]);
    assert!(
        listed.contains(&format!("worktree {}\n", old.path.display())),
        "{listed}"
    );
    write(&old.path.join("src/b.txt"), "changed\n");
    let captured = workspaces.capture(&old, &[]).await.expect("captured");
    assert_eq!(captured.touched, ["src/b.txt"]);
}

#[tokio::test]
async fn a_waiting_checkout_is_brought_to_a_base_that_moved() {
    let fixture = fixture().await;
    let workspaces = pooled(&fixture);
    let first = request(&workspaces, "run-1").await;
    workspaces.fill_pool(&first.base).await.expect("filled");
    fixture.write("src/a.txt", "another\n");
    fixture.write("new/file.txt", "new\n");
    fixture.git(&["rm", "-q", "src/deep/c.txt"]);
    let tip = fixture.commit("second");
    let request = request(&workspaces, "run-2").await;
    let area = workspaces.pooled(&request).await.expect("asked");
    let path = area.expect("one waits").record.workspace.path;
    assert_eq!(git(&path, &["status", "--porcelain", "--ignored"]), "");
    assert_eq!(git(&path, &["rev-parse", "HEAD"]), tip.hex());
    assert!(!path.join("src/deep").exists());
    assert_eq!(
        std::fs::read_to_string(path.join("new/file.txt")).expect("there"),
        "new\n"
    );
}

#[tokio::test]
async fn files_that_other_attributes_would_change_are_written_anew() {
    let fixture = fixture().await;
    let workspaces = pooled(&fixture);
    let first = request(&workspaces, "run-1").await;
    workspaces.fill_pool(&first.base).await.expect("filled");
    fixture.write(".gitattributes", "*.txt text eol=crlf\n");
    fixture.commit("other line ends");
    let request = request(&workspaces, "run-2").await;
    let workspace = workspaces.create(&request).await.expect("created");
    let content = std::fs::read(workspace.path.join("src/b.txt")).expect("there");
    assert_eq!(content, b"b\r\n", "as a new checkout has it");
}

#[tokio::test]
async fn nothing_of_a_former_run_survives() {
    let fixture = fixture().await;
    let workspaces = pooled(&fixture);
    let workspace = taken(&workspaces, "run-1").await;
    let clean = seen(&workspace.path);
    let at = |path: &str| workspace.path.join(path);
    // One fills the place that was left, so that the former workspace is what is taken next.
    write(&at("target/out"), "ignored\n");
    write(&at("untracked"), "x\n");
    write(&at("vendor/lib.rs"), "x\n");
    git(&at("vendor"), &["init", "-q"]);
    std::fs::create_dir_all(at("empty/er")).expect("made");
    // The same size, and the old time set back.
    let times = std::fs::metadata(at("src/a.txt"))
        .expect("there")
        .modified();
    write(&at("src/a.txt"), "ONE\ntwo\n");
    std::fs::File::options()
        .write(true)
        .open(at("src/a.txt"))
        .and_then(|file| file.set_modified(times.expect("a time")))
        .expect("set");
    // A link through which a later run's file could be written.
    std::fs::hard_link(at("src/b.txt"), fixture.root().join("kept")).expect("linked");
    std::fs::set_permissions(at("src"), std::fs::Permissions::from_mode(0o777)).expect("set");
    std::fs::set_permissions(at("run.sh"), std::fs::Permissions::from_mode(0o4755)).expect("set");
    make_pipe(&at("src/pipe"));
    std::fs::remove_dir_all(at("src/deep")).expect("removed");
    symlink(fixture.root(), at("src/deep")).expect("linked");
    let entry = worktrees::git_dir_of(&fixture.repository, &workspace.path)
        .await
        .expect("read")
        .expect("there");
    write(&entry.join("planted"), "x");
    write(&entry.join("config.worktree"), "[core]\n\tpager = evil\n");
    write(&at(".git"), "gitdir: /nowhere\n");
    let kept = workspaces.salvage(&workspace).await.expect("kept");
    let reason = RemovalReason::Salvaged(kept.expect("it differs"));
    let pool = folder(&fixture.repository);
    assert_eq!(members(&pool).expect("listed").len(), SIZE - 1);
    workspaces
        .remove(workspace, &reason)
        .await
        .expect("removed");
    let back = members(&pool).expect("listed");
    assert_eq!(back.len(), SIZE, "it was taken back");
    assert!(!entry.join("planted").exists());
    for found in back {
        let root = area::path_in(&found.dir);
        assert_eq!(seen(&root), clean);
        assert_eq!(git(&root, &["status", "--porcelain", "--ignored"]), "");
        assert!(!found.member.entry.join("config.worktree").exists());
    }
    write(&fixture.root().join("kept"), "through the link\n");
    for found in members(&pool).expect("listed") {
        assert_eq!(seen(&area::path_in(&found.dir)), clean);
    }
    assert_eq!(fixture.git(&["fsck", "--no-dangling"]), "");
}

fn make_pipe(path: &Path) {
    let path = path.to_str().expect("a plain path");
    #[expect(
        clippy::disallowed_methods,
        reason = "the agent's own doing, apart from the code under test"
    )]
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.expect("mkfifo starts").success());
}

#[tokio::test]
async fn no_more_wait_than_may_and_none_after_the_last_process() {
    let fixture = fixture().await;
    let (one, other) = (pooled(&fixture), pooled(&fixture));
    let base = request(&one, "run-1").await.base;
    let (a, b) = tokio::join!(one.fill_pool(&base), other.fill_pool(&base));
    a.expect("filled");
    b.expect("filled");
    let pool = folder(&fixture.repository);
    assert_eq!(members(&pool).expect("listed").len(), SIZE);
    drop(one);
    assert_eq!(
        members(&pool).expect("listed").len(),
        SIZE,
        "somebody still uses it"
    );
    drop(other);
    assert_eq!(members(&pool).expect("listed").len(), 0);
    let worktrees = fixture.git(&["worktree", "list", "--porcelain"]);
    assert_eq!(worktrees.matches("worktree ").count(), 1, "{worktrees}");
}

#[tokio::test]
async fn what_a_killed_process_was_making_is_removed_and_what_it_had_made_is_used() {
    let fixture = fixture().await;
    let killed = pooled(&fixture);
    let base = request(&killed, "run-1").await.base;
    killed.fill_pool(&base).await.expect("filled");
    // As after a kill: nobody runs the drop, and half a checkout is there.
    let pool = folder(&fixture.repository);
    let half = pool.join(format!("{UNFINISHED}half"));
    create_private(&half).expect("made");
    worktrees::add(
        &fixture.repository,
        &half.join("tree"),
        &fixture.oid("HEAD"),
    )
    .await
    .expect("added");
    let first = members(&pool).expect("listed").pop().expect("two");
    remove_any(&first.dir).expect("removed");
    let user = killed.pool.user().take();
    drop(user);
    let next = pooled(&fixture);
    next.fill_pool(&base).await.expect("filled");
    assert!(!half.exists());
    assert_eq!(members(&pool).expect("listed").len(), SIZE);
    let worktrees = fixture.git(&["worktree", "list", "--porcelain"]);
    assert_eq!(
        worktrees.matches("worktree ").count(),
        1 + SIZE,
        "{worktrees}"
    );
    drop(next);
    let worktrees = fixture.git(&["worktree", "list", "--porcelain"]);
    assert_eq!(worktrees.matches("worktree ").count(), 1, "{worktrees}");
}

#[tokio::test]
async fn the_pool_is_filled_while_a_run_goes_on() {
    let fixture = fixture().await;
    let workspaces = pooled(&fixture);
    let first = request(&workspaces, "run-1").await;
    workspaces.create(&first).await.expect("created");
    let pool = folder(&fixture.repository);
    let ceiling = std::time::Instant::now() + Duration::from_secs(60);
    while members(&pool).map_or(0, |waiting| waiting.len()) < SIZE {
        assert!(std::time::Instant::now() < ceiling, "it is never filled");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
