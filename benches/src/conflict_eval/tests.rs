use super::*;

/// Runs git as the person who made the history.
#[expect(clippy::disallowed_methods, reason = "makes the history under test")]
fn git(repo: &Path, args: &[&str]) {
    let mut command = std::process::Command::new("git");
    command
        .args(args)
        .current_dir(repo)
        .env_clear()
        .env("PATH", "/usr/local/bin:/opt/homebrew/bin:/usr/bin:/bin")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null");
    for role in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{role}_NAME"), "Test")
            .env(format!("GIT_{role}_EMAIL"), "test@example.org")
            .env(format!("GIT_{role}_DATE"), "1700000000 +0000");
    }
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "git {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A history whose windows of three are: two changes in the same lines and one elsewhere; then one change that
/// the next rests on, and one elsewhere.
fn history(repo: &Path) {
    let commit = |files: &[(&str, &str)]| {
        for (path, text) in files {
            let path = repo.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        git(repo, &["add", "-A"]);
        git(repo, &["commit", "-q", "-m", "change"]);
    };
    git(repo, &["init", "-q", "-b", "main"]);
    commit(&[
        ("src/a.rs", "1\n2\n3\n"),
        ("src/b.rs", "1\n"),
        ("Cargo.toml", ""),
    ]);
    commit(&[("src/a.rs", "one\n2\n3\n")]);
    commit(&[("src/a.rs", "uno\n2\n3\n")]);
    commit(&[("src/b.rs", "2\n")]);
    commit(&[("src/c.rs", "1\n")]);
    commit(&[("src/c.rs", "2\n")]);
    commit(&[("docs/x.md", "1\n")]);
}

#[tokio::test]
async fn figures_follow_what_git_can_merge() {
    let repo = tempfile::tempdir().unwrap();
    history(repo.path());
    let settings = Settings {
        size: 3,
        ..Settings::default()
    };
    let evaluation = evaluate(repo.path(), &settings).await.unwrap();
    assert_eq!(evaluation.conflicts(), 2);
    assert_eq!(evaluation.one_by_one(), 6);
    for policy in &evaluation.policies {
        assert_eq!(
            (policy.kept_apart, policy.watched, policy.left),
            (2, 0, 0),
            "{}",
            policy.name
        );
        assert_eq!(policy.batches, 4, "{}", policy.name);
    }
    insta::assert_snapshot!(evaluation, @r#"
    2 windows of 3 changes, as if started together; 1 bulk or empty changes left out
    presets: rust
    6 files changed, 60% declared beforehand (seed 1), so 0 are drift
    6 pairs, 2 of them git can not merge; 2 changes rest on an earlier one of their window

    | policy | conflicts kept apart | seen by the watch | left to the integrator | pairs in parallel | apart without textual conflict | drift into a lock | batches | per window | to one by one | to same file only |
    |---|---|---|---|---|---|---|---|---|---|---|
    | one by one | 2 (100%) | 0 | 0 | 0 (0%) | 4 | 0 | 6 | 3.0 | 1.0x | |
    | same file only | 2 (100%) | 0 | 0 | 4 (67%) | 0 | 0 | 4 | 2.0 | 1.5x | 1.0x |
    | same file + coupling | 2 (100%) | 0 | 0 | 4 (67%) | 0 | 0 | 4 | 2.0 | 1.5x | 1.0x |
    | rules | 2 (100%) | 0 | 0 | 4 (67%) | 0 | 0 | 4 | 2.0 | 1.5x | 1.0x |
    | rules + coupling | 2 (100%) | 0 | 0 | 4 (67%) | 0 | 0 | 4 | 2.0 | 1.5x | 1.0x |
    "#);
    let again = evaluate(repo.path(), &settings).await.unwrap();
    assert_eq!(again.to_string(), evaluation.to_string());
}

#[tokio::test]
async fn a_short_history_is_said_to_be_short() {
    let repo = tempfile::tempdir().unwrap();
    history(repo.path());
    let settings = Settings {
        size: 20,
        ..Settings::default()
    };
    let error = evaluate(repo.path(), &settings).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the history is too short: there is no window of 20 changes"
    );
}
