use pipeline_core::patch::PatchLimits;
use pipeline_core::patch::parse;
use proptest::prelude::*;

use super::*;
use crate::object::splice;
use crate::testing::Fixture;
use crate::testing::git_env;

/// Applies a patch the way plain git does it, on the whole index.
fn by_plain_git(fixture: &Fixture, patch: &[u8]) -> String {
    let index = fixture.root().join("plain-index");
    let index = index.to_str().expect("a plain path");
    let file = fixture.root().join("plain.patch");
    std::fs::write(&file, patch).expect("written");
    let run = |args: &[&str]| git_env(&fixture.repo(), args, &[("GIT_INDEX_FILE", index)]);
    run(&["read-tree", "HEAD"]);
    run(&[
        "apply",
        "--cached",
        "--whitespace=nowarn",
        file.to_str().expect("a plain path"),
    ]);
    run(&["write-tree"])
}

async fn base(fixture: &Fixture, objects: &Objects) -> Oid {
    objects
        .commit(&fixture.oid("HEAD"))
        .await
        .expect("a commit")
        .tree
}

/// The patch of whatever the user's checkout differs in, which is put back afterwards.
fn patch_of(fixture: &Fixture) -> Vec<u8> {
    fixture.git(&["add", "-A"]);
    let file = fixture.root().join("made.patch");
    let output = format!("--output={}", file.display());
    fixture.git(&[
        "diff",
        "--cached",
        "--binary",
        "--full-index",
        "-M",
        &output,
    ]);
    fixture.git(&["reset", "-q", "--hard"]);
    fixture.git(&["clean", "-qfdx"]);
    std::fs::read(file).expect("git wrote it")
}

#[tokio::test]
async fn a_patch_that_fits_exactly_is_applied_without_git() {
    let fixture = Fixture::with(&[
        ("a.txt", "1\n2\n3\n4\n5\n6\n7\n8\n9\n"),
        ("b.txt", "only line without end"),
        ("crlf.txt", "a\r\nb\r\n"),
        ("gone.txt", "x\n"),
        ("old-name.txt", "same\ncontent\nhere\n"),
        ("mode.sh", "#!/bin/sh\n"),
        ("empty", ""),
    ])
    .await;
    fixture.write("a.txt", "0\n1\n2\n3\n4\n5\n6\nseven\n8\n9");
    fixture.write("b.txt", "only line with end\n");
    fixture.write("crlf.txt", "a\r\nB\r\n");
    fixture.write("new/deep/er.txt", "new\n");
    fixture.write("new/empty", "");
    fixture.write("new/binary", [0_u8, 1, 2, 255, 0]);
    std::fs::remove_file(fixture.repo().join("gone.txt")).expect("removed");
    std::fs::remove_file(fixture.repo().join("empty")).expect("removed");
    fixture.git(&["mv", "old-name.txt", "new-name.txt"]);
    fixture.git(&["update-index", "--chmod=+x", "mode.sh"]);
    fixture.git(&["config", "core.fileMode", "false"]);
    let patch = patch_of(&fixture);
    let objects = Objects::open(&fixture.repository).expect("opens");
    let tree = base(&fixture, &objects).await;
    let parsed = parse(&patch, &PatchLimits::default()).expect("a patch");
    let changes = exactly(&objects, &tree, &parsed)
        .await
        .expect("read")
        .expect("it fits");
    let new = splice(&objects, &tree, &changes).await.expect("no clash");
    assert_eq!(new.hex(), by_plain_git(&fixture, &patch));
}

#[tokio::test]
async fn a_patch_made_on_another_content_is_left_to_git() {
    let lines = |from: usize| {
        (from..40)
            .map(|n| format!("line {n}\n"))
            .collect::<String>()
    };
    let fixture = Fixture::with(&[("a.txt", &lines(0))]).await;
    fixture.write("a.txt", lines(0).replace("line 30\n", "thirty\n"));
    let patch = patch_of(&fixture);
    fixture.write("a.txt", format!("shifted\n{}", lines(0)));
    fixture.commit("shift");
    let objects = Objects::open(&fixture.repository).expect("opens");
    let tree = base(&fixture, &objects).await;
    let parsed = parse(&patch, &PatchLimits::default()).expect("a patch");
    assert!(
        exactly(&objects, &tree, &parsed)
            .await
            .expect("read")
            .is_none()
    );
    let Fit::Changes(changes) = fit(&objects, &tree, &parsed, &patch, false)
        .await
        .expect("run")
    else {
        panic!("it applies with an offset");
    };
    let new = splice(&objects, &tree, &changes).await.expect("no clash");
    assert_eq!(new.hex(), by_plain_git(&fixture, &patch));
    // And where the context is gone, the answer says where.
    fixture.write("a.txt", lines(0).replace("line 29\n", "another\n"));
    fixture.commit("conflict");
    let tree = base(&fixture, &objects).await;
    let Fit::No(detail) = fit(&objects, &tree, &parsed, &patch, false)
        .await
        .expect("run")
    else {
        panic!("it does not apply");
    };
    assert_eq!(
        detail,
        "patch failed: a.txt:28; a.txt: patch does not apply"
    );
}

#[tokio::test]
async fn three_way_applies_only_where_it_is_asked_for() {
    let fixture = Fixture::with(&[("a.txt", "1\n2\n3\n4\n5\n6\n7\n8\n")]).await;
    fixture.write("a.txt", "1\n2\n3\n4\nfive\n6\n7\n8\n");
    let patch = patch_of(&fixture);
    fixture.write("a.txt", "1\nTWO\n3\n4\n5\n6\n7\n8\n");
    fixture.commit("changed in the context");
    let objects = Objects::open(&fixture.repository).expect("opens");
    let tree = base(&fixture, &objects).await;
    let parsed = parse(&patch, &PatchLimits::default()).expect("a patch");
    assert!(matches!(
        fit(&objects, &tree, &parsed, &patch, false)
            .await
            .expect("run"),
        Fit::No(_)
    ));
    let Fit::Changes(changes) = fit(&objects, &tree, &parsed, &patch, true)
        .await
        .expect("run")
    else {
        panic!("it merges");
    };
    let Some(Change::Put { oid, .. }) = changes.get(&b"a.txt"[..]) else {
        panic!("{changes:?}")
    };
    assert_eq!(
        &*objects.blob(oid).await.expect("a blob"),
        b"1\nTWO\n3\n4\nfive\n6\n7\n8\n"
    );
}

#[tokio::test]
async fn a_patch_that_lies_about_its_result_is_not_believed() {
    let fixture = Fixture::with(&[("a.txt", "a\n")]).await;
    fixture.write("a.txt", "b\n");
    let patch = String::from_utf8(patch_of(&fixture)).expect("text");
    let lying = patch.replace("+b\n", "+c\n");
    let objects = Objects::open(&fixture.repository).expect("opens");
    let tree = base(&fixture, &objects).await;
    let parsed = parse(lying.as_bytes(), &PatchLimits::default()).expect("a patch");
    assert!(
        exactly(&objects, &tree, &parsed)
            .await
            .expect("read")
            .is_none()
    );
}

/// A file's lines: few different ones, so that hunks touch and contexts repeat.
fn content() -> impl Strategy<Value = String> {
    (
        proptest::collection::vec("[ab]{0,2}\r?", 0..24),
        any::<bool>(),
    )
        .prop_map(|(lines, ended)| {
            let mut text = lines.join("\n");
            if ended && !text.is_empty() {
                text.push('\n');
            }
            text
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn what_is_applied_here_is_what_plain_git_makes(
        before in proptest::collection::btree_map("[a-d](/[a-c])?", content(), 1..5),
        after in proptest::collection::btree_map("[a-d](/[a-c])?", content(), 1..5),
    ) {
        // A name cannot be a file and a directory in one tree.
        let proper = |files: &std::collections::BTreeMap<String, String>| {
            files
                .iter()
                .filter(|(path, _)| path.len() == 1 || !files.contains_key(&path[..1]))
                .map(|(path, content)| (path.clone(), content.clone()))
                .collect::<Vec<_>>()
        };
        let (before, after) = (proper(&before), proper(&after));
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let files: Vec<_> = before.iter().map(|(p, c)| (p.as_str(), c.as_str())).collect();
            let fixture = Fixture::with(&files).await;
            fixture.git(&["rm", "-rqf", "--ignore-unmatch", "."]);
            for (path, content) in &after {
                fixture.write(path, content);
            }
            let patch = patch_of(&fixture);
            let objects = Objects::open(&fixture.repository).expect("opens");
            let tree = base(&fixture, &objects).await;
            let parsed = parse(&patch, &PatchLimits::default()).expect("a patch of git");
            let changes = exactly(&objects, &tree, &parsed)
                .await
                .expect("read")
                .expect("a patch on its own base fits exactly");
            let new = splice(&objects, &tree, &changes).await.expect("no clash");
            if !patch.is_empty() {
                assert_eq!(new.hex(), by_plain_git(&fixture, &patch));
            }
            assert_eq!(new == tree, patch.is_empty());
        });
    }
}
