//! Everything that needs the `fake-agent` program.

#![expect(
    clippy::unwrap_used,
    reason = "what a test cannot go on without ends it"
)]

mod api;
mod cli;
mod command;
mod fake_model;

/// A file that nobody names here would be run by nobody.
#[test]
fn no_test_file_is_forgotten() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let source = include_str!("main.rs");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(
            name == "main" || source.contains(&format!("mod {name};")),
            "{name}"
        );
    }
}
