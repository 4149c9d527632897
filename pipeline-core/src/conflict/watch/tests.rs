use proptest::prelude::*;

use super::*;
use crate::conflict::RuleSet;

const BOTH: &str = "api/points.rs";

fn path(text: &str) -> RepoPath {
    RepoPath::parse(text).unwrap()
}

fn lines(ranges: &[(u32, u32)]) -> TouchedLines {
    TouchedLines::Some(
        ranges
            .iter()
            .map(|(first, last)| Lines::new(*first, last + 1))
            .collect(),
    )
}

fn run(name: &str, claim: u64, declared: &[&str], touched: &[(&str, TouchedLines)]) -> WatchedRun {
    let footprint = Footprint::from_candidates(declared);
    let holds = detector().areas(&footprint).keys();
    let touched = touched
        .iter()
        .map(|(file, lines)| (path(file), lines.clone()))
        .collect();
    WatchedRun::new(name, name, claim)
        .from_base("main", "abc")
        .declaring(footprint, holds)
        .touching(touched)
}

fn detector() -> crate::conflict::RuleConflicts {
    let rules = "unclassified = 'file'\n[[rule]]\nname='api'\nclass='api'\nkey='{api}'\npatterns=['api/{api}.rs','model/{api}.rs']\n[[rule]]\nname='db'\nclass='db'\npatterns=['db/**']";
    RuleSet::from_toml(rules).unwrap().detector("main").unwrap()
}

fn seen(runs: &[WatchedRun]) -> Sighting {
    let detector = detector();
    look(runs, &WatchPolicy::default(), |_| Some(&detector))
}

fn shown(sighting: &Sighting) -> String {
    let lines: Vec<String> = sighting
        .collisions
        .iter()
        .map(|it| format!("{:?}: {it}", it.kind))
        .collect();
    format!("{}\n{:?}", lines.join("\n"), sighting.actions)
}

#[test]
fn the_same_lines_are_hot_and_the_younger_run_is_paused() {
    let runs = [
        run("late", 9, &[BOTH], &[(BOTH, lines(&[(1, 2), (10, 20)]))]),
        run("early", 7, &[BOTH], &[(BOTH, lines(&[(20, 30)]))]),
    ];
    insta::assert_snapshot!(shown(&seen(&runs)), @r#"
    Hot: late and early both changed `api/points.rs` at line 20
    {"late": Pause}
    "#);
}

#[test]
fn neighbouring_lines_are_hot_and_distant_ones_soft() {
    let pair = |a, b| {
        let runs = [
            run("a", 1, &[BOTH], &[(BOTH, lines(&[a]))]),
            run("b", 2, &[BOTH], &[(BOTH, lines(&[b]))]),
        ];
        seen(&runs).collisions[0].kind
    };
    assert_eq!(pair((1, 4), (5, 5)), CollisionKind::Hot);
    assert_eq!(pair((1, 4), (6, 9)), CollisionKind::Soft);
    assert_eq!(pair((6, 9), (1, 4)), CollisionKind::Soft);
}

#[test]
fn whole_files_and_other_spellings_are_hot_and_other_bases_soft() {
    let mut runs = [
        run("a", 1, &[BOTH], &[(BOTH, lines(&[(1, 1)]))]),
        run(
            "b",
            2,
            &["API/Points.rs"],
            &[("API/Points.rs", TouchedLines::Whole)],
        ),
    ];
    assert_eq!(seen(&runs).collisions[0].kind, CollisionKind::Hot);
    runs[1].base = "def".to_owned();
    assert_eq!(seen(&runs).collisions[0].kind, CollisionKind::Soft);
    runs[1].target = "site".to_owned();
    assert!(seen(&runs).collisions.is_empty());
}

#[test]
fn drift_is_named_and_drift_into_a_lock_pauses_who_drifted() {
    let runs = [
        run(
            "early",
            1,
            &["api/orders.rs"],
            &[
                ("model/points.rs", TouchedLines::Whole),
                ("docs/x.md", TouchedLines::Whole),
            ],
        ),
        run("late", 2, &[BOTH], &[]),
    ];
    insta::assert_snapshot!(shown(&seen(&runs)), @r#"
    Drift: early touched `docs/x.md`, which it had not declared
    DriftIntoLock: early touched `model/points.rs`, which it had not declared and late holds (api:point)
    {"early": Pause}
    "#);
}

#[test]
fn drift_into_an_exclusive_class_meets_only_who_holds_it() {
    let runs = [
        run(
            "a",
            1,
            &["api/orders.rs"],
            &[("db/1.sql", TouchedLines::Whole)],
        ),
        run("b", 2, &[BOTH], &[]),
    ];
    assert_eq!(seen(&runs).collisions[0].kind, CollisionKind::Drift);
    let runs = [
        run(
            "a",
            1,
            &["api/orders.rs"],
            &[("db/1.sql", TouchedLines::Whole)],
        ),
        run("b", 2, &["db/2.sql"], &[]),
    ];
    assert_eq!(seen(&runs).collisions[0].kind, CollisionKind::DriftIntoLock);
}

#[test]
fn each_collision_is_news_once() {
    let early = run("early", 1, &[BOTH], &[(BOTH, lines(&[(1, 1)]))]);
    let before = seen(&[
        early.clone(),
        run("late", 2, &[BOTH], &[(BOTH, lines(&[(50, 50)]))]),
    ]);
    let after = seen(&[early, run("late", 2, &[BOTH], &[(BOTH, lines(&[(1, 50)]))])]);
    assert_eq!(before.news(&Sighting::default()).count(), 1);
    assert_eq!(
        after.news(&before).map(|it| it.kind).collect::<Vec<_>>(),
        [CollisionKind::Hot]
    );
    assert_eq!(after.news(&after).count(), 0);
}

#[test]
fn an_insertion_meets_the_lines_on_both_sides_of_it() {
    let inserted = TouchedLines::Some([Lines::new(5, 5)].into());
    let meets = |line| inserted.meets(&lines(&[(line, line)])).is_some();
    assert!(meets(4) && meets(5));
    assert!(!meets(3) && !meets(6));
    assert_eq!(inserted.meets(&inserted), Some(Some(5)));
}

#[test]
fn a_policy_can_stop_or_only_report() {
    let runs = [
        run("a", 1, &[BOTH], &[(BOTH, TouchedLines::Whole)]),
        run("b", 2, &[BOTH], &[(BOTH, TouchedLines::Whole)]),
    ];
    let stop = WatchPolicy::default().on_hot(WatchAction::Stop);
    assert_eq!(look(&runs, &stop, |_| None).actions["b"], WatchAction::Stop);
    assert!(
        look(&runs, &WatchPolicy::report_only(), |_| None)
            .actions
            .is_empty()
    );
    let written: WatchPolicy = toml::from_str("drift-into-lock = 'stop'").unwrap();
    assert_eq!(
        written,
        WatchPolicy::default().on_drift_into_lock(WatchAction::Stop)
    );
    assert!(toml::from_str::<WatchPolicy>("cold = 'stop'").is_err());
}

#[test]
fn a_patch_tells_the_lines_of_the_base() {
    let diff = b"diff --git a/x.txt b/x.txt\nindex 1111111111111111111111111111111111111111..2222222222222222222222222222222222222222 100644\n--- a/x.txt\n+++ b/x.txt\n@@ -2,4 +2,5 @@\n keep\n-gone\n+new\n+more\n keep\n keep\n@@ -20,2 +21,3 @@\n keep\n+added\n keep\ndiff --git a/old.txt b/new.txt\nsimilarity index 100%\nrename from old.txt\nrename to new.txt\n";
    let limits = crate::patch::PatchLimits::default();
    let patch = crate::patch::parse(diff, &limits).unwrap();
    let touched = of_patch(&patch);
    let inserted = Lines::new(21, 21);
    assert_eq!(
        touched[&path("x.txt")],
        TouchedLines::Some([Lines::new(3, 4), inserted].into())
    );
    assert_eq!(touched[&path("old.txt")], TouchedLines::Whole);
    assert_eq!(touched[&path("new.txt")], TouchedLines::Whole);
}

proptest! {
    #[test]
    fn looking_is_symmetric_and_needs_no_order(
        a in proptest::collection::vec((1..30_u32, 0..5_u32), 0..4),
        b in proptest::collection::vec((1..30_u32, 0..5_u32), 0..4),
    ) {
        let of = |ranges: &[(u32, u32)]| lines(&ranges.iter().map(|(at, more)| (*at, at + more)).collect::<Vec<_>>());
        let (mine, theirs) = (of(&a), of(&b));
        prop_assert_eq!(mine.meets(&theirs), theirs.meets(&mine));
        let (one, two) = (run("a", 1, &[BOTH], &[(BOTH, mine)]), run("b", 2, &[BOTH], &[(BOTH, theirs)]));
        prop_assert_eq!(seen(&[one.clone(), two.clone()]), seen(&[two, one]));
    }
}
