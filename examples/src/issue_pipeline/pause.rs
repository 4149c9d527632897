//! `pause` and `resume`: a file in the state directory that every stage looks at before it begins.

use pipeline_core::clock::Clock as _;
use pipeline_core::clock::SystemClock;
use pipeline_core::clock::Timestamp;
use pipeline_core::ledger::Ledger;
use serde::Deserialize;
use serde::Serialize;

use super::Context;
use super::Exit;
use super::Failure;
use super::arguments::PauseArguments;
use super::arguments::ResumeArguments;
use super::issue::whoever;
use crate::compose::ComposeError;
use crate::surroundings::StateDir;
use crate::surroundings::StateDirError;
use crate::terminal::escape_line;
use crate::workplace::Workplace;

const FILE: &str = "paused.json";

/// A pause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Paused {
    by: String,
    at: Timestamp,
    reason: Option<String>,
}

impl Paused {
    /// Returns the pause that is in force; a file that cannot be understood is one too.
    pub(super) fn read(state: &StateDir) -> Result<Option<Self>, StateDirError> {
        let Some(bytes) = state.read(FILE)? else {
            return Ok(None);
        };
        let unclear = || Self {
            by: "somebody".to_owned(),
            at: Timestamp::EPOCH,
            reason: Some("paused.json cannot be understood".to_owned()),
        };
        Ok(Some(
            serde_json::from_slice(&bytes).unwrap_or_else(|_| unclear()),
        ))
    }

    /// Returns the sentence.
    pub(super) fn sentence(&self) -> String {
        let reason = self
            .reason
            .as_ref()
            .map_or_else(String::new, |r| format!(" ({})", escape_line(r)));
        let by = escape_line(&self.by);
        format!(
            "paused by {by} since {}{reason}: `issue-pipeline resume` goes on",
            self.at
        )
    }
}

pub(super) fn pause(context: &Context, arguments: &PauseArguments) -> Result<Exit, Failure> {
    let workplace = context.workplace()?;
    workplace.state.prepare()?;
    let paused = Paused {
        by: whoever(&context.around).unwrap_or_else(|_| "somebody".to_owned()),
        at: SystemClock.now(),
        reason: arguments.reason.clone(),
    };
    workplace.state.write_json(FILE, &paused)?;
    context.out.line("nothing new begins; what runs goes on")?;
    context.out.result(&paused)?;
    Ok(Exit::Done)
}

pub(super) fn resume(context: &Context, arguments: &ResumeArguments) -> Result<Exit, Failure> {
    let workplace = context.workplace()?;
    if let Some(agent) = &arguments.agent {
        return resume_agent(context, &workplace, agent);
    }
    let was = Paused::read(&workplace.state)?;
    if was.is_some() {
        std::fs::remove_file(workplace.state.path().join(FILE))?;
        context.out.line("stages begin again")?;
    } else {
        context.out.line("it was not paused")?;
    }
    context.out.result(&serde_json::json!({ "was": was }))?;
    Ok(Exit::Done)
}

/// Takes the pause of one agent back.
fn resume_agent(context: &Context, workplace: &Workplace, agent: &str) -> Result<Exit, Failure> {
    let shown = escape_line(agent);
    let agents = &workplace.config().agents;
    if !agents.contains_key(agent) {
        let known: Vec<&str> = agents.keys().map(String::as_str).collect();
        return Err(Failure::usage(format!(
            "there is no agent `{shown}` (there are: {})",
            known.join(", ")
        )));
    }
    workplace.state.prepare()?;
    let ledger =
        Ledger::open(&workplace.state.path().join("ledger.jsonl")).map_err(ComposeError::Ledger)?;
    let was = ledger
        .resume(agent, SystemClock.now())
        .map_err(ComposeError::Ledger)?;
    context.out.line(match &was {
        Some(pause) => format!("agent {shown} goes on; it was paused until {}", pause.until),
        None => format!("agent {shown} was not paused"),
    })?;
    context.out.result(&serde_json::json!({ "was": was }))?;
    Ok(Exit::Done)
}
