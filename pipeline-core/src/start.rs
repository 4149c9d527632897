//! The start gate: whether an issue's current round was started by somebody who may, on the text that was checked.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;

use crate::clock::Timestamp;
use crate::gate::StartApproval;
use crate::issue::Account;
use crate::issue::AccountRef;
use crate::issue::CommentId;
use crate::issue::EventId;
use crate::issue::IssueKey;
use crate::mirror::Mirrored;
use crate::status::Status;
use crate::thread::CheckMemo;
use crate::thread::Protocol;
use crate::thread::TextDigest;
use crate::thread::Thread;
use crate::tracker::StatusEvent;
use crate::tracker::StatusEventKind;

/// What `init` wrote down: nothing older counts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Watermark {
    /// The server's time of `init`.
    pub at: Timestamp,
    /// The latest status event of every issue that was In progress at that time.
    pub in_progress: BTreeMap<IssueKey, EventId>,
}

/// Who may start what.
#[derive(Debug, Clone, Default)]
pub struct StartRules {
    /// Who may make the start move; empty = nobody.
    pub starters: Vec<AccountRef>,
    /// Whose later comments enter the prompt.
    pub approvers: Vec<AccountRef>,
    /// Whether our own move counts with a permit right before it.
    pub automatic: bool,
    /// What `init` wrote down.
    pub watermark: Watermark,
}

/// Why an issue is not approved for a start. Each is a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize)]
#[serde(tag = "why", rename_all = "snake_case")]
#[non_exhaustive]
pub enum NotStarted {
    /// It is elsewhere.
    #[error("it is in `{status}`, not in `In progress`")]
    NotInProgress {
        /// Where.
        status: Status,
    },
    /// The history does not end with a move into In progress.
    #[error("its history does not end with a move into `In progress`: move it out and in again")]
    NoEvent,
    /// The move is older than the pipeline.
    #[error("it was started before the pipeline was set up: move it out and in again")]
    BeforeWatermark,
    /// The record of the move proves nothing.
    #[error(
        "the record of its start move is a side effect or contradicts itself: move it out and in again"
    )]
    NoEvidence,
    /// Nobody knows who made the move.
    #[error("the tracker does not say who started it: move it out and in again")]
    UnknownActor,
    /// We made the move.
    #[error(
        "it was started by {actor}, one of the pipeline's own accounts: a person has to make the start move"
    )]
    OwnAccount {
        /// Who.
        actor: String,
    },
    /// Somebody made the move who may not.
    #[error(
        "it was started by {actor}, who is not among [gates] starters: somebody who is has to move it out and in again"
    )]
    NotAllowed {
        /// Who.
        actor: String,
    },
    /// Nothing was checked before the move.
    #[error(
        "it was started before any check memo: the check is made now, and its memo asks for a new start move"
    )]
    NoCheck,
    /// What was checked is not what is there.
    #[error("{} changed after the check and before or after the start move: it is checked again, then it needs a new start move", parts(.changed))]
    TextChanged {
        /// Which parts.
        changed: Vec<&'static str>,
    },
}

fn parts(changed: &[&'static str]) -> String {
    if changed.is_empty() {
        "its text".into()
    } else {
        changed.join(" and ")
    }
}

/// An issue that may be worked on in this round.
#[derive(Debug, Clone, PartialEq)]
pub struct Started<'a> {
    /// The proof.
    pub approval: StartApproval,
    /// Who started it.
    pub by: Account,
    /// The check memo that was seen.
    pub check: CheckMemo<'a>,
    /// Later comments by approvers: they enter the prompt.
    pub later_by_approvers: Vec<CommentId>,
    /// How many later comments of others stay out of it.
    pub later_by_others: usize,
}

/// Decides whether an issue's current round is approved. Pure.
///
/// # Errors
/// [`NotStarted`]: the expected answer for most issues.
pub fn started<'a>(
    mirrored: &Mirrored,
    thread: &'a Thread,
    rules: &StartRules,
    protocol: &Protocol,
) -> Result<Started<'a>, NotStarted> {
    let key = &mirrored.issue.key;
    if !mirrored.is_in(&Status::InProgress) {
        return Err(NotStarted::NotInProgress {
            status: mirrored.issue.status.clone(),
        });
    }
    let event = start_event(mirrored, &rules.watermark)?;
    let actor = event.actor.as_ref().ok_or(NotStarted::UnknownActor)?;
    let check = thread.checks().rfind(|c| {
        event
            .after_comment
            .is_some_and(|after| c.comment.id <= after)
    });
    if protocol.is_ours(actor) {
        let permitted = rules.automatic
            && check
                .as_ref()
                .is_some_and(|c| is_permitted(thread, event, c));
        if !permitted {
            return Err(NotStarted::OwnAccount {
                actor: named(actor),
            });
        }
    } else if !rules.starters.iter().any(|s| s.names(actor)) {
        return Err(NotStarted::NotAllowed {
            actor: named(actor),
        });
    }
    let check = check.ok_or(NotStarted::NoCheck)?;
    let now = TextDigest::of(&mirrored.issue, &mirrored.comments, check.read_to, protocol);
    if now.whole() != check.text.whole() {
        return Err(NotStarted::TextChanged {
            changed: check.text.differences(&now),
        });
    }
    let later = thread
        .people()
        .filter(|c| check.read_to.is_none_or(|to| c.id > to));
    let (approvers, others): (Vec<_>, Vec<_>) =
        later.partition(|c| rules.approvers.iter().any(|a| a.names(&c.author)));
    Ok(Started {
        approval: StartApproval {
            issue: key.clone(),
            round: event.id,
        },
        by: actor.clone(),
        check,
        later_by_approvers: approvers.into_iter().map(|c| c.id).collect(),
        later_by_others: others.len(),
    })
}

fn named(actor: &Account) -> String {
    actor.login.clone().unwrap_or_else(|| actor.name.clone())
}

fn start_event<'a>(m: &'a Mirrored, watermark: &Watermark) -> Result<&'a StatusEvent, NotStarted> {
    let event = m
        .history
        .iter()
        .max_by_key(|e| e.id)
        .filter(|e| e.to == Status::InProgress)
        .ok_or(NotStarted::NoEvent)?;
    if watermark
        .in_progress
        .get(&m.issue.key)
        .is_some_and(|at| event.id <= *at)
    {
        return Err(NotStarted::BeforeWatermark);
    }
    match event.kind {
        StatusEventKind::Move => Ok(event),
        StatusEventKind::SideEffect | StatusEventKind::Ambiguous => Err(NotStarted::NoEvidence),
    }
}

/// Returns whether our own move stands right behind its permit: nobody said anything between the two.
fn is_permitted(thread: &Thread, event: &StatusEvent, check: &CheckMemo<'_>) -> bool {
    let Some(after) = event.after_comment else {
        return false;
    };
    let Some((permit, memo)) = thread.status_memos("permit").rfind(|(c, _)| c.id <= after) else {
        return false;
    };
    let last = thread
        .entries()
        .iter()
        .rfind(|e| e.comment.id <= after)
        .map(|e| e.comment.id);
    let answers = memo.fields.all("answer");
    last == Some(permit.id)
        && permit.id > check.comment.id
        && answers.len() == 7
        && answers.iter().all(|a| a.ends_with(" yes"))
        && memo.fields.one("text") == Some(check.text.whole())
}

#[cfg(test)]
mod tests;
