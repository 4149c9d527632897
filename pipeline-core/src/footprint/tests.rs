use proptest::prelude::*;

use super::*;

fn known(candidate: &str) -> Vec<String> {
    let footprint = Footprint::from_candidates([candidate]);
    assert!(
        footprint.is_known(),
        "{candidate:?}: {:?}",
        footprint.refused()
    );
    footprint
        .candidates()
        .map(ToString::to_string)
        .chain(footprint.trees().map(|dir| format!("{dir}/")))
        .collect()
}

fn refused(candidate: &str) -> PathFault {
    let footprint = Footprint::from_candidates([candidate, "src/fine.rs"]);
    assert!(
        !footprint.is_known(),
        "{candidate:?} must make the footprint unknown"
    );
    footprint.refused()[0].fault
}

#[test]
fn nothing_known_is_a_value() {
    assert!(!Footprint::unknown().is_known());
    assert!(!Footprint::from_candidates(Vec::<String>::new()).is_known());
    let touched = Footprint::unknown().with_touched([RepoPath::parse("a").unwrap()]);
    assert!(
        !touched.is_known(),
        "a run that still writes may touch more"
    );
    assert!(Footprint::of_patch([RepoPath::parse("a").unwrap()]).is_known());
}

#[test]
fn paths_that_name_no_file_are_refused() {
    for (text, fault) in [
        ("", PathFault::Empty),
        ("  ", PathFault::Empty),
        ("src/..", PathFault::Empty),
        ("/etc/passwd", PathFault::Absolute),
        ("~/notes", PathFault::Absolute),
        ("C:\\Windows\\x.ini", PathFault::Absolute),
        ("\\\\server\\share", PathFault::Absolute),
        ("file:///etc/passwd", PathFault::Absolute),
        ("%2Fetc/passwd", PathFault::Absolute),
        ("../x", PathFault::Escapes),
        ("a/../../x", PathFault::Escapes),
        ("a\\..\\..\\x", PathFault::Escapes),
        ("%2e%2e/x", PathFault::Escapes),
        ("a/\0b", PathFault::Nul),
        ("a/%00b", PathFault::Nul),
        (".git/config", PathFault::GitDir),
        ("sub/.GIT/hooks/x", PathFault::GitDir),
    ] {
        assert_eq!(refused(text), fault, "{text:?}");
    }
    assert_eq!(refused(&"a/".repeat(3000)), PathFault::TooLong);
    assert_eq!(refused(&"x".repeat(100_000)), PathFault::TooLong);
}

#[test]
fn paths_are_normalised() {
    for (text, expected) in [
        ("src/a.rs", &["src/a.rs"][..]),
        ("./src//a.rs", &["src/a.rs"]),
        (" `src/a.rs` ", &["src/a.rs"]),
        ("\"src/a b.rs\"", &["src/a b.rs"]),
        ("src\\a.rs", &["src/a.rs"]),
        ("a/../b", &["b"]),
        ("src/a.rs:12", &["src/a.rs"]),
        ("src/a.rs:12:5", &["src/a.rs"]),
        ("src/a.rs#L12-L20", &["src/a.rs"]),
        ("old.rs -> new.rs", &["new.rs", "old.rs"]),
        ("src/{old => new}/x.rs", &["src/new/x.rs", "src/old/x.rs"]),
        ("src/api/", &["src/api/"]),
        ("src/**/*.rs", &["src/"]),
        ("src/a?.rs", &["src/"]),
        ("*.rs", &["./"]),
        (".", &["./"]),
        ("caf%E9.txt", &["caf%E9.txt"]),
        ("100%.txt", &["100%25.txt"]),
        ("app/[slug]/page.tsx", &["app/[slug]/page.tsx"]),
        ("docs/日本語.md", &["docs/日本語.md"]),
        ("a\u{202e}b", &["a%E2%80%AEb"]),
        (".gitignore", &[".gitignore"]),
    ] {
        assert_eq!(known(text), expected, "{text:?}");
    }
}

#[test]
fn bytes_that_git_reports_are_kept() {
    let latin = RepoPath::from_bytes(b"caf\xe9.txt").unwrap();
    assert_eq!(latin.to_bytes(), b"caf\xe9.txt");
    assert_eq!(latin, RepoPath::parse("caf%E9.txt").unwrap());
    let backslash = RepoPath::from_bytes(b"a\\b").unwrap();
    assert_eq!(backslash.to_bytes(), b"a\\b");
    assert_eq!(backslash.parent(), RepoDir::root());
    assert_eq!(RepoPath::from_bytes(b"a//b"), Err(PathFault::NotNormal));
    assert_eq!(RepoPath::from_bytes(b"./b"), Err(PathFault::NotNormal));
}

#[test]
fn one_file_under_two_spellings_collides() {
    let path = |text: &str| RepoPath::parse(text).unwrap();
    for (a, b) in [
        ("src/A.rs", "SRC/a.rs"),
        ("caf\u{e9}.md", "cafe\u{301}.md"),
        ("stra\u{df}e.md", "STRASSE.md"),
        ("a b.md", "a%2520b.md"),
        ("x%E9.md", "X%e9.md"),
    ] {
        assert!(path(a).collides_with(&path(b)), "{a} and {b}");
        assert_ne!(
            path(a).to_bytes(),
            path(b).to_bytes(),
            "they stay two paths"
        );
    }
    assert!(!path("a/b").collides_with(&path("a/c")));
    let declared = Footprint::from_candidates(["src/A.rs"]);
    assert!(declared.declares(&path("src/a.rs")));
}

#[test]
fn drift_is_what_was_touched_and_not_declared() {
    let path = |text: &str| RepoPath::parse(text).unwrap();
    let work = Footprint::from_candidates(["src/a.rs", "docs/"]).with_touched([
        path("src/A.rs"),
        path("docs/x/y.md"),
        path("src/b.rs"),
    ]);
    assert_eq!(
        work.drift().map(ToString::to_string).collect::<Vec<_>>(),
        ["src/b.rs"]
    );
    assert_eq!(work.files().count(), 4);
}

#[test]
fn a_directory_is_expanded_by_the_listing() {
    let listing = [
        RepoPath::parse("src/a.rs").unwrap(),
        RepoPath::parse("docs/b.md").unwrap(),
    ];
    let work = Footprint::from_candidates(["src/"]).expanded(&listing);
    assert!(work.is_expanded());
    assert_eq!(
        work.candidates()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["src/a.rs"]
    );
    let mut again = work;
    again.declare("docs/");
    assert!(
        !again.is_expanded(),
        "a directory declared later is not expanded"
    );
}

#[test]
fn too_many_entries_make_it_unknown() {
    let work = Footprint::from_candidates((0..=MAX_ENTRIES).map(|n| format!("f{n}")));
    assert!(!work.is_known());
    assert_eq!(work.refused()[0].fault, PathFault::TooMany);
}

#[test]
fn a_footprint_survives_json() {
    let work = Footprint::from_candidates(["src/a.rs", "docs/", "caf%E9.txt", "../out"])
        .with_touched([RepoPath::from_bytes(b"a*b:12").unwrap()])
        .with_area("db:".parse().unwrap());
    let json = serde_json::to_string(&work).unwrap();
    insta::assert_snapshot!(json, @r#"{"candidates":["caf%E9.txt","src/a.rs"],"trees":["docs"],"areas":["db:"],"touched":["a*b:12"],"refused":[{"text":"../out","fault":"escapes"}]}"#);
    assert_eq!(serde_json::from_str::<Footprint>(&json).unwrap(), work);
    assert!(serde_json::from_str::<Footprint>(r#"{"candidates":["/abs"]}"#).is_err());
}

proptest! {
    #[test]
    fn any_text_has_a_verdict(text in "\\PC{0,40}|[a./\\\\%0-9~:*{}>= -]{0,30}") {
        let work = Footprint::from_candidates([&text]);
        prop_assert_eq!(work.is_known(), work.refused().is_empty());
        for path in work.candidates() {
            prop_assert_eq!(&RepoPath::from_bytes(&path.to_bytes()).unwrap(), path);
        }
    }

    #[test]
    fn every_path_reads_back(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        if let Ok(path) = RepoPath::from_bytes(&bytes) {
            prop_assert_eq!(path.to_bytes(), bytes);
            prop_assert_eq!(RepoPath::parse(path.as_str()).unwrap(), path.clone());
            prop_assert_eq!(RepoPath::parse(&path.wire()).unwrap(), path.clone());
            prop_assert!(path.wire().bytes().all(|b| b.is_ascii_graphic() && !b"@#!~$&`<>".contains(&b)));
            let json = serde_json::to_string(&path).unwrap();
            prop_assert_eq!(serde_json::from_str::<RepoPath>(&json).unwrap(), path);
        }
    }

    #[test]
    fn folding_ignores_case_and_composition(text in "[a-zA-Zé/]{1,20}") {
        if let (Ok(a), Ok(b)) = (RepoPath::parse(&text), RepoPath::parse(&text.to_uppercase())) {
            prop_assert!(a.collides_with(&b));
            let parent = a.parent();
            prop_assert_eq!(parent.fold(), parent_of(a.fold()));
        }
    }
}
