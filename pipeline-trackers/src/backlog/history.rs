//! The status history: records of the thread, by names, joined with the feed, by ids. Pure.

use pipeline_core::issue::CommentId;
use pipeline_core::issue::EventId;
use pipeline_core::status::Status;
use pipeline_core::tracker::StatusEvent;
use pipeline_core::tracker::StatusEventKind;

use super::feed::Evidence;
use super::statuses::Resolved;
use super::wire::ActivityKind;
use super::wire::Change;
use super::wire::Comment;

/// Returns the history of an issue, from its whole thread and what the feed tells of it.
///
/// An event is a record of the thread; its id is the record's. A record the feed does not confirm is ambiguous, one that
/// belongs to a deleted status is a side effect. If the feed knows a later change than the thread (a bulk operation
/// without a record, or a record somebody removed), the last event no longer tells how the issue came to be where it is.
pub(super) fn history(
    thread: &[Comment],
    evidence: &[Evidence],
    statuses: &Resolved,
) -> Vec<StatusEvent> {
    let mut events = Vec::new();
    let mut before = None;
    let mut confirmed = 0;
    for record in thread {
        let own = CommentId(record.id);
        let changes: Vec<_> = record.change_log.iter().filter(|c| c.is_status()).collect();
        if let Some(last) = changes.last() {
            let proof = evidence.iter().find(|e| e.record == Some(record.id));
            confirmed = confirmed.max(proof.map_or(0, |p| p.activity));
            let words = !record.content.trim().is_empty();
            events.push(StatusEvent {
                id: EventId(record.id),
                at: record.created,
                actor: record.created_user.as_ref().map(|u| u.account()),
                from: from(last, proof, statuses),
                to: to(last, proof, statuses),
                kind: if changes.len() == 1 {
                    kind(record, last, proof, statuses)
                } else {
                    StatusEventKind::Ambiguous
                },
                // A comment sent with the move stands before it.
                after_comment: if words { Some(own) } else { before },
            });
        }
        before = Some(own);
    }
    let known = |e: &Evidence| thread.iter().any(|c| e.record == Some(c.id));
    let unseen = evidence
        .iter()
        .rev()
        .take_while(|e| e.activity > confirmed)
        .find(|e| !known(e));
    if let (Some(unseen), Some(last)) = (unseen, events.last_mut()) {
        last.kind = match unseen.what {
            ActivityKind::Bulk | ActivityKind::StatusDeleted => StatusEventKind::SideEffect,
            ActivityKind::Record | ActivityKind::Other => StatusEventKind::Ambiguous,
        };
    }
    events
}

/// Returns the record of the latest move, back to which the feed has to be known.
pub(super) fn latest(thread: &[Comment]) -> Option<&Comment> {
    let moves = |c: &&Comment| c.change_log.iter().any(Change::is_status);
    thread.iter().rfind(moves)
}

fn kind(
    record: &Comment,
    change: &Change,
    proof: Option<&Evidence>,
    statuses: &Resolved,
) -> StatusEventKind {
    let Some(proof) = proof else {
        return StatusEventKind::Ambiguous;
    };
    if proof.what == ActivityKind::StatusDeleted {
        return StatusEventKind::SideEffect;
    }
    let [told] = proof.changes.as_slice() else {
        return StatusEventKind::Ambiguous;
    };
    let Some(to) = told.to else {
        return StatusEventKind::Ambiguous;
    };
    let author = record.created_user.as_ref().map(|u| u.id);
    let same_actor = proof.actor.is_none() || author.is_none() || proof.actor == author;
    let name = change.new_value.as_deref().unwrap_or_default();
    // A name nothing is called any more was renamed since; one that now means another status contradicts.
    let same_status = statuses.by_name(name).is_none_or(|(id, _)| id == to);
    if same_actor && same_status {
        StatusEventKind::Move
    } else {
        StatusEventKind::Ambiguous
    }
}

fn to(change: &Change, proof: Option<&Evidence>, statuses: &Resolved) -> Status {
    let told = proof.and_then(single).and_then(|c| c.to);
    let name = change.new_value.as_deref().unwrap_or_default();
    told.and_then(|id| statuses.by_id(id))
        .cloned()
        .unwrap_or_else(|| named(name, statuses))
}

fn from(change: &Change, proof: Option<&Evidence>, statuses: &Resolved) -> Option<Status> {
    let told = proof.and_then(single).and_then(|c| c.from);
    let by_id = told.and_then(|id| statuses.by_id(id)).cloned();
    by_id.or_else(|| {
        let name = change.original_value.as_deref().filter(|n| !n.is_empty())?;
        Some(named(name, statuses))
    })
}

fn single(proof: &Evidence) -> Option<super::wire::StatusChange> {
    match proof.changes.as_slice() {
        [one] => Some(*one),
        _ => None,
    }
}

fn named(name: &str, statuses: &Resolved) -> Status {
    let known = statuses.by_name(name).map(|(_, status)| status.clone());
    known.unwrap_or_else(|| Resolved::stranger(name))
}

#[cfg(test)]
mod tests;
