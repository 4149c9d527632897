use std::error::Error as _;

use proptest::prelude::*;

use super::*;
use crate::conflict::{RuleConflicts, RuleSet};

fn detector() -> RuleConflicts {
    let rules = r#"
    [[rule]]
    name = "api"
    class = "api"
    key = "{api}"
    patterns = ["api/{api}.rs", "model/{api}.rs"]
    [[rule]]
    name = "tests"
    class = "api"
    key = "{api}"
    mode = "shared"
    patterns = ["tests/{api}.rs"]
    [[rule]]
    name = "routes"
    class = "api"
    patterns = ["routes.rs"]
    [[rule]]
    name = "migrations"
    class = "db"
    patterns = ["db/**"]
    "#;
    RuleSet::from_toml(rules).unwrap().detector("main").unwrap()
}

fn report(lines: &str) -> Report {
    Report::new(&read_lines(lines).unwrap(), &detector())
}

#[test]
fn the_json_is_what_the_manual_says() {
    let report = report(
        r#"{"issue":"A-1","files":["api/points.rs"]}
{"issue":"A-2","files":["model/point.rs","docs/a.md"],"priority":2,"title":"ignored"}
{"issue":"A-3","files":["db/1.sql"]}

{"issue":"A-4","files":["api/orders.rs"]}"#,
    );
    insta::assert_snapshot!(report.to_json(), @r#"{"groups":[{"class":"api","key":"api:point","issues":["A-1","A-2"]},{"class":"db","key":"all","issues":["A-1","A-3"]},{"class":"db","key":"all","issues":["A-2","A-3"]},{"class":"db","key":"all","issues":["A-3","A-4"]}],"pairs":[{"a":"A-1","b":"A-2","reasons":[{"class":"api","key":"api:point","rule":"api","paths":["api/points.rs","model/point.rs"]}]},{"a":"A-1","b":"A-3","reasons":[{"class":"db","key":"all","rule":"migrations","paths":["api/points.rs","db/1.sql"]}]},{"a":"A-2","b":"A-3","reasons":[{"class":"db","key":"all","rule":"migrations","paths":["db/1.sql","docs/a.md","model/point.rs"]}]},{"a":"A-3","b":"A-4","reasons":[{"class":"db","key":"all","rule":"migrations","paths":["api/orders.rs","db/1.sql"]}]}],"truncated":false,"batches":[["A-2","A-4"],["A-1"],["A-3"]],"waiting":[{"issue":"A-1","for":"A-2"},{"issue":"A-3","for":"A-2"}]}"#);
    insta::assert_snapshot!(report, @r#"
    Conflicts:
      A-1 and A-2
        api:point (api): both touch the same API: `api/points.rs` against `model/point.rs` (rule: api)
      A-1 and A-3
        all (db): one of them needs the whole target for itself: `api/points.rs` against `db/1.sql` (rule: migrations)
      A-2 and A-3
        all (db): one of them needs the whole target for itself: `docs/a.md`, `model/point.rs` against `db/1.sql` (rule: migrations)
      A-3 and A-4
        all (db): one of them needs the whole target for itself: `db/1.sql` against `api/orders.rs` (rule: migrations)
    Batches:
      1. A-2, A-4
      2. A-1
      3. A-3
    Waiting:
      A-1 for A-2
      A-3 for A-2
    "#);
}

#[test]
fn nothing_known_is_alone() {
    let report = report(
        "{\"issue\":\"A-1\"}\n{\"issue\":\"A-2\",\"files\":[]}\n{\"issue\":\"A-3\",\"files\":[\"../x\"],\"priority\":null}\n{\"issue\":\"A-4\",\"files\":[\"api/a.rs\"]}",
    );
    assert_eq!(report.batches, [["A-1"], ["A-2"], ["A-3"], ["A-4"]]);
    assert_eq!(report.groups.len(), 2);
    assert_eq!(report.groups[0].class, ConflictClass::Unknown);
    assert_eq!(report.groups[0].issues, ["A-1", "A-2", "A-3"]);
    assert_eq!(report.groups[1].issues, ["A-1", "A-2", "A-3", "A-4"]);
    assert_eq!(report.pairs.len(), 6);
}

#[test]
fn pairs_stop_and_groups_do_not() {
    let lines: Vec<String> = (0..200)
        .map(|n| format!("{{\"issue\":\"A-{n}\",\"files\":[\"api/a.rs\"]}}"))
        .collect();
    let report = report(&lines.join("\n"));
    assert!(report.truncated);
    assert_eq!(report.pairs.len(), MAX_PAIRS);
    assert!(report.groups.iter().all(|group| group.issues.len() == 200));
    assert_eq!(report.batches.len(), 200);
    assert_eq!(report.waiting.len(), 199);
    // One pair less than the bound is not cut.
    let few: Vec<String> = (0..141)
        .map(|n| format!("{{\"issue\":\"A-{n}\",\"files\":[\"api/a.rs\"]}}"))
        .collect();
    let few = Report::new(&read_lines(&few.join("\n")).unwrap(), &detector());
    assert_eq!((few.pairs.len(), few.truncated), (9870, false));
}

#[test]
fn a_wide_claim_makes_a_group_with_each_narrow_one() {
    let report = report(
        r#"{"issue":"A-1","files":["api/a.rs"]}
{"issue":"A-2","files":["api/b.rs"]}
{"issue":"A-3","files":["routes.rs"]}
{"issue":"A-4","files":["tests/a.rs"]}
{"issue":"A-5","files":["tests/a.rs","tests/c.rs"]}"#,
    );
    let groups: Vec<String> = report
        .groups
        .iter()
        .map(|group| format!("{} {}", group.key, group.issues.join(" ")))
        .collect();
    assert_eq!(
        groups,
        [
            "api: A-1 A-3",
            "api: A-1 A-3 A-4",
            "api: A-1 A-3 A-5",
            "api: A-2 A-3",
            "api: A-3 A-5",
            "api:a A-1 A-4",
            "api:a A-1 A-5",
            "path:tests/a.rs A-4 A-5"
        ]
    );
}

#[test]
fn targets_are_apart() {
    let report = report(
        "{\"issue\":\"A-1\",\"files\":[\"db/1.sql\"],\"target\":\"main\"}\n{\"issue\":\"A-2\",\"files\":[\"db/1.sql\"],\"target\":\"site\"}",
    );
    assert_eq!(report.batches, [["A-1", "A-2"]]);
    assert!(report.pairs.is_empty() && report.groups.is_empty());
}

#[test]
fn bad_lines_are_named() {
    let error = |text: &str| {
        let error = read_lines(text).unwrap_err();
        let source = error
            .source()
            .map(|source| format!(": {source}"))
            .unwrap_or_default();
        format!("{error}{source}")
    };
    insta::assert_snapshot!(error("{\"issue\":\"A\"}\nnonsense"), @r#"line 2 is no issue; a line looks like {"issue":"A-1","files":["src/a.rs"],"priority":2}: expected ident at line 1 column 2"#);
    insta::assert_snapshot!(error("{\"files\":[]}"), @r#"line 1 is no issue; a line looks like {"issue":"A-1","files":["src/a.rs"],"priority":2}: missing field `issue` at line 1 column 12"#);
    insta::assert_snapshot!(error("{\"issue\":\"A\",\"priority\":\"high\"}"), @r#"line 1 is no issue; a line looks like {"issue":"A-1","files":["src/a.rs"],"priority":2}: invalid type: string "high", expected i64 at line 1 column 30"#);
    insta::assert_snapshot!(error("{\"issue\":\"A\"}\n\n{\"issue\":\"A\"}"), @"line 3 names the issue `A` again; every issue has one line");
    insta::assert_snapshot!(error("{\"issue\":\" \"}"), @"line 1 has an empty issue name");
    insta::assert_snapshot!(error(&"x".repeat(MAX_LINE_BYTES + 1)), @"line 1 is longer than 1 MiB");
    assert_eq!(
        read_lines("\u{feff}{\"issue\":\"A\"}\r\n").unwrap().len(),
        1
    );
    assert!(read_lines("").unwrap().is_empty());
}

fn any_files() -> impl Strategy<Value = Vec<String>> {
    let file = prop_oneof![
        "api/[abc]\\.rs",
        "model/[abc]\\.rs",
        "tests/[abc]\\.rs",
        "(misc|docs|api)/[xy]",
        "routes\\.rs",
        Just("db/1.sql".to_owned()),
        "(misc|api)/"
    ];
    proptest::collection::vec(file, 0..4)
}

proptest! {
    #[test]
    fn groups_pairs_and_batches_agree(work in proptest::collection::vec(any_files(), 0..12)) {
        let detector = detector();
        let issues: Vec<IssueLine> = work
            .iter()
            .enumerate()
            .map(|(n, files)| IssueLine::new(n.to_string(), Footprint::from_candidates(files).expanded([])))
            .collect();
        let report = Report::new(&issues, &detector);
        let conflict = |a: &str, b: &str| {
            let of = |name: &str| &issues[name.parse::<usize>().unwrap()].footprint;
            !detector.conflicts(of(a), of(b)).is_empty()
        };
        let paired = |a: &str, b: &str| report.pairs.iter().any(|pair| (pair.a == a && pair.b == b) || (pair.a == b && pair.b == a));
        for (n, one) in issues.iter().enumerate() {
            for two in &issues[n + 1..] {
                let (a, b) = (one.issue.as_str(), two.issue.as_str());
                prop_assert_eq!(conflict(a, b), paired(a, b));
                let holds = |group: &Group, name: &str| group.issues.iter().any(|issue| issue == name);
                let grouped = report.groups.iter().any(|group| holds(group, a) && holds(group, b));
                prop_assert_eq!(conflict(a, b), grouped, "{} and {}", a, b);
            }
        }
        for pair in &report.pairs {
            prop_assert!(!pair.reasons.is_empty());
            for reason in &pair.reasons {
                let grouped = report.groups.iter().any(|group| {
                    (group.class, &group.key) == (reason.class, &reason.key)
                        && group.issues.contains(&pair.a)
                        && group.issues.contains(&pair.b)
                });
                prop_assert!(grouped, "{:?} is in no group", pair);
            }
        }
        for batch in &report.batches {
            for (n, a) in batch.iter().enumerate() {
                prop_assert!(batch[n + 1..].iter().all(|b| !conflict(a, b)));
            }
        }
        let in_batches: usize = report.batches.iter().map(Vec::len).sum();
        prop_assert_eq!(in_batches, issues.len());
        let first = report.batches.first().map(Vec::len).unwrap_or_default();
        prop_assert_eq!(report.waiting.len(), issues.len() - first);
        for waiting in &report.waiting {
            prop_assert!(report.batches[0].contains(&waiting.waits_for));
            prop_assert!(conflict(&waiting.issue, &waiting.waits_for));
        }
    }
}
