//! What an agent does to files, and what it says it cannot do.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use serde_json::json;

use super::AgentHarness;
use super::Behaviour;
use super::any_object;
use super::directory;
use super::question;
use super::run;
use super::run_agent;
use super::task;
use crate::agent::AgentError;
use crate::agent::AgentOutcome;
use crate::agent::TaskKind;
use crate::conformance::Violation;
use crate::conformance::case::Succeeds as _;
use crate::conformance::case::chain;
use crate::conformance::case::ensure;
use crate::conformance::case::same;

/// The program works in the directory of its task.
///
/// # Errors
/// How the rule was broken.
pub async fn work_is_done_in_the_given_directory(
    harness: &dyn AgentHarness,
) -> Result<(), Violation> {
    let workdir = directory(harness)?;
    let write = write("made by the agent.txt");
    let agent = harness.agent(&write, &directory(harness)?);
    if !agent.capabilities().edits_files {
        // That such a task is refused is a case of its own.
        return Ok(());
    }
    let ran = run_agent(&*agent, &task(TaskKind::Implement, Some(workdir.clone()))).await?;
    ran.demand(&AgentOutcome::Completed)?;
    let made = fs::read(workdir.join("made by the agent.txt"))
        .succeeds("reading what the agent was to write")?;
    same("the file", &made.as_slice(), &b"edited".as_slice())
}

/// A task that needs no files, as triage does, runs without a directory.
///
/// # Errors
/// How the rule was broken.
pub async fn a_task_without_files_needs_no_directory(
    harness: &dyn AgentHarness,
) -> Result<(), Violation> {
    let mut task = task(TaskKind::Triage, None);
    task.schema = Some(any_object());
    let ran = run(harness, &Behaviour::Answer(json!({ "a": 1 })), &task).await?;
    ran.demand(&AgentOutcome::Completed).map(|_| ())
}

/// Where read-only is declared to be enforced, a read-only task leaves the tree identical, whatever the program tries.
///
/// # Errors
/// How the rule was broken.
pub async fn a_read_only_task_changes_nothing(harness: &dyn AgentHarness) -> Result<(), Violation> {
    let workdir = directory(harness)?;
    fs::write(workdir.join("kept.txt"), "kept").succeeds("writing into the case's directory")?;
    let before = tree(&workdir).succeeds("reading the case's directory")?;
    let mut task = question(harness, any_object())?;
    task.workdir = Some(workdir.clone());
    for path in ["kept.txt", "new.txt", "new/folder.txt"] {
        let agent = harness.agent(&write(path), &directory(harness)?);
        // That it tried may end the run, and need not: what counts is the tree.
        run_agent(&*agent, &task).await?.report()?;
        if agent.capabilities().enforces_read_only {
            let after = tree(&workdir).succeeds("reading the case's directory")?;
            ensure(after == before, || {
                format!("writing {path} changed the tree")
            })?;
        }
    }
    Ok(())
}

/// Images and edits, where not declared, are refused before anything runs.
///
/// # Errors
/// How the rule was broken.
pub async fn what_is_not_declared_is_refused(harness: &dyn AgentHarness) -> Result<(), Violation> {
    let agent = harness.agent(&Behaviour::Answer(json!({})), &directory(harness)?);
    let mut beyond = Vec::new();
    if !agent.capabilities().images {
        let mut with_image = question(harness, any_object())?;
        with_image.images = vec![directory(harness)?.join("image.png")];
        beyond.push(with_image);
    }
    if !agent.capabilities().edits_files {
        beyond.push(task(TaskKind::Implement, Some(directory(harness)?)));
    }
    for task in beyond {
        let ran = run_agent(&*agent, &task).await?;
        match &ran.result {
            Err(AgentError::Unsupported { .. }) => {}
            Err(error) => {
                return Err(Violation::new(format!(
                    "the task failed otherwise: {}",
                    chain(error)
                )));
            }
            Ok(report) => {
                return Err(Violation::new(format!(
                    "the task was taken and ended as {:?}",
                    report.outcome
                )));
            }
        }
        ensure(ran.told.started.is_empty(), || {
            "a program was started all the same".to_owned()
        })?;
    }
    Ok(())
}

/// What the program tells while it works reaches the watcher, line by line.
///
/// # Errors
/// How the rule was broken.
pub async fn progress_is_told(harness: &dyn AgentHarness) -> Result<(), Violation> {
    let line = "reading the tests";
    let ran = run(
        harness,
        &Behaviour::Tell(line.to_owned()),
        &question(harness, any_object())?,
    )
    .await?;
    let lines = &ran.told.lines;
    ensure(lines.iter().any(|told| told.contains(line)), || {
        format!("the watcher was told {lines:?}")
    })?;
    ensure(lines.iter().all(|told| !told.contains('\n')), || {
        format!("a line is several: {lines:?}")
    })
}

fn write(path: &str) -> Behaviour {
    Behaviour::Write {
        path: path.to_owned(),
        text: "edited".to_owned(),
    }
}

/// Returns everything below a folder; folders have no content.
fn tree(root: &Path) -> io::Result<BTreeMap<PathBuf, Option<Vec<u8>>>> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let is_folder = entry.file_type()?.is_dir();
            let content = if is_folder {
                None
            } else {
                Some(fs::read(entry.path())?)
            };
            found.insert(entry.path(), content);
            open.extend(is_folder.then(|| entry.path()));
        }
    }
    Ok(found)
}
