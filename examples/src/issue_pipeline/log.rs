//! `log`: what a run was asked, what it told, what came out; or the list of the runs.

use pipeline_core::agent::RunId;
use pipeline_core::clock::Timestamp;
use pipeline_core::issue::IssueKey;
use pipeline_core::runner::RunTable;
use serde::Serialize;

use super::Context;
use super::Exit;
use super::Failure;
use super::arguments::LogArguments;
use crate::compose;
use crate::terminal::Style;
use crate::terminal::escape;
use crate::terminal::escape_line;

#[derive(Debug, Serialize)]
struct Line {
    run: RunId,
    issue: IssueKey,
    slot: String,
    kind: pipeline_core::agent::TaskKind,
    began: Timestamp,
    ended: Option<Timestamp>,
    outcome: String,
}

pub(super) fn run(context: &Context, arguments: &LogArguments) -> Result<Exit, Failure> {
    let workplace = context.workplace()?;
    let table = RunTable::open(&compose::runs_dir(&workplace))?;
    match &arguments.run {
        None => list(context, &table),
        Some(typed) => {
            let run = RunId::new(typed.clone()).map_err(Failure::usage)?;
            show(context, &table, &run)
        }
    }
}

fn list(context: &Context, table: &RunTable) -> Result<Exit, Failure> {
    let mut lines = Vec::new();
    for run in table.runs()? {
        let Some(request) = table.request(&run)? else {
            continue;
        };
        let result = table.result(&run)?;
        let outcome = match &result {
            Some(result) => result.report.outcome.reason().to_owned(),
            None if table.is_running(&run) => "running".to_owned(),
            None => "died".to_owned(),
        };
        lines.push(Line {
            run,
            issue: request.issue,
            slot: request.slot,
            kind: request.kind,
            began: request.asked,
            ended: result.map(|r| r.ended),
            outcome,
        });
    }
    lines.sort_by_key(|line| line.began);
    let out = &context.out;
    for line in &lines {
        let kind = serde_json::to_value(line.kind).unwrap_or_default();
        let kind = kind.as_str().unwrap_or_default().replace('_', " ");
        let slot = escape_line(&line.slot);
        out.line(format!(
            "{}  {}  issue {:>4}  {kind:<12}  {slot}  {}",
            line.began, line.run, line.issue, line.outcome
        ))?;
    }
    if lines.is_empty() {
        out.line("no runs yet")?;
    }
    out.result(&lines)?;
    Ok(Exit::Done)
}

#[derive(Debug, Serialize)]
struct Whole {
    request: pipeline_core::runner::RunRequest,
    result: Option<pipeline_core::runner::RunResult>,
    log: String,
}

fn show(context: &Context, table: &RunTable, run: &RunId) -> Result<Exit, Failure> {
    let Some(request) = table.request(run)? else {
        let text = format!("there is no run {run}: `issue-pipeline log` lists them");
        return Err(Failure::new(Exit::NotFound, text));
    };
    let whole = Whole {
        request,
        result: table.result(run)?,
        log: table.read_log(run).unwrap_or_default(),
    };
    let out = &context.out;
    let request = &whole.request;
    let head = format!("{run}  issue {} in {}", request.issue, request.slot);
    out.line(out.paint(Style::Bold, &escape_line(&head)))?;
    out.line(format!(
        "asked {}, agent {}",
        request.asked,
        escape_line(&request.agent)
    ))?;
    out.line(out.paint(Style::Bold, "\nprompt"))?;
    out.line(escape(&request.prompt))?;
    out.line(out.paint(Style::Bold, "\nlog"))?;
    out.line(escape(&whole.log))?;
    if let Some(result) = &whole.result {
        out.line(out.paint(Style::Bold, "\nresult"))?;
        out.line(escape_line(&result.report.outcome.to_string()))?;
        if !result.report.message.is_empty() {
            out.line(escape(&result.report.message))?;
        }
        for path in &result.touched {
            out.line(format!("  {}", escape_line(path)))?;
        }
    }
    out.result(&whole)?;
    Ok(Exit::Done)
}
