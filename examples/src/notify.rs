//! `[notify]`: tells the team's command that a person is needed, once per cause.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write as _;

use pipeline_core::issue::IssueKey;
use pipeline_core::process::Capture;
use pipeline_core::process::ProcessSpec;
use serde::Deserialize;
use serde::Serialize;

use crate::config::model::NotifySection;
use crate::surroundings::StateDir;
use crate::surroundings::StateDirError;
use crate::surroundings::Surroundings;

const FILE: &str = "notified.jsonl";

/// The most causes that are remembered; the oldest are forgotten first.
const REMEMBERED: usize = 10_000;

/// Why a person is needed: one line for the team's command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// A stable name: the same cause has the same name.
    pub cause: String,
    /// The issue, if it is about one.
    pub issue: Option<IssueKey>,
    /// What to do, with the command to type.
    pub what: String,
    /// Which pipeline it is about.
    pub pipeline: String,
}

impl Cause {
    fn line(&self) -> String {
        let line = serde_json::to_string(self).expect("texts are JSON");
        line + "\n"
    }
}

/// What is remembered of a cause.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    cause: String,
}

/// Tells the command of every cause it was not told of yet, and returns the sentences about what went wrong.
///
/// A cause counts as told once the command has ended well; until then the next call tells it again.
///
/// # Errors
/// If the state directory cannot be read or written.
///
/// # Cancel safety
/// Dropping the future ends the command; its cause is told again next time.
pub async fn tell(
    section: &NotifySection,
    causes: &[Cause],
    state: &StateDir,
    around: &Surroundings,
) -> Result<Vec<String>, StateDirError> {
    let Some((program, arguments)) = section.command.split_first() else {
        return Ok(Vec::new());
    };
    let mut told = told(state)?;
    let mut wrong = Vec::new();
    for cause in causes {
        if told.contains(&cause.cause) {
            continue;
        }
        let line = cause.line();
        let run = ProcessSpec::new(program, &around.directory)
            .args(arguments)
            .env("PATH", around.search_path())
            .envs(around.named(&section.env))
            .stdin(line)
            .stdout(Capture::tail(4 << 10, 1 << 20))
            .deadline(section.deadline.get())
            .run()
            .await;
        match run {
            Ok(report) if report.succeeded() => {
                told.insert(cause.cause.clone());
                remember(state, &cause.cause)?;
            }
            Ok(report) => {
                let how = report.code().map_or_else(
                    || "was ended".to_owned(),
                    |code| format!("ended with exit code {code}"),
                );
                wrong.push(format!(
                    "the notify command `{program}` {how}; it is told again next time"
                ));
            }
            Err(error) => wrong.push(format!("the notify command cannot be run: {error}")),
        }
    }
    Ok(wrong)
}

fn told(state: &StateDir) -> Result<BTreeSet<String>, StateDirError> {
    let bytes = state.read(FILE)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    // A line cut by a crash was not told for sure: telling it again is the safe side.
    let mut causes: Vec<String> = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Told>(line).ok())
        .map(|told| told.cause)
        .collect();
    if causes.len() > REMEMBERED {
        causes.drain(..causes.len() - REMEMBERED / 2);
        let lines: String = causes.iter().map(|cause| line(cause)).collect();
        state.write(FILE, lines.as_bytes())?;
    }
    Ok(causes.into_iter().collect())
}

fn line(cause: &str) -> String {
    let told = Told {
        cause: cause.to_owned(),
    };
    format!(
        "{}\n",
        serde_json::to_string(&told).expect("a text is JSON")
    )
}

fn remember(state: &StateDir, cause: &str) -> Result<(), StateDirError> {
    let path = state.path().join(FILE);
    let append = || {
        let mut file = OpenOptions::new().append(true).create(true).open(path)?;
        file.write_all(line(cause).as_bytes())?;
        file.sync_data()
    };
    append().map_err(|source| StateDirError::Unusable {
        dir: state.path().to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Period;

    struct Fixture {
        dir: tempfile::TempDir,
        state: StateDir,
        around: Surroundings,
    }

    impl Fixture {
        fn new() -> Self {
            let dir = tempfile::tempdir().expect("temporary directory");
            let state = StateDir::at(dir.path());
            let around = Surroundings::new(dir.path(), "/x");
            Self { dir, state, around }
        }

        async fn tell(&self, script: &str, causes: &[&str]) -> Vec<String> {
            let section = NotifySection {
                command: ["sh", "-c", script].map(str::to_owned).to_vec(),
                env: Vec::new(),
                deadline: Period::secs(10),
            };
            let cause = |name: &&str| Cause {
                cause: (*name).to_owned(),
                issue: None,
                what: "look".to_owned(),
                pipeline: "shop".to_owned(),
            };
            let causes: Vec<Cause> = causes.iter().map(cause).collect();
            tell(&section, &causes, &self.state, &self.around)
                .await
                .expect("told")
        }

        fn seen(&self) -> String {
            std::fs::read_to_string(self.dir.path().join("seen")).unwrap_or_default()
        }
    }

    #[tokio::test]
    async fn each_cause_is_told_once_even_by_another_process() {
        let f = Fixture::new();
        assert_eq!(
            f.tell("cat >> seen", &["a", "b", "a"]).await,
            Vec::<String>::new()
        );
        assert_eq!(
            f.tell("cat >> seen", &["b", "c"]).await,
            Vec::<String>::new()
        );
        insta::assert_snapshot!(f.seen(), @r#"
        {"cause":"a","issue":null,"what":"look","pipeline":"shop"}
        {"cause":"b","issue":null,"what":"look","pipeline":"shop"}
        {"cause":"c","issue":null,"what":"look","pipeline":"shop"}
        "#);
    }

    #[tokio::test]
    async fn a_cause_that_could_not_be_told_is_told_again() {
        let f = Fixture::new();
        let wrong = f.tell("exit 7", &["a"]).await;
        assert_eq!(
            wrong,
            ["the notify command `sh` ended with exit code 7; it is told again next time"]
        );
        assert_eq!(f.tell("cat >> seen", &["a"]).await, Vec::<String>::new());
        assert!(f.seen().contains("\"cause\":\"a\""));
    }

    #[tokio::test]
    async fn a_line_cut_by_a_crash_is_no_obstacle() {
        let f = Fixture::new();
        f.tell("cat >> seen", &["a"]).await;
        let file = f.dir.path().join(FILE);
        let text = std::fs::read_to_string(&file).expect("there");
        std::fs::write(&file, format!("{text}{{\"cau")).expect("cut");
        f.tell("cat >> seen", &["a", "b"]).await;
        assert_eq!(f.seen().matches("\"cause\":\"a\"").count(), 1);
        assert_eq!(f.seen().matches("\"cause\":\"b\"").count(), 1);
    }
}
