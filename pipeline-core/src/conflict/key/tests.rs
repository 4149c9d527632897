use proptest::prelude::*;

use super::*;

fn key(text: &str) -> ConflictKey {
    text.parse().unwrap()
}

pub(crate) fn any_key() -> impl Strategy<Value = ConflictKey> {
    let dir = "(\\.|[ab]|[ab]/[ab]|[ab]/[ab]/c)";
    let text = prop_oneof![
        Just("all".to_owned()),
        "issue:[AB]-[12]",
        "path:([abAB]/){0,3}[xy]",
        dir.prop_map(|dir| format!("dir:{dir}")),
        dir.prop_map(|dir| format!("tree:{dir}")),
        "(api|db|domain):[pq]?",
        "reads:(api|db):[pq]?",
        "reads:path:([ab]/){0,2}x",
    ];
    text.prop_map(|text| text.parse().expect("the strategy writes keys"))
}

#[test]
fn keys_meet_by_the_prefix_rules() {
    for (a, b, meets) in [
        ("path:src/a.rs", "path:src/a.rs", true),
        ("path:src/a.rs", "path:SRC/A.rs", true),
        ("path:src/a.rs", "path:src/b.rs", false),
        ("dir:src", "path:src/a.rs", true),
        ("dir:src", "path:src/x/a.rs", false),
        ("dir:src", "path:srcs", false),
        ("dir:.", "path:README", true),
        ("dir:.", "path:src/a.rs", false),
        ("tree:src", "path:src/x/a.rs", true),
        ("tree:src", "path:srcx/a.rs", false),
        ("tree:src", "dir:src", true),
        ("tree:src", "dir:src/x", true),
        ("tree:src/x", "dir:src", false),
        ("tree:src/x", "tree:src", true),
        ("tree:.", "path:a", true),
        ("tree:.", "api:a", false),
        ("api:points", "api:points", true),
        ("api:points", "api:orders", false),
        ("api:", "api:orders", true),
        ("api:", "screen:orders", false),
        ("all", "api:orders", true),
        ("all", "path:a", true),
        ("all", "all", true),
        ("all", "issue:A-1", false),
        ("issue:A-1", "issue:A-1", true),
        ("issue:A-1", "issue:A-2", false),
        ("reads:api:points", "reads:api:points", false),
        ("reads:api:points", "api:points", true),
        ("reads:api:", "api:points", true),
        ("reads:path:a", "dir:.", true),
        ("reads:api:points", "all", true),
    ] {
        assert_eq!(key(a).meets(&key(b)), meets, "{a} and {b}");
        assert_eq!(key(b).meets(&key(a)), meets, "{b} and {a}");
    }
}

#[test]
fn keys_are_written_in_ascii() {
    let path = RepoPath::from_bytes("docs/日本 #1~$.md".as_bytes()).unwrap();
    insta::assert_snapshot!(ConflictKey::path(path), @"path:docs/%E6%97%A5%E6%9C%AC%20%231%7E%24.md");
    insta::assert_snapshot!(ConflictKey::dir(RepoDir::root()), @"dir:.");
    insta::assert_snapshot!(ConflictKey::area(AreaClass::Api, "@all"), @"api:%40all");
    insta::assert_snapshot!(ConflictKey::area(AreaClass::Db, "").reading(), @"reads:db:");
}

#[test]
fn broken_keys_are_refused() {
    for text in [
        "",
        "api",
        "colour:red",
        "issue:",
        "path:",
        "path:/etc",
        "path:../x",
        "path:a%0",
        "path:.git/x",
        "api:%ff",
        "reads:all",
        "reads:issue:A-1",
        "reads:reads:api:",
        "ALL",
        "dir:a/../b",
        "path:a%00",
    ] {
        assert!(text.parse::<ConflictKey>().is_err(), "{text:?}");
    }
    assert!(
        format!("api:{}", "x".repeat(1000))
            .parse::<ConflictKey>()
            .is_err()
    );
}

proptest! {
    #[test]
    fn keys_read_back(key in any_key()) {
        prop_assert_eq!(key.to_string().parse::<ConflictKey>().unwrap(), key);
    }

    #[test]
    fn any_value_reads_back(value in "\\PC{0,30}") {
        let key = ConflictKey::area(AreaClass::Domain, value);
        let text = key.to_string();
        prop_assert!(text.bytes().all(|b| b.is_ascii_graphic()));
        prop_assert_eq!(text.parse::<ConflictKey>().unwrap(), key);
    }

    #[test]
    fn meeting_is_symmetric_and_reflexive(a in any_key(), b in any_key()) {
        prop_assert_eq!(a.meets(&b), b.meets(&a));
        prop_assert_eq!(a.meets(&a), !a.reads());
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,40}") {
        if let Ok(key) = text.parse::<ConflictKey>() {
            prop_assert_eq!(key.to_string().parse::<ConflictKey>().unwrap(), key);
        }
    }
}
