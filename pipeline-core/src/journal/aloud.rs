//! What a journal says, for people, and what of it is not over.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Entry;
use super::Record;
use crate::agent::RunId;

/// How long an intent to post is kept that was neither posted nor dropped: by then its thread has long been read again.
const POSTS: Duration = Duration::from_secs(24 * 3600);

/// Returns the records that something may still depend on, oldest first: what was begun and is not done.
///
/// Shipping is kept for good: what was shipped once is not shipped again without a person's word.
#[must_use]
pub fn still_open(entries: &[Entry]) -> Vec<&Entry> {
    let mut posted: BTreeSet<&str> = BTreeSet::new();
    let mut won: BTreeSet<&str> = BTreeSet::new();
    // A run without a claim only reads: nothing depends on how it ended.
    let mut claimed: BTreeSet<&RunId> = BTreeSet::new();
    let mut closed: BTreeSet<&RunId> = BTreeSet::new();
    for entry in entries {
        match &entry.record {
            Record::PostDone { nonce, .. } | Record::PostDropped { nonce } => {
                posted.insert(nonce);
            }
            Record::RunClosed { run, .. } => {
                closed.insert(run);
            }
            Record::ClaimWon { nonce, run, .. } => {
                claimed.insert(run);
                won.insert(nonce);
            }
            Record::PlanIssueDone { item, .. } | Record::PlanIssueDropped { item } => {
                posted.insert(item);
            }
            _ => {}
        }
    }
    let newest = entries.iter().map(|e| e.at).max();
    let mut open: Vec<&Entry> = Vec::new();
    for entry in entries {
        let keep = match &entry.record {
            Record::PostIntent { nonce, .. } => {
                let age = newest.map_or(Duration::ZERO, |n| n.since(entry.at));
                !posted.contains(nonce.as_str()) && age < POSTS
            }
            Record::ClaimIntent { nonce, run, .. } => {
                !won.contains(nonce.as_str()) && !closed.contains(run)
            }
            Record::PlanIssueIntent { item, .. } => !posted.contains(item.as_str()),
            Record::ClaimWon { run, .. } => !closed.contains(run),
            Record::WorkspaceTaken { run, .. }
            | Record::ChildStarted { run, .. }
            | Record::PatchStored { run, .. } => claimed.contains(run) && !closed.contains(run),
            Record::LandDone { candidate, .. } => {
                // One candidate may be tried several times: an end closes what was begun before it.
                open.retain(|e| !matches!(&e.record, Record::LandIntent { plan } if plan.candidate.as_str() == candidate));
                false
            }
            Record::LandIntent { .. } | Record::ShipIntent { .. } | Record::ShipDone { .. } => true,
            Record::PostDone { .. }
            | Record::PostDropped { .. }
            | Record::RunClosed { .. }
            | Record::PlanIssueDone { .. }
            | Record::PlanIssueDropped { .. }
            | Record::PlanWritten { .. }
            | Record::Rotated { .. } => false,
        };
        if keep {
            open.push(entry);
        }
    }
    open
}

/// Says a record in one sentence.
#[must_use]
pub fn aloud(entry: &Entry) -> String {
    let Entry { seq, at, record } = entry;
    let said = match record {
        Record::PostIntent { issue, kind, .. } => {
            format!(
                "a {kind} memo on {issue} was about to be posted; the thread shows whether it was"
            )
        }
        Record::PostDone { comment, .. } => format!("comment {comment} was posted"),
        Record::PostDropped { .. } => "a memo was not posted".to_owned(),
        Record::ClaimIntent { issue, run, .. } => {
            format!("run {run} was about to claim {issue}")
        }
        Record::ClaimWon {
            issue, claim, run, ..
        } => format!("run {run} holds {issue} by claim {claim}"),
        Record::WorkspaceTaken { run, workspace } => {
            format!("run {run} works in {}", workspace.path.display())
        }
        Record::ChildStarted { run, process } => {
            format!("run {run} started process {}", process.pid())
        }
        Record::PatchStored { run, patch } => {
            format!("the patch {} of run {run} is stored", patch.short())
        }
        Record::RunClosed { run, outcome } => format!("run {run} is over: {outcome}"),
        Record::LandIntent { plan } => format!(
            "candidate {} was about to move {} from {} to {}; the next integrate completes it",
            plan.candidate.short(),
            plan.target,
            plan.old.short(),
            plan.new.short()
        ),
        Record::LandDone { candidate, landed } => {
            let short: String = candidate.chars().take(12).collect();
            let how = if *landed {
                "has landed"
            } else {
                "did not land"
            };
            format!("candidate {short} {how}")
        }
        Record::PlanIssueIntent { title, file, .. } => format!(
            "an issue for `{title}` of {file} was about to be created; the next plan sync looks for it"
        ),
        Record::PlanIssueDone { issue, .. } => format!("{issue} was created for a plan item"),
        Record::PlanIssueDropped { .. } => "an issue for a plan item was not created".to_owned(),
        Record::PlanWritten { file, .. } => format!("the plan {file} was written"),
        Record::Rotated { after } => {
            format!("what was over up to record {after} lies in the old file beside it")
        }
        Record::ShipIntent { commit, by, .. } => {
            format!("{commit} was about to be shipped, permitted by {by}")
        }
        Record::ShipDone { commit, exit_code } => match exit_code {
            Some(code) => format!("shipping {commit} ended with exit code {code}"),
            None => format!("shipping {commit} was ended from outside"),
        },
    };
    format!("{seq} ({at}): {said}")
}
