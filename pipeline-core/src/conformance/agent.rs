//! The conformance suite of [`Agent`].
//!
//! An adapter's tests implement [`AgentHarness`], which makes agents whose program (a fake one, steered by its arguments,
//! its prompt or a fake model) behaves as a [`Behaviour`] says, and call
//! [`agent_conformance!`](crate::agent_conformance). The cases watch the adapter deal with it.
//!
//! A capability is a claim and not a switch: where it is declared its behaviour is asserted, where it is not the task
//! must be refused as `Unsupported`.

mod answers;
mod limits;
mod processes;
mod watch;
mod work;

use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

pub use self::answers::a_crash_is_reported_with_its_last_words;
pub use self::answers::a_garbled_answer_is_no_success;
pub use self::answers::an_answer_outside_the_schema_is_no_success;
pub use self::answers::an_answer_that_fits_completes;
pub use self::answers::an_answer_that_is_no_text_is_no_success;
pub use self::answers::runs_side_by_side_keep_apart;
pub use self::answers::silence_is_no_answer;
pub use self::limits::a_flood_ends_a_run;
pub use self::limits::silence_ends_a_run;
pub use self::limits::the_deadline_ends_a_run;
pub use self::processes::a_program_is_told_of_before_it_has_its_task;
pub use self::processes::dropping_a_run_ends_its_whole_tree;
pub use self::processes::nothing_outlives_a_run;
pub use self::processes::only_named_variables_are_in_the_environment;
pub use self::processes::secrets_are_not_printed;
pub use self::processes::the_prompt_never_stands_in_the_arguments;
use self::watch::Recorder;
use self::watch::Told;
pub use self::work::a_read_only_task_changes_nothing;
pub use self::work::a_task_without_files_needs_no_directory;
pub use self::work::progress_is_told;
pub use self::work::what_is_not_declared_is_refused;
pub use self::work::work_is_done_in_the_given_directory;
use super::Violation;
use super::case::Succeeds as _;
use super::case::chain;
use super::case::ensure;
use crate::BoxError;
use crate::agent::Agent;
use crate::agent::AgentError;
use crate::agent::AgentOutcome;
use crate::agent::AgentReport;
use crate::agent::AgentTask;
use crate::agent::RunId;
use crate::agent::RunLimits;
use crate::agent::TaskKind;
use crate::issue::IssueKey;

/// Far beyond what a run takes; one that takes this long is taken for endless.
const CEILING: Duration = Duration::from_secs(120);
/// Between two looks at something that is waited for.
const LOOK: Duration = Duration::from_millis(5);

/// What the program behind the agent does with its task.
///
/// Serialises, so that a fake program can be given it as an argument.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Behaviour {
    /// Answers with this value, and ends well.
    Answer(Value),
    /// Says something that is no answer in its protocol, such as half a JSON document, and ends well.
    Garble,
    /// Says bytes that are not UTF-8 where its answer should stand, and ends well.
    Mojibake,
    /// Ends well without a word.
    SayNothing,
    /// Tells this line of progress, then answers with `{}`.
    Tell(String),
    /// Writes a file below the directory it was started in (going on if it cannot), then answers with `{}`.
    Write {
        /// Relative to the directory it was started in.
        path: String,
        /// The content.
        text: String,
    },
    /// Answers with `{"names": […]}`, the names of all its environment variables.
    NameEnvironment,
    /// Ends with code 1 after writing the names and values of all its environment variables to standard error.
    SpillEnvironment,
    /// Talks without end.
    Flood,
    /// Says nothing and does not end, not even when told to (`SIGTERM`).
    Hang,
    /// Starts a process that leaves its group, is orphaned, and holds an exclusive lock on a file (into which it writes a
    /// line) for as long as it lives, which is for ever; waits for that line; then hangs, or answers with `{}`.
    Escape {
        /// An absolute path outside the working directory.
        file: PathBuf,
        /// Whether to hang.
        hang: bool,
    },
    /// Ends with this code after saying these words to standard error.
    Crash {
        /// The exit code, not 0.
        code: i32,
        /// What it says.
        words: String,
    },
}

/// A maker of agents for the cases.
#[async_trait]
pub trait AgentHarness: Send + Sync {
    /// Sets up what the agents need.
    async fn fresh() -> Result<Self, BoxError>
    where
        Self: Sized;

    /// Makes an agent whose program behaves so with every task.
    ///
    /// `reachable` is a folder that the program needs beside its working directory; where the agent is confined, the
    /// harness lets it write there.
    fn agent(&self, behaviour: &Behaviour, reachable: &Path) -> Arc<dyn Agent>;

    /// Makes a new, empty, private directory that stays as long as the harness.
    ///
    /// # Errors
    /// Why it could not be made; the case fails with it.
    fn directory(&self) -> Result<PathBuf, BoxError>;

    /// Returns whether the agent runs programs; one that does not must never say that it started one.
    fn runs_programs(&self) -> bool;

    /// Returns the names of the environment variables that the agent's program may have, besides the run's mark.
    fn environment(&self) -> BTreeSet<String>;

    /// Returns the value of a secret that the agents were given in a variable; `None` only if they take none.
    fn secret(&self) -> Option<String>;
}

/// Expands to one test per behaviour of an [`Agent`], for a type that implements [`AgentHarness`].
///
/// Put it into a module of its own. The tests bring their runtime; the crate needs no tokio.
///
/// ```text
/// mod conformance {
///     pipeline_core::agent_conformance!(super::MyHarness);
/// }
/// ```
#[macro_export]
macro_rules! agent_conformance {
    ($harness:ty) => {
        $crate::__agent_cases!([$crate::__conformance_tests], $harness);
    };
}

/// Hands the list of cases to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __agent_cases {
    ([$($with:tt)*], $harness:ty) => {
        $($with)*!(
            $harness,
            $crate::conformance::agent::AgentHarness,
            $crate::conformance::agent,
            [
                a_crash_is_reported_with_its_last_words,
                a_flood_ends_a_run,
                a_garbled_answer_is_no_success,
                a_program_is_told_of_before_it_has_its_task,
                a_read_only_task_changes_nothing,
                a_task_without_files_needs_no_directory,
                an_answer_outside_the_schema_is_no_success,
                an_answer_that_fits_completes,
                an_answer_that_is_no_text_is_no_success,
                dropping_a_run_ends_its_whole_tree,
                nothing_outlives_a_run,
                only_named_variables_are_in_the_environment,
                progress_is_told,
                runs_side_by_side_keep_apart,
                secrets_are_not_printed,
                silence_ends_a_run,
                silence_is_no_answer,
                the_deadline_ends_a_run,
                the_prompt_never_stands_in_the_arguments,
                what_is_not_declared_is_refused,
                work_is_done_in_the_given_directory,
            ]
        );
    };
}

/// A schema with an answer for either side of every rule.
fn size_schema() -> Value {
    json!({
        "type": "object",
        "properties": { "size": { "type": "string", "enum": ["small", "large"] } },
        "required": ["size"],
        "additionalProperties": false,
    })
}

fn any_object() -> Value {
    json!({ "type": "object" })
}

/// Makes a task with limits that no case reaches by accident, and a prompt that stands nowhere else on the machine.
fn task(kind: TaskKind, workdir: Option<PathBuf>) -> AgentTask {
    AgentTask {
        run: RunId::random(),
        issue: IssueKey::new("CONF-1").expect("the key is of the permitted form"),
        kind,
        mode: kind.mode(),
        prompt: format!("canary prompt {}", crate::random::nonce()),
        schema: None,
        input: json!({}),
        workdir,
        images: Vec::new(),
        model: None,
        session: None,
        state_dir: None,
        loopback: None,
        limits: RunLimits {
            deadline: CEILING,
            stall: None,
            output_bytes: 64 << 10,
            tokens: None,
            cost_micros: None,
        },
    }
}

/// Makes a read-only task that asks for an answer.
fn question(harness: &dyn AgentHarness, schema: Value) -> Result<AgentTask, Violation> {
    let mut task = task(TaskKind::LocalCheck, Some(directory(harness)?));
    task.schema = Some(schema);
    Ok(task)
}

fn directory(harness: &dyn AgentHarness) -> Result<PathBuf, Violation> {
    harness
        .directory()
        .succeeds("making a directory for the case")
}

/// What came out of a run, and what was told meanwhile.
struct Ran {
    result: Result<AgentReport, AgentError>,
    told: Told,
}

impl Ran {
    /// Returns the report: whatever a program does, it is an outcome and no infrastructure error.
    fn report(&self) -> Result<&AgentReport, Violation> {
        let failed = |error: &AgentError| {
            Violation::new(format!(
                "the run failed as infrastructure: {}",
                chain(error)
            ))
        };
        self.result.as_ref().map_err(failed)
    }

    fn demand(&self, expected: &AgentOutcome) -> Result<&AgentReport, Violation> {
        let report = self.report()?;
        ensure(report.outcome == *expected, || {
            format!(
                "the run should end as {expected:?} and ended as {:?}",
                report.outcome
            )
        })?;
        Ok(report)
    }
}

async fn run(
    harness: &dyn AgentHarness,
    behaviour: &Behaviour,
    task: &AgentTask,
) -> Result<Ran, Violation> {
    let agent = harness.agent(behaviour, &directory(harness)?);
    run_agent(&*agent, task).await
}

async fn run_agent(agent: &dyn Agent, task: &AgentTask) -> Result<Ran, Violation> {
    let watch = Recorder::default();
    match tokio::time::timeout(CEILING, agent.run(task, &watch)).await {
        Ok(result) => Ok(Ran {
            result,
            told: watch.told(),
        }),
        Err(_) => Err(Violation::new(format!(
            "the run did not end within {} s",
            CEILING.as_secs()
        ))),
    }
}

/// Waits until something holds that must come to hold.
async fn until(what: &str, mut holds: impl FnMut() -> bool + Send) -> Result<(), Violation> {
    let looking = async {
        while !holds() {
            tokio::time::sleep(LOOK).await;
        }
    };
    let seen = tokio::time::timeout(CEILING, looking).await;
    seen.map_err(|_| {
        Violation::new(format!(
            "in {} s it never came true that {what}",
            CEILING.as_secs()
        ))
    })
}

#[cfg(test)]
mod tests;
