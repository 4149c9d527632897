use super::*;

const FILES: [&str; 6] = [
    "src/api/points.rs",
    "src/api/orders.rs",
    "src/api/internal/keys.rs",
    "src/widgets/a.ts",
    "db/1.sql",
    "README.md",
];

fn findings(rules: &str, files: &[&str]) -> Vec<String> {
    let listing: Vec<RepoPath> = files
        .iter()
        .map(|file| RepoPath::parse(file).unwrap())
        .collect();
    let file = RuleFile::parse(rules, "conflicts.toml").unwrap();
    let rules = RuleSet::from_toml(rules).unwrap();
    check(&file, &rules, &listing)
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn shown(rules: &str) -> String {
    findings(rules, &FILES).join("\n")
}

#[test]
fn good_rules_are_left_alone() {
    let rules = r#"
    [[rule]]
    name = "api"
    class = "api"
    key = "{api}"
    patterns = ["src/api/{api}.rs", "src/api/**/{api}.rs"]
    [[rule]]
    name = "migrations"
    class = "db"
    patterns = ["db/*.sql"]
    [[allow]]
    name = "keys"
    patterns = ["src/api/internal/**"]
    "#;
    assert_eq!(findings(rules, &FILES), Vec::<String>::new());
    assert_eq!(findings(rules, &[]), Vec::<String>::new());
}

#[test]
fn dead_rules_and_patterns_are_named() {
    let rules = r#"
    [[rule]]
    name = "old"
    class = "screen"
    patterns = ["legacy/**", "older/**"]
    [[rule]]
    name = "half"
    class = "screen"
    patterns = ["src/widgets/**", "src/gadgets/**"]
    except = ["src/widgets/vendor/**"]
    [[rule]]
    name = "money"
    class = "domain"
    words = ["money"]
    [[deny]]
    name = "gone"
    patterns = ["kernel/**"]
    "#;
    insta::assert_snapshot!(shown(rules), @r#"
    gone: dead: none of its patterns matches a file of the repository
    half: dead: the exception `src/widgets/vendor/**` matches no file that the rule matches
    half: dead: the pattern `src/gadgets/**` matches no file of the repository
    money: dead: none of its words stands in the path of a file of the repository
    old: dead: none of its patterns matches a file of the repository
    "#);
    assert!(
        findings(rules, &[])
            .iter()
            .all(|finding| !finding.contains("repository"))
    );
}

#[test]
fn an_allowance_that_changes_nothing_is_dead() {
    let rules = "unclassified = 'file'\n[[allow]]\nname = 'nothing'\npatterns = ['README.md']";
    assert_eq!(
        findings(rules, &FILES),
        [
            "nothing: dead: no rule claims anything for the files it matches (for example `README.md`)"
        ]
    );
    assert!(findings(&rules.replace("file", "directory"), &FILES).is_empty());
}

#[test]
fn shadowed_rules_are_named() {
    let rules = r#"
    [[rule]]
    name = "order-of-patterns"
    class = "screen"
    key = "x"
    patterns = ["src/widgets/**", "src/widgets/*.ts"]
    [[rule]]
    name = "excepted"
    class = "api"
    key = "y"
    patterns = ["src/api/*.rs"]
    except = ["src/**"]
    [[rule]]
    name = "allowed"
    class = "api"
    key = "{api}"
    patterns = ["src/api/internal/{api}.rs"]
    [[allow]]
    name = "internal"
    patterns = ["src/api/internal/**"]
    [[rule]]
    name = "sql"
    class = "db"
    patterns = ["db/**"]
    [[rule]]
    name = "tables"
    class = "screen"
    key = "tables"
    patterns = ["db/*.sql"]
    [[rule]]
    name = "same-again"
    class = "screen"
    key = "x"
    patterns = ["src/widgets/*.ts"]
    [[allow]]
    name = "useless"
    patterns = ["vault/**"]
    [[deny]]
    name = "vault"
    patterns = ["vault/**"]
    "#;
    insta::assert_snapshot!(findings(rules, &[]).join("\n"), @r#"
    allowed: shadowed: all that it matches is allowed by `internal` (for example `src/api/internal/Zqfzqg.rs`)
    excepted: shadowed: the exception `src/**` takes away all that the pattern `src/api/*.rs` matches
    order-of-patterns: shadowed: the pattern `src/widgets/*.ts` is never reached, since `src/widgets/**` stands before it and matches all of it; put the narrower one first
    same-again: shadowed: the rule `order-of-patterns` gives every file that it matches the same key (for example `src/widgets/.ts`)
    tables: shadowed: all that it matches is exclusive by `sql`, so its key decides nothing (for example `db/.sql`)
    useless: shadowed: all that it matches is denied by `vault`, and a denial stands (for example `vault/zqc/zqd.zqe`)
    useless: ambiguous: `useless` allows a file that `vault` denies; the denial stands (for example `vault/zqc/zqd.zqe`)
    "#);
}

#[test]
fn ambiguous_rules_are_named() {
    let rules = r#"
    [[rule]]
    name = "by-file"
    class = "api"
    key = "{api}"
    patterns = ["src/api/{api}.rs"]
    [[rule]]
    name = "by-folder"
    class = "api"
    key = "{dir}"
    patterns = ["src/{dir}/*.rs"]
    [[rule]]
    name = "free"
    class = "screen"
    key = "{a}"
    patterns = ["screens/{a}-{b}.ts"]
    [[allow]]
    name = "half-open"
    patterns = ["src/widgets/**"]
    [[deny]]
    name = "ts"
    patterns = ["src/**/*.ts"]
    "#;
    insta::assert_snapshot!(shown(rules), @r#"
    by-file: ambiguous: it gives a file the key api:zqfzqg, and the rule `by-folder` gives it api:api: the file belongs to both (for example `src/api/Zqfzqg.rs`)
    free: dead: none of its patterns matches a file of the repository
    free: ambiguous: the pattern `screens/{a}-{b}.ts` has two captures in one segment, so a name with the text between them splits in several ways
    half-open: ambiguous: `half-open` allows a file that `ts` denies; the denial stands (for example `src/widgets/a.ts`)
    "#);
}

#[test]
fn rules_of_presets_are_not_blamed_but_seen() {
    let rules = "presets = ['rust']\n[[rule]]\nname = 'lock'\nclass = 'deps'\nkey = 'dependencies'\npatterns = ['Cargo.lock']";
    insta::assert_snapshot!(findings(rules, &["Cargo.lock"]).join("\n"), @"lock: shadowed: the rule `common.lockfile` gives every file that it matches the same key (for example `Cargo.lock`)");
}

#[test]
fn a_rule_for_other_targets_is_judged_there() {
    let rules = "[[rule]]\nname = 'banner'\nclass = 'screen'\npatterns = ['src/widgets/**']\ntargets = ['site-*']\n[[allow]]\nname = 'free'\npatterns = ['src/widgets/**']\ntargets = ['main']";
    let found = findings(rules, &FILES);
    assert!(
        found.iter().all(|finding| !finding.starts_with("banner")),
        "{found:?}"
    );
}
