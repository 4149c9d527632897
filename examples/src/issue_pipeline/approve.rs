//! `approve`: a person's OK on exactly one candidate, typed on a terminal or written by the owner of a folder.

use std::io::BufRead as _;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;

use pipeline_core::event::Stage;
use pipeline_core::gate::FolderGate;
use pipeline_core::gate::GateEvidence;
use pipeline_core::report::TickOptions;
use pipeline_core::report::TickReport;
use pipeline_core::stages::Approve;
use serde::Serialize;

use super::Context;
use super::Exit;
use super::Failure;
use super::arguments::ApproveArguments;
use super::pause::Paused;
use super::stages;
use super::teller::Teller;
use crate::compose;
use crate::config::model::Place;
use crate::surroundings::whoami;

#[derive(Debug, Serialize)]
struct Report {
    ok: GateEvidence,
    integrate: Option<TickReport>,
}

pub(super) async fn run(context: &Context, arguments: ApproveArguments) -> Result<Exit, Failure> {
    if let Some(folder) = &arguments.owner_folder {
        let folder = context.around.directory.join(folder);
        return as_owner(context, &arguments, folder).await;
    }
    let workplace = context.workplace()?;
    match workplace.config().gates.local_ok {
        Place::Terminal => {}
        Place::Tracker => {
            return Err(Failure::refused(format!(
                "the OK is given in the tracker here: an approver writes the comment that `issue-pipeline review {}` \
                 shows",
                arguments.candidate
            )));
        }
        Place::Owner => {
            return Err(Failure::refused(
                "the OK is given by the owner of [gates] owner_folder here: as that user, with --owner-folder DIR",
            ));
        }
    }
    let teller = Arc::new(Teller::new(
        workplace.name(),
        context.out.progress().clone(),
    ));
    let composed = compose::compose(&workplace, &context.around, Arc::clone(&teller) as _).await?;
    let ok = ok(context, &arguments).await;
    let evidence = composed.pipeline.approve(&ok).await?;
    let short: String = evidence.subject.chars().take(12).collect();
    typed(context, &short)?;
    let gate = FolderGate::terminal(compose::approvals_dir(&workplace));
    gate.give(&evidence)
        .map_err(|error| Failure::new(Exit::Failed, error))?;
    let by = &evidence.by;
    context.out.line(format!("OK on {short} by {by}"))?;
    let report = match Paused::read(&workplace.state)? {
        Some(paused) => {
            context
                .out
                .line(format!("it lands later: {}", paused.sentence()))?;
            None
        }
        None => {
            let report = stages::tick(
                &composed.pipeline,
                Stage::Integrate,
                &TickOptions::default(),
            )
            .await?;
            stages::tell(&context.out, &report)?;
            stages::tell_persons(context, &workplace, &teller).await?;
            Some(report)
        }
    };
    let failed = report.as_ref().is_some_and(TickReport::failed);
    context.out.result(&Report {
        ok: evidence,
        integrate: report,
    })?;
    Ok(if failed { Exit::Failed } else { Exit::Done })
}

/// Gives the OK as another user than the pipeline's: only the repository is read, only the owner's folder written.
async fn as_owner(
    context: &Context,
    arguments: &ApproveArguments,
    folder: PathBuf,
) -> Result<Exit, Failure> {
    let pipeline = compose::of_repository(&context.around).await?;
    let evidence = pipeline.approve(&ok(context, arguments).await).await?;
    let short: String = evidence.subject.chars().take(12).collect();
    typed(context, &short)?;
    // Where the pipeline keeps its state is not for this user to know; its side checks that the folder lies outside.
    let gate = FolderGate::owner(folder, "/nonexistent");
    gate.give(&evidence)
        .map_err(|error| Failure::new(Exit::Failed, error))?;
    let by = &evidence.by;
    context.out.line(format!(
        "OK on {short} by {by}; the pipeline's next `integrate` lands it"
    ))?;
    context.out.result(&Report {
        ok: evidence,
        integrate: None,
    })?;
    Ok(Exit::Done)
}

async fn ok(context: &Context, arguments: &ApproveArguments) -> Approve {
    Approve {
        candidate: arguments.candidate.clone(),
        by: whoami(&context.around).await,
        allow: arguments.allow.iter().cloned().collect(),
        protected: arguments.protected.iter().cloned().collect(),
    }
}

/// Has a person type the short id on a terminal: a program that runs as the same user has none.
pub(super) fn typed(context: &Context, short: &str) -> Result<(), Failure> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(Failure::refused(
            "the OK is typed on a terminal, and standard input is none: run it yourself, or choose \
             local_ok = \"tracker\" or \"owner\" in [gates]",
        ));
    }
    context.out.ask(&format!("type {short} to give the OK: "))?;
    let mut line = String::new();
    stdin.lock().read_line(&mut line)?;
    if line.trim() == short {
        Ok(())
    } else {
        Err(Failure::refused("that is not the id; nothing was approved"))
    }
}
