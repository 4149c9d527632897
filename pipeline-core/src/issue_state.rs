//! Where an In-progress issue stands in its round, by a pure fold over what was read.

use serde::Serialize;

use crate::clock::Timestamp;
use crate::issue::CommentId;
use crate::issue::EventId;
use crate::issue::IssueKey;
use crate::lock::Fate;
use crate::lock::LockState;
use crate::start::NotStarted;
use crate::workspace::PatchId;

/// Where an In-progress issue stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum IssueState {
    /// Nobody who may has started it on the text there is.
    NotApproved {
        /// Why.
        reason: NotStarted,
    },
    /// A run may begin.
    Ready {
        /// The attempt it would be, from 1.
        attempt: u32,
    },
    /// Something stands against it.
    Held {
        /// What.
        reason: String,
    },
    /// A run holds its lock.
    Running {
        /// The claim.
        claim: CommentId,
        /// When its lease ends.
        until: Timestamp,
    },
    /// A patch was submitted and waits for integration and OK.
    Submitted {
        /// The claim.
        claim: CommentId,
        /// The patch.
        patch: PatchId,
    },
    /// Its patch is in the target; nothing more starts in this round.
    Landed,
    /// Its last patch went back; ready again with the rework memo.
    Returned {
        /// The attempt it would be.
        attempt: u32,
        /// Why the last one went back.
        reason: String,
    },
    /// Its last run ended in a way another one would end in too: it waits for a new start move.
    Stopped {
        /// How it ended, in one word.
        reason: String,
    },
    /// Every attempt of this round is used up: it waits for a new start move.
    Exhausted {
        /// How many there were.
        attempts: u32,
    },
}

impl IssueState {
    /// Returns whether a run may begin now.
    #[must_use]
    pub const fn may_start(&self) -> bool {
        matches!(self, Self::Ready { .. } | Self::Returned { .. })
    }
}

/// Reasons of a release or refusal after which the same task is not given again in its round: nothing of what it is
/// given would be different.
pub const STOPPING_REASONS: [&str; 6] = [
    "no-progress",
    "needs-input",
    "refused-by-model",
    "context-overflow",
    "over-budget",
    "prohibited-command",
];

/// Derives where an approved issue stands from the locks of its round.
#[must_use]
pub fn in_round(
    issue: &IssueKey,
    round: EventId,
    locks: &LockState,
    now: Timestamp,
    max_attempts: u32,
) -> IssueState {
    if locks.has_landed(issue, round) {
        return IssueState::Landed;
    }
    if let Some(h) = locks.blocking(now).find(|h| h.issue == *issue) {
        return match &h.submitted {
            Some(patch) if !h.revoked && h.claim.round == round => IssueState::Submitted {
                claim: h.id,
                patch: patch.clone(),
            },
            Some(_) => IssueState::Held {
                reason: format!(
                    "claim {} of an earlier round still holds it until {}",
                    h.id, h.end
                ),
            },
            None if h.revoked => IssueState::Held {
                reason: format!(
                    "claim {} was ended by somebody else and blocks until {}",
                    h.id, h.end
                ),
            },
            None => IssueState::Running {
                claim: h.id,
                until: h.end,
            },
        };
    }
    let stopped = locks.ended_of(issue, round).find_map(|e| match &e.fate {
        Fate::Released { reason } | Fate::Refused { reason }
            if STOPPING_REASONS.contains(&reason.as_str()) =>
        {
            Some(reason.clone())
        }
        _ => None,
    });
    if let Some(reason) = stopped {
        return IssueState::Stopped { reason };
    }
    let attempts = locks.attempts(issue, round);
    if attempts >= max_attempts {
        return IssueState::Exhausted { attempts };
    }
    let last_end = locks
        .ended_of(issue, round)
        .filter_map(|e| match &e.fate {
            Fate::Refused { reason } => Some(reason.clone()),
            Fate::Released { .. }
            | Fate::Lost { .. }
            | Fate::TooLate
            | Fate::Expired { .. }
            | Fate::Landed => None,
        })
        .last();
    match last_end {
        Some(reason) => IssueState::Returned {
            attempt: attempts + 1,
            reason,
        },
        None => IssueState::Ready {
            attempt: attempts + 1,
        },
    }
}
