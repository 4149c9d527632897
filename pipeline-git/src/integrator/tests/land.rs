use pipeline_core::integrate::LandOutcome;

use super::*;
use crate::testing::git;
use crate::testing::try_git;
use crate::testing::write;

async fn landed(bench: &Bench) {
    let (mut session, ok, plan) = bench.prepared().await;
    assert_eq!(
        session.land_for(&plan, &ok).await.expect("tried"),
        LandOutcome::Landed
    );
}

/// Everything a landing must not touch when it waits.
fn whole_state(bench: &Bench) -> [String; 3] {
    [
        bench.fixture.git(&["for-each-ref"]),
        bench.status(),
        bench.fixture.git(&["diff", "HEAD"]),
    ]
}

#[tokio::test]
async fn landing_moves_branch_index_and_files_together() {
    let bench = Bench::new().await;
    let base = bench.tip();
    // Work of the person that the landing has nothing to do with.
    bench.fixture.write("docs/readme.md", "# Mine\n");
    bench.fixture.write("scratch.txt", "mine\n");
    bench.fixture.git(&["add", "docs/readme.md"]);
    landed(&bench).await;
    assert_eq!(bench.status(), "M  docs/readme.md\n?? scratch.txt");
    let log = bench.fixture.git(&[
        "log",
        "--format=%an %at|%cn %ct|%B",
        &format!("{base}..main"),
    ]);
    insta::assert_snapshot!(log, @r"
    codex-1 1700000000|Ada 1700001000|Do what SHOP-2 asks

    Agent-Claim: SHOP-2 102 00000000000000000000000000000002
    Agent-Round: SHOP-2 12

    codex-1 1700000000|Ada 1700001000|Do what SHOP-1 asks

    Agent-Claim: SHOP-1 101 00000000000000000000000000000001
    Agent-Round: SHOP-1 11
    ");
    assert_eq!(
        std::fs::read_to_string(bench.fixture.repo().join("app/new/c.txt")).expect("there"),
        "c\n"
    );
    assert_eq!(
        bench
            .fixture
            .git(&["for-each-ref", "refs/agents/candidate", "refs/tags"]),
        ""
    );
    assert_eq!(
        bench
            .fixture
            .git(&["for-each-ref", "refs/heads"])
            .lines()
            .count(),
        1
    );
    assert!(
        bench
            .fixture
            .git(&["reflog", "-1", "main"])
            .contains("issue pipeline: land candidate")
    );
    assert!(!bench.fixture.repo().join(".git/index.lock").exists());
    bench.fixture.git(&["fsck", "--strict", "--no-dangling"]);
}

#[tokio::test]
async fn equal_approvals_write_equal_commits() {
    let bench = Bench::new().await;
    let (session, ok, plan) = bench.prepared().await;
    assert_eq!(session.prepare_for(&ok).await.expect("written"), plan);
    assert_eq!(plan.touched, ["app/a.txt", "app/new/c.txt"]);
    assert_eq!(plan.commits.len(), 2);
}

#[tokio::test]
async fn an_ok_for_another_candidate_lands_nothing() {
    let bench = Bench::new().await;
    let (mut session, ok, plan) = bench.prepared().await;
    let stale = ok_for("0123456789abcdef");
    assert!(matches!(
        session.prepare_for(&stale).await,
        Err(IntegrateError::StaleApproval { .. })
    ));
    let error = session.land_for(&plan, &stale).await.expect_err("stale");
    assert!(
        error
            .to_string()
            .starts_with("the OK names candidate 0123456789ab, but candidate ")
    );
    let mut forged = plan.clone();
    forged.new = CommitId::new(bench.tip()).expect("a commit");
    let error = session
        .land_for(&forged, &ok)
        .await
        .expect_err("not what was approved");
    assert!(matches!(error, IntegrateError::Corrupt { .. }), "{error}");
    let mut other = ok.clone();
    other.committer.name = "Eve".to_owned();
    let error = session
        .land_for(&plan, &other)
        .await
        .expect_err("not who approved");
    assert!(matches!(error, IntegrateError::Corrupt { .. }), "{error}");
    assert_eq!(bench.tip(), plan.old.as_str());
}

#[tokio::test]
async fn a_moved_base_is_an_answer() {
    let bench = Bench::new().await;
    let (mut session, ok, plan) = bench.prepared().await;
    bench.fixture.commit("meanwhile");
    let before = whole_state(&bench);
    assert_eq!(
        session.land_for(&plan, &ok).await.expect("tried"),
        LandOutcome::BaseMoved
    );
    assert_eq!(
        session.roll_forward(&plan).await.expect("tried"),
        LandOutcome::BaseMoved
    );
    assert_eq!(whole_state(&bench), before);
    assert!(session.candidate().is_some());
}

#[tokio::test]
async fn a_clean_up_between_preparing_and_landing_stops_nothing_for_ever() {
    let bench = Bench::new().await;
    let mut session = bench.session().await;
    // More than a few, so that the candidate is a pack.
    for number in 1..=6 {
        let path = format!("app/new{number}.txt");
        bench.add(&mut session, number, &path, "new\n").await;
    }
    let ok = bench.seal(&mut session).await;
    let packs = || {
        let listed = std::fs::read_dir(bench.fixture.repo().join(".git/objects/pack"));
        let names = listed
            .expect("readable")
            .map(|e| e.expect("readable").file_name());
        names
            .map(|name| name.to_string_lossy().into_owned())
            .collect::<Vec<_>>()
    };
    assert!(
        packs().iter().any(|name| name.ends_with(".idx")),
        "{:?}",
        packs()
    );
    assert!(
        !packs().iter().any(|name| name.ends_with(".keep")),
        "{:?}",
        packs()
    );
    let plan = session.prepare_for(&ok).await.expect("written");
    drop(session);
    // Takes every pack apart, without what no ref names.
    bench.fixture.git(&["repack", "-a", "-d", "--quiet"]);
    bench.fixture.git(&["cat-file", "-e", plan.new.as_str()]);
    // Takes everything that no ref names.
    bench.fixture.git(&["prune", "--expire=now"]);
    let mut session = bench.session().await;
    let rolled = session.roll_forward(&plan).await.expect("tried");
    assert_eq!(rolled, LandOutcome::BaseMoved);
    assert_eq!(session.prepare_for(&ok).await.expect("written anew"), plan);
    let landed = session.land_for(&plan, &ok).await.expect("tried");
    assert_eq!(landed, LandOutcome::Landed);
    bench.fixture.git(&["fsck", "--strict", "--no-dangling"]);
}

/// Brings the user's checkout into a state, and expects the landing to wait for this reason.
async fn waits(make: impl FnOnce(&Fixture), reason: &str) {
    let bench = Bench::new().await;
    let (mut session, ok, plan) = bench.prepared().await;
    make(&bench.fixture);
    let before = whole_state(&bench);
    let outcome = session.land_for(&plan, &ok).await.expect("tried");
    let LandOutcome::Waits { reason: found } = outcome else {
        panic!("{reason}: {outcome:?}")
    };
    let place = bench.fixture.repo();
    assert_eq!(found.replace(&place.display().to_string(), "REPO"), reason);
    assert_eq!(whole_state(&bench), before, "{reason}");
    assert!(session.candidate().is_some());
}

#[tokio::test]
async fn a_touched_path_that_differs_makes_the_landing_wait() {
    let differs =
        "app/a.txt in REPO differs from the base: commit, stash or revert, then land again";
    waits(|fixture| fixture.write("app/a.txt", "mine\n"), differs).await;
    let staged_only = |fixture: &Fixture| {
        fixture.write("app/a.txt", "mine\n");
        fixture.git(&["add", "app/a.txt"]);
        fixture.write("app/a.txt", FILES[0].1);
    };
    waits(staged_only, differs).await;
    let deleted = |fixture: &Fixture| {
        std::fs::remove_file(fixture.repo().join("app/a.txt")).expect("removed");
    };
    waits(deleted, differs).await;
    let executable = |fixture: &Fixture| {
        use std::os::unix::fs::PermissionsExt as _;
        let file = fixture.repo().join("app/a.txt");
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).expect("mode");
    };
    waits(executable, differs).await;
    let link = |fixture: &Fixture| {
        let file = fixture.repo().join("app/a.txt");
        std::fs::rename(&file, fixture.repo().join("elsewhere")).expect("moved");
        std::os::unix::fs::symlink("../elsewhere", file).expect("linked");
    };
    waits(link, differs).await;
}

#[tokio::test]
async fn a_file_where_the_landing_puts_one_makes_it_wait() {
    let in_the_way =
        "app/new/c.txt in REPO differs from the base: commit, stash or revert, then land again";
    waits(
        |fixture| fixture.write("app/new/c.txt", "untracked\n"),
        in_the_way,
    )
    .await;
    waits(|fixture| fixture.write("app/new", "a file\n"), in_the_way).await;
    let ignored = |fixture: &Fixture| {
        fixture.write("app/new/c.txt", "precious and ignored\n");
        write(&fixture.repo().join(".git/info/exclude"), "new/\n");
    };
    waits(ignored, in_the_way).await;
    let link = |fixture: &Fixture| {
        std::os::unix::fs::symlink("/tmp", fixture.repo().join("app/new")).expect("linked");
    };
    waits(link, in_the_way).await;
    waits(
        |fixture| fixture.write("app/new/c.txt/deeper", "x\n"),
        in_the_way,
    )
    .await;
}

#[tokio::test]
async fn an_open_operation_makes_the_landing_wait() {
    let side = |fixture: &Fixture| {
        fixture.git(&["checkout", "-q", "-b", "side", "HEAD"]);
        fixture.write("docs/readme.md", "# side\n");
        fixture.commit("side");
        fixture.git(&["checkout", "-q", "main"]);
    };
    let merge = |fixture: &Fixture| {
        side(fixture);
        fixture.git(&["merge", "-q", "--no-ff", "--no-commit", "side"]);
    };
    waits(merge, "a merge is open in REPO: finish or abort it").await;
    let pick = |fixture: &Fixture| {
        side(fixture);
        fixture.git(&["cherry-pick", "--no-commit", "side"]);
        // As after a conflict.
        let head = fixture.git(&["rev-parse", "side"]);
        fixture.git(&["update-ref", "CHERRY_PICK_HEAD", &head]);
    };
    waits(pick, "a cherry-pick is open in REPO: finish or abort it").await;
    let bisect = |fixture: &Fixture| {
        fixture.git(&["bisect", "start", "HEAD"]);
    };
    waits(bisect, "a bisect is open in REPO: finish or abort it").await;
    // While it is rebased the target is checked out nowhere.
    let bench = Bench::new().await;
    let (mut session, ok, plan) = bench.prepared().await;
    side(&bench.fixture);
    let dir = bench.fixture.repo().join(".git/rebase-merge");
    bench.fixture.git(&["checkout", "-q", "--detach"]);
    write(&dir.join("head-name"), "refs/heads/main\n");
    let outcome = session.land_for(&plan, &ok).await.expect("tried");
    assert!(
        matches!(&outcome, LandOutcome::Waits { reason } if reason.starts_with("a rebase of the target")),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_locked_index_makes_the_landing_wait() {
    waits(
        |fixture| write(&fixture.repo().join(".git/index.lock"), ""),
        "the index of REPO is locked: wait for the git that runs there, or remove its index.lock if none does",
    )
    .await;
}

#[tokio::test]
async fn a_touched_time_alone_is_no_difference() {
    let bench = Bench::new().await;
    let (mut session, ok, plan) = bench.prepared().await;
    bench.fixture.write("app/a.txt", FILES[0].1);
    assert_eq!(
        session.land_for(&plan, &ok).await.expect("tried"),
        LandOutcome::Landed
    );
    assert_eq!(bench.status(), "");
}

#[tokio::test]
async fn a_target_that_is_checked_out_nowhere_or_twice_lands_too() {
    let bench = Bench::new().await;
    bench.fixture.git(&["checkout", "-q", "-b", "other"]);
    landed(&bench).await;
    assert_eq!(bench.status(), "", "another branch is not touched");
    assert!(!bench.fixture.repo().join("app/new/c.txt").exists());

    let bench = Bench::new().await;
    let second = bench.fixture.root().join("second");
    let path = second.to_str().expect("plain");
    bench
        .fixture
        .git(&["worktree", "add", "-q", "--force", path, "main"]);
    landed(&bench).await;
    assert_eq!(bench.status(), "");
    assert_eq!(git(&second, &["status", "--porcelain"]), "");
    assert!(second.join("app/new/c.txt").exists());
}

#[tokio::test]
async fn one_differing_checkout_of_two_moves_neither() {
    let bench = Bench::new().await;
    let second = bench.fixture.root().join("second");
    let path = second.to_str().expect("plain");
    bench
        .fixture
        .git(&["worktree", "add", "-q", "--force", path, "main"]);
    let (mut session, ok, plan) = bench.prepared().await;
    write(&second.join("app/a.txt"), "mine\n");
    let before = whole_state(&bench);
    let outcome = session.land_for(&plan, &ok).await.expect("tried");
    assert!(matches!(outcome, LandOutcome::Waits { .. }), "{outcome:?}");
    assert_eq!(whole_state(&bench), before);
    assert!(!second.join("app/new").exists());
}

#[tokio::test]
async fn every_kind_of_change_reaches_the_checkout() {
    let bench = Bench::new().await;
    let patch = bench.patch(|fixture| {
        fixture.git(&["mv", "app/a.txt", "app/moved.txt"]);
        fixture.git(&["rm", "-q", "docs/readme.md"]);
        fixture.write("docs", "a file where a folder was\n");
        fixture.git(&["rm", "-q", "app/b.txt"]);
        fixture.write("app/b.txt/inner", "a folder where a file was\n");
        fixture.write("run.sh", "#!/bin/sh\n");
        fixture.git(&["add", "-A"]);
        fixture.git(&["update-index", "--chmod=+x", "run.sh"]);
    });
    let mut session = bench.session().await;
    let outcome = session
        .apply(&bench.submission(1, patch), &[])
        .await
        .expect("tried");
    assert_eq!(outcome, ApplyOutcome::Applied);
    let ok = bench.seal(&mut session).await;
    let plan = session.prepare_for(&ok).await.expect("written");
    assert_eq!(
        session.land_for(&plan, &ok).await.expect("tried"),
        LandOutcome::Landed
    );
    assert_eq!(bench.status(), "");
    assert!(bench.fixture.repo().join("docs").is_file());
}

/// Moves the ref as a landing does, and nothing else: what a kill right after it leaves.
fn only_the_ref(bench: &Bench, plan: &LandingPlan) {
    bench.fixture.git(&[
        "update-ref",
        "refs/heads/main",
        plan.new.as_str(),
        plan.old.as_str(),
    ]);
}

#[tokio::test]
async fn a_landing_that_stopped_after_the_ref_is_completed() {
    for edit in [
        |_: &Fixture| {},
        // Half of the files were written already.
        |fixture: &Fixture| fixture.write("app/a.txt", "a1\nA2\na3\n"),
        |fixture: &Fixture| fixture.write("app/new/c.txt", "c\n"),
        // And one was being replaced.
        |fixture: &Fixture| {
            std::fs::remove_file(fixture.repo().join("app/a.txt")).expect("removed");
        },
        |fixture: &Fixture| {
            fixture.write("app/a.txt", "a1\nA2\na3\n");
            fixture.git(&["add", "app/a.txt"]);
        },
    ] {
        let bench = Bench::new().await;
        bench.fixture.write("docs/readme.md", "# Mine\n");
        let (mut session, _, plan) = bench.prepared().await;
        only_the_ref(&bench, &plan);
        edit(&bench.fixture);
        assert_eq!(
            session.roll_forward(&plan).await.expect("tried"),
            LandOutcome::Landed
        );
        assert_eq!(
            bench.status(),
            " M docs/readme.md",
            "the person's own work is as it was"
        );
        assert!(session.candidate().is_none());
        assert_eq!(
            session.roll_forward(&plan).await.expect("tried"),
            LandOutcome::Landed
        );
    }
}

#[tokio::test]
async fn what_a_person_edited_meanwhile_is_kept() {
    let bench = Bench::new().await;
    let (mut session, _, plan) = bench.prepared().await;
    only_the_ref(&bench, &plan);
    bench.fixture.write("app/a.txt", "mine\n");
    let outcome = session.roll_forward(&plan).await.expect("tried");
    let LandOutcome::EditedMeanwhile { detail } = outcome else {
        panic!("{outcome:?}")
    };
    let place = bench.fixture.repo().display().to_string();
    insta::assert_snapshot!(detail.replace(&place, "REPO"), @"the branch has moved, but app/a.txt in REPO was changed meanwhile and is kept as it is: compare with `git diff HEAD`, take what landed with `git checkout HEAD -- <path>`");
    let kept = std::fs::read_to_string(bench.fixture.repo().join("app/a.txt")).expect("there");
    assert_eq!(kept, "mine\n");
    assert!(
        !bench.fixture.repo().join("app/new").exists(),
        "nothing else was done either"
    );
}

#[tokio::test]
async fn a_commit_on_top_of_a_landing_counts_as_landed() {
    let bench = Bench::new().await;
    let (mut session, ok, plan) = bench.prepared().await;
    assert_eq!(
        session.land_for(&plan, &ok).await.expect("tried"),
        LandOutcome::Landed
    );
    bench.fixture.write("other", "x\n");
    bench.fixture.commit("on top");
    assert_eq!(
        session.roll_forward(&plan).await.expect("tried"),
        LandOutcome::Landed
    );
}

#[tokio::test]
async fn the_lock_of_a_killed_landing_is_removed_by_the_next_session() {
    let bench = Bench::new().await;
    let (session, _, plan) = bench.prepared().await;
    let checkout = landing::testing_checkout(&bench.fixture.repo());
    let held = landing::testing_hold(&bench.fixture.repository, checkout).await;
    std::mem::forget(held);
    only_the_ref(&bench, &plan);
    drop(session);
    assert!(bench.fixture.repo().join(".git/index.lock").exists());
    let mut session = bench.session().await;
    assert!(!bench.fixture.repo().join(".git/index.lock").exists());
    assert_eq!(
        session.roll_forward(&plan).await.expect("tried"),
        LandOutcome::Landed
    );
    assert_eq!(bench.status(), "");
}

#[tokio::test]
async fn a_filter_of_the_repository_runs_only_when_it_is_named() {
    let marker = tempfile::tempdir().expect("temporary directory");
    let script = format!("touch {}/ran; cat", marker.path().display());
    let files = [
        FILES,
        &[(".gitattributes", "*.bin filter=evil\n"), ("x.bin", "1\n")],
    ]
    .concat();
    for (named, expected) in [(vec![], false), (vec!["evil"], true)] {
        let bench = Bench::with(&files, |options| options.filters(named)).await;
        let mut session = bench.session().await;
        bench.add(&mut session, 1, "x.bin", "2\n").await;
        bench.fixture.git(&["config", "filter.evil.clean", &script]);
        bench
            .fixture
            .git(&["config", "filter.evil.smudge", &script]);
        let ok = bench.seal(&mut session).await;
        let plan = session.prepare_for(&ok).await.expect("written");
        assert_eq!(
            session.land_for(&plan, &ok).await.expect("tried"),
            LandOutcome::Landed
        );
        assert_eq!(marker.path().join("ran").exists(), expected);
    }
}

#[tokio::test]
async fn a_bare_repository_lands_by_its_ref_alone() {
    let bench = Bench::new().await;
    let bare = bench.fixture.root().join("bare.git");
    let path = bare.to_str().expect("plain");
    git(
        &bench.fixture.root(),
        &["clone", "-q", "--bare", "repo", path],
    );
    let state = bench.fixture.root().join("bare-state");
    let repository = Repository::open(Default::default(), &bare, state)
        .await
        .expect("opens");
    let options = IntegratorOptions::new("main-codex", "machine-1");
    let integrator = GitIntegrator::new(&repository, options);
    let mut session = integrator
        .session(&Bench::target())
        .await
        .expect("opens")
        .expect("free");
    bench.add(&mut session, 1, "app/a.txt", "A\n").await;
    let ok = bench.seal(&mut session).await;
    let plan = session.prepare_for(&ok).await.expect("written");
    assert_eq!(
        session.land_for(&plan, &ok).await.expect("tried"),
        LandOutcome::Landed
    );
    assert_eq!(git(&bare, &["show", "main:app/a.txt"]), "A");
}

#[tokio::test]
async fn sign_off_and_signatures_are_configuration() {
    // Says what git waits for from gpg, and signs nothing.
    let dir = tempfile::tempdir().expect("temporary directory");
    let program = dir.path().join("sign");
    write(
        &program,
        "#!/bin/sh\ncat > /dev/null\necho \"[GNUPG:] SIG_CREATED $SIGNER\" >&2\n\
         echo \"-----BEGIN PGP SIGNATURE-----\"; echo; echo \"$SIGNER $*\"\n\
         echo \"-----END PGP SIGNATURE-----\"\n",
    );
    crate::testing::make_executable(&program);
    let bench = Bench::with(FILES, |options| {
        let signing = Signing::new("openpgp", "0xADA").env("SIGNER", "ada");
        options
            .sign_off(true)
            .signing(signing.program(program.display().to_string()))
    })
    .await;
    let (mut session, ok, plan) = bench.prepared().await;
    assert_eq!(
        session.land_for(&plan, &ok).await.expect("tried"),
        LandOutcome::Landed
    );
    let message = bench.fixture.git(&["log", "-1", "--format=%B", "main"]);
    assert!(
        message.ends_with("Signed-off-by: Ada <ada@example.org>"),
        "{message}"
    );
    let raw = bench.fixture.git(&["cat-file", "commit", "main"]);
    assert!(
        raw.contains(
            "
 ada --status-fd=2 -bsau 0xADA
"
        ),
        "{raw}"
    );
    let trailers = session
        .trailers(&pipeline_core::integrate::TrailerSearch {
            tip: plan.new.clone(),
            oldest: vec![plan.old.clone()],
        })
        .await
        .expect("searched");
    assert_eq!(trailers.len(), 2);
    assert!(try_git(
        &bench.fixture.repo(),
        &["fsck", "--strict", "--no-dangling"]
    ));
}
