//! `plan`, `apply` and `status`.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use pipeline_core::plan::Action;
use pipeline_core::plan::DiskFiles;
use pipeline_core::plan::Drafter;
use pipeline_core::plan::Drafts;
use pipeline_core::plan::Drift;
use pipeline_core::plan::PlanError;
use pipeline_core::plan::PlanFiles;
use pipeline_core::plan::SyncPlan;
use pipeline_core::plan::SyncReport;
use serde::Serialize;

use super::arguments::ApplyArguments;
use super::arguments::PlanArguments;
use super::arguments::StatusArguments;
use super::patch::PatchFiles;
use super::setting::Opened;
use super::setting::Setting;
use super::watch::Bar;
use crate::compose;
use crate::issue_pipeline::Exit;
use crate::issue_pipeline::Failure;
use crate::terminal::Style;
use crate::terminal::escape;
use crate::terminal::escape_line;

pub(super) fn failure(error: PlanError) -> Failure {
    let exit = match &error {
        PlanError::Files(_) | PlanError::NoSuchPhase { .. } | PlanError::Problems { .. } => {
            Exit::Usage
        }
        PlanError::Changed { .. } => Exit::Refused,
        _ => Exit::Failed,
    };
    Failure::new(exit, error)
}

pub(super) async fn plan(setting: &Setting, arguments: &PlanArguments) -> Result<Exit, Failure> {
    let opened = setting.open(&arguments.subject, false).await?;
    let phases = &arguments.subject.phase;
    if let Some(agent) = &arguments.draft_with {
        let plan = opened
            .reading(|_| {})?
            .look(&opened.files, phases)
            .await
            .map_err(failure)?;
        let drafts = drafted(setting, &opened, &plan, agent).await?;
        if let Some(path) = &arguments.drafts {
            let text = serde_json::to_string_pretty(&drafts).map_err(std::io::Error::other)?;
            std::fs::write(setting.around.directory.join(path), text + "\n")?;
        }
    }
    let drafts = drafts(setting, &opened, arguments.drafts.as_deref())?;
    let sync = opened.reading(|o| {
        o.pull = arguments.pull;
        o.drafts = drafts;
    })?;
    let plan = sync.look(&opened.files, phases).await.map_err(failure)?;
    show(setting, &plan)?;
    setting.out.result(&plan)?;
    Ok(if plan.problems.is_empty() {
        Exit::Done
    } else {
        Exit::Usage
    })
}

fn show(setting: &Setting, plan: &SyncPlan) -> Result<(), Failure> {
    for line in plan.to_string().lines() {
        let style = match line.trim_start().chars().next() {
            Some('+') => Style::Good,
            Some('~' | '!') => Style::Warn,
            Some('x') if line.starts_with("x ") => Style::Bad,
            _ => Style::Plain,
        };
        setting.out.line(setting.out.paint(style, &escape(line)))?;
    }
    Ok(())
}

/// What `apply` tells a program.
#[derive(Debug, Serialize)]
struct Applied<'a> {
    #[serde(flatten)]
    report: &'a SyncReport,
    drift: &'a [Drift],
}

pub(super) async fn apply(setting: &Setting, arguments: &ApplyArguments) -> Result<Exit, Failure> {
    let opened = setting.open(&arguments.subject, true).await?;
    let drafts = drafts(setting, &opened, arguments.drafts.as_deref())?;
    let patch = arguments
        .patch
        .as_ref()
        .map(|_| Arc::new(PatchFiles::new(DiskFiles::new(&opened.root))));
    let files = patch.as_ref().map(|p| Arc::clone(p) as Arc<dyn PlanFiles>);
    let (sync, _lock) = opened.writing(files, |o| {
        o.pull = arguments.pull;
        o.drafts = drafts;
    })?;
    let plan = sync
        .look(&opened.files, &arguments.subject.phase)
        .await
        .map_err(failure)?;
    if let Some(shown) = &arguments.plan
        && *shown != plan.id
    {
        return Err(Failure::refused(format!(
            "the plan is no longer {}: it is {} now; look at it again with `plan-to-issues plan`",
            escape_line(shown),
            plan.id
        )));
    }
    let bar = Bar(setting.out.progress().clone());
    let applied = sync.apply(&plan, &bar).await;
    // Also where it stopped: what was made is linked in the patch.
    if let (Some(path), Some(patch)) = (&arguments.patch, &patch) {
        std::fs::write(setting.around.directory.join(path), patch.patch())?;
    }
    let report = applied.map_err(failure)?;
    tell(setting, &plan, &report)?;
    setting.out.result(&Applied {
        report: &report,
        drift: &plan.drift,
    })?;
    Ok(Exit::Done)
}

pub(super) fn tell(setting: &Setting, plan: &SyncPlan, report: &SyncReport) -> Result<(), Failure> {
    let out = &setting.out;
    for (word, all) in [
        ("made", &report.created),
        ("linked", &report.adopted),
        ("ticked", &report.ticked),
    ] {
        for done in all {
            out.line(format!(
                "{word} {}  {}:{}  {}",
                done.key,
                escape_line(&done.file),
                done.line,
                escape_line(&done.text)
            ))?;
        }
    }
    for done in &report.unplaced {
        let (key, file, text) = (&done.key, &done.file, &done.text);
        let line = format!("{key} was made, and its item is gone from {file}: {text}");
        warn(setting, &line)?;
    }
    apart(setting, &plan.drift)?;
    let made = report.created.len() + report.adopted.len() + report.ticked.len();
    if made == 0 {
        out.line("nothing to do")?;
    } else {
        let written: Vec<String> = report.written.iter().map(|f| escape_line(f)).collect();
        out.line(format!(
            "{} made, {} linked, {} ticked; written: {}",
            report.created.len(),
            report.adopted.len(),
            report.ticked.len(),
            written.join(", ")
        ))?;
    }
    Ok(())
}

/// Shows where plan and tracker have come apart.
fn apart(setting: &Setting, drift: &[Drift]) -> Result<(), Failure> {
    for drift in drift {
        warn(setting, &drift.to_string())?;
    }
    Ok(())
}

/// Shows one line of what a person should look at.
pub(super) fn warn(setting: &Setting, what: &str) -> Result<(), Failure> {
    let line = format!("! {}", escape_line(what));
    setting.out.line(setting.out.paint(Style::Warn, &line))?;
    Ok(())
}

/// What `status` tells a program.
#[derive(Debug, Serialize)]
struct Status<'a> {
    linked: usize,
    missing: usize,
    adoptable: usize,
    drift: &'a [Drift],
    problems: &'a [String],
}

pub(super) async fn status(
    setting: &Setting,
    arguments: &StatusArguments,
) -> Result<Exit, Failure> {
    let opened = setting.open(&arguments.subject, false).await?;
    let sync = opened.reading(|_| {})?;
    let plan = sync
        .look(&opened.files, &arguments.subject.phase)
        .await
        .map_err(failure)?;
    let count = |fits: fn(&Action) -> bool| plan.items().filter(|(_, i)| fits(&i.action)).count();
    let status = Status {
        linked: count(|a| matches!(a, Action::Keep { .. } | Action::Tick { .. })),
        missing: count(|a| matches!(a, Action::Create { .. })),
        adoptable: count(|a| matches!(a, Action::Adopt { .. })),
        drift: &plan.drift,
        problems: &plan.problems,
    };
    let out = &setting.out;
    out.line(format!(
        "{} linked, {} without an issue, {} with an issue that is not linked yet",
        status.linked, status.missing, status.adoptable
    ))?;
    for (file, item) in plan.items().filter(|(_, i)| i.action.changes()) {
        let line = format!("{}:{}: no link: {}", file.file, item.line, item.text);
        warn(setting, &line)?;
    }
    apart(setting, &plan.drift)?;
    out.result(&status)?;
    let apart = !plan.drift.is_empty()
        || !plan.problems.is_empty()
        || status.missing + status.adoptable > 0;
    Ok(if arguments.check && apart {
        Exit::Refused
    } else {
        Exit::Done
    })
}

fn allowed(opened: &Opened) -> BTreeSet<String> {
    opened.section.draft_labels.iter().cloned().collect()
}

fn drafts(setting: &Setting, opened: &Opened, path: Option<&Path>) -> Result<Drafts, Failure> {
    let Some(path) = path else {
        return Ok(Drafts::default());
    };
    let text = std::fs::read_to_string(setting.around.directory.join(path))?;
    let drafts: Drafts = serde_json::from_str(&text).map_err(|error| {
        Failure::usage(format!(
            "the drafts {} are not usable: {error}",
            path.display()
        ))
    })?;
    drafts.checked(&allowed(opened)).map_err(|what| {
        Failure::usage(format!(
            "the drafts {} are not usable: {what}",
            path.display()
        ))
    })
}

async fn drafted(
    setting: &Setting,
    opened: &Opened,
    plan: &SyncPlan,
    agent: &str,
) -> Result<Drafts, Failure> {
    let workplace = setting.workplace.as_ref();
    let workplace = workplace.ok_or_else(|| {
        Failure::usage("--draft-with needs a configuration that names the agent: --config")
    })?;
    let found = compose::agent(workplace, &setting.around, agent).await?;
    let found = found.ok_or_else(|| {
        Failure::usage(format!(
            "the configuration has no agent `{}`",
            escape_line(agent)
        ))
    })?;
    let files = DiskFiles::new(&opened.root);
    let mut context = String::new();
    for path in &opened.section.references {
        if files.exists(path) {
            let text = files.read(path).map_err(PlanError::from).map_err(failure)?;
            // Enough to word an issue by; the whole of every document would crowd out the items.
            context.extend(
                format!("# {path}\n\n")
                    .chars()
                    .chain(text.chars().take(20_000))
                    .chain(['\n']),
            );
        }
    }
    let drafter = Drafter::new(found, allowed(opened)).with_context(context);
    drafter
        .draft(plan)
        .await
        .map_err(|error| Failure::new(Exit::Failed, error))
}
