//! A team's own rules.

use std::error::Error as _;
use std::fmt::Write as _;

use super::super::ProhibitedRules;
use super::super::ProtectedRules;
use super::adding;
use super::held;
use super::names;

const TEAM: &str = r#"
[sets]
storage = ["data/customers/**"]
ours = ["**/*.ours"]

[[path]]
name = "contracts"
class = "contracts"
paths = ["legal/**"]

[[command]]
name = "our-deploy"
kind = "production-deploy"
run = ["shipit"]
unless = ["--dry-run"]

[[statement]]
name = "our-procedure"
kind = "existing-data"
pattern = '^CREATE PROCEDURE PURGE'

[[line]]
name = "our-marker"
kind = "db-change"
pattern = "PURGE_ALL"
files = ["ours"]

[[bulk]]
name = "our-files"
kind = "bulk-files"
on = ["ours"]
changes = ["added"]
at_least = 1

[[except]]
rule = "git-push-force"
commands = ["git push --force origin preview/*"]
reason = "previews are rebuilt"

[[except]]
rule = "lockfile"
paths = ["examples/**"]
reason = "examples pin nothing"
"#;

#[test]
fn a_team_adds_rules_sets_and_exceptions() {
    let rules = ProtectedRules::with_team(TEAM).unwrap();
    assert_eq!(names(&rules.command("shipit now")), ["production-deploy"]);
    assert!(rules.command("shipit --dry-run").is_empty());
    assert_eq!(
        names(&rules.command("rm -rf data/customers/x")),
        ["bulk-files"]
    );
    assert!(
        rules
            .command("git push --force origin preview/7")
            .is_empty()
    );
    assert_eq!(
        names(&rules.command("git push --force origin main")),
        ["destructive-git"]
    );

    assert_eq!(
        names(&held(&rules, &adding("legal/a.txt", "x"))),
        ["contracts"]
    );
    assert_eq!(
        names(&held(&rules, &adding("a.ours", "PURGE_ALL"))),
        ["bulk-files", "db-change"]
    );
    assert_eq!(
        names(&held(&rules, &adding("a.sql", "CREATE PROCEDURE PURGE()"))),
        ["existing-data"]
    );
    assert!(held(&rules, &adding("examples/Cargo.lock", "x")).is_empty());
    assert_eq!(
        names(&held(&rules, &adding("Cargo.lock", "x"))),
        ["lockfile"]
    );
}

#[test]
fn a_rules_file_that_cannot_be_used_says_why() {
    let mut answers = String::new();
    for team in [
        "nonsense",
        "[[command]]\nname = 'a'\nkind = 'production-deploy'\nrunn = ['x']",
        "[[command]]\nname = 'a'\nkind = 'deploy'\nrun = ['x']",
        "[[command]]\nname = 'a'\nkind = 'production-deploy'\nrun = ['*']",
        "[[command]]\nname = 'lockfile'\nkind = 'production-deploy'\nrun = ['x']",
        "[[command]]\nname = 'a'\nkind = 'production-deploy'\nrun = ['x']\non = ['nowhere']",
        "[[path]]\nname = 'a'\nclass = 'Not A Class'\npaths = ['x']",
        "[[path]]\nname = 'a'\nclass = 'db-change'\npaths = ['x']",
        "[[path]]\nname = 'a'\nclass = 'ci'\npaths = ['x[']",
        "[[line]]\nname = 'a'\nkind = 'db-change'\npattern = '('",
        "[[line]]\nname = 'a'\nkind = 'db-change'\npattern = '(a{1000}){1000}'",
        "[[line]]\nname = 'a'\nkind = 'db-change'\npattern = ''",
        "[[except]]\nrule = 'nothing'\npaths = ['x']\nreason = 'r'",
        "[[except]]\nrule = 'lockfile'\npaths = ['x']\nreason = ' '",
        "[[except]]\nrule = 'lockfile'\npaths = ['**']\nreason = 'r'",
        "[[except]]\nrule = 'lockfile'\nreason = 'r'",
    ] {
        let error = ProtectedRules::with_team(team).unwrap_err();
        writeln!(answers, "{error}").unwrap();
        let source = error.source().map(ToString::to_string).unwrap_or_default();
        if let Some(line) = source
            .lines()
            .last()
            .filter(|_| team.contains("kind") || team == "nonsense")
        {
            writeln!(answers, "  {line}").unwrap();
        }
    }
    insta::assert_snapshot!(answers, @r"
    the rules cannot be read
      key with no value, expected `=`
    the rules cannot be read
      unknown field `runn`, expected one of `name`, `kind`, `run`, `flags`, `args`, `on`, `at`, `spares`, `unless`, `when`, `sql`
    the rules cannot be read
      unknown variant `deploy`, expected one of `production-deploy`, `db-change`, `existing-data`, `destructive-git`, `production-overwrite`, `sync-delete`, `bulk-files`
    the rule `a` runs anything, and would hold everything
    two rules are named `lockfile`
    the rule `a` uses the set `nowhere`, which is not defined; there are: assets, code, data-scripts, folders, generated, migrations, production, prose, scripts, sql, storage
    the rule `a` has no usable class
    the rule `a` has no usable class
    the path pattern `x[` of `a` cannot be read
    the pattern `(` of the rule `a` cannot be read
      error: unclosed group
    the pattern `(a{1000}){1000}` of the rule `a` cannot be read
      Compiled regex exceeds size limit of 4194304 bytes.
    the rule `a` has an empty pattern, which fits everything
    the exception for `nothing` names no rule
    the exception for `lockfile` gives no reason
    the exception for `lockfile` would except everything
    the exception for `lockfile` names neither paths nor commands
    ");
}

#[test]
fn what_is_prohibited_cannot_be_excepted() {
    let more = "[[command]]\nname = 'ours'\nkind = 'network'\nrun = ['phone-home']";
    let rules = ProhibitedRules::with_team(more).unwrap();
    assert_eq!(rules.command("phone-home").len(), 1);
    assert_eq!(rules.command("npm test").len(), 1);
    let except = "[[except]]\nrule = 'test-runner'\ncommands = ['npm test']\nreason = 'r'";
    assert_eq!(
        ProhibitedRules::with_team(except).unwrap_err().to_string(),
        "the exception for `test-runner` is not possible: what is prohibited in a read-only run stays prohibited"
    );
}
