use super::*;
use crate::testing::Fixture;

fn files(commit: &CommitFiles) -> Vec<String> {
    commit.files.iter().map(ToString::to_string).collect()
}

/// A branch with a merged side branch, a rename, a deletion and a name that is not UTF-8.
async fn history() -> Fixture {
    let fixture = Fixture::with(&[("a.txt", "1\n"), ("b.txt", "1\n")]).await;
    fixture.git(&["mv", "a.txt", "c.txt"]);
    fixture.commit("rename");
    fixture.git(&["checkout", "-q", "-b", "side"]);
    fixture.write("side/x.txt", "1\n");
    fixture.commit("side");
    fixture.git(&["checkout", "-q", "main"]);
    fixture.write("d\u{e9}.txt", "1\n");
    fixture.commit("name");
    fixture.git(&["merge", "-q", "--no-ff", "-m", "merge", "side"]);
    fixture.git(&["rm", "-q", "b.txt"]);
    fixture.commit("remove");
    fixture
}

#[tokio::test]
async fn every_commit_tells_its_files_and_a_merge_tells_none() {
    let fixture = history().await;
    let commits = fixture
        .repository
        .commits("main", None, Walk::Every, 100)
        .await
        .unwrap();
    let mut told: Vec<(Vec<String>, usize)> =
        commits.iter().map(|it| (files(it), it.parents)).collect();
    assert_eq!(
        told.first().unwrap(),
        &(vec!["a.txt".to_owned(), "b.txt".to_owned()], 0)
    );
    assert_eq!(told.last().unwrap(), &(vec!["b.txt".to_owned()], 1));
    assert!(told.contains(&(Vec::new(), 2)));
    told.retain(|(files, _)| {
        files.contains(&"d\u{e9}.txt".to_owned()) || files.contains(&"a.txt".to_owned())
    });
    assert_eq!(told[1].0, ["a.txt", "c.txt"], "a rename shows both ends");
    assert_eq!(
        commits.last().unwrap().id,
        fixture.git(&["rev-parse", "main"])
    );
}

#[tokio::test]
async fn what_landed_takes_a_merge_for_one_change() {
    let fixture = history().await;
    let repository = &fixture.repository;
    let landed = repository
        .commits("main", None, Walk::Landed, 100)
        .await
        .unwrap();
    let told: Vec<Vec<String>> = landed.iter().map(files).collect();
    assert_eq!(told[3], ["side/x.txt"]);
    assert_eq!(landed.len(), 5);
    let newest = repository
        .commits("main", None, Walk::Landed, 2)
        .await
        .unwrap();
    assert_eq!(newest, landed[3..]);
    let after = repository
        .commits("main", Some(&landed[3].id), Walk::Landed, 100)
        .await
        .unwrap();
    assert_eq!(after, landed[4..]);
    assert!(
        repository
            .is_ancestor(&landed[0].id, &landed[4].id)
            .await
            .unwrap()
    );
    assert!(
        !repository
            .is_ancestor(&landed[4].id, &landed[0].id)
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn files_and_commits_of_a_revision() {
    let fixture = history().await;
    let files = fixture.repository.files_at("main").await.unwrap();
    let shown: Vec<String> = files.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["c.txt", "d\u{e9}.txt", "side/x.txt"]);
    let commit = fixture.repository.commit("main").await.unwrap();
    assert_eq!(commit, fixture.git(&["rev-parse", "main"]));
    for bad in ["nothing", "--all", "main; rm"] {
        assert!(fixture.repository.commit(bad).await.is_err(), "{bad}");
        assert!(
            fixture
                .repository
                .commits(bad, None, Walk::Every, 1)
                .await
                .is_err(),
            "{bad}"
        );
    }
}

#[tokio::test]
async fn a_replay_shows_what_would_have_met_and_writes_nothing() {
    let fixture = Fixture::with(&[("a.txt", "1\n2\n3\n4\n5\n6\n7\n8\n")]).await;
    let base = fixture.git(&["rev-parse", "HEAD"]);
    fixture.write("a.txt", "one\n2\n3\n4\n5\n6\n7\n8\n");
    let first = fixture.commit("first line").hex();
    fixture.write("a.txt", "one\n2\n3\n4\n5\n6\n7\neight\n");
    let last = fixture.commit("last line").hex();
    fixture.write("a.txt", "uno\n2\n3\n4\n5\n6\n7\neight\n");
    let again = fixture.commit("first line again").hex();
    let before = fixture.git(&["count-objects", "-v"]);

    let replay = Replay::new(&fixture.repository, &fixture.root().join("replay"))
        .await
        .unwrap();
    // The change of the last line does not need that of the first, the third change does.
    let alone = replay.merge(&first, &base, &last).await.unwrap();
    assert!(alone.clean);
    assert!(!replay.merge(&last, &base, &again).await.unwrap().clean);
    assert!(
        replay
            .merge(&base, &first, &alone.commit)
            .await
            .unwrap()
            .clean
    );
    let patch = replay.patch_between(&base, &alone.commit).await.unwrap();
    assert!(String::from_utf8_lossy(&patch).contains("+eight"));
    assert!(!String::from_utf8_lossy(&patch).contains("+one"));
    assert_eq!(fixture.git(&["count-objects", "-v"]), before);
}
