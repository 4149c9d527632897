//! `status` and `explain`: where everything stands, and why one issue does not move.

use std::sync::Arc;

use pipeline_core::issue::IssueKey;
use pipeline_core::stages::StatusReport;
use serde::Serialize;

use super::Context;
use super::Exit;
use super::Failure;
use super::pause::Paused;
use super::teller::Teller;
use crate::compose;
use crate::compose::Composed;
use crate::terminal::Output;
use crate::terminal::Style;
use crate::terminal::escape_line;
use crate::workplace::Workplace;

#[derive(Debug, Serialize)]
struct Report {
    #[serde(flatten)]
    status: StatusReport,
    paused: Option<Paused>,
}

async fn composed(context: &Context, workplace: &Workplace) -> Result<Composed, Failure> {
    let teller = Teller::new(workplace.name(), context.out.progress().clone());
    Ok(compose::compose(workplace, &context.around, Arc::new(teller)).await?)
}

pub(super) async fn status(context: &Context) -> Result<Exit, Failure> {
    let workplace = context.workplace()?;
    let composed = composed(context, &workplace).await?;
    let report = Report {
        status: composed.pipeline.status().await?,
        paused: Paused::read(&workplace.state)?,
    };
    tell(&context.out, &report)?;
    context.out.result(&report)?;
    Ok(Exit::Done)
}

fn tell(out: &Output, report: &Report) -> Result<(), Failure> {
    if let Some(paused) = &report.paused {
        out.line(out.paint(Style::Warn, &paused.sentence()))?;
    }
    let mut last = None;
    for line in &report.status.issues {
        if last != Some(&line.status) {
            out.line(out.paint(Style::Bold, &escape_line(line.status.name())))?;
            last = Some(&line.status);
        }
        out.line(format!("  {:>4}  {}", line.issue, escape_line(&line.title)))?;
        out.line(out.paint(
            Style::Faint,
            &format!("        {}", escape_line(&line.next)),
        ))?;
        if line.spent.runs > 0 {
            let spent = format!("        {}", line.spent);
            out.line(out.paint(Style::Faint, &spent))?;
        }
    }
    if report.status.issues.is_empty() {
        out.line("no issue is in scope")?;
    }
    for claim in &report.status.claims {
        let state = match (claim.revoked, claim.submitted) {
            (true, _) => "ended by hand, blocks until",
            (_, true) => "patch submitted, held until",
            _ => "at work, held until",
        };
        out.line(format!(
            "claim {}  issue {} in {}: {state} {}",
            claim.claim,
            claim.issue,
            escape_line(&claim.slot),
            claim.until
        ))?;
    }
    for run in &report.status.running {
        out.line(format!(
            "run {}  issue {} in {} since {}",
            run.run,
            run.issue,
            escape_line(&run.slot),
            run.began
        ))?;
    }
    for agent in &report.status.agents {
        let name = escape_line(&agent.agent);
        if let Some(pause) = &agent.paused {
            let line = format!(
                "agent {name} is paused until {} ({}): `issue-pipeline resume --agent {name}` lets it go on",
                pause.until,
                escape_line(&pause.reason)
            );
            out.line(out.paint(Style::Warn, &line))?;
        }
    }
    if report.status.day.all.runs > 0 {
        out.line(format!("last 24 hours: {}", report.status.day.all))?;
    }
    for candidate in &report.status.candidates {
        out.line(format!(
            "candidate {candidate} waits: `issue-pipeline review {candidate}`"
        ))?;
    }
    Ok(())
}

pub(super) async fn explain(context: &Context, issue: &IssueKey) -> Result<Exit, Failure> {
    let workplace = context.workplace()?;
    let explanation = composed(context, &workplace)
        .await?
        .pipeline
        .explain(issue)
        .await?;
    let out = &context.out;
    let line = &explanation.line;
    let head = format!("{}  {}", line.issue, escape_line(&line.title));
    out.line(out.paint(Style::Bold, &head))?;
    out.line(format!(
        "{}: {}",
        escape_line(line.status.name()),
        escape_line(&line.next)
    ))?;
    if !explanation.in_scope {
        out.line(out.paint(
            Style::Warn,
            "it is outside [scope], so no stage looks at it",
        ))?;
    }
    if line.spent.runs > 0 {
        out.line(format!("used so far: {}", line.spent))?;
    }
    if !explanation.readiness.is_empty() {
        out.line("may it start, by its latest check:")?;
    }
    for (question, answer) in &explanation.readiness {
        let style = if answer == "yes" {
            Style::Good
        } else {
            Style::Warn
        };
        out.line(format!(
            "  {:<36} {}",
            escape_line(worded(question)),
            out.paint(style, &escape_line(answer))
        ))?;
    }
    for key in &explanation.resources {
        out.line(format!("  would hold   {}", escape_line(key)))?;
    }
    for reason in &explanation.blocked_by {
        out.line(format!("  waits for    {}", escape_line(reason)))?;
    }
    for memo in &explanation.tampered {
        out.line(out.paint(Style::Bad, &format!("  not trusted  {}", escape_line(memo))))?;
    }
    out.result(&explanation)?;
    Ok(Exit::Done)
}

/// Returns a question of the readiness so that a yes speaks for the start; memos carry its short name.
fn worded(question: &str) -> &str {
    match question {
        "can-start" => "the repository holds what is needed",
        "blockers" => "nothing blocks it",
        "estimate" => "it is small or medium",
        "db-change" => "it leaves the database as it is",
        "production-data" => "it leaves production data alone",
        "overlap" => "no running work is in its way",
        "decisions" => "no decision is pending",
        other => other,
    }
}
