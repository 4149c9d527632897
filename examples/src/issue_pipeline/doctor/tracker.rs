//! The tracker: account, role, statuses.

use pipeline_core::clock::Clock as _;
use pipeline_core::clock::SystemClock;
use pipeline_core::status::Status;
use pipeline_core::tracker::IssueQuery;
use pipeline_core::tracker::Tracker;
use pipeline_core::tracker::TrackerError;
use pipeline_trackers::local::Actor;
use pipeline_trackers::local::LocalTracker;

use super::Check;
use crate::compose;
use crate::config::model::TrackerKind;
use crate::issue_pipeline::Context;
use crate::issue_pipeline::exit::one_line;
use crate::workplace::Workplace;

pub(super) async fn tracker(context: &Context, workplace: &Workplace) -> Vec<Check> {
    let opened = match compose::tracker::open(workplace, &context.around).await {
        Ok(opened) => opened,
        Err(error) => {
            let cure = "run `issue-pipeline init`, or correct [tracker]";
            return vec![Check::broken("tracker", one_line(&error), cure)];
        }
    };
    let tracker = opened.tracker;
    let mut checks = vec![Check::ok("tracker", opened.shown)];
    match tracker.me().await {
        Ok(me) => {
            let ours = workplace
                .config()
                .tracker
                .accounts
                .iter()
                .any(|a| a.names(&me.value));
            checks.push(if ours {
                Check::ok("own account", &me.value.id)
            } else {
                let said = format!(
                    "the pipeline writes as {}, which [tracker] accounts does not name",
                    me.value.id
                );
                Check::broken(
                    "own account",
                    said,
                    format!("accounts = [\"{}\"]", me.value.id),
                )
            });
            let gates = &workplace.config().gates;
            if gates
                .approvers
                .iter()
                .chain(gates.starters())
                .any(|p| p.names(&me.value))
            {
                let said = format!(
                    "{} is the pipeline's own account and an approver",
                    me.value.id
                );
                checks.push(Check::broken(
                    "approvers",
                    said,
                    "name people in [gates] approvers and starters",
                ));
            }
        }
        Err(error) => checks.push(Check::broken(
            "own account",
            one_line(&error),
            "make the tracker readable for this account: its folder, or its credential and role",
        )),
    }
    checks.push(statuses(workplace, &*tracker).await);
    if let Some(probe) = opened.probe {
        match probe.probe().await {
            Ok(findings) => checks.extend(
                findings
                    .into_iter()
                    .map(|found| Check::broken("role and project", found.what, found.cure)),
            ),
            Err(error) => {
                let cure = "make the project visible to this account, or correct [tracker] project";
                checks.push(Check::broken("role and project", one_line(&error), cure));
            }
        }
    }
    checks
}

/// Asks the local tracker for each status by the name that the configuration gives it.
pub(super) async fn local_statuses(workplace: &Workplace) -> Result<(), TrackerError> {
    let tracker = LocalTracker::open(workplace.tracker_dir(), Actor::pipeline())?;
    let wanted = &workplace.config().tracker.statuses;
    let after = workplace.config().landing.after_landing.iter();
    let names = [&wanted.open, &wanted.spec_review, &wanted.in_progress];
    for name in names.into_iter().chain(after) {
        tracker.status_named(name).await?;
    }
    Ok(())
}

pub(super) async fn statuses(workplace: &Workplace, tracker: &dyn Tracker) -> Check {
    let wanted = &workplace.config().tracker.statuses;
    let after = workplace.config().landing.after_landing.iter();
    let starting = [Status::Open, Status::SpecReview, Status::InProgress];
    let statuses = starting
        .into_iter()
        .chain(after.map(|name| Status::Other(name.clone())));
    let query = IssueQuery {
        statuses: statuses.collect(),
        // The names matter, not the issues.
        updated_since: Some(SystemClock.now()),
    };
    let known = match workplace.config().tracker.kind {
        // The folder has names of its own, by which it is opened: only comparing shows a difference.
        TrackerKind::Local => local_statuses(workplace).await,
        _ => tracker.list_issues(&query).await.map(drop),
    };
    if let Err(error) = known {
        let cure = match &error {
            TrackerError::StatusRenamed { .. } => {
                "rename it back, or correct [tracker.statuses] and [tracker.gitlab.label_ids]"
            }
            _ => "create it, or change its name in [tracker.statuses] or [landing] after_landing",
        };
        return Check::broken("statuses", one_line(&error), cure);
    }
    Check::ok(
        "statuses",
        format!(
            "{} → {} → {}",
            wanted.open, wanted.spec_review, wanted.in_progress
        ),
    )
}
