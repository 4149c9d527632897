//! The suite on agents that lie: each lie must be caught, by the case that is there for it.

use super::*;
use crate::agent::AgentWatch;
use crate::agent::RunMode;
use crate::memory::ScriptedAgent;
use crate::memory::ScriptedTurn;
use crate::process::ProcessSpec;

/// What is wrong with an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lie {
    /// It hands on every answer, whatever was asked for.
    ChecksNothing,
    /// A crash is a success to it.
    HidesCrashes,
    /// It gives every run the answer of the first one.
    MixesAnswers,
    /// It works somewhere else.
    WorksElsewhere,
    /// It says that it enforces read-only, and does not.
    EditsReadOnly,
    /// It takes every task, whatever it declares.
    TakesAll,
    /// It keeps progress to itself.
    TellsNothing,
    /// It names a process although it runs no program.
    NamesAProcess,
    /// It has no limit of size.
    LetsFloodsPass,
    /// It calls a stall a deadline.
    MixesLimits,
    /// It fails as infrastructure where a program misbehaves.
    BlamesTheMachine,
    /// It shows the secret it was given.
    ShowsSecrets,
}

#[derive(Debug)]
struct Liar {
    lie: Lie,
    behaviour: Behaviour,
    inner: ScriptedAgent,
    elsewhere: PathBuf,
    _secret: Option<String>,
}

const SECRET: &str = "canary-model-key";

#[async_trait]
impl Agent for Liar {
    fn name(&self) -> &'static str {
        "liar"
    }

    fn capabilities(&self) -> crate::agent::AgentCapabilities {
        let mut capabilities = self.inner.capabilities();
        capabilities.enforces_read_only = true;
        capabilities
    }

    async fn run(
        &self,
        task: &AgentTask,
        watch: &dyn AgentWatch,
    ) -> Result<AgentReport, AgentError> {
        let mut task = task.clone();
        let deaf = Recorder::default();
        let mut heard = watch;
        match self.lie {
            Lie::WorksElsewhere => task.workdir = Some(self.elsewhere.clone()),
            Lie::EditsReadOnly => task.mode = RunMode::Implement,
            Lie::TakesAll => task.images.clear(),
            Lie::TellsNothing => heard = &deaf,
            Lie::NamesAProcess => {
                let other = ProcessSpec::new("/bin/sleep", "/")
                    .arg("60")
                    .start()
                    .unwrap();
                watch.started(&other.identity().unwrap());
            }
            Lie::LetsFloodsPass => task.limits.output_bytes = u64::MAX,
            _ => {}
        }
        let mut report = self.inner.run(&task, heard).await?;
        match (self.lie, &self.behaviour) {
            (Lie::ChecksNothing, Behaviour::Answer(answer)) => {
                report = AgentReport {
                    answer: answer.clone(),
                    ..AgentReport::of(AgentOutcome::Completed)
                };
            }
            (
                Lie::ChecksNothing,
                Behaviour::Garble | Behaviour::Mojibake | Behaviour::SayNothing,
            )
            | (Lie::HidesCrashes, Behaviour::Crash { .. }) => {
                report = AgentReport::of(AgentOutcome::Completed);
            }
            (Lie::MixesAnswers, _) => report.answer = json!({ "size": "small" }),
            (Lie::MixesLimits, _) if report.outcome == AgentOutcome::Stalled => {
                report.outcome = AgentOutcome::Deadline;
            }
            (Lie::BlamesTheMachine, Behaviour::Garble) => {
                let (agent, operation) = ("liar".to_owned(), "read its output".to_owned());
                return Err(AgentError::Other {
                    agent,
                    operation,
                    source: None,
                });
            }
            _ => {}
        }
        Ok(report)
    }
}

#[derive(Debug)]
struct Lying {
    lie: Lie,
    root: tempfile::TempDir,
}

#[async_trait]
impl AgentHarness for Lying {
    async fn fresh() -> Result<Self, BoxError> {
        Err("a liar is made with its lie".into())
    }

    fn agent(&self, behaviour: &Behaviour, _reachable: &Path) -> Arc<dyn Agent> {
        let wrong = || {
            ScriptedTurn::ends(AgentOutcome::SchemaViolation {
                detail: "outside".to_owned(),
            })
        };
        let turn = match behaviour {
            Behaviour::Answer(answer)
                if *answer == json!({ "size": "small" })
                    || *answer == json!({ "size": "large" }) =>
            {
                ScriptedTurn::answers(answer.clone())
            }
            Behaviour::Tell(line) => ScriptedTurn::answers(json!({})).says(line),
            Behaviour::Write { path, text } => {
                ScriptedTurn::completes().writes(path, text.as_str())
            }
            Behaviour::Flood => ScriptedTurn::answers("x".repeat(1 << 20).into()),
            Behaviour::Hang => ScriptedTurn::completes().hangs(),
            Behaviour::Crash { code, words } => ScriptedTurn::ends(AgentOutcome::Crashed {
                code: Some(*code),
                stderr: words.clone(),
            }),
            _ => wrong(),
        };
        let kinds = [TaskKind::Triage, TaskKind::LocalCheck, TaskKind::Implement];
        let script = ScriptedAgent::new("inner").with_capabilities(|capabilities| {
            capabilities.images = false;
            capabilities.enforces_read_only = self.lie != Lie::EditsReadOnly;
        });
        let inner = kinds
            .into_iter()
            .fold(script, |agent, kind| agent.always(kind, turn.clone()));
        let elsewhere = self.directory().unwrap();
        let secret = (self.lie == Lie::ShowsSecrets).then(|| SECRET.to_owned());
        Arc::new(Liar {
            lie: self.lie,
            behaviour: behaviour.clone(),
            inner,
            elsewhere,
            _secret: secret,
        })
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
        Some(SECRET.to_owned())
    }
}

/// Returns what the case says of the lie.
async fn caught(lie: Lie) -> String {
    let harness = Lying {
        lie,
        root: tempfile::tempdir().unwrap(),
    };
    let verdict = match lie {
        Lie::ChecksNothing => {
            for verdict in [
                a_garbled_answer_is_no_success(&harness).await,
                an_answer_that_is_no_text_is_no_success(&harness).await,
                silence_is_no_answer(&harness).await,
            ] {
                assert!(verdict.is_err());
            }
            an_answer_outside_the_schema_is_no_success(&harness).await
        }
        Lie::HidesCrashes => a_crash_is_reported_with_its_last_words(&harness).await,
        Lie::MixesAnswers => runs_side_by_side_keep_apart(&harness).await,
        Lie::WorksElsewhere => work_is_done_in_the_given_directory(&harness).await,
        Lie::EditsReadOnly => a_read_only_task_changes_nothing(&harness).await,
        Lie::TakesAll => what_is_not_declared_is_refused(&harness).await,
        Lie::TellsNothing => progress_is_told(&harness).await,
        Lie::NamesAProcess => a_program_is_told_of_before_it_has_its_task(&harness).await,
        Lie::LetsFloodsPass => a_flood_ends_a_run(&harness).await,
        Lie::MixesLimits => silence_ends_a_run(&harness).await,
        Lie::BlamesTheMachine => a_garbled_answer_is_no_success(&harness).await,
        Lie::ShowsSecrets => secrets_are_not_printed(&harness).await,
    };
    verdict.expect_err("the lie is told").to_string()
}

#[tokio::test]
async fn every_lie_is_caught() {
    insta::assert_snapshot!(caught(Lie::ChecksNothing).await, @"the run ended as Completed");
    insta::assert_snapshot!(caught(Lie::HidesCrashes).await, @"the run ended as Completed");
    insta::assert_snapshot!(caught(Lie::MixesAnswers).await, @r#"the answer is Object {"size": String("small")} instead of Object {"size": String("large")}"#);
    insta::assert_snapshot!(caught(Lie::WorksElsewhere).await, @"reading what the agent was to write failed: No such file or directory (os error 2)");
    insta::assert_snapshot!(caught(Lie::EditsReadOnly).await, @"writing kept.txt changed the tree");
    insta::assert_snapshot!(caught(Lie::TakesAll).await, @r#"the task was taken and ended as SchemaViolation { detail: "outside" }"#);
    insta::assert_snapshot!(caught(Lie::TellsNothing).await, @"the watcher was told []");
    insta::assert_snapshot!(caught(Lie::NamesAProcess).await, @"it runs no program and named one");
    insta::assert_snapshot!(caught(Lie::LetsFloodsPass).await, @"the run should end as Flooded and ended as Completed");
    insta::assert_snapshot!(caught(Lie::MixesLimits).await, @"the run should end as Stalled and ended as Deadline");
    insta::assert_snapshot!(caught(Lie::BlamesTheMachine).await, @"the run failed as infrastructure: agent liar could not read its output");
    insta::assert_snapshot!(caught(Lie::ShowsSecrets).await, @"it stands in the agent's Debug");
}
