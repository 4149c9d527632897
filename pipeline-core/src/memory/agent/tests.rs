use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::BoxError;
use crate::agent::RunId;
use crate::agent::RunLimits;
use crate::agent::Unwatched;
use crate::conformance::agent::AgentHarness;
use crate::conformance::agent::Behaviour;
use crate::issue::IssueKey;

#[derive(Debug)]
struct Scripted {
    root: tempfile::TempDir,
}

#[async_trait]
impl AgentHarness for Scripted {
    async fn fresh() -> Result<Self, BoxError> {
        let root = tempfile::tempdir()?;
        Ok(Self { root })
    }

    fn agent(&self, behaviour: &Behaviour, _reachable: &Path) -> Arc<dyn Agent> {
        let wrong = || {
            ScriptedTurn::ends(AgentOutcome::SchemaViolation {
                detail: "no JSON".to_owned(),
            })
        };
        let turn = match behaviour {
            // Schemas are not its business: what does not fit is scripted as such.
            Behaviour::Answer(answer) if !fits(answer) => wrong(),
            Behaviour::Answer(answer) => ScriptedTurn::answers(answer.clone()),
            Behaviour::Garble | Behaviour::Mojibake | Behaviour::SayNothing => wrong(),
            Behaviour::Tell(line) => ScriptedTurn::answers(json!({})).says(line),
            Behaviour::Write { path, text } => {
                ScriptedTurn::answers(json!({})).writes(path, text.as_str())
            }
            Behaviour::Flood => ScriptedTurn::answers("x".repeat(1 << 20).into()),
            Behaviour::Hang => ScriptedTurn::completes().hangs(),
            Behaviour::Crash { code, words } => ScriptedTurn::ends(AgentOutcome::Crashed {
                code: Some(*code),
                stderr: words.clone(),
            }),
            other => panic!("needs a program: {other:?}"),
        };
        let kinds = [TaskKind::Triage, TaskKind::LocalCheck, TaskKind::Implement];
        Arc::new(
            kinds
                .into_iter()
                .fold(ScriptedAgent::new("scripted"), |agent, kind| {
                    agent.always(kind, turn.clone())
                }),
        )
    }

    fn directory(&self) -> Result<PathBuf, BoxError> {
        let path = self.root.path().join(crate::random::nonce());
        std::fs::create_dir(&path)?;
        Ok(path)
    }

    fn runs_programs(&self) -> bool {
        false
    }

    fn environment(&self) -> BTreeSet<String> {
        BTreeSet::new()
    }

    fn secret(&self) -> Option<String> {
        None
    }
}

fn fits(answer: &serde_json::Value) -> bool {
    let fitting = [
        json!({ "size": "small" }),
        json!({ "size": "large" }),
        json!({ "a": 1 }),
    ];
    fitting.contains(answer)
}

mod conformance {
    crate::agent_conformance!(super::Scripted);
}

fn task(kind: TaskKind) -> AgentTask {
    AgentTask {
        run: RunId::random(),
        issue: IssueKey::new("P-1").unwrap(),
        kind,
        mode: kind.mode(),
        prompt: String::new(),
        schema: None,
        input: serde_json::Value::Null,
        workdir: None,
        images: Vec::new(),
        model: None,
        session: None,
        state_dir: None,
        loopback: None,
        limits: RunLimits::default(),
    }
}

#[tokio::test]
async fn turns_are_taken_in_order_and_then_the_standing_one() {
    let agent = ScriptedAgent::new("a")
        .always(TaskKind::Triage, ScriptedTurn::answers(3.into()))
        .then(TaskKind::Triage, ScriptedTurn::answers(1.into()))
        .then(TaskKind::Triage, ScriptedTurn::fails("find its model"));
    let triage = task(TaskKind::Triage);
    let run = || agent.run(&triage, &Unwatched);
    assert_eq!(run().await.unwrap().answer, 1);
    insta::assert_snapshot!(run().await.unwrap_err(), @"agent a could not find its model");
    assert_eq!(run().await.unwrap().answer, 3);
    assert_eq!(run().await.unwrap().answer, 3);
    assert_eq!(agent.tasks().len(), 4);
    let unscripted = agent.run(&task(TaskKind::LocalCheck), &Unwatched).await;
    insta::assert_snapshot!(unscripted.unwrap_err(), @"agent a could not find a scripted turn for local_check");
}

#[tokio::test]
async fn parallel_runs_are_counted_until_they_end_or_are_dropped() {
    let open = Arc::new(Notify::new());
    let turn = ScriptedTurn::completes().waits(Arc::clone(&open));
    let agent = ScriptedAgent::new("a").always(TaskKind::Triage, turn);
    let tasks = [task(TaskKind::Triage), task(TaskKind::Triage)];
    let both = async {
        tokio::join!(
            agent.run(&tasks[0], &Unwatched),
            agent.run(&tasks[1], &Unwatched)
        )
    };
    let let_go = async {
        while agent.most_at_once() < 2 {
            tokio::task::yield_now().await;
        }
        open.notify_waiters();
    };
    let ((one, two), ()) = tokio::join!(both, let_go);
    assert!(one.is_ok() && two.is_ok());
    let dropped = tokio::time::timeout(Duration::from_millis(1), agent.run(&tasks[0], &Unwatched));
    assert!(dropped.await.is_err());
    assert_eq!(agent.script().running, 0);
    assert_eq!(agent.most_at_once(), 2);
}
