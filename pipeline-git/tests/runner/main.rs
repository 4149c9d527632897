//! The public API on real repositories: the conformance suites of both seams.

mod git;
mod integrate;
mod workspace;

#[test]
fn every_file_of_this_folder_is_part_of_the_binary() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/runner");
    let main = include_str!("main.rs");
    for entry in std::fs::read_dir(folder).expect("readable") {
        let name = entry
            .expect("readable")
            .file_name()
            .to_string_lossy()
            .into_owned();
        let module = name.strip_suffix(".rs").expect("only source files");
        assert!(
            module == "main" || main.contains(&format!("mod {module};")),
            "{name}"
        );
    }
}
