//! The agent of the demo: a program that reads a task, answers, and really edits files. It has no model.

use std::io;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use pipeline_core::agent::TaskKind;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use super::work;
use super::work::Edit;
use super::work::Work;
use crate::terminal::Output;

/// How long the agent thinks about an implementation: long enough for runs to overlap visibly.
const THINKING: Duration = Duration::from_millis(600);

/// The most of a task that is read.
const LARGEST: u64 = 16 << 20;

/// What the agent reads of a task.
#[derive(Debug, Deserialize)]
struct Task {
    kind: TaskKind,
    prompt: String,
    input: Value,
}

/// What the agent says at the end.
#[derive(Debug, PartialEq)]
struct Reply {
    /// The answer a schema was given for; `null` where the work is in the files.
    answer: Value,
    /// What it says to people.
    message: String,
}

/// Reads the task from standard input, does it in the current directory, and prints the outcome.
///
/// # Errors
/// If the task cannot be read, or a file is not as the work expects it.
pub(super) fn run(out: &Output) -> io::Result<()> {
    let task: Task = serde_json::from_reader(io::stdin().lock().take(LARGEST))?;
    let reply = act(&task, Path::new("."), THINKING)?;
    let outcome = json!({
        "v": 1,
        "outcome": "completed",
        "answer": reply.answer,
        "message": reply.message,
    });
    out.raw(format!("{outcome}\n").as_bytes())
}

/// Does the task: answers, and edits the files below `root` where the task asks for work.
fn act(task: &Task, root: &Path, thinking: Duration) -> io::Result<Reply> {
    let said = format!("{}\n{}", task.prompt, task.input);
    let work = work::named_in(&said);
    match (task.kind, work) {
        (TaskKind::Implement | TaskKind::Rework, Some(work)) => {
            std::thread::sleep(thinking);
            let first = task.kind == TaskKind::Implement;
            let edits = work.first_attempt.filter(|_| first).unwrap_or(work.edits);
            for edit in edits {
                make(root, edit, greeting(&said))?;
            }
            Ok(Reply {
                answer: Value::Null,
                message: work.done.to_owned(),
            })
        }
        (TaskKind::Triage, work) => Ok(answer(triage(work))),
        (_, work) => Ok(answer(check(work, &said))),
    }
}

fn answer(answer: Value) -> Reply {
    Reply {
        answer,
        message: String::new(),
    }
}

fn triage(work: Option<&Work>) -> Value {
    let comment = work.map_or("I do not understand what is asked for.", |w| w.understood);
    let sure = work.is_some_and(|w| w.undecided.is_empty());
    json!({ "comment": comment, "confidence": if sure { 0.9 } else { 0.3 } })
}

fn check(work: Option<&Work>, said: &str) -> Value {
    let comment = match work {
        Some(w) if w.title == work::GREETING => {
            format!("{} It will say \"{}\".", w.understood, greeting(said))
        }
        Some(w) => w.understood.to_owned(),
        None => "Nothing in the repository tells what is asked for.".to_owned(),
    };
    let known = work.is_some_and(|w| w.undecided.is_empty());
    json!({
        "comment": comment,
        "confidence": if known { 0.9 } else { 0.3 },
        "local_check": {
            "candidate_files": work.map_or(&[][..], |w| w.files),
            "implementation_scope": comment,
            "estimate": "small",
            "blockers": [],
            "can_start_from_local": if known { json!(true) } else { json!("unknown") },
            "db_change": work.is_some_and(|w| w.database),
            "production_data": false,
            "pending_decisions": work.map_or(&["What is asked for."][..], |w| w.undecided),
        },
    })
}

/// Returns the greeting: a person's wish counts.
fn greeting(said: &str) -> &'static str {
    // In the structured input quotes stand escaped.
    if said.replace('\\', "").contains(work::GREETING_WISH) {
        "Welcome back"
    } else {
        "Hello"
    }
}

fn make(root: &Path, edit: &Edit, greeting: &str) -> io::Result<()> {
    let wish = |text: &str| text.replace("GREETING", greeting);
    match edit {
        Edit::Replace(path, old, new) => {
            let file = root.join(path);
            let text = std::fs::read_to_string(&file)?;
            if text.matches(old).count() != 1 {
                let found = format!(
                    "{path} is not as I know it: {old:?} does not stand there exactly once"
                );
                return Err(io::Error::other(found));
            }
            std::fs::write(file, text.replacen(old, &wish(new), 1))
        }
        Edit::Append(path, new) => {
            let file = root.join(path);
            let text = std::fs::read_to_string(&file)?;
            std::fs::write(file, text + new)
        }
        Edit::Create(path, text) => {
            let file = root.join(path);
            if let Some(parent) = file.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(file, wish(text))
        }
    }
}

#[cfg(test)]
mod tests {
    use pipeline_core::process::ProcessSpec;

    use super::*;
    use crate::issue_pipeline::demo::shop;

    async fn tests_pass(root: &Path) -> bool {
        let run = ProcessSpec::new("sh", root)
            .arg("tests/run.sh")
            .run()
            .await
            .expect("runs");
        run.succeeded()
    }

    #[tokio::test]
    async fn every_piece_of_work_passes_the_tests_in_any_order_of_waves() {
        for order in [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0]] {
            let dir = tempfile::tempdir().expect("temporary directory");
            shop::write(dir.path()).expect("written");
            assert!(tests_pass(dir.path()).await, "as it is");
            for i in order {
                for edit in work::ALL[i].edits {
                    make(dir.path(), edit, "Hello").expect(work::ALL[i].title);
                }
                assert!(tests_pass(dir.path()).await, "after {}", work::ALL[i].title);
            }
        }
    }

    #[tokio::test]
    async fn the_first_attempt_at_the_search_fails_a_test() {
        let dir = tempfile::tempdir().expect("temporary directory");
        shop::write(dir.path()).expect("written");
        let search = work::named_in(work::SEARCH).expect("known");
        for edit in search.first_attempt.expect("there is one") {
            make(dir.path(), edit, "").expect("made");
        }
        assert!(!tests_pass(dir.path()).await);
    }

    #[test]
    fn a_wish_changes_the_answer() {
        let work = work::named_in(work::GREETING);
        let before = check(work, work::GREETING);
        let wish = json!({ "comment": work::GREETING_WISH }).to_string();
        let after = check(work, &format!("{} {wish}", work::GREETING));
        assert!(
            before["comment"]
                .as_str()
                .is_some_and(|c| c.contains("Hello"))
        );
        assert!(
            after["comment"]
                .as_str()
                .is_some_and(|c| c.contains("Welcome back"))
        );
    }

    #[test]
    fn the_answers_fit_the_contract() {
        use pipeline_core::local_check::CheckAnswer;
        use pipeline_core::local_check::TriageAnswer;
        for work in work::ALL.iter().map(Some).chain([None]) {
            TriageAnswer::read(&triage(work)).expect("fits");
            CheckAnswer::read(&check(work, "")).expect("fits");
        }
    }
}
