use super::*;
use crate::testing::Fixture;

#[tokio::test]
async fn opening_prepares_the_state_directory_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let fixture = Fixture::with(&[("a", "a\n")]).await;
    let state = fixture.repository.state_dir();
    let mode = std::fs::metadata(state)
        .expect("it exists")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
    assert_eq!(fixture.repository.common_dir(), fixture.repo().join(".git"));
    assert_eq!(
        fixture
            .repository
            .resolve("refs/heads/main")
            .await
            .expect("resolves"),
        Some(fixture.oid("main"))
    );
    assert_eq!(
        fixture
            .repository
            .resolve("refs/heads/none")
            .await
            .expect("resolves"),
        None
    );
}

#[tokio::test]
async fn a_folder_without_a_repository_is_named() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let error = Repository::open(GitOptions::default(), dir.path(), dir.path().join("state"))
        .await
        .expect_err("there is none");
    assert!(
        matches!(error.0, GitError::NotARepository { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn sha256_repositories_open_too() {
    let fixture = Fixture::of_format("sha256", &[("a", "a\n")]).await;
    assert_eq!(fixture.repository.format(), ObjectFormat::Sha256);
    assert_eq!(
        fixture.repository.resolve("main").await.expect("resolves"),
        Some(fixture.oid("main"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_that_start_at_once_each_finds_the_whole() {
    let fixture = Fixture::with(&[("a", "a\n")]).await;
    for round in 0..4 {
        let state = fixture.root().join(format!("state-{round}"));
        let dead = state.join(".new-git-dead");
        std::fs::create_dir_all(&dead).expect("made");
        let starts: Vec<_> = (0..8)
            .map(|_| {
                let (repo, state) = (fixture.repo(), state.clone());
                tokio::spawn(async move {
                    let opened = Repository::open(GitOptions::default(), repo, state).await;
                    let command = opened.expect("opens").plumbing();
                    command.args(["ls-files"]).run().await
                })
            })
            .collect();
        for start in starts {
            start.await.expect("no panic").expect("it is whole");
        }
        let left: Vec<_> = std::fs::read_dir(&state)
            .expect("there")
            .map(|entry| entry.expect("readable").file_name())
            .filter(|name| name.to_string_lossy().starts_with(FRESH))
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[tokio::test]
async fn half_a_plumbing_directory_is_made_anew() {
    let fixture = Fixture::with(&[("a", "a\n")]).await;
    for left in [&["refs/heads"][..], &["refs/heads", "HEAD"], &["HEAD"]] {
        let state = fixture.root().join(left.join("-").replace('/', "-"));
        let plumbing = state.join("plumbing.git");
        for part in left {
            let path = plumbing.join(part);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            match *part {
                "HEAD" => std::fs::write(path, "ref: refs/heads/main\n").expect("written"),
                _ => std::fs::create_dir_all(path).expect("made"),
            }
        }
        for _ in 0..2 {
            let opened = Repository::open(GitOptions::default(), fixture.repo(), &state).await;
            let command = opened.expect("opens").plumbing();
            command.args(["ls-files"]).run().await.expect("it is whole");
        }
    }
}
