//! From the events of labels and of the state to moves between statuses.
//!
//! Nobody can write an event and the server sets its user; so a status is what the events say, in the order of their ids.
//! A label that is taken away and one that is added in one request are one move.

use std::collections::BTreeSet;

use pipeline_core::clock::Timestamp;
use pipeline_core::issue::Account;
use pipeline_core::issue::Comment;
use pipeline_core::issue::CommentId;
use pipeline_core::issue::EventId;
use pipeline_core::status::Status;
use pipeline_core::tracker::StatusEvent;
use pipeline_core::tracker::StatusEventKind;

use super::project::Labels;
use super::status::of_set;
use super::wire;

/// Label events and state events have ids of their own each. The id of a move is that of its label event times this, and
/// what happened to the state after it counts up from there.
const BETWEEN: u64 = 1000;

/// Something that happened, with who did it.
struct Happened<'a> {
    at: Timestamp,
    user: Option<&'a wire::User>,
    what: What<'a>,
}

enum What<'a> {
    /// A status label came or went.
    Label {
        id: u64,
        status: &'a Status,
        added: bool,
    },
    Closed(bool),
}

/// Derives the moves. Pure; the events may come in any order and several times.
pub(super) fn moves(
    labels: &[wire::LabelEvent],
    states: &[wire::StateEvent],
    thread: &[Comment],
    known: &Labels,
) -> Vec<StatusEvent> {
    let mut fold = Fold {
        known,
        present: BTreeSet::new(),
        closed: false,
        adder: None,
        events: Vec::new(),
        label: 0,
        after: 0,
    };
    for group in requests(&in_order(labels, states, known)) {
        fold.apply(group);
    }
    let mut events = fold.events;
    for event in &mut events {
        event.after_comment = before(thread, event.at);
    }
    events
}

/// Returns both kinds of events in one order: each kind by its ids, the two by their times.
fn in_order<'a>(
    labels: &'a [wire::LabelEvent],
    states: &'a [wire::StateEvent],
    known: &'a Labels,
) -> Vec<Happened<'a>> {
    let mut labels: Vec<_> = labels.iter().collect();
    labels.sort_by_key(|e| e.id);
    labels.dedup_by_key(|e| e.id);
    let mut states: Vec<_> = states.iter().collect();
    states.sort_by_key(|e| e.id);
    states.dedup_by_key(|e| e.id);
    // A label that is gone is none of the status labels, which are there.
    let of_label = |e: &'a wire::LabelEvent| {
        let status = known.status_of_id(e.label.as_ref()?.id?)?;
        Some(Happened {
            at: e.created_at.unwrap_or(Timestamp::EPOCH),
            user: e.user.as_ref(),
            what: What::Label {
                id: e.id,
                status,
                added: e.action == "add",
            },
        })
    };
    let mut labels = labels.into_iter().filter_map(of_label).peekable();
    let mut order = Vec::new();
    for state in states {
        let closed = match state.state.as_str() {
            "closed" => true,
            "reopened" | "opened" => false,
            _ => continue,
        };
        let at = state.created_at.unwrap_or(Timestamp::EPOCH);
        while let Some(label) = labels.next_if(|label| label.at <= at) {
            order.push(label);
        }
        order.push(Happened {
            at,
            user: state.user.as_ref(),
            what: What::Closed(closed),
        });
    }
    order.extend(labels);
    order
}

/// Splits what happened into what one request did: the same user at the same moment.
fn requests<'a, 'b>(order: &'b [Happened<'a>]) -> impl Iterator<Item = &'b [Happened<'a>]> {
    order.chunk_by(|a, b| {
        a.at == b.at && a.user.map(|u| u.id) == b.user.map(|u| u.id) && a.user.is_some()
    })
}

struct Fold<'a> {
    known: &'a Labels,
    present: BTreeSet<&'a Status>,
    closed: bool,
    /// Who added the label that was added last.
    adder: Option<(&'a Status, Option<u64>)>,
    events: Vec<StatusEvent>,
    label: u64,
    after: u64,
}

impl<'a> Fold<'a> {
    fn status(&self) -> Status {
        of_set(self.closed, self.present.iter().copied(), self.known)
    }

    fn apply(&mut self, group: &[Happened<'a>]) {
        let Some(last) = group.last() else {
            return;
        };
        let from = self.status();
        let mut adds_what_results = false;
        for one in group {
            match &one.what {
                What::Label { id, status, added } => {
                    (self.label, self.after) = (*id, 0);
                    if *added {
                        self.present.insert(status);
                        self.adder = Some((status, one.user.map(|u| u.id)));
                    } else {
                        self.present.remove(status);
                    }
                }
                What::Closed(closed) => {
                    self.closed = *closed;
                    self.after += 1;
                }
            }
        }
        let to = self.status();
        for one in group {
            if let What::Label { status, added, .. } = &one.what {
                adds_what_results |= *added && **status == to;
            }
        }
        // An added label that was there already is a new start move all the same.
        if from == to && !adds_what_results {
            return;
        }
        let id = self
            .label
            .saturating_mul(BETWEEN)
            .saturating_add(self.after.min(BETWEEN - 1));
        let actor: Option<Account> = last.user.map(wire::User::account);
        let several = matches!(&to, Status::Other(_)) && !self.closed && self.present.len() > 1;
        // A status that came about by one person adding and another one taking away is nobody's move.
        let by_two = !adds_what_results
            && self.present.len() == 1
            && !self.closed
            && self.adder.as_ref().is_none_or(|(status, who)| {
                **status != to || who.is_none() || *who != last.user.map(|u| u.id)
            });
        let stays = self.after < BETWEEN;
        self.events.push(StatusEvent {
            id: EventId(id),
            at: last.at,
            actor,
            from: Some(from),
            to,
            kind: if several || by_two || !stays {
                StatusEventKind::Ambiguous
            } else {
                StatusEventKind::Move
            },
            after_comment: None,
        });
    }
}

/// Returns the newest comment that is certainly older: up to the first one, by id, that is not.
fn before(thread: &[Comment], at: Timestamp) -> Option<CommentId> {
    let older = thread.iter().take_while(|comment| comment.created < at);
    older.last().map(|comment| comment.id)
}
