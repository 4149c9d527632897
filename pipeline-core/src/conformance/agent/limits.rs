//! Runs that do not end by themselves.

use std::time::Duration;
use std::time::Instant;

use super::AgentHarness;
use super::Behaviour;
use super::any_object;
use super::directory;
use super::question;
use super::run;
use super::run_agent;
use super::task;
use crate::agent::AgentOutcome;
use crate::agent::AgentTask;
use crate::agent::RunMode;
use crate::agent::TaskKind;
use crate::conformance::Violation;
use crate::conformance::case::ensure;

/// How long a program that never ends by itself is let.
const SHORT: Duration = Duration::from_secs(1);
/// Within which time of its limit a run is over, its program included.
const AFTER_LIMIT: Duration = Duration::from_secs(5);

/// A program that does not end is ended at the deadline, also if it ignores the request.
///
/// # Errors
/// How the rule was broken.
pub async fn the_deadline_ends_a_run(harness: &dyn AgentHarness) -> Result<(), Violation> {
    let mut task = task(TaskKind::Implement, Some(directory(harness)?));
    task.limits.deadline = SHORT;
    demand_end(harness, task, &AgentOutcome::Deadline).await
}

/// A program that says nothing is ended after the stall time.
///
/// # Errors
/// How the rule was broken.
pub async fn silence_ends_a_run(harness: &dyn AgentHarness) -> Result<(), Violation> {
    let mut task = task(TaskKind::Implement, Some(directory(harness)?));
    task.limits.stall = Some(SHORT);
    demand_end(harness, task, &AgentOutcome::Stalled).await
}

/// A program that talks without end is ended at its limit.
///
/// # Errors
/// How the rule was broken.
pub async fn a_flood_ends_a_run(harness: &dyn AgentHarness) -> Result<(), Violation> {
    let ran = run(
        harness,
        &Behaviour::Flood,
        &question(harness, any_object())?,
    )
    .await?;
    ran.demand(&AgentOutcome::Flooded).map(|_| ())
}

async fn demand_end(
    harness: &dyn AgentHarness,
    mut task: AgentTask,
    expected: &AgentOutcome,
) -> Result<(), Violation> {
    let agent = harness.agent(&Behaviour::Hang, &directory(harness)?);
    if !agent.capabilities().edits_files {
        task.kind = TaskKind::Triage;
        task.mode = RunMode::ReadOnly;
    }
    let began = Instant::now();
    let ran = run_agent(&*agent, &task).await?;
    let took = began.elapsed();
    ran.demand(expected)?;
    ensure(took <= SHORT + AFTER_LIMIT, || {
        format!("the run took {took:?} with a limit of {SHORT:?}")
    })?;
    for process in &ran.told.started {
        let gone = process.is_alive().is_ok_and(|alive| !alive);
        ensure(gone, || format!("process {} still runs", process.pid()))?;
    }
    Ok(())
}
