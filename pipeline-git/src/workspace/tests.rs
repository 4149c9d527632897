use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use pipeline_core::agent::RunId;
use pipeline_core::issue::IssueKey;
use pipeline_core::workspace::Patch;

use super::*;
use crate::hooks::Hook;
use crate::hooks::Hooks;
use crate::store::PatchStore;
use crate::testing::Fixture;
use crate::testing::git;
use crate::testing::write;

const FILES: &[(&str, &str)] = &[
    ("src/a.txt", "one\ntwo\nthree\nfour\nfive\n"),
    ("src/b.txt", "b\n"),
    ("run.sh", "#!/bin/sh\n"),
    ("no-newline", "end"),
    ("crlf.txt", "one\r\ntwo\r\n"),
    ("logs/old.log", "secret log\n"),
    (".gitignore", "/target/\n*.tmp\n"),
];

struct Bench {
    fixture: Fixture,
    workspaces: GitWorkspaces,
}

impl Bench {
    async fn new() -> Self {
        Self::with(WorkspaceOptions::default().grace(Duration::ZERO)).await
    }

    async fn with(options: WorkspaceOptions) -> Self {
        let fixture = Fixture::with(FILES).await;
        let workspaces = GitWorkspaces::new(&fixture.repository, options);
        Self {
            fixture,
            workspaces,
        }
    }

    async fn request(&self, run: &str) -> WorkspaceRequest {
        let target = Target::new("main").expect("a branch");
        WorkspaceRequest {
            run: RunId::new(run).expect("a run"),
            issue: IssueKey::new("SHOP-1").expect("a key"),
            base: self
                .workspaces
                .base(&target)
                .await
                .expect("there is such a branch"),
            mode: RunMode::Implement,
            kind: WorkspaceKind::DetachedWorktree,
            exclude: Vec::new(),
        }
    }

    async fn worktree(&self, run: &str) -> Workspace {
        let request = self.request(run).await;
        self.workspaces.create(&request).await.expect("created")
    }

    async fn clone_of(&self, run: &str, exclude: &[&str]) -> Workspace {
        let mut request = self.request(run).await;
        request.kind = WorkspaceKind::SeparateClone;
        request.exclude = exclude.iter().map(ToString::to_string).collect();
        self.workspaces.create(&request).await.expect("created")
    }

    async fn capture(&self, workspace: &Workspace) -> Captured {
        self.workspaces
            .capture(workspace, &[])
            .await
            .expect("captured")
    }

    /// The tree that plain git makes of the base and the patch.
    fn applied(&self, patch: &Patch) -> String {
        let index = self.fixture.root().join("index-of-the-test");
        let index = index.to_str().expect("a plain path");
        let file = self.fixture.root().join("the.patch");
        std::fs::write(&file, patch.bytes()).expect("written");
        let run = |args: &[&str]| {
            let mut all = vec!["-c", "core.fsync=none"];
            all.extend(args);
            with_index(&self.fixture.repo(), index, &all)
        };
        run(&["read-tree", "HEAD"]);
        run(&[
            "apply",
            "--cached",
            "--whitespace=nowarn",
            file.to_str().expect("a plain path"),
        ]);
        run(&["write-tree"])
    }
}

fn with_index(dir: &Path, index: &str, args: &[&str]) -> String {
    crate::testing::git_env(dir, args, &[("GIT_INDEX_FILE", index)])
}

/// The tree of the files in a directory as plain git sees them, ignore rules in force.
fn tree_of(workspace: &Workspace, fixture: &Fixture) -> String {
    let index = fixture.root().join("other-index");
    let index = index.to_str().expect("a plain path");
    let git_dir = fixture.repo().join(".git");
    let run = |args: &[&str]| {
        let git_dir = format!("--git-dir={}", git_dir.display());
        let mut all = vec![git_dir.as_str(), "--work-tree=."];
        all.extend(args);
        with_index(&workspace.path, index, &all)
    };
    run(&["read-tree", "HEAD"]);
    run(&["add", "-A"]);
    run(&["write-tree"])
}

#[tokio::test]
async fn a_worktree_is_detached_locked_and_creates_no_branch() {
    let bench = Bench::new().await;
    let refs_before = bench.fixture.git(&["for-each-ref"]);
    let status_before = bench.fixture.git(&["status", "--porcelain"]);
    let workspace = bench.worktree("run-1").await;
    assert_eq!(
        git(&workspace.path, &["rev-parse", "--abbrev-ref", "HEAD"]),
        "HEAD"
    );
    assert_eq!(git(&workspace.path, &["status", "--porcelain"]), "");
    let listed = bench.fixture.git(&["worktree", "list", "--porcelain"]);
    assert!(
        listed.contains("locked in use by the issue pipeline"),
        "{listed}"
    );
    assert_eq!(bench.fixture.git(&["for-each-ref"]), refs_before);
    assert_eq!(bench.fixture.git(&["status", "--porcelain"]), status_before);
    assert_eq!(bench.workspaces.list().await.expect("listed"), [workspace]);
}

#[tokio::test]
async fn a_clone_has_its_own_git_directory_and_no_remote() {
    let bench = Bench::new().await;
    let workspace = bench.clone_of("run-1", &[]).await;
    assert!(workspace.path.join(".git").is_dir());
    assert_eq!(git(&workspace.path, &["remote"]), "");
    assert_eq!(
        git(&workspace.path, &["branch", "-a", "--format=%(refname)"])
            .lines()
            .count(),
        1
    );
    assert_eq!(git(&workspace.path, &["status", "--porcelain"]), "");
    assert_eq!(
        git(&workspace.path, &["log", "--format=%s"]),
        "first",
        "history is readable"
    );
    write(&workspace.path.join("src/b.txt"), "changed\n");
    git(&workspace.path, &["commit", "-qam", "mine"]);
    let captured = bench.capture(&workspace).await;
    assert_eq!(
        captured.touched,
        ["src/b.txt"],
        "committed work counts like any other"
    );
    assert_eq!(bench.fixture.git(&["worktree", "list"]).lines().count(), 1);
}

#[tokio::test]
async fn excluded_paths_are_neither_in_the_checkout_nor_readable_through_git() {
    let bench = Bench::new().await;
    let blob = bench.fixture.git(&["rev-parse", "HEAD:logs/old.log"]);
    let workspace = bench.clone_of("run-1", &["logs"]).await;
    assert!(!workspace.path.join("logs").exists());
    assert_eq!(git(&workspace.path, &["status", "--porcelain"]), "");
    let reach = |what: &str| crate::testing::try_git(&workspace.path, &["cat-file", "-e", what]);
    assert!(reach("HEAD:src/a.txt"));
    assert!(!reach("HEAD:logs/old.log"));
    assert!(!reach(&blob));
    assert!(
        !reach(&bench.fixture.git(&["rev-parse", "HEAD"])),
        "nor is the commit that has them"
    );
    write(&workspace.path.join("src/b.txt"), "changed\n");
    let captured = bench.capture(&workspace).await;
    assert_eq!(
        captured.touched,
        ["src/b.txt"],
        "what was left out is not deleted by the patch"
    );
    bench.applied(&captured.patch);
    // A second base brings only what is new, and still none of the excluded.
    bench.fixture.write("logs/new.log", "another secret\n");
    bench.fixture.write("src/c.txt", "c\n");
    bench.fixture.commit("second");
    let second = bench.clone_of("run-2", &["logs"]).await;
    assert!(second.path.join("src/c.txt").exists());
    let blob = bench.fixture.git(&["rev-parse", "HEAD:logs/new.log"]);
    assert!(!crate::testing::try_git(
        &second.path,
        &["cat-file", "-e", &blob]
    ));
    git(&second.path, &["fsck", "--no-dangling"]);
}

#[tokio::test]
async fn a_patch_holds_every_kind_of_change() {
    let bench = Bench::new().await;
    for workspace in [
        bench.worktree("run-1").await,
        bench.clone_of("run-2", &[]).await,
    ] {
        let at = |path: &str| workspace.path.join(path);
        write(&at("src/a.txt"), "one\ntwo\nthree\nfour\nfive!\n");
        std::fs::rename(at("src/a.txt"), at("src/renamed.txt")).expect("renamed");
        std::fs::remove_file(at("src/b.txt")).expect("removed");
        std::fs::set_permissions(at("run.sh"), std::fs::Permissions::from_mode(0o755))
            .expect("made executable");
        write(&at("no-newline"), "other end");
        write(&at("crlf.txt"), "one\r\nTWO\r\n");
        write(&at("bin/data"), [0, 159, 146, 150, 0, 255, 10]);
        write(&at("名前 with space.txt"), "日本語\n");
        write(&at("tab\tand \"quote\""), "x\n");
        write(&at("empty"), "");
        write(&at("target/out"), "ignored\n");
        let captured = bench.capture(&workspace).await;
        assert_eq!(
            bench.applied(&captured.patch),
            tree_of(&workspace, &bench.fixture)
        );
        let touched = [
            "bin/data",
            "crlf.txt",
            "empty",
            "no-newline",
            "run.sh",
            "src/a.txt",
            "src/b.txt",
            "src/renamed.txt",
            "tab%09and \"quote\"",
            "名前 with space.txt",
        ];
        assert_eq!(captured.touched, touched);
        let text = String::from_utf8_lossy(captured.patch.bytes()).into_owned();
        assert!(
            text.contains("rename from src/a.txt\nrename to src/renamed.txt\n"),
            "{text}"
        );
        assert!(
            text.contains("old mode 100644\nnew mode 100755\n"),
            "{text}"
        );
        assert!(text.contains("GIT binary patch\n"), "{text}");
        assert_eq!(
            bench.capture(&workspace).await,
            captured,
            "it can be repeated"
        );
    }
}

#[tokio::test]
async fn files_and_directories_may_change_places() {
    let bench = Bench::new().await;
    let workspace = bench.worktree("run-1").await;
    let at = |path: &str| workspace.path.join(path);
    std::fs::remove_dir_all(at("src")).expect("removed");
    write(&at("src"), "a file now\n");
    std::fs::remove_file(at("run.sh")).expect("removed");
    write(&at("run.sh/inner"), "a directory now\n");
    let captured = bench.capture(&workspace).await;
    assert_eq!(
        captured.touched,
        ["run.sh", "run.sh/inner", "src", "src/a.txt", "src/b.txt"]
    );
    assert_eq!(
        bench.applied(&captured.patch),
        tree_of(&workspace, &bench.fixture)
    );
}

#[tokio::test]
async fn a_directory_replaced_by_a_link_is_captured_as_what_it_is() {
    let bench = Bench::new().await;
    let workspace = bench.worktree("run-1").await;
    let outside = bench.fixture.root().join("outside");
    write(&outside.join("a.txt"), "not ours\n");
    std::fs::remove_dir_all(workspace.path.join("src")).expect("removed");
    symlink(&outside, workspace.path.join("src")).expect("linked");
    let captured = bench.capture(&workspace).await;
    assert_eq!(captured.touched, ["src", "src/a.txt", "src/b.txt"]);
    let text = String::from_utf8_lossy(captured.patch.bytes()).into_owned();
    assert!(
        text.contains("new file mode 120000"),
        "the policy sees the link: {text}"
    );
    assert!(
        !text.contains("not ours"),
        "nothing outside of the workspace is read: {text}"
    );
}

#[tokio::test]
async fn nested_repositories_become_ordinary_files() {
    let bench = Bench::new().await;
    let workspace = bench.worktree("run-1").await;
    let nested = workspace.path.join("vendor/lib");
    write(&nested.join("lib.rs"), "pub fn f() {}\n");
    git(&nested, &["init", "-q"]);
    write(&nested.join("deep/x"), "x\n");
    git(&nested.join("deep"), &["init", "-q"]);
    git(&nested.join("deep"), &["add", "-A"]);
    git(&nested.join("deep"), &["commit", "-qm", "nested"]);
    let captured = bench.capture(&workspace).await;
    assert_eq!(captured.touched, ["vendor/lib/deep/x", "vendor/lib/lib.rs"]);
    assert_eq!(
        captured.removed,
        ["vendor/lib/.git", "vendor/lib/deep/.git"]
    );
}

#[tokio::test]
async fn litter_goes_before_the_diff_but_never_a_file_of_the_base() {
    let bench = Bench::new().await;
    let workspace = bench.worktree("run-1").await;
    write(&workspace.path.join(".sandbox/state"), "x");
    write(&workspace.path.join("src/b.txt"), "changed\n");
    write(&bench.fixture.root().join("precious"), "x");
    symlink(bench.fixture.root(), workspace.path.join("link")).expect("linked");
    let litter: Vec<String> = [
        ".sandbox",
        "src/b.txt",
        "../../../precious",
        "/precious",
        "link/precious",
        "link",
        "",
    ]
    .map(str::to_owned)
    .to_vec();
    let captured = bench
        .workspaces
        .capture(&workspace, &litter)
        .await
        .expect("captured");
    assert_eq!(captured.removed, [".sandbox", "link"]);
    assert_eq!(captured.touched, ["src/b.txt"]);
    assert!(bench.fixture.root().join("precious").exists());
}

#[tokio::test]
async fn what_an_agent_does_to_its_own_git_changes_nothing() {
    let bench = Bench::new().await;
    for workspace in [
        bench.worktree("run-1").await,
        bench.clone_of("run-2", &[]).await,
    ] {
        write(&workspace.path.join("src/b.txt"), "changed\n");
        let marker = bench.fixture.root().join("executed");
        let script = bench.fixture.root().join("evil.sh");
        write(
            &script,
            format!("#!/bin/sh\ntouch {}\ncat\n", marker.display()),
        );
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("mode");
        let script = script.to_str().expect("a plain path");
        for key in [
            "filter.evil.clean",
            "core.fsmonitor",
            "diff.external",
            "core.pager",
        ] {
            git(&workspace.path, &["config", key, script]);
        }
        write(
            &workspace.path.join(".gitattributes"),
            "* filter=evil text eol=crlf\n",
        );
        git(
            &workspace.path,
            &["update-index", "--assume-unchanged", "src/b.txt"],
        );
        // The directory's own word about where its git lies is not asked either.
        if workspace.path.join(".git").is_file() {
            write(&workspace.path.join(".git"), "gitdir: /nowhere\n");
        }
        std::fs::remove_file(&marker).ok();
        let captured = bench.capture(&workspace).await;
        assert_eq!(captured.touched, [".gitattributes", "src/b.txt"]);
        assert!(!marker.exists(), "something of the agent's was executed");
        for key in [
            "filter.evil.clean",
            "core.fsmonitor",
            "diff.external",
            "core.pager",
        ] {
            crate::testing::try_git(&bench.fixture.repo(), &["config", "--unset", key]);
        }
    }
}

#[tokio::test]
async fn too_much_is_an_error_that_leaves_the_workspace() {
    let bench = Bench::with(WorkspaceOptions::default().patch_limit(1000)).await;
    let workspace = bench.worktree("run-1").await;
    let objects = bench.fixture.git(&["count-objects"]);
    for size in [2_000, 200_000] {
        write(&workspace.path.join("big"), "0123456789\n".repeat(size));
        let error = bench
            .workspaces
            .capture(&workspace, &[])
            .await
            .expect_err("too large");
        assert!(
            matches!(error, WorkspaceError::PatchTooLarge { limit: 1000, .. }),
            "{error:?}"
        );
    }
    assert!(workspace.path.join("big").exists());
    assert_eq!(bench.fixture.git(&["count-objects"]), objects);
}

#[tokio::test]
async fn capturing_leaves_no_object_in_the_repository() {
    let bench = Bench::new().await;
    let workspace = bench.worktree("run-1").await;
    let before = bench.fixture.git(&["count-objects"]);
    write(&workspace.path.join("new"), "something new\n");
    bench.capture(&workspace).await;
    assert_eq!(bench.fixture.git(&["count-objects"]), before);
}

#[tokio::test]
async fn the_digest_changes_with_any_file_and_only_then() {
    let bench = Bench::new().await;
    let workspace = bench.worktree("run-1").await;
    let digest = async || bench.workspaces.digest(&workspace).await.expect("read");
    let before = digest().await;
    git(&workspace.path, &["status"]);
    write(&workspace.path.join("src/a.txt"), FILES[0].1);
    assert_eq!(digest().await, before, "the same content is no change");
    let mut seen = vec![before.clone()];
    for (path, content) in [
        ("target/ignored", "x"),
        ("target/ignored", "y"),
        ("new", ""),
        ("src/b.txt", "B\n"),
    ] {
        write(&workspace.path.join(path), content);
        let now = digest().await;
        assert!(!seen.contains(&now), "{path} {content}");
        seen.push(now);
    }
    git(&workspace.path, &["init", "-q", "nested"]);
    write(&workspace.path.join("nested/inside"), "x");
    let nested = digest().await;
    assert!(!seen.contains(&nested));
    std::fs::set_permissions(
        workspace.path.join("run.sh"),
        std::fs::Permissions::from_mode(0o755),
    )
    .expect("mode");
    assert!(digest().await != nested);
}

#[tokio::test]
async fn a_workspace_whose_maker_died_before_its_checkout_can_be_let_go() {
    let bench = Bench::new().await;
    let workspace = bench.worktree("run-1").await;
    // What a kill right after the record leaves, and what a person leaves who deletes the directory.
    std::fs::remove_dir_all(&workspace.path).expect("removed");
    let kept = bench.workspaces.salvage(&workspace).await.expect("looked");
    assert_eq!(kept, None);
    bench
        .workspaces
        .remove(workspace, &RemovalReason::Unchanged)
        .await
        .expect("removed");
    assert_eq!(bench.workspaces.list().await.expect("listed"), []);
}

#[tokio::test]
async fn a_workspace_that_was_never_made_or_is_removed_already_holds_nothing_to_keep() {
    let bench = Bench::new().await;
    let workspace = bench.worktree("run-1").await;
    let reason = RemovalReason::Unchanged;
    let removed = bench.workspaces.remove(workspace.clone(), &reason).await;
    removed.expect("removed");
    let kept = bench.workspaces.salvage(&workspace).await.expect("looked");
    assert_eq!(kept, None);
    let again = bench.workspaces.remove(workspace, &reason).await;
    again.expect("nothing to do");
}

#[tokio::test]
async fn salvage_keeps_untracked_work_under_a_ref_and_twice_is_once() {
    let bench = Bench::new().await;
    let workspace = bench.worktree("run-1").await;
    assert_eq!(
        bench.workspaces.salvage(&workspace).await.expect("looked"),
        None
    );
    write(&workspace.path.join("new/file"), "precious\n");
    git(&workspace.path, &["init", "-q", "nested"]);
    write(&workspace.path.join("nested/inside"), "inner\n");
    let name = bench
        .workspaces
        .salvage(&workspace)
        .await
        .expect("kept")
        .expect("something");
    assert_eq!(
        bench.workspaces.salvage(&workspace).await.expect("kept"),
        Some(name.clone())
    );
    assert!(name.starts_with("refs/agents/salvage/run-1/"), "{name}");
    assert!(
        workspace.path.join("nested/.git").exists(),
        "salvage removes nothing"
    );
    bench.fixture.git(&["gc", "-q", "--prune=now"]);
    assert_eq!(
        bench.fixture.git(&["show", &format!("{name}:new/file")]),
        "precious"
    );
    assert_eq!(
        bench
            .fixture
            .git(&["show", &format!("{name}:nested/inside")]),
        "inner"
    );
    bench
        .workspaces
        .remove(workspace, &RemovalReason::Salvaged(name))
        .await
        .expect("its content is safe");
}

#[tokio::test]
async fn removal_needs_a_reason_that_is_true() {
    let bench = Bench::new().await;
    let workspace = bench.worktree("run-1").await;
    write(&workspace.path.join("src/b.txt"), "changed\n");
    let captured = bench.capture(&workspace).await;
    let id = captured.patch.id().clone();
    for (reason, why) in [
        (RemovalReason::Unchanged, "it differs from its base"),
        (RemovalReason::ReadOnly, "it was not read-only"),
        (
            RemovalReason::Salvaged("refs/heads/main".to_owned()),
            "there is no ref refs/heads/main",
        ),
    ] {
        let error = bench
            .workspaces
            .remove(workspace.clone(), &reason)
            .await
            .expect_err("not true");
        assert_eq!(
            error.to_string(),
            format!("could not remove the workspace of run-1: {why}, so it stays")
        );
    }
    let stored = RemovalReason::PatchStored(id.clone());
    bench
        .workspaces
        .remove(workspace.clone(), &stored)
        .await
        .expect_err("it is not stored");
    assert!(workspace.path.exists());
    PatchStore::new(&bench.fixture.repository)
        .put(&captured.patch)
        .await
        .expect("stored");
    bench
        .workspaces
        .remove(workspace.clone(), &stored)
        .await
        .expect("now it is");
    bench
        .workspaces
        .remove(workspace.clone(), &stored)
        .await
        .expect("again is fine");
    assert!(!workspace.path.exists());
    assert_eq!(bench.fixture.git(&["worktree", "list"]).lines().count(), 1);
    assert_eq!(bench.workspaces.list().await.expect("listed"), []);
    bench.worktree("run-1").await;
}

#[tokio::test]
async fn removed_files_stay_for_the_grace_time() {
    let bench = Bench::with(WorkspaceOptions::default()).await;
    let workspace = bench.clone_of("run-1", &[]).await;
    assert!(
        bench
            .fixture
            .git(&["for-each-ref"])
            .contains("refs/agents/base/run-1")
    );
    bench
        .workspaces
        .remove(workspace, &RemovalReason::Unchanged)
        .await
        .expect("removed");
    assert!(!bench.fixture.git(&["for-each-ref"]).contains("refs/agents"));
    let trash = || {
        std::fs::read_dir(bench.fixture.root().join("state/trash"))
            .expect("read")
            .count()
    };
    assert_eq!(trash(), 1);
    let impatient = GitWorkspaces::new(
        &bench.fixture.repository,
        WorkspaceOptions::default().grace(Duration::ZERO),
    );
    let request = bench.request("run-2").await;
    impatient.create(&request).await.expect("created");
    assert_eq!(trash(), 0);
}

#[tokio::test]
async fn files_that_were_made_unreadable_are_removed_all_the_same() {
    let bench = Bench::new().await;
    let workspace = bench.worktree("run-1").await;
    write(&workspace.path.join("locked/in/x"), "x");
    for dir in ["locked/in", "locked"] {
        let path = workspace.path.join(dir);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o0)).expect("mode");
    }
    let trash = bench.fixture.root().join("state/trash");
    let area = Area::open(&bench.fixture.repository, &workspace.run)
        .await
        .expect("read")
        .expect("there");
    removal::discard(&area).await.expect("taken away");
    removal::sweep(&bench.fixture.repository, Duration::ZERO)
        .await
        .expect("swept");
    assert_eq!(std::fs::read_dir(trash).expect("read").count(), 0);
}

#[tokio::test]
async fn an_entry_whose_directory_is_lost_is_cleared_away_but_never_the_users() {
    let bench = Bench::new().await;
    let workspace = bench.worktree("run-1").await;
    let theirs = bench.fixture.root().join("theirs");
    bench.fixture.git(&[
        "worktree",
        "add",
        "-q",
        "--detach",
        theirs.to_str().expect("plain"),
    ]);
    std::fs::remove_dir_all(&theirs).expect("removed");
    std::fs::remove_dir_all(workspace.path.parent().expect("a folder")).expect("removed");
    assert_eq!(bench.fixture.git(&["worktree", "list"]).lines().count(), 3);
    removal::sweep(&bench.fixture.repository, Duration::ZERO)
        .await
        .expect("swept");
    let left = bench.fixture.git(&["worktree", "list"]);
    assert_eq!(left.lines().count(), 2);
    assert!(left.contains("theirs"));
}

#[tokio::test]
async fn an_unknown_target_names_the_branches_there_are() {
    let bench = Bench::new().await;
    bench.fixture.git(&["branch", "release/1"]);
    let error = bench
        .workspaces
        .base(&Target::new("nope").expect("a name"))
        .await
        .expect_err("there is none");
    assert_eq!(
        error.to_string(),
        "target `nope` is not a branch of the repository: its branches are main, release/1"
    );
}

#[tokio::test]
async fn attributes_of_the_base_convert_and_those_of_the_agent_do_not() {
    let bench = Bench::new().await;
    bench
        .fixture
        .write(".gitattributes", "*.bat text eol=crlf\n");
    bench.fixture.write("go.bat", "one\r\ntwo\r\n");
    bench.fixture.commit("attributes");
    assert_eq!(
        bench.fixture.git(&["cat-file", "-s", "HEAD:go.bat"]),
        "8",
        "stored with LF"
    );
    let workspace = bench.worktree("run-1").await;
    let at = |path: &str| workspace.path.join(path);
    assert_eq!(
        std::fs::read(at("go.bat")).expect("there"),
        b"one\r\ntwo\r\n"
    );
    write(&at("go.bat"), "one\r\nTWO\r\n");
    write(&at(".gitattributes"), "*.txt text\n");
    write(&at("src/b.txt"), "now\r\nwith CR\r\n");
    let captured = bench.capture(&workspace).await;
    assert_eq!(captured.touched, [".gitattributes", "go.bat", "src/b.txt"]);
    let text = String::from_utf8_lossy(captured.patch.bytes()).into_owned();
    assert!(text.contains("+TWO\n"), "the base's rule converts: {text}");
    assert!(
        text.contains("+now\r\n"),
        "the agent's rule does not: {text}"
    );
}

#[tokio::test]
async fn the_base_can_be_read_without_a_workspace() {
    let bench = Bench::new().await;
    symlink("/etc/passwd", bench.fixture.repo().join("link")).expect("linked");
    bench.fixture.commit("a link");
    let base = bench
        .workspaces
        .base(&Target::new("main").expect("a branch"))
        .await
        .expect("there");
    let files = bench.workspaces.files(&base).await.expect("listed");
    assert_eq!(files.len(), FILES.len() + 1);
    assert!(files.contains(&"logs/old.log".to_owned()));
    let read = async |path: &str, limit| {
        bench
            .workspaces
            .file(&base, path, limit)
            .await
            .expect("read")
    };
    assert_eq!(read("src/b.txt", 100).await.as_deref(), Some(&b"b\n"[..]));
    assert_eq!(read("src/b.txt", 1).await.as_deref(), Some(&b"b"[..]));
    for none in ["src", "none", "link", "../repo/run.sh"] {
        assert_eq!(read(none, 100).await, None, "{none}");
    }
}

#[tokio::test]
async fn hooks_run_at_their_points_and_a_failing_one_leaves_nothing() {
    let log = tempfile::NamedTempFile::new().expect("temporary file");
    let hook = |status: u8| {
        let path = log.path().display();
        Hook::new([
            "sh",
            "-c",
            &format!("echo $PIPELINE_HOOK >> {path}; exit {status}"),
        ])
    };
    let hooks = Hooks::default()
        .on(HookPoint::AfterCreate, hook(0))
        .on(HookPoint::BeforeRun, hook(0))
        .on(HookPoint::AfterRun, hook(1))
        .on(HookPoint::BeforeRemove, hook(1));
    let options = WorkspaceOptions::default()
        .grace(Duration::ZERO)
        .hooks(hooks.clone());
    let bench = Bench::with(options).await;
    let workspace = bench.worktree("run-1").await;
    bench.capture(&workspace).await;
    bench
        .workspaces
        .remove(workspace, &RemovalReason::Unchanged)
        .await
        .expect("removed");
    let seen = std::fs::read_to_string(log.path()).expect("written");
    assert_eq!(seen, "after_create\nbefore_run\nafter_run\nbefore_remove\n");
    let mut read_only = bench.request("run-2").await;
    read_only.mode = RunMode::ReadOnly;
    bench.workspaces.create(&read_only).await.expect("created");
    assert_eq!(
        std::fs::read_to_string(log.path()).expect("written"),
        seen,
        "nothing ran in it"
    );

    let failing = hooks.on(HookPoint::AfterCreate, hook(7));
    let options = WorkspaceOptions::default()
        .grace(Duration::ZERO)
        .hooks(failing);
    let workspaces = GitWorkspaces::new(&bench.fixture.repository, options);
    let request = bench.request("run-3").await;
    let error = workspaces
        .create(&request)
        .await
        .expect_err("the hook failed");
    assert_eq!(
        error.to_string(),
        "hook after_create failed for SHOP-1: it ended with code 7"
    );
    assert!(
        !workspaces
            .list()
            .await
            .expect("listed")
            .iter()
            .any(|w| w.run == request.run)
    );
    assert!(!bench.fixture.git(&["worktree", "list"]).contains("run-3"));
}
