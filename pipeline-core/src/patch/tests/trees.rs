//! Names against the names the repository has, and the written tree against the patch.

use super::super::Accepted;
use super::super::NameSet;
use super::super::PatchLimits;
use super::super::PatchPolicy;
use super::super::PatchRefusal;
use super::super::RepoPath;
use super::super::parse;
use super::super::parse_written;
use super::super::written_folders;
use super::EVERYTHING;
use super::EVERYTHING_RAW;
use super::EVERYTHING_RAW_NO_RENAMES;
use super::ID;
use super::OTHER;
use super::ZERO;
use super::adding;
use super::base;
use super::changing;
use super::deleting;
use super::judge;
use super::renaming;

fn written(raw: &[u8], existing: &NameSet) -> Result<Accepted, PatchRefusal> {
    let changes = parse_written(raw, &PatchLimits::default())?;
    PatchPolicy::default().check_written(&changes, existing)
}

#[test]
fn names_the_repository_has_may_stay() {
    for name in ["aux.txt", "a:b", "u\u{308}.txt", "a\u{200b}b", "con/x"] {
        assert!(judge(changing(name).as_bytes(), &[name]).is_ok(), "{name}");
        assert!(judge(deleting(name).as_bytes(), &[name]).is_ok(), "{name}");
        assert!(judge(changing(name).as_bytes(), &[]).is_err(), "{name}");
    }
    // The folder has its name already, the file in it is new.
    assert!(judge(adding("con/new", "100644").as_bytes(), &["con/old"]).is_ok());
    // Both spellings are there already.
    let both = changing("A/x") + &changing("a/x");
    assert!(judge(both.as_bytes(), &["A/x", "a/x"]).is_ok());
}

#[test]
fn a_name_is_free_again_once_it_is_gone() {
    let new = |name: &str| adding(name, "100644");
    let cases: [(&str, String, &[&str], bool); 9] = [
        (
            "case of a file",
            renaming("readme.md", "README.md"),
            &["readme.md"],
            true,
        ),
        (
            "case of a whole folder",
            renaming("src/a", "Src/a"),
            &["src/a"],
            true,
        ),
        (
            "case of half a folder",
            renaming("src/a", "Src/a"),
            &["src/a", "src/b"],
            false,
        ),
        (
            "case of a branch",
            renaming("src/x/a", "Src/x/a"),
            &["src/x/a", "src/y/b"],
            false,
        ),
        (
            "file becomes folder",
            deleting("a") + &new("a/x"),
            &["a"],
            true,
        ),
        (
            "folder becomes file",
            deleting("a/x") + &new("a"),
            &["a/x"],
            true,
        ),
        (
            "half a folder",
            deleting("a/x") + &new("a"),
            &["a/x", "a/y"],
            false,
        ),
        (
            "file and folder",
            deleting("x") + &new("X") + &new("X/y"),
            &["x"],
            false,
        ),
        (
            "renamed away and changed",
            renaming("a", "b") + &changing("a"),
            &["a"],
            false,
        ),
    ];
    for (name, patch, existing, accepted) in cases {
        let answer = judge(patch.as_bytes(), existing);
        assert_eq!(answer.is_ok(), accepted, "{name}: {answer:?}");
    }
}

#[test]
fn copies_may_share_a_source_that_stays() {
    let copy = |to: &str| renaming("a", to).replace("rename", "copy");
    let patch = copy("b") + &copy("c") + &changing("a");
    let accepted = judge(patch.as_bytes(), &["a"]).unwrap();
    assert_eq!(accepted.touched().len(), 3);
    assert!(judge((copy("b") + &copy("b")).as_bytes(), &["a"]).is_err());
}

#[test]
fn only_the_folders_of_touched_paths_are_asked_for() {
    let text = renaming("a/b/c", "x/y/z") + &adding("top", "100644");
    let patch = parse(text.as_bytes(), &PatchLimits::default()).unwrap();
    let folders: Vec<String> = patch.folders().iter().map(RepoPath::to_string).collect();
    assert_eq!(folders, ["", "a", "a/b", "x", "x/y"]);
}

#[test]
fn the_written_tree_is_held_to_the_same_policy() {
    let added = |mode: &str, path: &str| format!(":000000 {mode} {ZERO} {ID} A\0{path}\0");
    let to_link = format!(":100644 120000 {ID} {OTHER} T\0readme\0");
    let removed_link = format!(":120000 000000 {ID} {ZERO} D\0l\0");
    for (raw, sentence) in [
        (
            added("120000", "l"),
            "`l` is a symbolic link, which a patch may not add, change or remove",
        ),
        (
            added("160000", "m"),
            "`m` is a submodule, which a patch may not add, change or remove",
        ),
        (
            added("100664", "m"),
            "`m` has mode 100664; only 100644 and 100755 are accepted",
        ),
        (
            added("100644", "../x"),
            "`../x` points outside the repository",
        ),
        (
            added("100644", ".git/x"),
            "`.git/x` reaches into git's own folder",
        ),
        (
            added("100644", "README"),
            "`README` and `readme` are one file where upper case, lower case and accents are not told apart",
        ),
        (
            to_link,
            "`readme` is a symbolic link, which a patch may not add, change or remove",
        ),
        (
            removed_link,
            "`l` is a symbolic link, which a patch may not add, change or remove",
        ),
    ] {
        let refusal = written(raw.as_bytes(), &NameSet::from_paths(["readme"])).unwrap_err();
        assert_eq!(refusal.to_string(), sentence);
    }
}

#[test]
fn what_diff_tree_does_not_write_is_refused() {
    for wrong in [
        "x".to_owned(),
        format!("{ID}\0"),
        format!(":100644 100644 {ID} {OTHER} M\0a"),
        format!(":100644 100644 {ID} {OTHER} M\n\0a\0"),
        format!(":100644 100644 {ID} {OTHER} X\0a\0"),
        format!(":100644 100644 {ID} {OTHER} R100\0a\0"),
        format!(":000000 100644 {ID} {OTHER} A\0a\0"),
        format!(":000000 100644 {ZERO} {ZERO} A\0a\0"),
        format!(":100644 100644 {} {} M\0a\0", &ID[..7], &OTHER[..7]),
        format!(":100644 100644 {ID} {OTHER} M extra\0a\0"),
    ] {
        let refusal = parse_written(wrong.as_bytes(), &PatchLimits::default()).unwrap_err();
        let at_start = matches!(refusal, PatchRefusal::WrittenMalformed { offset: 0, .. });
        assert!(at_start, "{wrong:?}: {refusal}");
    }
}

#[test]
fn the_written_tree_must_be_the_one_the_patch_describes() {
    let patch = parse(EVERYTHING, &PatchLimits::default()).unwrap();
    let accepted = PatchPolicy::default().check(&patch, &base()).unwrap();
    for raw in [EVERYTHING_RAW, EVERYTHING_RAW_NO_RENAMES] {
        let changes = parse_written(raw, &PatchLimits::default()).unwrap();
        assert!(!written_folders(&changes).is_empty());
        accepted
            .agrees_with(&written(raw, &base()).unwrap())
            .unwrap();
    }
    let extra = format!(":000000 100644 {ZERO} {ID} A\0extra\0");
    let more = [EVERYTHING_RAW, extra.as_bytes()].concat();
    let refusal = accepted
        .agrees_with(&written(&more, &base()).unwrap())
        .unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "the tree that was written does not match the patch at `extra`"
    );

    let one = judge(adding("a", "100644").as_bytes(), &[]).unwrap();
    let executable = format!(":000000 100755 {ZERO} {ID} A\0a\0");
    let nothing = NameSet::default();
    assert!(
        one.agrees_with(&written(executable.as_bytes(), &nothing).unwrap())
            .is_err()
    );
    assert!(one.agrees_with(&written(b"", &nothing).unwrap()).is_err());
}
