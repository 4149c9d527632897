//! The credential shows nowhere: in no comment, file, log line, refusal or snapshot.

use std::path::Path;

use pipeline_core::secret::Redactor;
use pipeline_core::secret::Secret;
use pipeline_trackers::fake::FakeGitLab;
use pipeline_trackers::fake::Fault;
use pipeline_trackers::fake::Faults;
use pipeline_trackers::fake::backlog;

use super::super::world::World;
use super::Backlog;
use super::GitLab;
use super::Service;
use super::set_up;

/// Searches everything the pipeline wrote and said for its credential.
pub(super) async fn no_credential_shows(world: &World, service: &dyn Service, keys: &[&String]) {
    let secrets: Vec<Secret> = service.secrets().into_iter().map(Secret::new).collect();
    assert!(!secrets.is_empty());
    let redactor = Redactor::new(&secrets);
    for key in keys {
        for text in service.thread(key) {
            assert!(!redactor.finds(&text), "a comment shows the credential");
        }
    }
    let mut said = Vec::new();
    for command in [
        &["status"][..],
        &["doctor"],
        &["--json", "doctor"],
        &["log"],
    ] {
        said.push(world.run(command).await.said());
    }
    for text in said {
        assert!(!redactor.finds(&text), "{}", redactor.redact(&text));
    }
    let mut folders = vec![world.state()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else if let Ok(bytes) = std::fs::read(&path) {
                let text = String::from_utf8_lossy(&bytes);
                assert!(
                    !redactor.finds(&text),
                    "{} holds the credential",
                    path.display()
                );
            }
        }
    }
}

async fn refusals_are_without(service: &dyn Service, faults: &Faults, credential: &str) {
    let mut world = World::new().await;
    world.agent("", "", "true");
    set_up(&mut world, service).await.ended(0);
    world.set("ISSUE_PIPELINE_LOG", "trace");
    service.file("Greet the customer by name");
    for fault in [
        Fault::Unauthenticated,
        Fault::NotFound,
        Fault::Lost { landed: true },
        Fault::NotJson,
    ] {
        faults.next(1, fault);
        let said = world.run(&["triage"]).await.said();
        assert!(!said.contains(credential), "{fault:?}");
        faults.clear();
    }
}

#[tokio::test]
async fn a_log_of_everything_and_every_refusal_is_without_the_credential() {
    let service = GitLab::new();
    refusals_are_without(&service, service.0.faults(), FakeGitLab::TOKEN).await;
}

#[tokio::test]
async fn a_log_of_everything_and_every_refusal_is_without_the_key() {
    let service = Backlog::new();
    refusals_are_without(&service, service.0.faults(), backlog::KEY).await;
}

/// Returns every snapshot under a folder: the files of `insta`, accepted or waiting, and those that stand in the tests.
fn snapshots(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        let name = path
            .file_name()
            .and_then(|n| n.to_str())
            .unwrap_or_default();
        if path.is_dir() && !path.is_symlink() {
            if name != "target" && !name.starts_with('.') {
                snapshots(&path, found);
            }
            continue;
        }
        let shown = path.display().to_string();
        if name.ends_with(".snap") || name.ends_with(".snap.new") || name.ends_with(".pending-snap")
        {
            let bytes = std::fs::read(&path).expect("readable");
            found.push((shown, String::from_utf8_lossy(&bytes).into_owned()));
        } else if name.ends_with(".rs") {
            let text = std::fs::read_to_string(&path).expect("UTF-8");
            found.extend(inline(&text).into_iter().map(|s| (shown.clone(), s)));
        }
    }
}

/// Returns the snapshots in the text of a test: literals behind an `@`.
fn inline(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices('@') {
        let rest = &text[at + 1..];
        let raw = rest.strip_prefix('r').unwrap_or(rest);
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        let Some(body) = raw[hashes..].strip_prefix('"') else {
            continue;
        };
        let end = format!("\"{}", "#".repeat(hashes));
        let mut from = 0;
        while let Some(length) = body[from..].find(&end).map(|i| from + i) {
            let escaped = raw.len() == rest.len() && body[..length].ends_with('\\');
            if !escaped {
                found.push(body[..length].to_owned());
                break;
            }
            from = length + 1;
        }
    }
    found
}

#[test]
fn no_snapshot_shows_a_credential() {
    let planted = tempfile::tempdir().expect("temporary directory");
    let write = |name: &str, text: &str| std::fs::write(planted.path().join(name), text);
    write("a.snap", FakeGitLab::TOKEN).expect("written");
    write("b.snap.new", FakeGitLab::TOKEN).expect("written");
    let test = format!(
        "assert_snapshot!(x, @r#\"a \"{}\" b\"#); other(\"{}\");",
        FakeGitLab::TOKEN,
        backlog::KEY
    );
    write("c.rs", &test).expect("written");
    let canaries = [
        FakeGitLab::TOKEN,
        backlog::KEY,
        "access-0-of-fake",
        "refresh-0-of-fake",
        "client-secret-of-fake",
    ];
    let shows = |folder: &Path| {
        let mut all = Vec::new();
        snapshots(folder, &mut all);
        let redactor = Redactor::new(&canaries.map(Secret::new));
        let shown = all.iter().filter(|(_, text)| redactor.finds(text));
        let shown: Vec<String> = shown.map(|(path, _)| path.clone()).collect();
        (all.len(), shown)
    };
    assert_eq!(shows(planted.path()).1.len(), 3, "what is planted is found");
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace");
    let (searched, shown) = shows(workspace);
    assert!(searched > 50, "{searched} snapshots");
    assert_eq!(shown, Vec::<String>::new());
}
