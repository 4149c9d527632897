use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::fs::symlink;

use super::*;
use crate::gate::fixture::candidate;
use crate::gate::fixture::evidence;
use crate::gate::fixture::key;
use crate::integrate::Candidate;

fn request(c: &Candidate) -> GateRequest {
    GateRequest::LocalOk {
        candidate: c.id(),
        issues: vec![key("A-1")],
    }
}

fn temp() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a folder");
    // The system's temporary folder may itself be behind a link.
    let path = dir.path().canonicalize().expect("real path");
    (dir, path)
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod");
}

/// Somebody who is not the owner of what the tests write, and who can write nothing.
fn stranger() -> Caller {
    Caller {
        uid: Caller::current().uid + 1,
        can_write: |_| Ok(false),
    }
}

fn ignored(decision: GateDecision) -> Vec<String> {
    match decision {
        GateDecision::Pending { ignored, .. } => ignored,
        GateDecision::Given(_) => panic!("it counted"),
    }
}

#[tokio::test]
async fn what_was_given_on_a_terminal_is_found_and_private() {
    let (_dir, path) = temp();
    let gate = FolderGate::terminal(path.join("approvals"));
    let c = candidate(&["A-1"]);
    let how = match gate.decision(&request(&c)).await.expect("asked") {
        GateDecision::Pending { how, .. } => how,
        GateDecision::Given(_) => panic!("nobody gave it"),
    };
    assert_eq!(
        how,
        format!(
            "run `issue-pipeline approve {}` on a terminal of this machine",
            c.id()
        )
    );
    gate.give(&evidence(c.id().as_str())).expect("written");
    assert_eq!(
        gate.decision(&request(&c)).await.expect("asked"),
        GateDecision::Given(evidence(c.id().as_str()))
    );
    let file = path
        .join("approvals")
        .join(format!("{}.json", c.id().as_str()));
    let mode = |p: &Path| fs::metadata(p).expect("there").mode() & 0o777;
    assert_eq!((mode(&file), mode(&path.join("approvals"))), (0o600, 0o700));
    let names = fs::read_dir(path.join("approvals")).expect("reads").count();
    assert_eq!(names, 1, "no temporary file is left");

    let other = candidate(&["A-2"]);
    let decision = gate.decision(&request(&other)).await.expect("asked");
    assert_eq!(ignored(decision), Vec::<String>::new());
}

#[tokio::test]
async fn a_second_ok_takes_the_place_of_the_first() {
    let (_dir, path) = temp();
    let gate = FolderGate::terminal(&path);
    chmod(&path, 0o700);
    let c = candidate(&["A-1"]);
    let mut first = evidence(c.id().as_str());
    first.allow.clear();
    gate.give(&first).expect("written");
    gate.give(&evidence(c.id().as_str())).expect("written");
    let GateDecision::Given(found) = gate.decision(&request(&c)).await.expect("asked") else {
        panic!("given");
    };
    assert!(found.allow.contains("migration"));
}

#[tokio::test]
async fn hostile_files_in_the_approvals_are_ignored_with_the_reason() {
    let (_dir, path) = temp();
    let gate = FolderGate::terminal(&path);
    chmod(&path, 0o700);
    let c = candidate(&["A-1"]);
    let id = c.id();
    let file = path.join(format!("{}.json", id.as_str()));
    let why = async || {
        let decision = gate.decision(&request(&c)).await.expect("asked");
        let all = ignored(decision).join("\n");
        all.replace(id.as_str(), "<id>")
    };
    fs::write(&file, "{\"subject\": \"\u{1b}[2J").expect("writes");
    insta::assert_snapshot!(why().await, @"<id>.json was ignored: it is not an approval as `approve` writes it (line 1, column 14)");
    fs::write(&file, vec![b' '; 70_000]).expect("writes");
    insta::assert_snapshot!(why().await, @"<id>.json was ignored: it is larger than 65536 bytes");
    fs::write(
        &file,
        serde_json::to_vec(&evidence(&"9".repeat(64))).expect("json"),
    )
    .expect("writes");
    insta::assert_snapshot!(why().await, @"<id>.json was ignored: it names something else than its file");
    fs::write(
        &file,
        serde_json::to_vec(&evidence(id.as_str())).expect("json"),
    )
    .expect("writes");
    chmod(&file, 0o622);
    insta::assert_snapshot!(why().await, @"<id>.json was ignored: others than its owner can write it: chmod go-w");
    fs::rename(&file, path.join("elsewhere")).expect("moves");
    symlink(path.join("elsewhere"), &file).expect("links");
    insta::assert_snapshot!(why().await, @"<id>.json was ignored: it is a link");
    fs::remove_file(&file).expect("removes");
    fs::create_dir(&file).expect("creates");
    insta::assert_snapshot!(why().await, @"<id>.json was ignored: it is not a file");
}

#[test]
fn a_folder_of_approvals_that_others_can_write_is_no_gate() {
    let (_dir, path) = temp();
    let gate = FolderGate::terminal(&path);
    let c = candidate(&["A-1"]);
    let refused = |caller| {
        let error = gate.decide(&request(&c), caller).expect_err("refused");
        error
            .to_string()
            .replace(&path.display().to_string(), "<folder>")
    };
    chmod(&path, 0o770);
    insta::assert_snapshot!(refused(Caller::current()), @"<folder> cannot serve as the gate: other users can write in it: chmod go-w <folder>");
    let given = gate.give(&evidence(c.id().as_str())).expect_err("refused");
    assert!(given.to_string().contains("chmod go-w"), "{given}");
    chmod(&path, 0o700);
    insta::assert_snapshot!(refused(stranger()), @"<folder> cannot serve as the gate: it belongs to another user: an OK by another user needs the gate `owner`");
}

#[test]
fn an_ok_is_written_for_an_id_only() {
    let (_dir, path) = temp();
    let gate = FolderGate::terminal(&path);
    chmod(&path, 0o700);
    for subject in ["", "../../etc/passwd", "0123456789ab", &"G".repeat(64)] {
        let error = gate.give(&evidence(subject)).expect_err("refused");
        assert!(matches!(error, GiveError::Subject), "{subject}");
    }
}

/// An owner's folder with one good OK, seen by somebody else.
fn owned() -> (tempfile::TempDir, PathBuf, FolderGate, Candidate) {
    let (dir, path) = temp();
    let folder = path.join("owner");
    fs::create_dir(&folder).expect("creates");
    chmod(&folder, 0o755);
    let gate = FolderGate::owner(&folder, path.join("state"));
    let c = candidate(&["A-1"]);
    gate.give(&evidence(c.id().as_str())).expect("written");
    (dir, folder, gate, c)
}

#[test]
fn the_ok_of_another_user_counts_whatever_its_file_is_called() {
    let (_dir, folder, gate, c) = owned();
    let file = folder.join(format!("{}.json", c.id().as_str()));
    assert_eq!(fs::metadata(&file).expect("there").mode() & 0o777, 0o644);
    fs::rename(&file, folder.join("my first ok.json")).expect("moves");
    fs::write(folder.join("a.json"), "\u{202e}").expect("writes");
    let decision = gate.decide(&request(&c), stranger()).expect("asked");
    let GateDecision::Given(found) = decision else {
        panic!("it counts: {decision:?}");
    };
    assert_eq!(found.place, GatePlace::Owner);
    let other = candidate(&["A-2"]);
    let why = ignored(gate.decide(&request(&other), stranger()).expect("asked"));
    insta::assert_snapshot!(why.join("\n"), @"a.json was ignored: it is not an approval as `approve` writes it (line 1, column 1)");
}

#[test]
fn of_several_oks_by_the_owner_the_newest_counts() {
    let (_dir, folder, gate, c) = owned();
    let mut newer = evidence(c.id().as_str());
    newer.at = newer.at.plus(std::time::Duration::from_secs(1));
    newer.allow.clear();
    fs::write(
        folder.join("0.json"),
        serde_json::to_vec(&newer).expect("json"),
    )
    .expect("writes");
    let GateDecision::Given(found) = gate.decide(&request(&c), stranger()).expect("asked") else {
        panic!("given");
    };
    assert!(found.allow.is_empty());
}

#[test]
fn an_owners_folder_that_the_pipeline_can_write_is_no_gate() {
    let (_dir, folder, gate, c) = owned();
    let base = folder.parent().expect("above").display().to_string();
    let refused = |gate: &FolderGate, caller| {
        let error = gate.decide(&request(&c), caller).expect_err("refused");
        error.to_string().replace(&base, "<base>")
    };
    let root = Caller {
        uid: 0,
        ..stranger()
    };
    insta::assert_snapshot!(refused(&gate, root), @"<base>/owner cannot serve as the gate: the pipeline runs as root, who can write everywhere: run it as a user of its own");
    let by_list = Caller {
        can_write: |p| Ok(p.ends_with("owner")),
        ..stranger()
    };
    insta::assert_snapshot!(refused(&gate, by_list), @"<base>/owner cannot serve as the gate: the pipeline's user can write in it: chmod go-w <base>/owner as its owner");
    let above = Caller {
        can_write: |p| Ok(!p.ends_with("owner")),
        ..stranger()
    };
    insta::assert_snapshot!(refused(&gate, above), @"<base>/owner cannot serve as the gate: the pipeline's user can put another folder in its place, because it can write in <base>: choose a path it cannot");
    let inside = FolderGate::owner(&folder, &base);
    insta::assert_snapshot!(refused(&inside, stranger()), @"<base>/owner cannot serve as the gate: it lies in the state directory, which the pipeline writes: choose a folder elsewhere");
    let missing = FolderGate::owner(folder.join("none"), "/state");
    insta::assert_snapshot!(refused(&missing, stranger()), @"<base>/owner/none cannot serve as the gate: it cannot be looked at (No such file or directory (os error 2)): create it as its owner and let the pipeline's user read it");
    let link = folder.with_file_name("link");
    symlink(&folder, &link).expect("links");
    insta::assert_snapshot!(refused(&FolderGate::owner(&link, "/state"), stranger()), @"<base>/link cannot serve as the gate: it is not a folder: name the folder itself and no link to it");
    fs::create_dir(folder.join("sub")).expect("creates");
    let through = FolderGate::owner(link.join("sub"), "/state");
    insta::assert_snapshot!(refused(&through, stranger()), @"<base>/link/sub cannot serve as the gate: a link stands in its path, which could be turned: name it as <base>/owner/sub");
    chmod(&folder, 0o757);
    insta::assert_snapshot!(refused(&gate, stranger()), @"<base>/owner cannot serve as the gate: the pipeline's user can write in it: chmod go-w <base>/owner as its owner");
}

#[test]
fn a_folder_of_the_pipelines_own_user_is_no_owners_gate() {
    let (_dir, folder, gate, c) = owned();
    if Caller::current().uid == 0 {
        // Root is refused before anything else, so the tests act as somebody else.
        std::os::unix::fs::chown(&folder, Some(4711), None).expect("root may");
    }
    let owner = Caller {
        uid: fs::metadata(&folder).expect("there").uid(),
        ..stranger()
    };
    let error = gate.decide(&request(&c), owner).expect_err("refused");
    assert!(
        error
            .to_string()
            .ends_with("create it as the user who gives the OK"),
        "{error}"
    );
}

#[tokio::test]
async fn asked_as_ourselves_our_own_folder_is_never_an_owners_gate() {
    let (_dir, _folder, gate, c) = owned();
    let error = gate.decision(&request(&c)).await.expect_err("refused");
    assert!(matches!(error, GateError::NotTrustworthy { .. }), "{error}");
}
