use std::collections::BTreeMap;

use super::*;
use crate::oid::Kind;
use crate::oid::Oid;
use crate::testing::Fixture;

const FILES: &[(&str, &str)] = &[
    ("a.txt", "a\n"),
    ("dir/b.txt", "b\n"),
    ("dir/sub/c.txt", "c\n"),
    ("dir.x", "x\n"),
];

fn put(oid: Oid) -> Change {
    Change::Put {
        mode: Mode::FILE,
        oid,
    }
}

fn changes(list: &[(&str, Change)]) -> BTreeMap<Vec<u8>, Change> {
    list.iter()
        .map(|(path, change)| (path.as_bytes().to_vec(), *change))
        .collect()
}

async fn root(fixture: &Fixture, objects: &Objects) -> Oid {
    objects
        .commit(&fixture.oid("HEAD"))
        .await
        .expect("a commit")
        .tree
}

#[tokio::test]
async fn a_spliced_tree_is_the_one_plain_git_writes() {
    for format in ["sha1", "sha256"] {
        let fixture = Fixture::of_format(format, FILES).await;
        let objects = Objects::open(&fixture.repository).expect("opens");
        let root = root(&fixture, &objects).await;
        let blob = objects
            .write(Kind::Blob, b"new\n".to_vec())
            .expect("written");
        let tree = splice(
            &objects,
            &root,
            &changes(&[
                ("dir/sub/c.txt", Change::Delete),
                ("dir/n\u{e4}u.txt", put(blob)),
                ("dir.x", Change::Delete),
                ("dir.x/deep/er", put(blob)),
            ]),
        )
        .await
        .expect("fits");
        fixture.write("dir/n\u{e4}u.txt", "new\n");
        std::fs::remove_file(fixture.repo().join("dir/sub/c.txt")).expect("removed");
        std::fs::remove_file(fixture.repo().join("dir.x")).expect("removed");
        fixture.write("dir.x/deep/er", "new\n");
        fixture.git(&["add", "-A"]);
        assert_eq!(tree.hex(), fixture.git(&["write-tree"]));
    }
}

#[tokio::test]
async fn paths_that_exclude_each_other_are_refused() {
    let fixture = Fixture::with(FILES).await;
    let objects = Objects::open(&fixture.repository).expect("opens");
    let root = root(&fixture, &objects).await;
    let blob = objects
        .write(Kind::Blob, b"new\n".to_vec())
        .expect("written");
    for (list, expected) in [
        (
            vec![("a.txt/x", put(blob))],
            "a.txt: it is a file, so nothing can lie below it",
        ),
        (vec![("dir", put(blob))], "dir: there is something below it"),
        (
            vec![("none", Change::Delete)],
            "none: there is no such file to delete",
        ),
        (
            vec![("n", put(blob)), ("n/x", put(blob))],
            "n: it is a directory that is not empty",
        ),
    ] {
        let error = splice(&objects, &root, &changes(&list))
            .await
            .expect_err("cannot be");
        let expected = expected.replace(
            "there is something below it",
            "it is a directory that is not empty",
        );
        assert_eq!(error.to_string(), expected);
    }
    let emptied: Vec<_> = FILES
        .iter()
        .map(|(path, _)| (*path, Change::Delete))
        .collect();
    let tree = splice(&objects, &root, &changes(&emptied))
        .await
        .expect("an empty tree");
    assert_eq!(tree.hex(), "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
}

#[tokio::test]
async fn staged_objects_are_seen_by_git_but_not_in_the_repository_until_kept() {
    let fixture = Fixture::with(FILES).await;
    let objects = Objects::open(&fixture.repository).expect("opens");
    let root = root(&fixture, &objects).await;
    let blob = objects.write(Kind::Blob, b"n\n".to_vec()).expect("written");
    let tree = splice(&objects, &root, &changes(&[("a.txt", put(blob))]))
        .await
        .expect("fits");
    let diff = objects.diff(&root, &tree, 1 << 20).await.expect("derived");
    insta::assert_snapshot!(String::from_utf8_lossy(&diff), @r"
    diff --git a/a.txt b/a.txt
    index 78981922613b2afb6025042ff6bd878ac1994e85..8ba3a16384aacc37d01564b28401755ce8053f51 100644
    --- a/a.txt
    +++ b/a.txt
    @@ -1 +1 @@
    -a
    +n
    ");
    // The same process answers again.
    assert_eq!(
        objects.diff(&root, &root, 1 << 20).await.expect("derived"),
        b""
    );
    let exists =
        |oid: Oid| crate::testing::try_git(&fixture.repo(), &["cat-file", "-e", &oid.hex()]);
    assert!(!exists(tree) && !exists(blob));
    objects.keep().await.expect("kept");
    assert!(exists(tree) && exists(blob));
    drop(objects);
    let left = std::fs::read_dir(fixture.repository.quarantine())
        .expect("readable")
        .count();
    assert_eq!(left, 0, "the quarantine goes with its view");
    fixture.git(&["fsck", "--strict", "--no-dangling"]);
}

#[tokio::test]
async fn entries_are_found_by_path_and_missing_objects_are_values() {
    let fixture = Fixture::with(FILES).await;
    let objects = Objects::open(&fixture.repository).expect("opens");
    let root = root(&fixture, &objects).await;
    let entry = objects
        .entry(&root, b"dir/sub/c.txt")
        .await
        .expect("readable")
        .expect("there");
    assert_eq!(&*objects.blob(&entry.oid).await.expect("a blob"), b"c\n");
    for missing in ["dir/none", "a.txt/x", "none/x"] {
        assert_eq!(
            objects
                .entry(&root, missing.as_bytes())
                .await
                .expect("readable"),
            None
        );
    }
    let unknown = Oid::from_bytes(&[7; 20]).expect("twenty bytes");
    assert_eq!(objects.find(&unknown).await.expect("answered"), None);
    assert!(objects.blob(&root).await.is_err(), "a tree is no blob");
}

#[tokio::test]
async fn a_diff_over_the_cap_is_refused_and_the_next_one_is_whole() {
    let fixture = Fixture::with(FILES).await;
    let objects = Objects::open(&fixture.repository).expect("opens");
    let root = root(&fixture, &objects).await;
    let blob = objects
        .write(Kind::Blob, b"n\n".repeat(500))
        .expect("written");
    let tree = splice(&objects, &root, &changes(&[("a.txt", put(blob))]))
        .await
        .expect("fits");
    assert!(objects.diff(&root, &tree, 100).await.is_err());
    assert_eq!(objects.diff(&tree, &tree, 100).await.expect("derived"), b"");
}
