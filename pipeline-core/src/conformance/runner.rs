//! The conformance suite of [`Runner`].
//!
//! A runner's tests implement [`RunnerHarness`], which has a repository with one file and an agent that does what a case
//! asks for, and call [`runner_conformance!`](crate::runner_conformance).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::Violation;
use super::case::Succeeds as _;
use super::case::ensure;
use super::case::same;
use crate::BoxError;
use crate::agent::AgentOutcome;
use crate::agent::RunId;
use crate::agent::RunLimits;
use crate::agent::TaskKind;
use crate::clock::Timestamp;
use crate::issue::IssueKey;
use crate::runner::RunRequest;
use crate::runner::Runner;
use crate::runner::RunnerError;
use crate::workspace::BaseRevision;

/// What the agent does with its next task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// Writes a file in its workspace.
    Writes {
        /// Where.
        path: String,
        /// What.
        content: String,
    },
    /// Answers with one object and changes nothing.
    Answers,
    /// Ends with this outcome.
    Ends(AgentOutcome),
    /// Writes a file in its workspace and never ends by itself.
    WritesAndHangs {
        /// Where.
        path: String,
    },
}

/// One runner under test.
#[async_trait]
pub trait RunnerHarness: Send + Sync {
    /// Sets up a repository, and an agent that may have read-only tasks.
    async fn fresh() -> Result<Self, BoxError>
    where
        Self: Sized;

    /// Opens the runner as a process that was just started does.
    async fn runner(&self) -> Result<Arc<dyn Runner>, BoxError>;

    /// Returns the name of the repository.
    fn repo(&self) -> String;

    /// Returns the agent's name.
    fn agent(&self) -> String;

    /// Returns a revision of the repository to work on.
    async fn base(&self) -> Result<BaseRevision, BoxError>;

    /// Tells the agent what to do with its next task of this kind.
    async fn next(&self, kind: TaskKind, work: Work) -> Result<(), BoxError>;

    /// Returns how many tasks the agent was given.
    fn tasks(&self) -> usize;

    /// Stores a result's patch as the integrator does, so that its workspace may go.
    async fn store(&self, patch: &crate::workspace::Patch) -> Result<(), BoxError>;
}

/// Expands to one test per behaviour of a [`Runner`], for a type that implements [`RunnerHarness`].
///
/// Put it into a module of its own. The tests bring their runtime; the crate needs no tokio.
///
/// ```text
/// mod conformance {
///     pipeline_core::runner_conformance!(super::MyHarness);
/// }
/// ```
#[macro_export]
macro_rules! runner_conformance {
    ($harness:ty) => {
        $crate::__conformance_tests!(
            $harness,
            $crate::conformance::runner::RunnerHarness,
            $crate::conformance::runner,
            [
                a_cancelled_run_ends_with_that_outcome,
                a_dropped_run_is_not_running_and_its_work_is_kept,
                a_finished_run_is_known_to_every_process,
                a_read_only_run_has_no_patch,
                a_released_run_may_be_released_again,
                a_request_reads_back_as_it_was_written,
                a_run_brings_its_patch,
                an_agents_failure_is_a_result,
                an_unknown_agent_is_named_with_those_there_are,
                the_same_run_is_made_once,
                what_runs_is_listed_with_its_slot,
            ]
        );
    };
}

const PATH: &str = "src/名前 one.txt";

async fn opened(harness: &dyn RunnerHarness) -> Result<Arc<dyn Runner>, Violation> {
    harness.runner().await.succeeds("opening the runner")
}

async fn tell(harness: &dyn RunnerHarness, kind: TaskKind, work: Work) -> Result<(), Violation> {
    harness
        .next(kind, work)
        .await
        .succeeds("telling the agent what to do")
}

fn writes() -> Work {
    Work::Writes {
        path: PATH.to_owned(),
        content: "done\n".to_owned(),
    }
}

async fn request(harness: &dyn RunnerHarness, kind: TaskKind) -> Result<RunRequest, Violation> {
    Ok(RunRequest {
        run: RunId::random(),
        repo: harness.repo(),
        issue: IssueKey::new("PROJ-1").expect("a well-formed key"),
        asked: Timestamp::EPOCH,
        agent: harness.agent(),
        slot: "slot-1".to_owned(),
        kind,
        base: Some(harness.base().await.succeeds("reading the base")?),
        exclude: Vec::new(),
        prompt: "Do it.".to_owned(),
        schema: None,
        input: serde_json::json!({ "title": "Do it" }),
        images: Vec::new(),
        model: None,
        session: None,
        round: None,
        limits: RunLimits {
            deadline: Duration::from_secs(300),
            ..RunLimits::default()
        },
    })
}

/// A request is data: another machine reads what was written, to the last field.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_request_reads_back_as_it_was_written(
    harness: &dyn RunnerHarness,
) -> Result<(), Violation> {
    let request = request(harness, TaskKind::Implement).await?;
    let text = serde_json::to_string(&request).succeeds("writing the request")?;
    let read: RunRequest = serde_json::from_str(&text).succeeds("reading it back")?;
    same("what was read", &read, &request)
}

/// What differs from the base comes back as a patch, with the paths it touches.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_run_brings_its_patch(harness: &dyn RunnerHarness) -> Result<(), Violation> {
    let (runner, request) = (
        opened(harness).await?,
        request(harness, TaskKind::Implement).await?,
    );
    tell(harness, TaskKind::Implement, writes()).await?;
    let result = runner.run(&request).await.succeeds("making a run")?;
    same("the run", &result.run, &request.run)?;
    same(
        "the outcome",
        &result.report.outcome,
        &AgentOutcome::Completed,
    )?;
    same("what was touched", &result.touched, &vec![PATH.to_owned()])?;
    ensure(result.patch.is_some_and(|patch| !patch.is_empty()), || {
        "a run that changed a file has no patch".to_owned()
    })
}

/// Whoever makes a run again gets the result there is, and no agent is called.
///
/// # Errors
/// Says how the rule is broken.
pub async fn the_same_run_is_made_once(harness: &dyn RunnerHarness) -> Result<(), Violation> {
    let request = request(harness, TaskKind::Implement).await?;
    tell(harness, TaskKind::Implement, writes()).await?;
    let first = opened(harness).await?.run(&request).await;
    let first = first.succeeds("making a run")?;
    let tasks = harness.tasks();
    for _ in 0..2 {
        let again = opened(harness).await?.run(&request).await;
        same("the result", &again.succeeds("making it again")?, &first)?;
    }
    same("the number of tasks", &harness.tasks(), &tasks)
}

/// What has ended is known to all, and what never began to nobody.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_finished_run_is_known_to_every_process(
    harness: &dyn RunnerHarness,
) -> Result<(), Violation> {
    let request = request(harness, TaskKind::Implement).await?;
    let finished = async |run: &RunId| {
        let found = opened(harness).await?.finished(run).await;
        found.succeeds("asking for a result")
    };
    same(
        "the result before the run",
        &finished(&request.run).await?,
        &None,
    )?;
    tell(harness, TaskKind::Implement, writes()).await?;
    let result = opened(harness).await?.run(&request).await;
    let result = result.succeeds("making a run")?;
    same("the result", &finished(&request.run).await?, &Some(result))?;
    same("that of no run", &finished(&RunId::random()).await?, &None)
}

/// An agent that fails has a result; an error would mean that the machine failed.
///
/// # Errors
/// Says how the rule is broken.
pub async fn an_agents_failure_is_a_result(harness: &dyn RunnerHarness) -> Result<(), Violation> {
    let runner = opened(harness).await?;
    for outcome in [AgentOutcome::Deadline, AgentOutcome::Flooded] {
        let request = request(harness, TaskKind::Implement).await?;
        tell(harness, TaskKind::Implement, Work::Ends(outcome.clone())).await?;
        let result = runner.run(&request).await.succeeds("a run that fails")?;
        same("the outcome", &result.report.outcome, &outcome)?;
    }
    Ok(())
}

/// A task that may only read brings an answer and no patch; a tree that changed all the same is told.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_read_only_run_has_no_patch(harness: &dyn RunnerHarness) -> Result<(), Violation> {
    let runner = opened(harness).await?;
    let reading = request(harness, TaskKind::LocalCheck).await?;
    tell(harness, TaskKind::LocalCheck, Work::Answers).await?;
    let result = runner.run(&reading).await.succeeds("a read-only run")?;
    ensure(result.report.answer.is_object(), || {
        "the answer is lost".to_owned()
    })?;
    ensure(result.patch.is_none() && !result.tree_changed, || {
        "a run that only read is told to have changed something".to_owned()
    })?;
    let writing = request(harness, TaskKind::LocalCheck).await?;
    tell(harness, TaskKind::LocalCheck, writes()).await?;
    let result = runner.run(&writing).await.succeeds("a read-only run")?;
    ensure(result.patch.is_none(), || {
        "a read-only run brought a patch".to_owned()
    })?;
    // Where a mechanism keeps it from writing there is nothing to tell.
    ensure(result.tree_changed || result.touched.is_empty(), || {
        "a read-only run changed its tree, and nobody is told".to_owned()
    })
}

/// An agent that is not configured is an error that says which ones are.
///
/// # Errors
/// Says how the rule is broken.
pub async fn an_unknown_agent_is_named_with_those_there_are(
    harness: &dyn RunnerHarness,
) -> Result<(), Violation> {
    let mut request = request(harness, TaskKind::Implement).await?;
    request.agent = "nobody".to_owned();
    let answer = opened(harness).await?.run(&request).await;
    match answer {
        Err(RunnerError::UnknownAgent { name, known }) => {
            same("the name", &name.as_str(), &"nobody")?;
            ensure(known.contains(&harness.agent()), || {
                format!("those there are: {known:?}")
            })
        }
        other => Err(Violation::new(format!("the answer is {other:?}"))),
    }
}

/// What runs is seen by every process, in its slot, and is not seen once it has ended.
///
/// # Errors
/// Says how the rule is broken.
pub async fn what_runs_is_listed_with_its_slot(
    harness: &dyn RunnerHarness,
) -> Result<(), Violation> {
    let (runner, other) = (opened(harness).await?, opened(harness).await?);
    let request = request(harness, TaskKind::Implement).await?;
    let hangs = Work::WritesAndHangs {
        path: PATH.to_owned(),
    };
    tell(harness, TaskKind::Implement, hangs).await?;
    let running = async |repo: &str| other.running(repo).await.succeeds("listing what runs");
    let look = async {
        loop {
            let found = running(&harness.repo()).await?;
            if let Some(run) = found.first() {
                same("the run", &run.run, &request.run)?;
                same("its slot", &run.slot, &request.slot)?;
                same("its issue", &run.issue, &request.issue)?;
                same("the number of runs", &found.len(), &1)?;
                return same(
                    "what runs elsewhere",
                    &running("elsewhere").await?.len(),
                    &0,
                );
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        ended = runner.run(&request) => {
            return Err(Violation::new(format!("a run that hangs ended: {ended:?}")));
        }
        looked = look => looked?,
    }
    same(
        "what runs afterwards",
        &running(&harness.repo()).await?.len(),
        &0,
    )
}

/// A run is ended from any process, and says that it was cancelled; a run nobody knows may be cancelled too.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_cancelled_run_ends_with_that_outcome(
    harness: &dyn RunnerHarness,
) -> Result<(), Violation> {
    let (runner, other) = (opened(harness).await?, opened(harness).await?);
    let unknown = other.cancel(&RunId::random()).await;
    unknown.succeeds("cancelling what nobody knows")?;
    let request = request(harness, TaskKind::Implement).await?;
    let hangs = Work::WritesAndHangs {
        path: PATH.to_owned(),
    };
    tell(harness, TaskKind::Implement, hangs).await?;
    let before = harness.tasks();
    let cancel = async {
        while harness.tasks() == before {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        other.cancel(&request.run).await
    };
    let (ended, cancelled) = tokio::join!(runner.run(&request), cancel);
    cancelled.succeeds("cancelling a run")?;
    let ended = ended.succeeds("a run that is cancelled")?;
    same(
        "the outcome",
        &ended.report.outcome,
        &AgentOutcome::Cancelled,
    )
}

/// Who gives up on a run leaves no agent behind, and what it had written does not go with it.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_dropped_run_is_not_running_and_its_work_is_kept(
    harness: &dyn RunnerHarness,
) -> Result<(), Violation> {
    let runner = opened(harness).await?;
    let request = request(harness, TaskKind::Implement).await?;
    let hangs = Work::WritesAndHangs {
        path: PATH.to_owned(),
    };
    tell(harness, TaskKind::Implement, hangs).await?;
    let before = harness.tasks();
    let begun = async {
        while harness.tasks() == before {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        ended = runner.run(&request) => {
            return Err(Violation::new(format!("a run that hangs ended: {ended:?}")));
        }
        () = begun => {}
    }
    let running = runner.running(&harness.repo()).await;
    same(
        "what runs",
        &running.succeeds("listing what runs")?.len(),
        &0,
    )?;
    let finished = runner.finished(&request.run).await;
    same(
        "its result",
        &finished.succeeds("asking for a result")?,
        &None,
    )?;
    let released = opened(harness).await?.release(&request.run).await;
    released.succeeds("letting go of what a dead run left")
}

/// What a run left goes once its patch is stored; letting go again, or of nothing, is fine.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_released_run_may_be_released_again(
    harness: &dyn RunnerHarness,
) -> Result<(), Violation> {
    let runner = opened(harness).await?;
    let request = request(harness, TaskKind::Implement).await?;
    tell(harness, TaskKind::Implement, writes()).await?;
    let result = runner.run(&request).await.succeeds("making a run")?;
    if let Some(patch) = &result.patch {
        harness.store(patch).await.succeeds("storing the patch")?;
    }
    for _ in 0..2 {
        let released = runner.release(&request.run).await;
        released.succeeds("letting go of a run")?;
    }
    let unknown = runner.release(&RunId::random()).await;
    unknown.succeeds("letting go of what nobody knows")?;
    let known = runner.finished(&request.run).await;
    same(
        "its result",
        &known.succeeds("asking for a result")?,
        &Some(result),
    )
}

#[cfg(test)]
mod tests;
