//! The tests of this crate from outside, in one binary.

#[cfg(test)]
mod backlog_conformance;
#[cfg(test)]
mod backlog_live;
#[cfg(test)]
mod backlog_quiet;
#[cfg(test)]
mod backlog_schedules;
#[cfg(test)]
mod backlog_service;
#[cfg(test)]
mod broker_agent;
#[cfg(test)]
mod gitlab_conformance;
#[cfg(test)]
mod gitlab_live;
#[cfg(test)]
mod gitlab_schedules;
#[cfg(test)]
mod local_conformance;
#[cfg(test)]
mod local_processes;
#[cfg(test)]
mod long_memos;
#[cfg(test)]
mod plan_sync;
#[cfg(test)]
mod schedules;

#[test]
fn no_test_file_is_forgotten() {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/runner");
    for entry in std::fs::read_dir(here).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let module = name.trim_end_matches(".rs");
        let listed = include_str!("main.rs").contains(&format!("mod {module};"));
        assert!(listed || module == "main", "{name} is not in main.rs");
    }
}
