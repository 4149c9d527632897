//! `recover` and `gc`: what dead processes left, and what nobody needs any more. Both only say it unless told otherwise.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use pipeline_core::report::chain;
use pipeline_core::runner::RunTable;
use serde_json::json;

use super::Context;
use super::Exit;
use super::Failure;
use super::arguments::GcArguments;
use super::arguments::RecoverArguments;
use super::stages::tell;
use super::teller::Teller;
use crate::compose;
use crate::terminal::escape_line;

const DAY: u64 = 24 * 3600;

pub(super) async fn recover(
    context: &Context,
    arguments: &RecoverArguments,
) -> Result<Exit, Failure> {
    let mut workplace = context.workplace()?;
    workplace.dry_run = !arguments.apply;
    let teller = Teller::new(workplace.name(), context.out.progress().clone());
    let composed = compose::compose(&workplace, &context.around, Arc::new(teller)).await?;
    let report = composed.pipeline.recover(!arguments.apply).await?;
    let out = &context.out;
    if report.issues.is_empty() {
        out.line("nothing is left over: every run and landing that began has ended")?;
    }
    tell(out, &report)?;
    if !arguments.apply && !report.issues.is_empty() {
        out.line("Nothing was done. `issue-pipeline recover --apply` does it.")?;
    }
    out.result(&report)?;
    Ok(if report.failed() {
        Exit::Failed
    } else {
        Exit::Done
    })
}

pub(super) async fn gc(context: &Context, arguments: &GcArguments) -> Result<Exit, Failure> {
    let mut workplace = context.workplace()?;
    workplace.dry_run = !arguments.apply;
    let teller = Teller::new(workplace.name(), context.out.progress().clone());
    let composed = compose::compose(&workplace, &context.around, Arc::new(teller)).await?;
    let table = RunTable::open(&compose::runs_dir(&workplace))?;
    let grace = Duration::from_secs(u64::from(arguments.grace_days) * DAY);
    let found = composed.pipeline.leftovers(&table, grace).await?;
    let integrator = composed.repository.as_ref().map(|r| &r.git_integrator);
    let kept = match integrator {
        Some(integrator) => integrator.kept().await?,
        None => Vec::new(),
    };

    // One patch may be the work of several runs: it stays as long as one of them does.
    let needed: BTreeSet<&str> = found
        .iter()
        .filter(|l| !l.may_go)
        .filter_map(|l| l.patch.as_ref().map(|p| p.as_str()))
        .collect();
    let refs_of = |run: &str, patch: Option<&str>| -> Vec<&String> {
        kept.iter()
            .filter(|name| {
                let salvaged = name.contains(&format!("/salvage/{run}/"));
                let stored = patch.is_some_and(|p| name.ends_with(&format!("/patch/{p}")));
                salvaged || (stored && !patch.is_some_and(|p| needed.contains(p)))
            })
            .collect()
    };
    let out = &context.out;
    let mut told = Vec::new();
    let mut wrong = false;
    let mut of_runs: BTreeSet<&String> = BTreeSet::new();
    for left in &found {
        let refs = refs_of(left.run.as_str(), left.patch.as_ref().map(|p| p.as_str()));
        of_runs.extend(kept.iter().filter(|name| {
            name.contains(&format!("/salvage/{}/", left.run))
                || left
                    .patch
                    .as_ref()
                    .is_some_and(|p| name.ends_with(&format!("/patch/{}", p.as_str())))
        }));
        let done = match (left.may_go, arguments.apply) {
            (false, _) => "stays",
            (true, false) => "may go",
            (true, true) => {
                let mut removed = Ok(());
                if let Some(integrator) = integrator {
                    for name in &refs {
                        removed = removed.and(integrator.forget(name).await.map_err(|e| chain(&e)));
                    }
                }
                // The run last: as long as it is there, what is left of it is found again.
                match removed.and_then(|()| table.forget(&left.run).map_err(|e| chain(&e))) {
                    Ok(()) => "removed",
                    Err(why) => {
                        wrong = true;
                        out.complain(&why)?;
                        "not removed"
                    }
                }
            }
        };
        let issue = left.issue.as_ref().map_or("-", |i| i.as_str());
        out.line(format!(
            "{done:<11}  {issue:<12}  run {}: {}",
            left.run,
            escape_line(&left.reason)
        ))?;
        told.push(json!({ "what": left, "refs": refs, "done": done }));
    }
    for name in kept.iter().filter(|name| !of_runs.contains(name)) {
        let reason =
            "no run of this machine names it: `git update-ref -d` removes it if nobody needs it";
        out.line(format!("{:<11}  {:<12}  {name}: {reason}", "stays", "-"))?;
        told.push(
            json!({ "what": { "ref": name, "may_go": false, "reason": reason }, "done": "stays" }),
        );
    }
    if found.is_empty() && kept.is_empty() {
        out.line("nothing is kept")?;
    } else if !arguments.apply {
        out.line("Nothing was removed. `issue-pipeline gc --apply` removes what may go.")?;
    }
    out.result(&told)?;
    Ok(if wrong { Exit::Failed } else { Exit::Done })
}
