//! `triage`, `check`, `dispatch`, `integrate`: one tick of one stage.

use std::sync::Arc;

use pipeline_core::clock::Clock as _;
use pipeline_core::clock::SystemClock;
use pipeline_core::event::Stage;
use pipeline_core::pipeline::Pipeline;
use pipeline_core::pipeline::PipelineError;
use pipeline_core::report::Outcome;
use pipeline_core::report::TickOptions;
use pipeline_core::report::TickReport;

use super::Context;
use super::Exit;
use super::Failure;
use super::arguments::StageArguments;
use super::pause::Paused;
use super::teller::Teller;
use crate::compose;
use crate::notify;
use crate::schedule;
use crate::schedule::LastRuns;
use crate::terminal::Output;
use crate::terminal::Style;
use crate::terminal::escape_line;
use crate::workplace::Workplace;

pub(super) async fn run(
    context: &Context,
    stage: Stage,
    arguments: StageArguments,
) -> Result<Exit, Failure> {
    let mut workplace = context.workplace()?;
    workplace.dry_run = arguments.dry_run;
    if arguments.again && !matches!(stage, Stage::Triage | Stage::Check) {
        return Err(Failure::usage(
            "--again is for triage and check: other stages are started by a person's move",
        ));
    }
    if !arguments.dry_run {
        if let Some(paused) = Paused::read(&workplace.state)? {
            return Err(Failure::new(Exit::Paused, paused.sentence()));
        }
        if arguments.scheduled && !due(&workplace, stage)? {
            return Ok(Exit::Done);
        }
    }
    let teller = Arc::new(Teller::new(
        workplace.name(),
        context.out.progress().clone(),
    ));
    let composed = compose::compose(&workplace, &context.around, Arc::clone(&teller) as _).await?;
    let options = TickOptions {
        dry_run: arguments.dry_run,
        only: arguments.issue,
        again: arguments.again,
    };
    let report = tick(&composed.pipeline, stage, &options).await?;
    tell(&context.out, &report)?;
    context.out.result(&report)?;
    if !arguments.dry_run {
        tell_persons(context, &workplace, &teller).await?;
    }
    Ok(if report.failed() {
        Exit::Failed
    } else {
        Exit::Done
    })
}

/// Makes one tick.
pub(super) async fn tick(
    pipeline: &Pipeline,
    stage: Stage,
    options: &TickOptions,
) -> Result<TickReport, PipelineError> {
    match stage {
        Stage::Triage => pipeline.triage(options).await,
        Stage::Check => pipeline.check(options).await,
        Stage::Dispatch => pipeline.dispatch(options).await,
        Stage::Integrate => pipeline.integrate(options).await,
    }
}

/// Returns whether the schedule lets the stage run now, and notes that it does.
fn due(workplace: &Workplace, stage: Stage) -> Result<bool, Failure> {
    let section = &workplace.config().schedule;
    let zone = schedule::time_zone(section.time_zone.as_deref()).map_err(Failure::usage)?;
    let now = SystemClock.now();
    let last = LastRuns::read(&workplace.state)?.of(stage);
    // Timers are not exact: a start a little early counts as in time.
    let early = section.of(stage).every / 10;
    if schedule::next_run(&section.of(stage), &zone, last, now) > now.plus(early) {
        return Ok(false);
    }
    LastRuns::note(&workplace.state, stage, now)?;
    Ok(true)
}

/// Tells the team's command what persons are needed for.
pub(super) async fn tell_persons(
    context: &Context,
    workplace: &Workplace,
    teller: &Teller,
) -> Result<(), Failure> {
    let section = &workplace.config().notify;
    let wrong = notify::tell(
        section,
        &teller.take_causes(),
        &workplace.state,
        &context.around,
    )
    .await?;
    for sentence in wrong {
        context.out.complain(&sentence)?;
    }
    Ok(())
}

/// Tells a report to people.
pub(super) fn tell(out: &Output, report: &TickReport) -> Result<(), Failure> {
    for line in &report.issues {
        let (style, mark) = match &line.outcome {
            Outcome::Done { .. } => (Style::Good, "done   "),
            Outcome::WouldDo { .. } => (Style::Bold, "would  "),
            Outcome::Nothing { .. } => (Style::Faint, "nothing"),
            Outcome::Waits { .. } => (Style::Warn, "waits  "),
            Outcome::Failed { .. } => (Style::Bad, "failed "),
            _ => (Style::Plain, "       "),
        };
        let issue = line
            .issue
            .as_ref()
            .map_or_else(|| "-".to_owned(), ToString::to_string);
        let text = escape_line(line.outcome.text());
        out.line(format!("{}  {issue:>4}  {text}", out.paint(style, mark)))?;
    }
    if report.issues.is_empty() {
        out.line(format!("{}: nothing to do", report.stage.name()))?;
    }
    if report.left > 0 {
        out.line(format!(
            "{} more are left for the next tick ([limits] issues_per_tick)",
            report.left
        ))?;
    }
    Ok(())
}
