//! `ship`: a person's permission for one landed commit, and the team's own command under it.

use std::collections::BTreeSet;
use std::sync::Arc;

use pipeline_core::agent::RunId;
use pipeline_core::clock::Clock as _;
use pipeline_core::clock::SystemClock;
use pipeline_core::gate::FolderGate;
use pipeline_core::gate::GateEvidence;
use pipeline_core::gate::GatePlace;
use pipeline_core::gate::ship_comment;
use pipeline_core::integrate::Integration;
use pipeline_core::integrate::OpenOutcome;
use pipeline_core::integrate::TrailerSearch;
use pipeline_core::process::RUN_VARIABLE;
use pipeline_core::ship::DeployRules;
use pipeline_core::ship::ShipCall;
use pipeline_core::ship::ShipCommand;
use pipeline_core::ship::ShipPlan;
use pipeline_core::ship::Shipping;
use pipeline_core::workspace::CommitId;
use serde::Serialize;

use super::Context;
use super::Exit;
use super::Failure;
use super::approve::typed;
use super::arguments::ShipArguments;
use super::exit::one_line;
use super::teller::Teller;
use crate::compose;
use crate::compose::Composed;
use crate::config::model::Place;
use crate::surroundings::whoami;
use crate::terminal::escape;
use crate::terminal::escape_line;
use crate::workplace::Workplace;

#[derive(Debug, Serialize)]
#[serde(tag = "ship", rename_all = "snake_case")]
enum Report {
    /// The permission was given.
    Permitted { permission: GateEvidence },
    /// What stands against it.
    Missing {
        commit: CommitId,
        missing: Vec<String>,
    },
    /// The command ran.
    Ran {
        commit: CommitId,
        exit_code: Option<i32>,
        how: String,
        output: String,
    },
}

pub(super) async fn run(context: &Context, arguments: &ShipArguments) -> Result<Exit, Failure> {
    let workplace = context.workplace()?;
    let call = call(context, arguments)?;
    let teller = Teller::new(workplace.name(), context.out.progress().clone());
    let composed = compose::compose(&workplace, &context.around, Arc::new(teller)).await?;
    let (session, commit) = landed(&composed, arguments.commit.as_deref()).await?;
    let plan = plan(context, &workplace, commit)?;
    let shipping = Shipping {
        session: &*session,
        gates: std::slice::from_ref(&composed.ship_gate),
        journal: &*composed.journal,
        clock: &SystemClock,
    };
    if arguments.permit {
        return permit(context, &workplace, &shipping, &plan).await;
    }
    if arguments.dry_run {
        let missing = shipping.missing(&plan, &call).await;
        let missing: Vec<String> = missing.iter().map(|error| one_line(error)).collect();
        for sentence in &missing {
            context.out.line(escape(sentence))?;
        }
        if missing.is_empty() {
            context
                .out
                .line(format!("{} would be shipped", plan.commit.short()))?;
        }
        context.out.result(&Report::Missing {
            commit: plan.commit,
            missing,
        })?;
        return Ok(Exit::Done);
    }
    let permission = shipping.permission(&plan).await?;
    let shipped = shipping.run(&plan, &permission, &call).await?;
    let exit = if shipped.succeeded() {
        Exit::Done
    } else {
        Exit::Failed
    };
    context.out.line(escape(&shipped.output))?;
    let how = escape_line(&shipped.how);
    context.out.line(format!(
        "the ship command of {} {how}",
        shipped.commit.short()
    ))?;
    context.out.result(&Report::Ran {
        commit: shipped.commit,
        exit_code: shipped.exit_code,
        how: shipped.how,
        output: shipped.output,
    })?;
    Ok(exit)
}

/// Says how it was called: a worker that finds this program may not ship with it.
fn call(context: &Context, arguments: &ShipArguments) -> Result<ShipCall, Failure> {
    let inside = context.around.variable(RUN_VARIABLE).map(|run| {
        let run = run.to_string_lossy();
        RunId::new(run.as_ref()).or_else(|_| RunId::new("unknown"))
    });
    let again = arguments.again.as_deref().map(CommitId::new).transpose();
    Ok(ShipCall {
        again: again.map_err(|why| Failure::usage(format!("--again: {why}")))?,
        inside: inside.transpose().map_err(Failure::usage)?,
    })
}

/// Returns the session of the target on which the named commit (or the newest of ours) has landed.
async fn landed(
    composed: &Composed,
    named: Option<&str>,
) -> Result<(Box<dyn Integration>, CommitId), Failure> {
    let repository = composed.repository.as_ref();
    let repository = repository.ok_or_else(|| Failure::usage("ship needs a repository"))?;
    for target in composed.pipeline.settings().targets.all() {
        let OpenOutcome::Opened(session) = repository.integrator.open(&target).await? else {
            return Err(Failure::refused("another integrator is at work: try again"));
        };
        let search = TrailerSearch {
            tip: session.tip().await?,
            oldest: Vec::new(),
        };
        let hits = session.trailers(&search).await?;
        let fits = |commit: &CommitId| match named {
            None => true,
            Some(typed) => typed.len() >= 7 && commit.as_str().starts_with(typed),
        };
        if let Some(hit) = hits.into_iter().find(|hit| fits(&hit.commit)) {
            return Ok((session, hit.commit));
        }
    }
    let named = named.map_or_else(String::new, |typed| format!(" {typed}"));
    let text =
        format!("no landed commit{named}: only what has landed through this pipeline is shipped");
    Err(Failure::new(Exit::NotFound, text))
}

fn plan(context: &Context, workplace: &Workplace, commit: CommitId) -> Result<ShipPlan, Failure> {
    let section = &workplace.config().gates.ship;
    let repository = workplace.repository.as_ref();
    let root = repository
        .ok_or_else(|| Failure::usage("ship needs a repository"))?
        .root
        .clone();
    let rules = section.rules.as_deref().ok_or_else(|| {
        Failure::refused("there are no deploy rules: name the team's in [gates.ship] rules; a permission is bound to them")
    })?;
    let named = |words: &[String]| {
        let mut variables = context.around.named(&section.env);
        variables.push(("PATH".into(), context.around.search_path()));
        ShipCommand::new(words.iter().cloned(), &root)
            .with_env(variables)
            .with_deadline(section.deadline.get())
    };
    Ok(ShipPlan {
        commit,
        rules: DeployRules::read(&root.join(rules))?,
        pre_check: named(&section.pre_check),
        command: named(&section.command),
    })
}

/// Gives the permission, where it is given here.
async fn permit(
    context: &Context,
    workplace: &Workplace,
    shipping: &Shipping<'_>,
    plan: &ShipPlan,
) -> Result<Exit, Failure> {
    let gates = &workplace.config().gates;
    shipping.issues(&plan.commit).await?;
    let digest = plan.rules.digest();
    match gates.ship.place.unwrap_or(gates.local_ok) {
        Place::Terminal => {}
        Place::Tracker => {
            let comment = ship_comment(&plan.commit, digest);
            let text = format!(
                "the permission is given in the tracker here: an approver writes the comment `{comment}`"
            );
            return Err(Failure::refused(text));
        }
        Place::Owner => {
            return Err(Failure::refused(
                "the permission is given by the owner of [gates] owner_folder here, as that user",
            ));
        }
    }
    let rules = digest.get(..12).unwrap_or(digest);
    context
        .out
        .line(format!("the deploy rules, digest {rules}:\n"))?;
    context
        .out
        .line(escape(&String::from_utf8_lossy(plan.rules.text())))?;
    typed(context, plan.commit.short())?;
    let permission = GateEvidence {
        subject: plan.commit.as_str().to_owned(),
        by: whoami(&context.around).await,
        at: SystemClock.now(),
        place: GatePlace::Terminal,
        allow: BTreeSet::new(),
        protected: BTreeSet::new(),
        rules: Some(digest.to_owned()),
    };
    let gate = FolderGate::terminal(compose::approvals_dir(workplace));
    gate.give(&permission)
        .map_err(|error| Failure::new(Exit::Failed, error))?;
    let (commit, by) = (plan.commit.short(), &permission.by);
    context.out.line(format!(
        "{by} permits to ship {commit}: `issue-pipeline ship {commit}` does it"
    ))?;
    context.out.result(&Report::Permitted { permission })?;
    Ok(Exit::Done)
}
