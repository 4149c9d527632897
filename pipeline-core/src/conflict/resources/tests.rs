use proptest::prelude::*;

use super::super::key::tests::any_key;
use super::*;
use crate::footprint::RepoPath;

fn main_branch() -> Scope {
    Scope::new("shop", "main")
}

fn paths(count: usize, shape: impl Fn(usize) -> String) -> Vec<ConflictKey> {
    (0..count)
        .map(|n| ConflictKey::path(RepoPath::parse(&shape(n)).unwrap()))
        .collect()
}

#[test]
fn few_keys_stay_as_they_are() {
    let set = ResourceSet::new(
        main_branch(),
        "A-1",
        paths(MAX_KEYS - 1, |n| format!("d{n}/f")),
    );
    assert_eq!(set.keys().len(), MAX_KEYS);
    assert!(set.keys().any(|key| key.to_string() == "path:d7/f"));
    assert_eq!(set.lines().next().unwrap(), "issue:A-1");
}

#[test]
fn many_files_collapse_to_the_deepest_trees_that_are_few() {
    let set = ResourceSet::new(
        main_branch(),
        "A-1",
        paths(1000, |n| format!("src/m{}/f{n}", n % 50)),
    );
    assert_eq!(set.keys().len(), 51);
    assert!(set.keys().any(|key| key.to_string() == "tree:src/m7"));
}

#[test]
fn what_cannot_collapse_becomes_all() {
    let set = ResourceSet::new(main_branch(), "A-1", paths(1000, |n| format!("d{n}/f")));
    assert_eq!(set.lines().collect::<Vec<_>>(), ["issue:A-1", "all"]);
    let flat = ResourceSet::new(main_branch(), "A-1", paths(1000, |n| format!("f{n}")));
    assert_eq!(flat.lines().collect::<Vec<_>>(), ["issue:A-1", "all"]);
}

#[test]
fn other_targets_and_repositories_are_apart_but_an_issue_is_one() {
    let set = |scope, issue| ResourceSet::new(scope, issue, [ConflictKey::all()]);
    assert!(set(main_branch(), "A-1").meets(&set(main_branch(), "A-2")));
    assert!(!set(main_branch(), "A-1").meets(&set(Scope::new("shop", "site"), "A-2")));
    assert!(!set(main_branch(), "A-1").meets(&set(Scope::new("blog", "main"), "A-2")));
    assert!(set(main_branch(), "A-1").meets(&set(Scope::new("shop", "site"), "A-1")));
}

fn claims() -> impl Strategy<Value = Vec<ConflictKey>> {
    let deep = "path:([a-h]/){0,4}[a-z]{1,2}".prop_map(|text| text.parse::<ConflictKey>().unwrap());
    proptest::collection::vec(prop_oneof![9 => deep, 1 => any_key()], 0..500)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn collapsing_lets_go_of_nothing(keys in claims(), other in any_key()) {
        let set = ResourceSet::new(main_branch(), "Z-9", keys.clone());
        prop_assert!(set.keys().len() <= MAX_KEYS.max(2));
        let single = ResourceSet::posted(main_branch(), [other.clone()]);
        if keys.iter().any(|key| key.meets(&other)) {
            prop_assert!(set.meets(&single));
        }
    }

    #[test]
    fn widening_never_meets_less(keys in claims(), more in claims(), other in any_key()) {
        let narrow = ResourceSet::new(main_branch(), "Z-9", keys.clone());
        let wide = ResourceSet::new(main_branch(), "Z-9", keys.into_iter().chain(more));
        let single = ResourceSet::posted(main_branch(), [other]);
        prop_assert!(!narrow.meets(&single) || wide.meets(&single));
        prop_assert_eq!(wide.meets(&single), single.meets(&wide));
    }

    #[test]
    fn resources_survive_their_lines(keys in claims()) {
        let set = ResourceSet::new(main_branch(), "Z-9", keys);
        let again: Result<Vec<ConflictKey>, _> = set.lines().map(|line| line.parse()).collect();
        prop_assert_eq!(ResourceSet::posted(main_branch(), again.unwrap()), set);
    }
}
