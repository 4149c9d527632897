//! Every integration test of the binaries, in one program: it links once.

mod suite;

/// A file of tests that nobody lists here would never run.
#[test]
fn no_test_file_is_forgotten() {
    let listed = include_str!("suite/mod.rs");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite");
    for entry in std::fs::read_dir(folder).expect("the folder of the tests") {
        let name = entry.expect("an entry").file_name();
        let name = name
            .to_str()
            .expect("a UTF-8 name")
            .trim_end_matches(".rs")
            .to_owned();
        let declared = format!("mod {name};\n");
        assert!(
            name == "mod" || listed.contains(&declared),
            "tests/suite/{name}.rs is not listed"
        );
    }
}
