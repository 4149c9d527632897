//! The import rule: core ← adapters ← examples, never sideways.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// Returns which packages of the workspace each package depends on, tests included.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = cargo_metadata::MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .no_deps()
        .other_options(vec!["--offline".to_owned()])
        .exec()
        .expect("cargo describes the workspace");
    let ours: BTreeSet<String> = metadata
        .packages
        .iter()
        .map(|p| p.name.to_string())
        .collect();
    let of = |package: &cargo_metadata::Package| {
        let names = package.dependencies.iter().map(|d| d.name.clone());
        names
            .filter(|n| ours.contains(n) && *n != package.name.as_str())
            .collect()
    };
    metadata
        .packages
        .iter()
        .map(|p| (p.name.to_string(), of(p)))
        .collect()
}

#[test]
fn core_imports_nothing_of_ours_and_adapters_import_core_only() {
    let imports = imports();
    assert_eq!(imports["pipeline-core"], BTreeSet::new());
    let core = BTreeSet::from(["pipeline-core".to_owned()]);
    for adapter in ["pipeline-trackers", "pipeline-agents", "pipeline-git"] {
        assert_eq!(imports[adapter], core, "{adapter}");
    }
    let known = [
        "pipeline-core",
        "pipeline-trackers",
        "pipeline-agents",
        "pipeline-git",
        "pipeline-examples",
        "pipeline-benches",
    ];
    assert_eq!(
        imports.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        known.into()
    );
}

#[test]
fn core_depends_on_no_http_and_no_git() {
    let manifest = include_str!("../../../pipeline-core/Cargo.toml");
    for forbidden in ["reqwest", "hyper", "axum", "git2", "gix", "octocrab"] {
        assert!(
            !manifest.contains(forbidden),
            "pipeline-core depends on {forbidden}"
        );
    }
}

#[test]
fn stages_name_no_implementation() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../pipeline-core/src/stages");
    let mut folders = vec![std::path::PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder of the stages") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                if !path.ends_with("tests") {
                    folders.push(path);
                }
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("a source file");
            assert!(
                !text.contains("crate::memory"),
                "{} names an implementation",
                path.display()
            );
        }
    }
}
