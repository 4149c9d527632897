use std::os::unix::fs::symlink;

use pipeline_core::patch::RepoPath;
use pipeline_core::protected::Evidence;
use pipeline_core::protected::HoldReason;
use pipeline_core::protected::ProtectedKind;

use super::*;

#[tokio::test]
async fn a_candidate_is_a_chain_and_nothing_else_moves() {
    let bench = Bench::new().await;
    let (tip, status) = (bench.tip(), bench.status());
    let branches = bench
        .fixture
        .git(&["for-each-ref", "refs/heads", "refs/tags"]);
    let mut session = bench.session().await;
    bench
        .add(&mut session, 1, "app/a.txt", "a1\nA2\na3\n")
        .await;
    bench
        .add(&mut session, 2, "app/b.txt", "b1\nB2\nb3\n")
        .await;
    bench.store(&mut session).await;
    let candidate = session.candidate().expect("two patches").clone();
    assert_eq!(candidate.commits.len(), 2);
    assert_eq!(candidate.base.commit.as_str(), tip);
    let last = candidate.tip().expect("a chain");
    let shown = bench.fixture.git(&[
        "log",
        "--format=%an <%ae> %at|%B",
        last.commit.as_str(),
        "-2",
    ]);
    insta::assert_snapshot!(shown, @r"
    codex-1 <codex-1@example.org> 1700000000|Do what SHOP-2 asks

    Agent-Claim: SHOP-2 102 00000000000000000000000000000002
    Agent-Round: SHOP-2 12

    codex-1 <codex-1@example.org> 1700000000|Do what SHOP-1 asks

    Agent-Claim: SHOP-1 101 00000000000000000000000000000001
    Agent-Round: SHOP-1 11
    ");
    let show = |path: &str| {
        bench
            .fixture
            .git(&["show", &format!("{}:{path}", last.commit)])
    };
    assert_eq!(show("app/a.txt"), "a1\nA2\na3");
    assert_eq!(show("app/b.txt"), "b1\nB2\nb3");
    assert_eq!((bench.tip(), bench.status()), (tip, status));
    assert_eq!(
        bench
            .fixture
            .git(&["for-each-ref", "refs/heads", "refs/tags"]),
        branches
    );
    bench.fixture.git(&["fsck", "--strict", "--no-dangling"]);
}

#[tokio::test]
async fn a_candidate_survives_the_session_and_garbage_collection() {
    let bench = Bench::new().await;
    let mut session = bench.session().await;
    bench
        .add(&mut session, 1, "app/a.txt", "a1\nA2\na3\n")
        .await;
    bench.store(&mut session).await;
    let before = session.candidate().cloned();
    drop(session);
    bench.fixture.git(&["gc", "-q", "--prune=now"]);
    let session = bench.session().await;
    assert_eq!(session.candidate().cloned(), before);
    drop(session);
    let listed = bench.integrator.candidates().await.expect("listed");
    assert_eq!(listed.first(), before.as_ref());
    let diff = bench.integrator.diff(&listed[0]).await.expect("derived");
    assert!(String::from_utf8_lossy(&diff).contains("+A2\n"));
}

#[tokio::test]
async fn the_id_follows_content_and_not_the_moment() {
    let bench = Bench::new().await;
    let mut session = bench.session().await;
    bench
        .add(&mut session, 1, "app/a.txt", "a1\nA2\na3\n")
        .await;
    let first = session.candidate().expect("waits").clone();
    session.discard().await.expect("dropped");
    assert!(session.candidate().is_none());
    bench
        .add(&mut session, 1, "app/a.txt", "a1\nA2\na3\n")
        .await;
    assert_eq!(
        session.candidate(),
        Some(&first),
        "the same work makes the same commits"
    );
    bench.add(&mut session, 2, "app/b.txt", "b\n").await;
    assert_ne!(session.candidate().expect("waits").id(), first.id());
}

#[tokio::test]
async fn a_patch_that_does_not_apply_leaves_every_byte() {
    let bench = Bench::new().await;
    let stale = bench.patch(|fixture| fixture.write("app/a.txt", "a1\nother\na3\n"));
    let mut session = bench.session().await;
    bench
        .add(&mut session, 1, "app/a.txt", "a1\nA2\na3\n")
        .await;
    let before = (
        session.candidate().cloned(),
        bench.fixture.git(&["for-each-ref"]),
    );
    let outcome = session
        .apply(&bench.submission(2, stale), &[])
        .await
        .expect("tried");
    let ApplyOutcome::DoesNotApply { detail } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        detail,
        "patch failed: app/a.txt:1; app/a.txt: patch does not apply"
    );
    assert_eq!(
        (
            session.candidate().cloned(),
            bench.fixture.git(&["for-each-ref"])
        ),
        before
    );
}

#[tokio::test]
async fn work_that_is_there_already_is_empty() {
    let bench = Bench::new().await;
    let mut session = bench.session().await;
    let nothing = bench.submission(1, Patch::new(Vec::new()));
    assert_eq!(
        session.apply(&nothing, &[]).await.expect("tried"),
        ApplyOutcome::Empty
    );
    assert!(session.candidate().is_none());
}

#[tokio::test]
async fn paths_outside_the_declared_ones_are_drift() {
    let bench = Bench::new().await;
    let patch = bench.patch(|fixture| {
        fixture.write("app/a.txt", "A\n");
        fixture.git(&["mv", "app/b.txt", "app/名前.txt"]);
    });
    let mut session = bench.session().await;
    let declared = ["app/a.txt".to_owned()];
    session
        .apply(&bench.submission(1, patch), &declared)
        .await
        .expect("tried");
    let commit = &session.candidate().expect("waits").commits[0];
    assert_eq!(commit.touched, ["app/a.txt", "app/b.txt", "app/名前.txt"]);
    assert_eq!(commit.drift, ["app/b.txt", "app/名前.txt"]);
}

#[tokio::test]
async fn hostile_patches_are_refused_with_a_sentence() {
    let bench = Bench::new().await;
    let link = bench.patch(|fixture| {
        symlink("/etc/passwd", fixture.repo().join("app/link")).expect("linked");
    });
    let gitlink = bench.patch(|fixture| {
        let commit = fixture.git(&["rev-parse", "HEAD"]);
        fixture.git(&[
            "update-index",
            "--add",
            "--cacheinfo",
            &format!("160000,{commit},sub"),
        ]);
        std::fs::create_dir(fixture.repo().join("sub")).expect("made");
    });
    let new_file = |path: &str| {
        let diff = format!(
            "diff --git a/{path} b/{path}\nnew file mode 100644\n\
             index 0000000000000000000000000000000000000000..e965047ad7c57865823c7d992b1d046ea66edf78\n\
             --- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+Hello\n"
        );
        Patch::new(diff.into_bytes())
    };
    let cases = [
        (
            link,
            "`app/link` is a symbolic link, which a patch may not add, change or remove",
        ),
        (
            gitlink,
            "`sub` is a submodule, which a patch may not add, change or remove",
        ),
        (new_file("../x"), "`../x` points outside the repository"),
        (
            new_file(".git/config"),
            "`.git/config` reaches into git's own folder",
        ),
    ];
    let mut session = bench.session().await;
    for (patch, expected) in cases {
        let outcome = session
            .apply(&bench.submission(1, patch), &[])
            .await
            .expect("tried");
        let ApplyOutcome::Refused { reason } = outcome else {
            panic!("{expected}: {outcome:?}")
        };
        assert_eq!(reason, expected);
    }
    assert!(session.candidate().is_none());
    let objects = std::fs::read_dir(bench.fixture.repo().join(".git/objects")).expect("read");
    let before = objects.count();
    drop(session);
    let quarantine = std::fs::read_dir(bench.fixture.repository.quarantine()).expect("read");
    assert_eq!(quarantine.count(), 0);
    assert!(before > 0);
}

#[tokio::test]
async fn what_the_team_holds_and_what_a_filter_would_touch_is_held() {
    let finder: HoldFinder = Arc::new(|patch| {
        let found = patch
            .files()
            .iter()
            .any(|file| file.path().as_str() == Some("app/a.txt"));
        let reason = HoldReason::Class("team".parse().expect("a class"));
        let path = RepoPath::new("app/a.txt");
        let hold = Hold::new(reason, "rule", Evidence::Path { path });
        if found { vec![hold] } else { Vec::new() }
    });
    let files = [
        FILES,
        &[(".gitattributes", "*.bin filter=lfs\n"), ("x.bin", "1\n")],
    ]
    .concat();
    let bench = Bench::with(&files, |options| options.holds(finder)).await;
    let patch = bench.patch(|fixture| {
        fixture.write("app/a.txt", "A\n");
        fixture.write("x.bin", "2\n");
    });
    let mut session = bench.session().await;
    let mut submission = bench.submission(1, patch.clone());
    let text = "psql -c 'DROP TABLE x'".to_owned();
    let command = Hold::new(
        HoldReason::Protected(ProtectedKind::ALL[1]),
        "rule",
        Evidence::Command { text },
    );
    let by_id = command.lifted_by();
    submission.holds = vec![command.clone(), command];
    session.apply(&submission, &[]).await.expect("tried");
    let holds: Vec<_> = session
        .candidate()
        .expect("waits")
        .holds()
        .map(Hold::lifted_by)
        .collect();
    assert_eq!(holds, [by_id.as_str(), "--allow team", "--allow filter"]);
    drop(session);
    let named = IntegratorOptions::new("main-codex", "machine-1").filters(["lfs"]);
    let integrator = GitIntegrator::new(&bench.fixture.repository, named);
    let mut session = integrator
        .session(&Bench::target())
        .await
        .expect("opens")
        .expect("free");
    session.discard().await.expect("dropped");
    session
        .apply(&bench.submission(1, patch), &[])
        .await
        .expect("tried");
    assert_eq!(session.candidate().expect("waits").holds().count(), 0);
}

#[tokio::test]
async fn rebuilding_leaves_out_what_no_longer_applies() {
    let bench = Bench::new().await;
    let edits = [("app/a.txt", "a1\nA2\na3\n"), ("app/b.txt", "b1\nB2\nb3\n")];
    let submissions: Vec<_> = (1..)
        .zip(edits)
        .map(|(number, (path, content))| {
            let patch = bench.patch(|fixture| fixture.write(path, content));
            (bench.submission(number, patch), vec![path.to_owned()])
        })
        .collect();
    let mut session = bench.session().await;
    for (submission, declared) in &submissions {
        session.apply(submission, declared).await.expect("tried");
    }
    let first = session.candidate().expect("waits").id();
    bench.fixture.write("app/a.txt", "somebody else's\n");
    bench.fixture.commit("moved on");
    let base = session.tip().await.expect("read");
    let left_out = session.rebuild(&base, &submissions).await.expect("rebuilt");
    assert_eq!(left_out.len(), 1);
    assert_eq!(left_out[0].0, claim(1));
    let candidate = session.candidate().expect("one is left");
    assert_eq!(candidate.commits.len(), 1);
    assert_eq!(candidate.base.commit, base);
    assert_ne!(candidate.id(), first);
    let left_out = session
        .rebuild(&base, &submissions[..1])
        .await
        .expect("rebuilt");
    assert_eq!(left_out.len(), 1);
    assert!(session.candidate().is_none(), "nothing is left of it");
    assert_eq!(
        bench
            .fixture
            .git(&["for-each-ref", "refs/agents/candidate"]),
        ""
    );
}

#[tokio::test]
async fn a_sealed_candidate_takes_nothing_more() {
    let bench = Bench::new().await;
    let mut session = bench.session().await;
    bench
        .add(&mut session, 1, "app/a.txt", "a1\nA2\na3\n")
        .await;
    let at = Timestamp::from_millis(0);
    assert!(
        matches!(session.seal(at).await, Err(IntegrateError::WrongTree)),
        "not verified"
    );
    let wrong = VerificationRecord {
        tree: session.candidate().expect("waits").base.commit.clone(),
        commands: String::new(),
        verified: true,
        at,
    };
    assert!(matches!(
        session.set_verified(wrong).await,
        Err(IntegrateError::WrongTree)
    ));
    let ok = bench.seal(&mut session).await;
    assert_eq!(
        session.seal(at).await.expect("again is fine").as_str(),
        ok.subject
    );
    let patch = bench.patch(|fixture| fixture.write("app/b.txt", "b\n"));
    let error = session
        .apply(&bench.submission(2, patch), &[])
        .await
        .expect_err("sealed");
    assert!(matches!(error, IntegrateError::Sealed { .. }), "{error}");
    drop(session);
    let candidates = bench.integrator.candidates().await.expect("listed");
    let id = candidates[0].id();
    assert!(matches!(
        bench.integrator.resume(&id).await.expect("opens"),
        OpenOutcome::Opened(session) if session.candidate().is_some_and(|waiting| waiting.id() == id)
    ));
}

#[tokio::test]
async fn two_sessions_at_once_and_unknown_targets_are_answers() {
    let bench = Bench::new().await;
    let session = bench.session().await;
    let second = bench
        .integrator
        .open(&Bench::target())
        .await
        .expect("asked");
    assert!(matches!(second, OpenOutcome::Busy));
    drop(session);
    let error = bench
        .integrator
        .open(&Target::new("nope").expect("a name"))
        .await;
    assert_eq!(
        error.expect_err("there is none").to_string(),
        "target `nope` is not a branch of the repository: its branches are main"
    );
    bench
        .fixture
        .git(&["symbolic-ref", "refs/heads/alias", "refs/heads/main"]);
    let error = bench
        .integrator
        .open(&Target::new("alias").expect("a name"))
        .await;
    assert_eq!(
        error.expect_err("it is an alias").to_string(),
        "target `alias` is not a branch of the repository: it only points to refs/heads/main, which is the one to name"
    );
}

#[tokio::test]
async fn a_damaged_record_is_an_error_that_says_what_to_do() {
    let bench = Bench::new().await;
    let mut session = bench.session().await;
    bench
        .add(&mut session, 1, "app/a.txt", "a1\nA2\na3\n")
        .await;
    drop(session);
    bench
        .fixture
        .git(&["update-ref", "refs/agents/candidate/main", "main"]);
    let error = bench
        .integrator
        .open(&Bench::target())
        .await
        .expect_err("it is no record");
    assert_eq!(
        error.to_string(),
        "the candidate of main is damaged: its record is missing; its patches are still stored, \
         so drop it with `git update-ref -d refs/agents/candidate/main` and run `integrate`"
    );
}
