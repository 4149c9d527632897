//! `demo`: the whole pipeline on a repository made for it.

mod agent;
mod person;
mod report;
mod setting;
mod shop;
mod story;
mod work;

use std::path::PathBuf;

use pipeline_core::random;

use super::Context;
use super::Exit;
use super::Failure;
use super::arguments::DemoArguments;
use crate::terminal::Style;

/// Plays the demo and checks what it promises.
pub(super) async fn run(context: &Context, arguments: &DemoArguments) -> Result<Exit, Failure> {
    let dir = match &arguments.dir {
        Some(dir) => context.around.directory.join(dir),
        None => new_folder(context),
    };
    let report = story::play(context, dir, arguments.pause).await?;
    let broken = report.broken_promises();
    let out = &context.out;
    for promise in &broken {
        out.line(out.paint(Style::Bad, &format!("not kept: {promise}")))?;
    }
    out.result(&report)?;
    Ok(if broken.is_empty() {
        Exit::Done
    } else {
        Exit::Failed
    })
}

/// Plays the agent.
pub(super) fn agent(context: &Context) -> Result<Exit, Failure> {
    agent::run(&context.out)?;
    Ok(Exit::Done)
}

fn new_folder(context: &Context) -> PathBuf {
    let temporary = context
        .around
        .path_variable("TMPDIR")
        .unwrap_or_else(|| "/tmp".into());
    let unique: String = random::nonce().chars().take(8).collect();
    temporary.join(format!("issue-pipeline-demo-{unique}"))
}
