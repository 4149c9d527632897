//! What every [`Agent`] must show.
//!
//! A harness makes agents whose program (a fake one, steered by its arguments, its prompt or a fake model) behaves as a
//! [`Behaviour`] says; the cases watch the adapter deal with it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::agent::Agent;
use crate::agent::AgentError;
use crate::agent::AgentOutcome;
use crate::agent::AgentReport;
use crate::agent::AgentTask;
use crate::agent::AgentWatch;
use crate::agent::Retry;
use crate::agent::RunId;
use crate::agent::RunLimits;
use crate::agent::RunMode;
use crate::agent::TaskKind;
use crate::issue::IssueKey;
use crate::process::ProcessIdentity;
use crate::process::ProcessSpec;
use crate::process::RUN_VARIABLE;

/// Far beyond what a case takes; a case that waits this long has failed.
const CEILING: Duration = Duration::from_secs(120);
/// How long a program that never ends by itself is let.
const SHORT: Duration = Duration::from_secs(1);

/// What the program behind the agent does with its next task.
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

/// Makes agents for the cases.
pub trait AgentHarness: Debug + Send + Sync {
    /// Makes an agent whose program behaves so with every task.
    ///
    /// `reachable` is a folder that the program needs beside its working directory; where the agent is confined, it must
    /// be made reachable for writing.
    fn agent(&self, behaviour: &Behaviour, reachable: &Path) -> Arc<dyn Agent>;
    /// Returns a new, empty, private directory that stays until the harness is dropped.
    fn directory(&self) -> PathBuf;
    /// Returns whether the agent runs programs; one that does not must never say that it started one.
    fn runs_programs(&self) -> bool;
    /// Returns the names of the environment variables that the agent's program may have, besides the run's mark.
    fn environment(&self) -> BTreeSet<String>;
    /// Returns the value of a secret that the agent was given, where it takes any.
    fn secret(&self) -> Option<String>;
}

/// Expands to one `#[test]` for each behaviour that an [`Agent`] must show.
///
/// Takes an expression that makes an [`AgentHarness`]; put it into a test module of its own.
///
/// # Examples
/// ```
/// mod my_agent {
///     # use std::{collections::BTreeSet, path::{Path, PathBuf}, sync::Arc};
///     # use pipeline_core::{agent::Agent, conformance::agent::{AgentHarness, Behaviour}};
///     # #[derive(Debug)] struct MyHarness;
///     # impl AgentHarness for MyHarness {
///     #     fn agent(&self, _: &Behaviour, _: &Path) -> Arc<dyn Agent> { unreachable!() }
///     #     fn directory(&self) -> PathBuf { unreachable!() }
///     #     fn runs_programs(&self) -> bool { true }
///     #     fn environment(&self) -> BTreeSet<String> { BTreeSet::new() }
///     #     fn secret(&self) -> Option<String> { None }
///     # }
///     pipeline_core::agent_conformance!(MyHarness);
/// }
/// ```
#[macro_export]
macro_rules! agent_conformance {
    ($harness:expr) => {
        $crate::agent_conformance! { @cases $harness =>
            an_answer_that_fits_completes
            an_answer_outside_the_schema_is_no_success
            a_garbled_answer_is_no_success
            an_answer_that_is_no_text_is_no_success
            silence_is_no_answer
            work_is_done_in_the_given_directory
            a_task_without_files_needs_no_directory
            a_read_only_task_changes_nothing
            what_is_not_declared_is_refused
            progress_is_told
            the_deadline_ends_a_run
            silence_ends_a_run
            a_flood_ends_a_run
            a_crash_is_reported_with_its_last_words
            a_program_is_told_of_before_it_has_its_task
            the_prompt_never_stands_in_the_arguments
            only_named_variables_are_in_the_environment
            nothing_outlives_a_run
            dropping_a_run_ends_its_whole_tree
            runs_side_by_side_keep_apart
            secrets_are_not_printed
        }
    };
    (@cases $harness:expr => $($case:ident)+) => {
        $(
            #[test]
            fn $case() {
                $crate::conformance::run_to_end(async {
                    let harness = $harness;
                    $crate::conformance::agent::$case(&harness).await;
                });
            }
        )+
    };
}

/// A prompt that can be told apart from everything else on the machine.
fn prompt() -> String {
    format!("canary prompt {}", crate::random::nonce())
}

fn schema() -> Value {
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

fn task(kind: TaskKind, workdir: Option<PathBuf>) -> AgentTask {
    AgentTask {
        run: RunId::random(),
        issue: IssueKey::new("CONF-1").expect("the key is of the permitted form"),
        kind,
        mode: kind.mode(),
        prompt: prompt(),
        schema: None,
        input: json!({}),
        workdir,
        images: Vec::new(),
        session: None,
        state_dir: None,
        limits: RunLimits {
            deadline: CEILING,
            stall: None,
            output_bytes: 64 << 10,
            tokens: None,
            cost_micros: None,
        },
    }
}

/// A read-only task that asks for an answer.
fn question(harness: &dyn AgentHarness, schema: Value) -> AgentTask {
    let mut task = task(TaskKind::LocalCheck, Some(harness.directory()));
    task.schema = Some(schema);
    task
}

/// Records what an agent tells while it runs.
#[derive(Debug, Default)]
struct Recorder {
    told: Mutex<Told>,
}

#[derive(Debug, Default, Clone)]
struct Told {
    started: Vec<ProcessIdentity>,
    alive_when_told: Vec<bool>,
    lines_before_start: usize,
    lines: Vec<String>,
}

impl Recorder {
    fn told(&self) -> Told {
        self.told
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl AgentWatch for Recorder {
    fn started(&self, process: &ProcessIdentity) {
        let alive = process.is_alive().unwrap_or(false);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.started.is_empty() {
            told.lines_before_start = told.lines.len();
        }
        told.started.push(process.clone());
        told.alive_when_told.push(alive);
    }

    fn progress(&self, line: &str) {
        self.told
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .lines
            .push(line.to_owned());
    }
}

struct Ran {
    agent: String,
    result: Result<AgentReport, AgentError>,
    told: Told,
}

impl Ran {
    /// Returns the report; an infrastructure error is none of the outcomes that a program can cause.
    fn report(&self, rule: &str) -> &AgentReport {
        match &self.result {
            Ok(report) => report,
            Err(error) => fail(
                &self.agent,
                rule,
                &format!("the run failed as infrastructure: {error:?}"),
            ),
        }
    }
}

#[expect(clippy::panic, reason = "this is what a failing case does")]
fn fail(agent: &str, rule: &str, found: &str) -> ! {
    panic!("agent {agent}: {rule}, but {found}")
}

async fn run(harness: &dyn AgentHarness, behaviour: &Behaviour, task: &AgentTask) -> Ran {
    let agent = harness.agent(behaviour, &harness.directory());
    run_agent(&*agent, task).await
}

async fn run_agent(agent: &dyn Agent, task: &AgentTask) -> Ran {
    let watch = Recorder::default();
    let name = agent.name().to_owned();
    match tokio::time::timeout(CEILING, agent.run(task, &watch)).await {
        Ok(result) => Ran {
            agent: name,
            result,
            told: watch.told(),
        },
        Err(_) => fail(
            &name,
            "a run ends within its limits",
            "it did not end at all",
        ),
    }
}

/// Demands an outcome that is neither a success nor something a person must look into before the next try.
fn demand_bad_answer(ran: &Ran, rule: &str) {
    let report = ran.report(rule);
    if !matches!(
        report.outcome,
        AgentOutcome::SchemaViolation { .. } | AgentOutcome::Crashed { .. }
    ) {
        fail(
            &ran.agent,
            rule,
            &format!("the outcome was {:?}", report.outcome),
        );
    }
    if !report.answer.is_null() {
        fail(&ran.agent, rule, "an answer was handed on");
    }
    if report.outcome.retry() != Retry::Backoff {
        fail(&ran.agent, rule, "the outcome says not to try again");
    }
}

/// An answer that fits the schema arrives as it was given.
pub async fn an_answer_that_fits_completes(harness: &dyn AgentHarness) {
    let rule = "an answer that fits the schema completes the run";
    let answer = json!({ "size": "small" });
    let ran = run(
        harness,
        &Behaviour::Answer(answer.clone()),
        &question(harness, schema()),
    )
    .await;
    let report = ran.report(rule);
    if report.outcome != AgentOutcome::Completed || report.answer != answer {
        fail(
            &ran.agent,
            rule,
            &format!("it ended as {:?} with {}", report.outcome, report.answer),
        );
    }
}

/// An answer outside the schema is not handed on.
pub async fn an_answer_outside_the_schema_is_no_success(harness: &dyn AgentHarness) {
    for wrong in [
        json!({ "size": "medium" }),
        json!({ "size": "small", "extra": 1 }),
        json!({}),
        json!([1]),
    ] {
        let ran = run(
            harness,
            &Behaviour::Answer(wrong),
            &question(harness, schema()),
        )
        .await;
        demand_bad_answer(&ran, "an answer outside the schema is never a success");
    }
}

/// An answer that is not one in the agent's protocol is not handed on.
pub async fn a_garbled_answer_is_no_success(harness: &dyn AgentHarness) {
    let ran = run(harness, &Behaviour::Garble, &question(harness, schema())).await;
    demand_bad_answer(&ran, "a garbled answer is never a success");
}

/// Bytes that are no text are not handed on, and end nobody.
pub async fn an_answer_that_is_no_text_is_no_success(harness: &dyn AgentHarness) {
    let ran = run(harness, &Behaviour::Mojibake, &question(harness, schema())).await;
    demand_bad_answer(&ran, "an answer that is not UTF-8 is never a success");
}

/// Where an answer is asked for, none is no success.
pub async fn silence_is_no_answer(harness: &dyn AgentHarness) {
    let ran = run(
        harness,
        &Behaviour::SayNothing,
        &question(harness, schema()),
    )
    .await;
    demand_bad_answer(
        &ran,
        "a run without the answer that was asked for is never a success",
    );
}

/// The program works in the directory of its task.
pub async fn work_is_done_in_the_given_directory(harness: &dyn AgentHarness) {
    let rule = "work is done in the directory of the task";
    let directory = harness.directory();
    let write = Behaviour::Write {
        path: "made by the agent.txt".to_owned(),
        text: "done\n".to_owned(),
    };
    let agent = harness.agent(&write, &harness.directory());
    if !agent.capabilities().edits_files {
        return;
    }
    let ran = run_agent(&*agent, &task(TaskKind::Implement, Some(directory.clone()))).await;
    if ran.report(rule).outcome != AgentOutcome::Completed {
        fail(
            &ran.agent,
            rule,
            &format!("it ended as {:?}", ran.report(rule).outcome),
        );
    }
    match fs::read_to_string(directory.join("made by the agent.txt")) {
        Ok(text) if text == "done\n" => {}
        other => fail(
            &ran.agent,
            rule,
            &format!("the file it was to write is {other:?}"),
        ),
    }
}

/// A task that needs no files (triage) runs without a directory.
pub async fn a_task_without_files_needs_no_directory(harness: &dyn AgentHarness) {
    let rule = "a task without a directory is run too";
    let mut task = task(TaskKind::Triage, None);
    task.schema = Some(any_object());
    let ran = run(harness, &Behaviour::Answer(json!({ "a": 1 })), &task).await;
    if ran.report(rule).outcome != AgentOutcome::Completed {
        fail(
            &ran.agent,
            rule,
            &format!("it ended as {:?}", ran.report(rule).outcome),
        );
    }
}

/// Where read-only is declared to be enforced, a read-only task leaves the tree identical, whatever the program tries.
pub async fn a_read_only_task_changes_nothing(harness: &dyn AgentHarness) {
    let rule = "a read-only task leaves the tree identical";
    let mut task = question(harness, any_object());
    let directory = harness.directory();
    plant(&directory.join("kept.txt"));
    task.workdir = Some(directory.clone());
    let before = tree(&directory);
    for path in ["kept.txt", "new.txt", "new/folder.txt"] {
        let write = Behaviour::Write {
            path: path.to_owned(),
            text: "edited".to_owned(),
        };
        let agent = harness.agent(&write, &harness.directory());
        let ran = run_agent(&*agent, &task).await;
        // That it tried may end the run, and need not: what counts is the tree.
        let outcome = &ran.report(rule).outcome;
        if agent.capabilities().enforces_read_only && tree(&directory) != before {
            fail(
                &ran.agent,
                rule,
                &format!("it changed ({path}) in a run that ended as {outcome:?}"),
            );
        }
    }
}

fn plant(file: &Path) {
    fs::write(file, "kept").expect("the harness's directory is writable");
}

fn tree(root: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(path) = open.pop() {
        for entry in fs::read_dir(&path)
            .expect("the harness's directory is readable")
            .flatten()
        {
            let path = entry.path();
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            found.insert(
                path.clone(),
                if is_folder {
                    None
                } else {
                    fs::read(&path).ok()
                },
            );
            if is_folder {
                open.push(path);
            }
        }
    }
    found
}

/// Images and edits, where not declared, are refused before anything runs.
pub async fn what_is_not_declared_is_refused(harness: &dyn AgentHarness) {
    let rule = "what is not declared is refused as unsupported";
    let agent = harness.agent(&Behaviour::Answer(json!({})), &harness.directory());
    let mut refused = Vec::new();
    if !agent.capabilities().images {
        let mut with_image = question(harness, any_object());
        with_image.images = vec![harness.directory().join("image.png")];
        refused.push(with_image);
    }
    if !agent.capabilities().edits_files {
        refused.push(task(TaskKind::Implement, Some(harness.directory())));
    }
    for task in refused {
        let ran = run_agent(&*agent, &task).await;
        if !matches!(ran.result, Err(AgentError::Unsupported { .. }))
            || !ran.told.started.is_empty()
        {
            fail(
                &ran.agent,
                rule,
                &format!("the result was {:?}", ran.result),
            );
        }
    }
}

/// What the program tells while it works reaches the watcher.
pub async fn progress_is_told(harness: &dyn AgentHarness) {
    let rule = "progress reaches the watcher";
    let ran = run(
        harness,
        &Behaviour::Tell("reading the tests".to_owned()),
        &question(harness, any_object()),
    )
    .await;
    if !ran
        .told
        .lines
        .iter()
        .any(|line| line.contains("reading the tests"))
    {
        fail(
            &ran.agent,
            rule,
            &format!("the watcher was told {:?}", ran.told.lines),
        );
    }
    if ran.told.lines.iter().any(|line| line.contains('\n')) {
        fail(
            &ran.agent,
            "progress comes line by line",
            &format!("the watcher was told {:?}", ran.told.lines),
        );
    }
    if harness.runs_programs() && ran.told.lines_before_start > 0 {
        fail(
            &ran.agent,
            "a program is told of before what it says",
            "lines came first",
        );
    }
}

/// A program that does not end is ended at the deadline, also if it ignores the request.
pub async fn the_deadline_ends_a_run(harness: &dyn AgentHarness) {
    let mut task = task(TaskKind::Implement, Some(harness.directory()));
    task.limits.deadline = SHORT;
    demand_end(harness, &task, &AgentOutcome::Deadline).await;
}

/// A program that says nothing is ended after the stall time.
pub async fn silence_ends_a_run(harness: &dyn AgentHarness) {
    let mut task = task(TaskKind::Implement, Some(harness.directory()));
    task.limits.stall = Some(SHORT);
    demand_end(harness, &task, &AgentOutcome::Stalled).await;
}

async fn demand_end(harness: &dyn AgentHarness, task: &AgentTask, expected: &AgentOutcome) {
    let rule = "a run that does not end by itself ends within 5 s of its limit, with its program";
    let agent = harness.agent(&Behaviour::Hang, &harness.directory());
    let mut task = task.clone();
    if !agent.capabilities().edits_files {
        task.kind = TaskKind::Triage;
        task.mode = RunMode::ReadOnly;
    }
    let began = Instant::now();
    let ran = run_agent(&*agent, &task).await;
    let outcome = &ran.report(rule).outcome;
    if outcome != expected || began.elapsed() > SHORT + Duration::from_secs(5) {
        fail(
            &ran.agent,
            rule,
            &format!("it ended as {outcome:?} after {:?}", began.elapsed()),
        );
    }
    for process in &ran.told.started {
        if process.is_alive().unwrap_or(true) {
            fail(
                &ran.agent,
                rule,
                &format!("process {} still runs", process.pid()),
            );
        }
    }
}

/// A program that talks without end is ended at its limit.
pub async fn a_flood_ends_a_run(harness: &dyn AgentHarness) {
    let rule = "a run that says more than its limit is ended";
    let ran = run(harness, &Behaviour::Flood, &question(harness, any_object())).await;
    if ran.report(rule).outcome != AgentOutcome::Flooded {
        fail(
            &ran.agent,
            rule,
            &format!("it ended as {:?}", ran.report(rule).outcome),
        );
    }
}

/// A crash is an outcome with code and last words, bounded.
pub async fn a_crash_is_reported_with_its_last_words(harness: &dyn AgentHarness) {
    let rule = "a crash is reported with its code and last words";
    let words = "panicked at line 7".to_owned();
    let ran = run(
        harness,
        &Behaviour::Crash {
            code: 3,
            words: words.clone(),
        },
        &question(harness, schema()),
    )
    .await;
    match &ran.report(rule).outcome {
        AgentOutcome::Crashed {
            code: Some(3),
            stderr,
        } if stderr.contains(&words) => {}
        other => fail(&ran.agent, rule, &format!("it ended as {other:?}")),
    }
}

/// The watcher knows the process before the program has its task; an agent without programs names none.
pub async fn a_program_is_told_of_before_it_has_its_task(harness: &dyn AgentHarness) {
    let rule = "a program is told of as soon as it is started";
    let ran = run(
        harness,
        &Behaviour::Answer(json!({})),
        &question(harness, any_object()),
    )
    .await;
    let told = &ran.told;
    if !harness.runs_programs() {
        if !told.started.is_empty() {
            fail(
                &ran.agent,
                "an agent without programs names no process",
                &format!("it named {:?}", told.started),
            );
        }
        return;
    }
    // It reads its task before it answers: one that is told of later could have ended already.
    if told.started.is_empty() || told.alive_when_told.contains(&false) {
        fail(&ran.agent, rule, &format!("the watcher was told {told:?}"));
    }
}

/// Nobody on the machine reads the prompt from the list of processes.
pub async fn the_prompt_never_stands_in_the_arguments(harness: &dyn AgentHarness) {
    let rule = "the prompt goes through standard input";
    if !harness.runs_programs() {
        return;
    }
    let task = question(harness, any_object());
    let agent = harness.agent(&Behaviour::Hang, &harness.directory());
    let watch = Recorder::default();
    let mut running = agent.run(&task, &watch);
    let listing = async {
        let end = Instant::now() + CEILING;
        while watch.told().started.is_empty() && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        ProcessSpec::new("ps", "/")
            .args(["-axww", "-o", "args="])
            .run()
            .await
    };
    tokio::select! {
        result = &mut running => fail(agent.name(), rule, &format!("the run ended before it was looked at: {result:?}")),
        listing = listing => {
            match listing {
                Ok(listing) if listing.succeeded() && !listing.stdout().text().contains(&task.prompt) => {}
                Ok(listing) if listing.succeeded() => fail(agent.name(), rule, "it stands in the list of processes"),
                other => fail(agent.name(), rule, &format!("`ps` failed: {other:?}")),
            }
        }
    }
}

/// The program sees the variables that were named, and the run's mark.
pub async fn only_named_variables_are_in_the_environment(harness: &dyn AgentHarness) {
    let rule = "the environment is cleared but for what is named";
    if !harness.runs_programs() {
        return;
    }
    let ran = run(
        harness,
        &Behaviour::NameEnvironment,
        &question(harness, any_object()),
    )
    .await;
    let report = ran.report(rule);
    let Some(names) = report.answer.get("names").and_then(Value::as_array) else {
        fail(&ran.agent, rule, &format!("no names came back: {report:?}"))
    };
    let names: BTreeSet<&str> = names.iter().filter_map(Value::as_str).collect();
    if !names.contains(RUN_VARIABLE) {
        fail(
            &ran.agent,
            "the run's mark is planted",
            &format!("the program saw {names:?}"),
        );
    }
    let allowed = harness.environment();
    let leaked: Vec<_> = names
        .iter()
        .filter(|name| **name != RUN_VARIABLE && !allowed.contains(**name))
        .collect();
    if !leaked.is_empty() {
        fail(&ran.agent, rule, &format!("the program saw {leaked:?}"));
    }
}

/// A process that left its group is ended when the run is over.
pub async fn nothing_outlives_a_run(harness: &dyn AgentHarness) {
    let rule = "no process outlives its run";
    if !harness.runs_programs() {
        return;
    }
    let reachable = harness.directory();
    let file = reachable.join("escaped");
    let agent = harness.agent(
        &Behaviour::Escape {
            file: file.clone(),
            hang: false,
        },
        &reachable,
    );
    let ran = run_agent(&*agent, &question(harness, any_object())).await;
    let outcome = &ran.report(rule).outcome;
    if !is_written(&file) {
        fail(
            &ran.agent,
            rule,
            &format!("the process never came to be; the run ended as {outcome:?}"),
        );
    }
    demand_gone(&ran.agent, &file, rule).await;
}

/// Dropping the future ends the whole tree.
pub async fn dropping_a_run_ends_its_whole_tree(harness: &dyn AgentHarness) {
    let rule = "dropping a run ends its whole process tree";
    if !harness.runs_programs() {
        return;
    }
    let reachable = harness.directory();
    let file = reachable.join("escaped");
    let agent = harness.agent(
        &Behaviour::Escape {
            file: file.clone(),
            hang: true,
        },
        &reachable,
    );
    let task = question(harness, any_object());
    let watch = Recorder::default();
    let mut running = agent.run(&task, &watch);
    let ready = async {
        let end = Instant::now() + CEILING;
        while !is_written(&file) {
            if Instant::now() > end {
                fail(agent.name(), rule, "the process never came to be");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        result = &mut running => fail(agent.name(), rule, &format!("the run ended by itself: {result:?}")),
        () = ready => {}
    }
    drop(running);
    demand_gone(agent.name(), &file, rule).await;
    for process in watch.told().started {
        let end = Instant::now() + CEILING;
        while process.is_alive().unwrap_or(true) {
            if Instant::now() > end {
                fail(
                    agent.name(),
                    rule,
                    &format!("process {} still runs", process.pid()),
                );
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn is_written(file: &Path) -> bool {
    fs::read(file).is_ok_and(|bytes| bytes.ends_with(b"\n"))
}

/// The escaped process holds a lock on its file: only once it is gone can somebody else have it.
async fn demand_gone(agent: &str, file: &Path, rule: &str) {
    let end = Instant::now() + CEILING;
    while !is_unlocked(file) {
        if Instant::now() > end {
            fail(agent, rule, "a process that left its group still runs");
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn is_unlocked(file: &Path) -> bool {
    fs::File::open(file).is_ok_and(|file| file.try_lock().is_ok())
}

/// Runs of one agent at the same time do not get each other's answers.
pub async fn runs_side_by_side_keep_apart(harness: &dyn AgentHarness) {
    let rule = "runs at the same time keep apart";
    let (one, two) = (json!({ "size": "small" }), json!({ "size": "large" }));
    let (first, second) = (question(harness, schema()), question(harness, schema()));
    let (behaviour_one, behaviour_two) = (
        Behaviour::Answer(one.clone()),
        Behaviour::Answer(two.clone()),
    );
    let (first, second) = tokio::join!(
        run(harness, &behaviour_one, &first),
        run(harness, &behaviour_two, &second)
    );
    if first.report(rule).answer != one || second.report(rule).answer != two {
        fail(&first.agent, rule, "an answer came back from the other run");
    }
}

/// A secret that the agent was given is in none of its debug output.
pub async fn secrets_are_not_printed(harness: &dyn AgentHarness) {
    let rule = "a secret is never printed";
    let Some(secret) = harness.secret() else {
        return;
    };
    let agent = harness.agent(&Behaviour::SpillEnvironment, &harness.directory());
    if format!("{agent:?}").contains(&secret) {
        fail(agent.name(), rule, "it stands in the agent's Debug");
    }
    let ran = run_agent(&*agent, &question(harness, any_object())).await;
    if format!("{:?}", ran.result).contains(&secret) {
        fail(
            &ran.agent,
            rule,
            "it stands in the report of a program that wrote it to standard error",
        );
    }
}

#[cfg(test)]
mod tests {
    /// A case that the macro does not name would be run by nobody.
    #[test]
    fn the_macro_names_every_case() {
        let source = include_str!("agent.rs");
        let list = source
            .split("=>\n            an_answer")
            .nth(1)
            .and_then(|rest| rest.split("        }\n").next());
        let list = format!("an_answer{}", list.unwrap());
        let named: Vec<&str> = list.split_whitespace().collect();
        let cases: Vec<&str> = source
            .lines()
            .filter_map(|line| line.strip_prefix("pub async fn ")?.split('(').next())
            .collect();
        assert_eq!(named, cases);
    }
}
