use super::*;
use crate::hooks::Hook;
use crate::hooks::HookPoint;
use crate::hooks::Hooks;
use crate::testing::git;
use crate::testing::write;

/// Hooks that note that they ran.
fn noting(log: &std::path::Path) -> Hooks {
    let hook = || {
        Hook::new([
            "sh",
            "-c",
            &format!("echo $PIPELINE_HOOK >> {}", log.display()),
        ])
    };
    Hooks::default()
        .on(HookPoint::AfterCreate, hook())
        .on(HookPoint::BeforeVerify, hook())
}

#[tokio::test]
async fn the_tree_of_the_candidate_is_there_and_nothing_else() {
    let bench = Bench::with(FILES, |options| options.keep(["node_modules"])).await;
    let mut session = bench.session().await;
    bench
        .add(&mut session, 1, "app/a.txt", "a1\nA2\na3\n")
        .await;
    bench
        .add(&mut session, 2, ".gitignore", "*.log\nnode_modules\n")
        .await;
    let root = session.checkout(Checkout::Candidate).await.expect("there");
    assert_eq!(git(&root, &["status", "--porcelain"]), "");
    assert_eq!(git(&root, &["rev-parse", "--abbrev-ref", "HEAD"]), "HEAD");
    // What verified code may leave: changes, ignored files, nested repositories, a moved .git.
    write(&root.join("app/a.txt"), "tampered\n");
    std::fs::remove_file(root.join("app/b.txt")).expect("removed");
    write(&root.join("left.log"), "x");
    write(&root.join("node_modules/dep/index.js"), "kept");
    write(&root.join("nested/file"), "x");
    git(&root.join("nested"), &["init", "-q"]);
    git(&root, &["update-index", "--assume-unchanged", "app/a.txt"]);
    std::fs::remove_dir_all(root.join("docs")).expect("removed");
    write(&root.join("docs"), "in the way");
    write(&root.join(".git"), "gitdir: /nowhere\n");
    let again = session.checkout(Checkout::Candidate).await.expect("there");
    assert_eq!(again, root, "it is kept");
    assert_eq!(
        std::fs::read_to_string(root.join("app/a.txt")).expect("there"),
        "a1\nA2\na3\n"
    );
    assert!(root.join("app/b.txt").exists() && root.join("docs/readme.md").exists());
    assert!(!root.join("left.log").exists() && !root.join("nested").exists());
    assert!(
        root.join("node_modules/dep/index.js").exists(),
        "kept paths stay"
    );
    assert_eq!(git(&root, &["status", "--porcelain"]), "");
    let base = session.checkout(Checkout::Base).await.expect("there");
    assert_eq!(
        std::fs::read_to_string(base.join("app/a.txt")).expect("there"),
        FILES[0].1
    );
    assert_eq!(git(&base, &["rev-parse", "HEAD"]), bench.tip());
}

#[tokio::test]
async fn after_create_runs_again_only_when_a_dependency_file_changed() {
    let log = tempfile::NamedTempFile::new().expect("temporary file");
    let bench = Bench::with(FILES, |options| options.hooks(noting(log.path()))).await;
    let ran = || {
        let text = std::fs::read_to_string(log.path()).expect("readable");
        std::fs::write(log.path(), "").expect("writable");
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let mut session = bench.session().await;
    bench.add(&mut session, 1, "app/a.txt", "A\n").await;
    session.checkout(Checkout::Candidate).await.expect("there");
    assert_eq!(ran(), ["after_create", "before_verify"]);
    bench.add(&mut session, 2, "app/b.txt", "B\n").await;
    session.checkout(Checkout::Candidate).await.expect("there");
    assert_eq!(ran(), ["before_verify"]);
    bench.add(&mut session, 3, "web/package.json", "{}\n").await;
    session.checkout(Checkout::Candidate).await.expect("there");
    assert_eq!(ran(), ["after_create", "before_verify"]);
    session.checkout(Checkout::Base).await.expect("there");
    assert_eq!(ran(), ["after_create", "before_verify"], "and back again");
}

#[tokio::test]
async fn a_failed_preparation_is_repeated() {
    let flag = tempfile::tempdir().expect("temporary directory");
    let script = format!("test -e {}/go", flag.path().display());
    let hooks = Hooks::default().on(HookPoint::AfterCreate, Hook::new(["sh", "-c", &script]));
    let bench = Bench::with(FILES, |options| options.hooks(hooks)).await;
    let mut session = bench.session().await;
    for _ in 0..2 {
        let error = session
            .checkout(Checkout::Base)
            .await
            .expect_err("not ready");
        assert!(matches!(error, IntegrateError::Hook { .. }), "{error}");
    }
    write(&flag.path().join("go"), "");
    session.checkout(Checkout::Base).await.expect("ready now");
}

#[tokio::test]
async fn a_worktree_that_cannot_be_reset_is_made_anew_and_removed_on_demand() {
    let bench = Bench::new().await;
    let mut session = bench.session().await;
    let root = session.checkout(Checkout::Base).await.expect("there");
    let outside = bench.fixture.root().join("outside");
    write(&outside.join("precious"), "x");
    std::fs::remove_dir_all(&root).expect("removed");
    std::os::unix::fs::symlink(&outside, &root).expect("linked");
    session.checkout(Checkout::Base).await.expect("made anew");
    assert!(
        outside.join("precious").exists(),
        "nothing was cleaned behind the link"
    );
    assert!(root.join("app/a.txt").exists());
    bench
        .integrator
        .remove_verification_worktrees()
        .await
        .expect("removed");
    assert_eq!(bench.fixture.git(&["worktree", "list"]).lines().count(), 1);
    assert!(!root.exists());
    bench
        .integrator
        .remove_verification_worktrees()
        .await
        .expect("again is fine");
}

#[tokio::test]
async fn what_outlives_a_killed_process_in_the_tree_is_ended_before_the_tree_is_used() {
    use pipeline_core::agent::RunId;
    use pipeline_core::process::Exit;
    use pipeline_core::process::ProcessSpec;
    use pipeline_core::process::RUN_VARIABLE;
    let bench = Bench::new().await;
    let mut session = bench.session().await;
    let root = session.checkout(Checkout::Base).await.expect("there");
    // As a check that an integrator started there, which was killed since.
    let check = ProcessSpec::new("sh", &root)
        .args(["-c", "while :; do echo x > left.log; sleep 0.01; done"])
        .env(RUN_VARIABLE, RunId::of_checks(&root).as_str())
        .start()
        .expect("sh starts");
    let ceiling = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !root.join("left.log").exists() {
        assert!(std::time::Instant::now() < ceiling, "it never begins");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    session.checkout(Checkout::Base).await.expect("there");
    let ended = check.finish(std::future::pending()).await.expect("watched");
    assert_eq!(ended.exit(), Exit::Signal(9));
    assert!(!root.join("left.log").exists());
}
