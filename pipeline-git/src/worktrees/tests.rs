use super::*;
use crate::git::GitOptions;
use crate::testing::Fixture;

#[test]
fn the_answer_of_git_is_read() {
    let listed = b"worktree /r\0HEAD 00\0branch refs/heads/main\0\0\
        worktree /w/a b\nc\0HEAD 00\0detached\0locked why\0\0worktree /b\0bare\0\0";
    let read = parse(listed).expect("well formed");
    let short: Vec<_> = read
        .iter()
        .map(|w| {
            (
                w.path.to_string_lossy().into_owned(),
                w.branch.as_deref(),
                w.bare,
            )
        })
        .collect();
    assert_eq!(
        short,
        [
            ("/r".to_owned(), Some("refs/heads/main"), false),
            ("/w/a b\nc".to_owned(), None, false),
            ("/b".to_owned(), None, true),
        ]
    );
    assert_eq!(parse(b"HEAD 00\0"), None);
    assert_eq!(parse(b""), Some(Vec::new()));
}

/// Makes an entry as git leaves it when it is ended right after it opened `commondir`.
fn half_an_entry(fixture: &Fixture, name: &str, of: &Path) -> PathBuf {
    let entry = folder(fixture.repository.common_dir()).join(name);
    std::fs::create_dir_all(&entry).expect("made");
    std::fs::write(entry.join("locked"), "initializing").expect("written");
    let file = of.join(".git").into_os_string().into_encoded_bytes();
    std::fs::write(entry.join("gitdir"), [&file[..], b"\n"].concat()).expect("written");
    std::fs::write(entry.join("commondir"), "").expect("written");
    entry
}

async fn add_one(fixture: &Fixture, name: &str) -> Result<PathBuf, GitError> {
    let dir = fixture.repository.state_dir().join("workspaces").join(name);
    std::fs::create_dir(&dir).expect("made");
    let tree = dir.join("tree");
    add(&fixture.repository, &tree, &fixture.oid("HEAD")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn entries_made_listed_and_removed_side_by_side_disturb_nobody() {
    let fixture = Fixture::with(&[("a", "a\n")]).await;
    let commit = fixture.oid("HEAD");
    let tasks: Vec<_> = (0..12)
        .map(|n| {
            let repository = fixture.repository.clone();
            let dir = repository.state_dir().join(format!("workspaces/run-{n}"));
            tokio::spawn(async move {
                for _ in 0..4 {
                    std::fs::create_dir(&dir).expect("made");
                    add(&repository, &dir.join("tree"), &commit).await?;
                    list(&repository).await?;
                    std::fs::remove_dir_all(&dir).expect("removed");
                    if n % 2 == 0 {
                        forget(&repository, &dir.join("tree")).await?;
                    } else {
                        let common = repository.common_dir();
                        remove_below(common, &dir, |file| !file.exists()).expect("removed");
                    }
                }
                Ok::<_, GitError>(())
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic").expect("nobody is disturbed");
    }
    assert_eq!(list(&fixture.repository).await.expect("listed").len(), 1);
}

#[tokio::test]
async fn an_entry_that_somebody_else_is_writing_is_waited_for() {
    let fixture = Fixture::with(&[("a", "a\n")]).await;
    let theirs = half_an_entry(&fixture, "theirs", &fixture.root().join("elsewhere"));
    // A git that meets it three times, while somebody completes it after that.
    let (slow, count) = (fixture.root().join("git"), fixture.root().join("count"));
    let script = format!(
        "#!/bin/sh\ngit \"$@\"\ncode=$?\nif [ $code = 128 ]; then echo >> '{count}'; fi\n\
         if [ $(wc -l < '{count}') -ge 3 ]; then echo ../.. > '{commondir}'; fi\nexit $code\n",
        count = count.display(),
        commondir = theirs.join("commondir").display(),
    );
    std::fs::write(&count, "").expect("written");
    // Written by a child: a file that this process has open for writing, or a child it is just starting, cannot be run.
    let writing = pipeline_core::process::ProcessSpec::new("sh", fixture.root())
        .args(["-c", "cat > git && chmod 755 git"])
        .stdin(script.into_bytes());
    assert!(writing.run().await.expect("sh starts").succeeded());
    let repository = Repository::open(
        GitOptions::new(&slow),
        fixture.repo(),
        fixture.root().join("state"),
    )
    .await
    .expect("opens");
    std::fs::write(&count, "").expect("written");
    let tree = fixture.root().join("state/tree");
    add(&repository, &tree, &fixture.oid("HEAD"))
        .await
        .expect("added in the end");
    let met = std::fs::read_to_string(&count).expect("there");
    assert_eq!(met.lines().count(), 3, "it was met before it was whole");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_for_a_turn_keeps_no_thread_and_can_be_ended() {
    let fixture = Fixture::with(&[("a", "a\n")]).await;
    let repository = &fixture.repository;
    let held = turn(repository, true).await.expect("asked").expect("taken");
    let mut waiting = std::pin::pin!(turn(repository, true));
    for _ in 0..3 {
        let looked = tokio::time::timeout(FIRST_WAIT, &mut waiting).await;
        assert!(
            looked.is_err(),
            "nobody else has it before it is given back"
        );
    }
    drop(held);
    drop(waiting.await.expect("asked").expect("it is given back"));
    // A file that was taken away and made anew is another turn.
    let held = turn(repository, true).await.expect("asked").expect("taken");
    std::fs::remove_file(repository.common_dir().join(TURN)).expect("removed");
    assert!(turn(repository, false).await.expect("asked").is_none());
    drop(held);
}

#[tokio::test]
async fn half_an_entry_of_ours_is_mended_and_goes_with_its_workspace() {
    let fixture = Fixture::with(&[("a", "a\n")]).await;
    let dir = fixture.repository.state_dir().join("workspaces/run-dead");
    let entry = half_an_entry(&fixture, "tree", &dir.join("tree"));
    add_one(&fixture, "run-1").await.expect("added");
    assert!(entry.exists(), "whoever may go is decided elsewhere");
    forget(&fixture.repository, &dir.join("tree"))
        .await
        .expect("removed");
    assert!(!entry.exists());
}

#[tokio::test]
async fn half_an_entry_of_somebody_else_is_named_and_left_alone() {
    let fixture = Fixture::with(&[("a", "a\n")]).await;
    let theirs = half_an_entry(&fixture, "theirs", &fixture.root().join("elsewhere"));
    let error = add_one(&fixture, "run-1").await.expect_err("git cannot");
    let said = error.to_string();
    assert!(
        said.contains(&theirs.display().to_string()) && said.contains("remove it"),
        "{said}"
    );
    let commondir = std::fs::metadata(theirs.join("commondir")).expect("there");
    assert_eq!(commondir.len(), 0);
}
