//! The program behind an agent: how it is started, what it is given, and that nothing of it stays.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;
use serde_json::json;

use super::AgentHarness;
use super::Behaviour;
use super::Recorder;
use super::any_object;
use super::directory;
use super::question;
use super::run;
use super::run_agent;
use super::until;
use crate::conformance::Violation;
use crate::conformance::case::Succeeds as _;
use crate::conformance::case::ensure;
use crate::process::ProcessSpec;
use crate::process::RUN_VARIABLE;

/// The watcher knows the process before the program has its task; an agent without programs names none.
///
/// # Errors
/// How the rule was broken.
pub async fn a_program_is_told_of_before_it_has_its_task(
    harness: &dyn AgentHarness,
) -> Result<(), Violation> {
    let ran = run(
        harness,
        &Behaviour::Tell("a line".to_owned()),
        &question(harness, any_object())?,
    )
    .await?;
    let told = &ran.told;
    if !harness.runs_programs() {
        return ensure(told.started.is_empty(), || {
            "it runs no program and named one".to_owned()
        });
    }
    ensure(!told.started.is_empty(), || {
        "no process was named".to_owned()
    })?;
    // It reads its task before it does anything: one that is told of later may have ended by then.
    ensure(!told.alive.contains(&false), || {
        "a process was named that did not live".to_owned()
    })?;
    ensure(told.lines_before_start == 0, || {
        "it spoke before it was named".to_owned()
    })
}

/// Nobody reads the prompt in the machine's list of processes.
///
/// # Errors
/// How the rule was broken.
pub async fn the_prompt_never_stands_in_the_arguments(
    harness: &dyn AgentHarness,
) -> Result<(), Violation> {
    if !harness.runs_programs() {
        return Ok(());
    }
    let task = question(harness, any_object())?;
    let agent = harness.agent(&Behaviour::Hang, &directory(harness)?);
    let watch = Recorder::default();
    let mut running = agent.run(&task, &watch);
    let list = async {
        until("a process was named", || !watch.told().started.is_empty()).await?;
        let listing = ProcessSpec::new("ps", "/")
            .args(["-axww", "-o", "args="])
            .run()
            .await;
        listing.succeeds("listing the machine's processes")
    };
    tokio::select! {
        result = &mut running => Err(Violation::new(format!("the run ended by itself: {result:?}"))),
        listing = list => {
            let listing = listing?;
            ensure(listing.succeeded(), || "`ps` failed".to_owned())?;
            ensure(!listing.stdout().text().contains(&task.prompt), || "it stands there".to_owned())
        }
    }
}

/// The program sees the variables that were named and the run's mark, and no other.
///
/// # Errors
/// How the rule was broken.
pub async fn only_named_variables_are_in_the_environment(
    harness: &dyn AgentHarness,
) -> Result<(), Violation> {
    if !harness.runs_programs() {
        return Ok(());
    }
    let ran = run(
        harness,
        &Behaviour::NameEnvironment,
        &question(harness, any_object())?,
    )
    .await?;
    let names = ran.report()?.answer.get("names").and_then(Value::as_array);
    let names: BTreeSet<&str> = names
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    ensure(names.contains(RUN_VARIABLE), || {
        format!("{RUN_VARIABLE} is not among {names:?}")
    })?;
    let allowed = harness.environment();
    let leaked: Vec<_> = names
        .iter()
        .filter(|name| **name != RUN_VARIABLE && !allowed.contains(**name))
        .collect();
    ensure(leaked.is_empty(), || format!("the program saw {leaked:?}"))
}

/// A secret that the agent was given is in none of its debug output, nor in what it reports of its program's last words.
///
/// # Errors
/// How the rule was broken.
pub async fn secrets_are_not_printed(harness: &dyn AgentHarness) -> Result<(), Violation> {
    let Some(secret) = harness.secret() else {
        return Ok(());
    };
    let agent = harness.agent(&Behaviour::SpillEnvironment, &directory(harness)?);
    ensure(!format!("{agent:?}").contains(&secret), || {
        "it stands in the agent's Debug".to_owned()
    })?;
    let ran = run_agent(&*agent, &question(harness, any_object())?).await?;
    ensure(!format!("{:?}", ran.result).contains(&secret), || {
        "it stands in the result of the run".to_owned()
    })?;
    ensure(!ran.told.lines.concat().contains(&secret), || {
        "it was told as progress".to_owned()
    })
}

/// A process that left its group is gone when the run is over.
///
/// # Errors
/// How the rule was broken.
pub async fn nothing_outlives_a_run(harness: &dyn AgentHarness) -> Result<(), Violation> {
    if !harness.runs_programs() {
        return Ok(());
    }
    let reachable = directory(harness)?;
    let file = reachable.join("escaped");
    let agent = harness.agent(
        &Behaviour::Escape {
            file: file.clone(),
            hang: false,
        },
        &reachable,
    );
    let ran = run_agent(&*agent, &question(harness, any_object())?).await?;
    let outcome = &ran.report()?.outcome;
    ensure(is_written(&file), || {
        format!("the process never came to be; the run ended as {outcome:?}")
    })?;
    ensure(is_let_go(&file), || {
        "a process that left its group outlived the run".to_owned()
    })
}

/// Dropping the future ends the whole tree, the processes that left the group before the drop returns.
///
/// # Errors
/// How the rule was broken.
pub async fn dropping_a_run_ends_its_whole_tree(
    harness: &dyn AgentHarness,
) -> Result<(), Violation> {
    if !harness.runs_programs() {
        return Ok(());
    }
    let reachable = directory(harness)?;
    let file = reachable.join("escaped");
    let agent = harness.agent(
        &Behaviour::Escape {
            file: file.clone(),
            hang: true,
        },
        &reachable,
    );
    let task = question(harness, json!({}))?;
    let watch = Recorder::default();
    let mut running = agent.run(&task, &watch);
    tokio::select! {
        result = &mut running => return Err(Violation::new(format!("the run ended by itself: {result:?}"))),
        there = until("the process that escapes came to be", || is_written(&file)) => there?,
    }
    ensure(!is_let_go(&file), || {
        "the process that escapes does not hold its lock".to_owned()
    })?;
    drop(running);
    until("the process that escaped is gone", || is_let_go(&file)).await?;
    for process in watch.told().started {
        until("the program is gone", || {
            process.is_alive().is_ok_and(|alive| !alive)
        })
        .await?;
    }
    Ok(())
}

fn is_written(file: &Path) -> bool {
    fs::read(file).is_ok_and(|bytes| bytes.ends_with(b"\n"))
}

/// Returns whether nobody holds the file's lock any more: its holder lives as long as it holds it.
fn is_let_go(file: &Path) -> bool {
    fs::File::open(file).is_ok_and(|file| file.try_lock().is_ok())
}
