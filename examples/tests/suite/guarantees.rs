//! `docs/guarantees.md` names the tests that hold each promise; they exist.

use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn every_promise_is_held_by_a_test_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = std::fs::read_to_string(root.join("docs/guarantees.md")).expect("the guarantees");
    let mut sources = String::new();
    for package in [
        "pipeline-core",
        "pipeline-git",
        "pipeline-trackers",
        "examples",
    ] {
        for folder in ["src", "tests"] {
            read(&root.join(package).join(folder), &mut sources);
        }
    }
    let named: BTreeSet<&str> = text
        .lines()
        .filter(|line| line.starts_with("| ") || line.starts_with('('))
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .filter(|word| word.matches('_').count() >= 3 && !word.contains(['/', '.', '-', ':']))
        .collect();
    assert!(named.len() > 40, "{} tests are named", named.len());
    let missing: Vec<_> = named
        .iter()
        .filter(|name| !sources.contains(&format!("fn {name}(")))
        .collect();
    assert!(missing.is_empty(), "no such tests: {missing:?}");
    let bare = text
        .lines()
        .find(|l| l.starts_with("| ") && l.ends_with("| |"));
    assert_eq!(bare, None, "nothing holds it");
}

fn read(folder: &Path, into: &mut String) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            read(&path, into);
        } else if path.extension().is_some_and(|x| x == "rs") {
            into.push_str(&std::fs::read_to_string(&path).expect("source text"));
        }
    }
}
