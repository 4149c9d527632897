use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::conflict::{ConflictClass, ConflictDetector as _, ConflictKey};
use crate::footprint::Footprint;

const SHOP: &str = r#"
[modes]
shared = "per-key"

[aliases.api]
pt = "points"

[[rule]]
name = "api"
class = "api"
key = "{api}"
patterns = ["app/Http/Controllers/**/{api}Controller.php", "app/Services/{api}Service.php", "app/Models/{api}.php"]

[[rule]]
name = "api-tests"
class = "api"
key = "{api}"
mode = "shared"
patterns = ["tests/Feature/{api}Test.php", "tests/Feature/{api}/**"]

[[rule]]
name = "migrations"
class = "db"
patterns = ["database/migrations/**"]

[[rule]]
name = "widgets"
class = "shared"
key = "{name}"
patterns = ["widgets/{name}/**"]
except = ["widgets/*/README.md"]

[[rule]]
name = "payments"
class = "domain"
key = "payments"
words = ["payment", "refund"]

[[rule]]
name = "site-banner"
class = "screen"
key = "banner"
patterns = ["banner/**"]
targets = ["site-*"]

[[allow]]
name = "changelog"
patterns = ["CHANGELOG.md", "widgets/free/**"]

[[deny]]
name = "kernel"
patterns = ["kernel/**"]
class = "shared"

[[target]]
branch = "site-*"
unclassified = "file"
[target.modes]
db = "per-key"
"#;

fn shop(target: &str) -> RuleConflicts {
    RuleSet::from_toml(SHOP).unwrap().detector(target).unwrap()
}

fn files(files: &[&str]) -> Footprint {
    Footprint::from_candidates(files)
}

/// Returns class and key of every conflict.
fn between(target: &str, a: &[&str], b: &[&str]) -> Vec<String> {
    shop(target)
        .conflicts(&files(a), &files(b))
        .iter()
        .map(|conflict| format!("{} {}", conflict.class, conflict.key))
        .collect()
}

#[test]
fn different_files_of_one_api_collide() {
    let controller = "app/Http/Controllers/Api/V1/PointsController.php";
    assert_eq!(
        between("main", &[controller], &["app/Services/PointService.php"]),
        ["api api:point"]
    );
    assert_eq!(
        between("main", &["app/Models/PT.php"], &["app/Models/points.php"]),
        ["api api:point"]
    );
    assert!(between("main", &[controller], &["app/Services/OrderService.php"]).is_empty());
}

#[test]
fn shared_claims_stand_side_by_side() {
    let (one, two) = (
        "tests/Feature/PointsTest.php",
        "tests/Feature/Points/EdgeTest.php",
    );
    assert!(between("main", &[one], &[two]).is_empty());
    assert_eq!(
        between("main", &[one], &["app/Models/Point.php"]),
        ["api api:point"]
    );
    assert_eq!(
        between("main", &[one, "app/Models/Point.php"], &[two]),
        ["api api:point"]
    );
}

#[test]
fn exclusive_classes_exclude_everything() {
    let migration = "database/migrations/2024_add.php";
    assert_eq!(
        between("main", &[migration], &["app/Models/Point.php"]),
        ["db all"]
    );
    assert_eq!(
        between("main", &[migration], &["database/migrations/2025.php"]),
        ["db db:", "db all"]
    );
    assert_eq!(
        between("main", &["app/Refunds.php"], &["other/x.php"]),
        ["domain all"]
    );
    assert_eq!(
        between("main", &["kernel/x.c"], &["other/x.php"]),
        ["shared all"]
    );
}

#[test]
fn a_target_has_its_own_modes_and_rules() {
    let migration = "database/migrations/2024_add.php";
    assert!(between("site-blue", &[migration], &["app/Models/Point.php"]).is_empty());
    assert_eq!(
        between(
            "site-blue",
            &[migration],
            &["database/migrations/x/2025.php"]
        ),
        ["db db:"]
    );
    assert_eq!(
        between("site-blue", &["banner/a.css"], &["banner/b.css"]),
        ["screen screen:banner"]
    );
    assert_eq!(
        between("main", &["banner/a.css"], &["banner/b.css"]),
        ["dir dir:banner"]
    );
    assert!(between("site-blue", &["misc/a"], &["misc/b"]).is_empty());
}

#[test]
fn exceptions_and_allowances_take_claims_away_but_never_the_file() {
    assert_eq!(
        between("main", &["widgets/a/x.ts"], &["widgets/a/y.ts"]),
        ["shared shared:a"]
    );
    assert_eq!(
        between("main", &["widgets/a/README.md"], &["widgets/a/y.ts"]),
        ["dir dir:widgets/a"]
    );
    assert!(between("main", &["widgets/a/README.md"], &["widgets/a/deep/y.ts"]).is_empty());
    assert!(between("main", &["widgets/free/x.ts"], &["widgets/free/y.ts"]).is_empty());
    assert_eq!(
        between("main", &["CHANGELOG.md"], &["CHANGELOG.md"]),
        ["path path:CHANGELOG.md"]
    );
}

#[test]
fn what_no_rule_knows_follows_the_setting() {
    assert_eq!(between("main", &["misc/a"], &["misc/b"]), ["dir dir:misc"]);
    assert!(between("main", &["misc/a"], &["misc/sub/b"]).is_empty());
    // A classified file in the directory of an unclassified one is in its way too.
    assert_eq!(
        between(
            "main",
            &["tests/Feature/PointsTest.php"],
            &["tests/Feature/data.json"]
        ),
        ["dir dir:tests/Feature"]
    );
    let serial = RuleSet::from_toml("unclassified = \"serial\"")
        .unwrap()
        .detector("main")
        .unwrap();
    let conflicts = serial.conflicts(&files(&["a/b"]), &files(&["c/d"]));
    assert_eq!(conflicts[0].class, ConflictClass::Unknown);
    assert_eq!(conflicts[0].rule(), "unclassified = serial");
}

#[test]
fn unknown_footprints_conflict_with_everything_and_say_why() {
    let detector = shop("main");
    let other = files(&["other/x.php"]);
    for (unknown, rule) in [
        (Footprint::unknown(), "no candidate file is known"),
        (files(&["../x"]), "`../x` leads out of the repository"),
        (
            files(&["src/"]),
            "`src/` is declared as a whole, and what lies in it was not given",
        ),
    ] {
        let conflicts = detector.conflicts(&unknown, &other);
        assert_eq!(conflicts.last().unwrap().class, ConflictClass::Unknown);
        assert!(
            conflicts.last().unwrap().rule().contains(rule),
            "{}",
            conflicts.last().unwrap().rule()
        );
        assert!(!detector.conflicts(&unknown, &unknown).is_empty());
    }
    let expanded = files(&["src/"]).expanded([]);
    assert!(detector.conflicts(&expanded, &other).is_empty());
    assert!(
        !detector
            .conflicts(&expanded, &files(&["src/new.rs"]))
            .is_empty()
    );
}

#[test]
fn an_area_can_be_declared_without_a_file() {
    let work = files(&["app/Models/Point.php"]).with_area(ConflictKey::area(AreaClass::Db, ""));
    let conflicts = shop("main").conflicts(&work, &files(&["app/Models/Order.php"]));
    assert_eq!(conflicts[0].class, ConflictClass::Db);
}

#[test]
fn conflicts_read_as_sentences() {
    let shown = |a: &[&str], b: &[&str]| {
        let conflicts = shop("main").conflicts(&files(a), &files(b));
        conflicts
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    };
    insta::assert_snapshot!(shown(&["app/Http/Controllers/PointsController.php"], &["app/Models/Point.php"]), @"api:point (api): both touch the same API: `app/Http/Controllers/PointsController.php` against `app/Models/Point.php` (rule: api)");
    insta::assert_snapshot!(shown(&["app/Models/Point.php"], &["app/Models/Point.php"]), @r#"
    path:app/Models/Point.php (path): both touch the same file: `app/Models/Point.php` (rule: the same file)
    api:point (api): both touch the same API: `app/Models/Point.php` (rule: api)
    "#);
    insta::assert_snapshot!(shown(&["database/migrations/1.php"], &["app/Models/Point.php"]), @"all (db): one of them needs the whole target for itself: `database/migrations/1.php` against `app/Models/Point.php` (rule: migrations)");
    insta::assert_snapshot!(shown(&[], &["app/Models/Point.php"]), @"all (unknown): what one of them touches is not known: `app/Models/Point.php` (rule: no candidate file is known)");
    insta::assert_snapshot!(shown(&["misc/a"], &["misc/b"]), @"dir:misc (dir): both touch the same directory, of which no rule says more: `misc/a` against `misc/b` (rule: unclassified = directory)");
}

#[test]
fn bad_rules_say_which_and_why() {
    fn chain(text: &str) -> String {
        let error = RuleSet::from_toml(text).unwrap_err();
        let mut out = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            out.push_str(": ");
            out.push_str(cause.to_string().lines().next().unwrap_or_default());
            source = cause.source();
        }
        out
    }
    insta::assert_snapshot!(chain("colour = 1"), @"the rules in the rules file cannot be read: TOML parse error at line 1, column 1");
    insta::assert_snapshot!(chain("version = 2"), @"the rules in the rules file have version 2; this program reads version 1");
    insta::assert_snapshot!(chain("[[rule]]\nname='x'\nclass='api'"), @"the rule `x` has neither `patterns` nor `words`, so it matches nothing");
    insta::assert_snapshot!(chain("[[rule]]\nname='x'\nclass='api'\npatterns=['/a']"), @"the pattern `/a` of the rule `x` cannot be used: the pattern must be relative to the root of the repository, without a leading `/` and without `..`");
    insta::assert_snapshot!(chain("[[rule]]\nname='x'\nclass='api'\nkey='{b}'\npatterns=['a/{a}']"), @"the key `{b}` of the rule `x` names `{b}`, which the pattern `a/{a}` does not capture");
    insta::assert_snapshot!(chain("[[rule]]\nname='x'\nclass='api'\nkey='{b'\npatterns=['a/{a}']"), @"the key `{b` of the rule `x` has a brace that is not closed");
    insta::assert_snapshot!(chain("[[rule]]\nname='x'\nclass='api'\nwords=['a']\n[[allow]]\nname='x'\npatterns=['a']"), @"two rules in the rules file are called `x`; a later file may replace a rule by its name, one file may not");
    insta::assert_snapshot!(chain("presets=['cobol']"), @"there is no preset `cobol`; there are common, generic, laravel, rails, django, spring, node, react, vue, go, rust");
    insta::assert_snapshot!(chain("presets='auto'"), @r#"`presets = "auto"` needs the list of files of the repository; name the presets instead"#);
    insta::assert_snapshot!(chain("disable=['x']"), @"`disable` names the rule `x`, which none of the chosen presets has");
    insta::assert_snapshot!(chain("[[rule]]\nname='x'\nclass='colour'\nwords=['a']"), @"the rules in the rules file cannot be read: TOML parse error at line 3, column 7");
}

#[test]
fn a_preset_rule_is_replaced_disabled_and_rooted() {
    let rules = |text: &str| RuleSet::from_toml(text).unwrap().detector("main").unwrap();
    let lock = |detector: &RuleConflicts, path: &str| {
        detector
            .areas(&files(&[path]))
            .iter()
            .any(|area| area.class == ConflictClass::Deps)
    };
    assert!(lock(&rules("presets = ['generic']"), "Cargo.lock"));
    assert!(!lock(
        &rules("presets = ['generic']\ndisable = ['common.lockfile']"),
        "Cargo.lock"
    ));
    let replaced = "presets = ['generic']\n[[rule]]\nname='common.lockfile'\nclass='deps'\npatterns=['my.lock']";
    assert!(!lock(&rules(replaced), "Cargo.lock"));
    assert!(lock(&rules(replaced), "my.lock"));
    let rooted = rules("presets = [{ name = 'generic', root = 'back end' }]");
    assert!(lock(&rooted, "back end/config/app.php"));
    assert!(!lock(&rooted, "front/config/app.php"));
}

#[test]
fn the_digest_follows_the_meaning() {
    let digest = |text: &str| RuleSet::from_toml(text).unwrap().digest();
    assert_eq!(
        digest("presets = ['generic']"),
        digest("# comment\npresets = ['generic']")
    );
    assert_ne!(
        digest("presets = ['generic']"),
        digest("presets = ['generic']\nunclassified = 'file'")
    );
    assert_ne!(digest(""), digest("[modes]\ndb='per-key'"));
}

fn any_footprint() -> impl Strategy<Value = Vec<String>> {
    let path = prop_oneof![
        "app/Models/(Point|Points|Order|PT)\\.php",
        "app/Http/Controllers/(Api/)?(Points|Orders)Controller\\.php",
        "tests/Feature/(Points|Orders)Test\\.php",
        "database/migrations/[ab]\\.php",
        "widgets/(a|b|free)/(x\\.ts|README\\.md)",
        "misc/[abAB]",
        "kernel/[ab]",
        Just("CHANGELOG.md".to_owned()),
        Just("app/RefundJob.php".to_owned()),
        "(src|docs)/",
        Just("../x".to_owned()),
        Just("package-lock.json".to_owned()),
    ];
    proptest::collection::vec(path, 0..5)
}

/// Every combination of settings, built once: building a preset is slow without optimisation.
static DETECTORS: LazyLock<Vec<RuleConflicts>> = LazyLock::new(|| {
    let mut detectors = Vec::new();
    for unclassified in ["serial", "directory", "file"] {
        let text = format!("unclassified = '{unclassified}'\n{SHOP}");
        let rules = RuleSet::from_toml(&text).unwrap();
        detectors.extend(["main", "site-blue"].map(|target| rules.detector(target).unwrap()));
    }
    let preset = RuleSet::from_toml("presets = ['generic']").unwrap();
    detectors.push(preset.detector("main").unwrap());
    detectors
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_laws_hold(
        detector in 0..DETECTORS.len(),
        a in any_footprint(),
        b in any_footprint(),
        more in any_footprint(),
        touched in any_footprint(),
    ) {
        let detector = &DETECTORS[detector];
        let touched: Vec<RepoPath> = touched.iter().filter_map(|text| RepoPath::parse(text).ok()).collect();
        let one = Footprint::from_candidates(&a);
        let two = Footprint::from_candidates(&b).with_touched(touched);
        let conflicts = detector.conflicts(&one, &two);
        let reversed: Vec<_> = detector.conflicts(&two, &one).into_iter().map(super::super::Conflict::flipped).collect();
        prop_assert_eq!(&conflicts, &reversed);
        prop_assert!(!detector.conflicts(&one, &one).is_empty());
        prop_assert!(!detector.conflicts(&two, &two).is_empty());
        prop_assert!(!detector.conflicts(&Footprint::unknown(), &two).is_empty());
        if one.is_known() {
            let wide = Footprint::from_candidates(a.iter().chain(&more));
            let widened = detector.conflicts(&wide, &two);
            for conflict in &conflicts {
                prop_assert!(
                    widened.iter().any(|it| it.class == conflict.class && it.key == conflict.key),
                    "{} is lost", conflict
                );
            }
        }
        for conflict in &conflicts {
            prop_assert!(!conflict.rule().is_empty());
        }
        // The two methods and the posted keys agree.
        let (mine, theirs) = (detector.areas(&one), detector.areas(&two));
        let meet = mine.keys().iter().any(|key| theirs.keys().iter().any(|other| key.meets(other)));
        prop_assert_eq!(meet, !conflicts.is_empty());
    }
}
