use proptest::prelude::*;

use super::*;
use crate::conflict::{ConflictDetector as _, RuleSet};
use crate::footprint::Footprint;

fn path(text: &str) -> RepoPath {
    RepoPath::parse(text).unwrap()
}

fn commit(id: usize, files: &[&str]) -> CommitFiles {
    CommitFiles::new(
        id.to_string(),
        files.iter().map(|file| path(file)).collect(),
    )
}

fn rules() -> CouplingRules {
    CouplingRules {
        enabled: true,
        min_support: 3,
        ..CouplingRules::default()
    }
}

fn learned(commits: Vec<CommitFiles>) -> Coupling {
    let mut history = History::new(&rules());
    history.read(commits);
    history.coupling(&rules())
}

fn partners(coupling: &Coupling, file: &str) -> Vec<String> {
    coupling
        .of(&path(file))
        .iter()
        .map(|it| format!("{} {}/{}", it.path, it.together, it.of))
        .collect()
}

#[test]
fn support_and_confidence_decide() {
    let mut commits: Vec<_> = (0..4).map(|n| commit(n, &["a", "b"])).collect();
    commits.extend((4..8).map(|n| commit(n, &["b", "c"])));
    commits.extend((8..10).map(|n| commit(n, &["a", "d"])));
    let coupling = learned(commits);
    assert_eq!(partners(&coupling, "a"), ["b 4/6"]);
    assert_eq!(partners(&coupling, "c"), ["b 4/4"]);
    // Half of the commits of b are not enough, and two with d are too few.
    assert!(partners(&coupling, "b").is_empty());
    assert!(partners(&coupling, "d").is_empty());
}

#[test]
fn merges_bulk_changes_and_files_in_everything_say_nothing() {
    let merges = (0..5)
        .map(|n| commit(n, &["a", "b"]).with_parents(2))
        .collect();
    assert!(learned(merges).is_empty());
    let names: Vec<String> = (0..31).map(|n| format!("f{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert!(learned((0..5).map(|n| commit(n, &names)).collect()).is_empty());
    let everywhere = (0..60)
        .map(|n| commit(n, &["CHANGELOG", &format!("f{}", n % 6)]))
        .collect();
    assert!(learned(everywhere).is_empty());
}

#[test]
fn only_the_newest_commits_are_remembered() {
    let short = CouplingRules {
        max_commits: 5,
        ..rules()
    };
    let mut history = History::new(&short);
    history.read((0..5).map(|n| commit(n, &["a", "b"])));
    history.read((5..10).map(|n| commit(n, &["c", "d"])));
    assert_eq!(history.len(), 5);
    let coupling = history.coupling(&short);
    assert!(coupling.of(&path("a")).is_empty());
    assert_eq!(
        coupling.of(&path("C")).len(),
        1,
        "a file is found under any spelling"
    );
    assert!(
        !history.fits(&rules()),
        "a window of another length must be read anew"
    );
}

#[test]
fn who_declares_a_file_claims_what_changes_with_it() {
    let coupling = learned(
        (0..8)
            .map(|n| commit(n, &["src/price.rs", "src/tax.rs"]))
            .collect(),
    );
    let rules = RuleSet::from_toml("unclassified = 'file'").unwrap();
    let plain = rules.detector("main").unwrap();
    let coupled = rules.detector("main").unwrap().with_coupling(coupling);
    let work = |file: &str| Footprint::from_candidates([file]);
    let (price, tax, other) = (
        work("src/price.rs"),
        work("src/tax.rs"),
        work("src/other.rs"),
    );
    assert!(plain.conflicts(&price, &tax).is_empty());
    assert!(coupled.conflicts(&price, &other).is_empty());
    let conflicts = coupled.conflicts(&price, &tax);
    insta::assert_snapshot!(conflicts[0].to_string(), @"path:src/price.rs (path): both touch the same file: `src/price.rs` against `src/tax.rs` (rule: changed together in 8 of the 8 commits of `src/tax.rs`, the same file)");
    // What it is coupled to is not itself coupled on: one step only.
    assert!(!coupled.conflicts(&tax, &price).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn reading_in_sittings_changes_nothing(
        commits in proptest::collection::vec((proptest::collection::vec(0..12_u8, 0..6), 1..3_usize), 0..120),
        sittings in proptest::collection::vec(0..120_usize, 0..4),
        max_commits in 1..60_usize,
    ) {
        let rules = CouplingRules { max_commits, max_files: 4, min_support: 2, max_share: 50, ..rules() };
        let commits: Vec<CommitFiles> = commits
            .into_iter()
            .enumerate()
            .map(|(n, (files, parents))| {
                let files = files.into_iter().map(|file| path(&format!("f{file}"))).collect();
                CommitFiles::new(n.to_string(), files).with_parents(parents)
            })
            .collect();
        let mut at_once = History::new(&rules);
        at_once.read(commits.clone());
        let mut stepwise = History::new(&rules);
        for (n, commit) in commits.iter().enumerate() {
            stepwise.read([commit.clone()]);
            if sittings.contains(&n) {
                let json = serde_json::to_string(&stepwise).unwrap();
                stepwise = serde_json::from_str(&json).unwrap();
            }
        }
        prop_assert_eq!(at_once.tip(), stepwise.tip());
        prop_assert_eq!(at_once.len(), stepwise.len());
        prop_assert_eq!(at_once.coupling(&rules), stepwise.coupling(&rules));
        // And it is what counting the newest commits anew gives.
        let counting: Vec<&CommitFiles> = commits
            .iter()
            .filter(|commit| commit.parents == 1 && commit.files.len() <= 4 && !commit.files.is_empty())
            .collect();
        let newest = counting[counting.len().saturating_sub(max_commits)..].iter().map(|commit| (*commit).clone());
        let mut anew = History::new(&rules);
        anew.read(newest);
        prop_assert_eq!(anew.coupling(&rules), at_once.coupling(&rules));
    }
}
