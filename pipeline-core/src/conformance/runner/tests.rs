//! The suite on the runner of this machine, over everything in memory.

use super::*;
use crate::clock::SystemClock;
use crate::conformance::files::FileSet;
use crate::event::Unobserved;
use crate::integrate::PatchIntegrator as _;
use crate::journal::MemoryJournal;
use crate::memory::MemoryIntegrator;
use crate::memory::MemoryRepository;
use crate::memory::MemoryWorkspaces;
use crate::memory::ScriptedAgent;
use crate::memory::ScriptedTurn;
use crate::runner::LocalRunner;
use crate::runner::RunResult;
use crate::runner::RunTable;
use crate::runner::RunningRun;
use crate::workspace::Patch;
use crate::workspace::Target;

struct Local {
    dir: tempfile::TempDir,
    repository: MemoryRepository,
    agent: Arc<ScriptedAgent>,
    wrong: Option<Wrong>,
}

fn main_branch() -> Target {
    Target::new("main").expect("a branch name")
}

#[async_trait]
impl RunnerHarness for Local {
    async fn fresh() -> Result<Self, BoxError> {
        let repository = MemoryRepository::new();
        repository.commit_exactly(&main_branch(), &FileSet::of(&[("README", "hello\n")]));
        // Its word is all there is, so that a case sees what happens when it is broken.
        let agent = ScriptedAgent::new("bob").with_capabilities(|c| c.enforces_read_only = false);
        Ok(Self {
            dir: tempfile::tempdir()?,
            repository,
            agent: Arc::new(agent),
            wrong: None,
        })
    }

    async fn runner(&self) -> Result<Arc<dyn Runner>, BoxError> {
        let workspaces =
            MemoryWorkspaces::new(self.repository.clone(), self.dir.path().join("workspaces"));
        let local = LocalRunner::new(
            RunTable::open(&self.dir.path().join("runs"))?,
            Arc::new(MemoryJournal::default()),
            Arc::new(SystemClock),
            Arc::new(Unobserved),
        )
        .with_agent(Arc::clone(&self.agent) as _)
        .with_unconfined("bob")
        .with_workspaces(Arc::new(workspaces));
        Ok(match self.wrong {
            None => Arc::new(local),
            Some(wrong) => Arc::new(Liar {
                inner: local,
                wrong,
            }),
        })
    }

    fn repo(&self) -> String {
        "shop".to_owned()
    }

    fn agent(&self) -> String {
        "bob".to_owned()
    }

    async fn base(&self) -> Result<BaseRevision, BoxError> {
        let target = main_branch();
        let commit = self.repository.tip(&target).ok_or("there is no commit")?;
        Ok(BaseRevision { target, commit })
    }

    async fn next(&self, kind: TaskKind, work: Work) -> Result<(), BoxError> {
        let turn = match work {
            Work::Writes { path, content } => ScriptedTurn::completes().writes(path, content),
            Work::Answers => ScriptedTurn::answers(serde_json::json!({ "comment": "Read." })),
            Work::Ends(outcome) => ScriptedTurn::ends(outcome),
            Work::WritesAndHangs { path } => {
                ScriptedTurn::completes().writes(path, "half\n").hangs()
            }
        };
        self.agent.add(kind, turn);
        Ok(())
    }

    fn tasks(&self) -> usize {
        self.agent.tasks().len()
    }

    async fn store(&self, patch: &Patch) -> Result<(), BoxError> {
        let folder = self.dir.path().join("verify");
        let integrator = MemoryIntegrator::new("memory", self.repository.clone(), folder);
        Ok(integrator.store(patch).await?)
    }
}

mod local {
    crate::runner_conformance!(super::Local);
}

#[derive(Debug, Clone, Copy)]
enum Wrong {
    /// Every call is a new run.
    RunsAgain,
    /// Results are not handed on.
    KnowsNothing,
    /// Neither patch nor answer is handed on.
    DropsThePatch,
    /// A run is told to be in another slot.
    MisnamesSlots,
    /// Whatever is wrong is the machine's fault.
    FailsForAll,
}

/// The runner of this machine behind one that breaks one rule.
#[derive(Debug)]
struct Liar {
    inner: LocalRunner,
    wrong: Wrong,
}

#[async_trait]
impl Runner for Liar {
    async fn run(&self, request: &RunRequest) -> Result<RunResult, RunnerError> {
        let mut request = request.clone();
        if matches!(self.wrong, Wrong::RunsAgain) {
            request.run = RunId::random();
        }
        let mut result = self.inner.run(&request).await?;
        match self.wrong {
            Wrong::DropsThePatch => {
                result.patch = None;
                result.tree_changed = false;
                result.report.answer = serde_json::Value::Null;
            }
            Wrong::FailsForAll if result.report.outcome != AgentOutcome::Completed => {
                return Err(RunnerError::Other {
                    operation: "go on".to_owned(),
                    source: None,
                });
            }
            _ => {}
        }
        Ok(result)
    }

    async fn finished(&self, run: &RunId) -> Result<Option<RunResult>, RunnerError> {
        match self.wrong {
            Wrong::KnowsNothing => Ok(None),
            _ => self.inner.finished(run).await,
        }
    }

    async fn cancel(&self, run: &RunId) -> Result<(), RunnerError> {
        match self.wrong {
            Wrong::FailsForAll => Err(RunnerError::Other {
                operation: format!("cancel {run}"),
                source: None,
            }),
            _ => self.inner.cancel(run).await,
        }
    }

    async fn running(&self, repo: &str) -> Result<Vec<RunningRun>, RunnerError> {
        let mut running = self.inner.running(repo).await?;
        if matches!(self.wrong, Wrong::MisnamesSlots) {
            for run in &mut running {
                run.slot = "somewhere".to_owned();
            }
        }
        Ok(running)
    }

    async fn release(&self, run: &RunId) -> Result<(), RunnerError> {
        match self.wrong {
            Wrong::FailsForAll => Err(RunnerError::Other {
                operation: format!("release {run}"),
                source: None,
            }),
            _ => self.inner.release(run).await,
        }
    }
}

async fn lying(wrong: Wrong) -> Local {
    let honest = Local::fresh().await.expect("made");
    Local {
        wrong: Some(wrong),
        ..honest
    }
}

#[tokio::test]
async fn every_broken_rule_is_caught_by_its_case() {
    let caught = [
        the_same_run_is_made_once(&lying(Wrong::RunsAgain).await).await,
        a_finished_run_is_known_to_every_process(&lying(Wrong::KnowsNothing).await).await,
        a_run_brings_its_patch(&lying(Wrong::DropsThePatch).await).await,
        a_read_only_run_has_no_patch(&lying(Wrong::DropsThePatch).await).await,
        what_runs_is_listed_with_its_slot(&lying(Wrong::MisnamesSlots).await).await,
        an_agents_failure_is_a_result(&lying(Wrong::FailsForAll).await).await,
        a_cancelled_run_ends_with_that_outcome(&lying(Wrong::FailsForAll).await).await,
        a_released_run_may_be_released_again(&lying(Wrong::FailsForAll).await).await,
        a_dropped_run_is_not_running_and_its_work_is_kept(&lying(Wrong::FailsForAll).await).await,
    ];
    for (at, found) in caught.iter().enumerate() {
        assert!(found.is_err(), "case {at} lets its lie pass");
    }
}
