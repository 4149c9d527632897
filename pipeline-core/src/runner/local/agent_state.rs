//! What agents keep for themselves: one folder per agent, issue and round, as long as a session in it may be resumed.

use std::fs;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::SystemTime;

use crate::runner::RunRequest;
use crate::runner::RunnerError;

/// The folder of tasks that only read: they belong to no round.
const READING: &str = "reading";
/// Says by its time when a folder was last used.
const USED: &str = "used";
/// How long after its last use a folder stays. A patch may wait for weeks until somebody sends it back.
const KEPT: Duration = Duration::from_secs(60 * 24 * 3600);

/// Makes the folder for a run, and lets go of those that nobody goes on with.
///
/// # Errors
/// [`RunnerError::Other`] if it cannot be made.
pub(super) fn prepare(folder: &Path, request: &RunRequest) -> Result<PathBuf, RunnerError> {
    let round = match request.round {
        Some(round) => format!("round-{round}"),
        None => READING.to_owned(),
    };
    let issue = folder.join(&request.agent).join(request.issue.as_str());
    let own = issue.join(&round);
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&own);
    made.and_then(|()| fs::write(own.join(USED), []))
        .map_err(|error| RunnerError::Other {
            operation: format!("make the agent's folder {}", own.display()),
            source: Some(error.into()),
        })?;
    // A session of an earlier round is about another start.
    if request.round.is_some() {
        let mut earlier = entries(&issue);
        earlier.retain(|path| *path != own && !path.ends_with(READING));
        earlier.iter().for_each(|path| remove(path));
    }
    let old = entries(folder)
        .iter()
        .flat_map(|agent| entries(agent))
        .flat_map(|issue| entries(&issue))
        .filter(|path| is_old(path))
        .collect::<Vec<_>>();
    old.iter().for_each(|path| remove(path));
    Ok(own)
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let read = fs::read_dir(folder).into_iter().flatten().flatten();
    read.map(|entry| entry.path()).collect()
}

fn is_old(path: &Path) -> bool {
    let used = path.join(USED).metadata().and_then(|meta| meta.modified());
    let age = used.map(|at| SystemTime::now().duration_since(at).unwrap_or_default());
    age.is_ok_and(|age| age > KEPT)
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_dir_all(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(folder = %path.display(), %error, "an agent's old folder stays");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::RunId;
    use crate::agent::RunLimits;
    use crate::agent::TaskKind;
    use crate::clock::Timestamp;
    use crate::issue::EventId;
    use crate::issue::IssueKey;

    fn request(agent: &str, issue: &str, round: Option<u64>) -> RunRequest {
        RunRequest {
            run: RunId::random(),
            repo: "shop".into(),
            issue: IssueKey::new(issue).expect("valid"),
            asked: Timestamp::EPOCH,
            agent: agent.into(),
            slot: "one".into(),
            kind: TaskKind::Implement,
            base: None,
            exclude: Vec::new(),
            prompt: String::new(),
            schema: None,
            input: serde_json::Value::Null,
            images: Vec::new(),
            model: None,
            session: None,
            round: round.map(EventId),
            limits: RunLimits::default(),
        }
    }

    #[test]
    fn a_folder_is_an_agents_for_one_issue_and_round() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let made =
            |agent, issue, round| prepare(dir.path(), &request(agent, issue, round)).expect("made");
        let first = made("codex", "A-1", Some(1));
        fs::write(first.join("session"), "kept").expect("written");
        let others = [
            made("codex", "A-2", Some(1)),
            made("claude", "A-1", Some(1)),
            made("codex", "A-1", None),
        ];
        assert_eq!(made("codex", "A-1", Some(1)), first);
        assert!(first.join("session").exists(), "the round goes on with it");
        let second = made("codex", "A-1", Some(2));
        assert!(!first.exists(), "another round does not");
        assert!(second.exists() && others.iter().all(|path| path.exists()));
    }

    #[test]
    fn what_nobody_used_for_long_goes() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let old = prepare(dir.path(), &request("codex", "A-1", None)).expect("made");
        let then = SystemTime::now() - KEPT - Duration::from_secs(60);
        let used = fs::File::options().write(true).open(old.join(USED));
        used.and_then(|file| file.set_modified(then)).expect("set");
        prepare(dir.path(), &request("codex", "A-2", None)).expect("made");
        assert!(!old.exists());
    }
}
