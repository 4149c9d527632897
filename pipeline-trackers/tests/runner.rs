//! The tests of this crate from outside, in one binary.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helper functions included"
)]

mod local_conformance;
mod local_processes;

#[test]
fn no_test_file_is_forgotten() {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    for entry in std::fs::read_dir(here).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let module = name.trim_end_matches(".rs");
        let listed = include_str!("runner.rs").contains(&format!("mod {module};"));
        assert!(listed || module == "runner", "{name} is not in runner.rs");
    }
}
