//! One issue as it was last read, and what its memos amount to.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use crate::clock::Timestamp;
use crate::issue::Comment;
use crate::issue::CommentId;
use crate::issue::EventId;
use crate::issue::Issue;
use crate::lock::LockKind;
use crate::lock::LockMemo;
use crate::lock::TamperedIssue;
use crate::lock::carried;
use crate::memo::MemoKind;
use crate::status::Status;
use crate::thread::Protocol;
use crate::thread::Thread;
use crate::thread::Voice;
use crate::tracker::StatusEvent;

/// One issue as it was last read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mirrored {
    /// The issue.
    pub issue: Issue,
    /// Its thread, oldest first.
    pub comments: Vec<Comment>,
    /// Its status history, oldest first.
    pub history: Vec<StatusEvent>,
    /// The server's time of the reading.
    pub date: Timestamp,
    /// It can no longer be read; its memos still count.
    pub gone: bool,
    /// Our memos as they were first read, whatever has become of them since.
    pub(super) kept: BTreeMap<CommentId, Comment>,
}

impl Mirrored {
    /// Makes a reading from its parts, as if each had been read at the beginning of time.
    #[must_use]
    pub fn of(issue: Issue, comments: Vec<Comment>, history: Vec<StatusEvent>) -> Self {
        let (date, kept) = (Timestamp::EPOCH, BTreeMap::new());
        Self {
            issue,
            comments,
            history,
            date,
            gone: false,
            kept,
        }
    }

    /// Returns whether the issue is there and in this status.
    #[must_use]
    pub fn is_in(&self, status: &Status) -> bool {
        !self.gone && self.issue.status == *status
    }

    /// Returns the round the issue is in now: the latest move into In progress, if nothing came after it.
    #[must_use]
    pub fn current_round(&self) -> Option<EventId> {
        let last = self.history.iter().max_by_key(|e| e.id)?;
        (self.is_in(&Status::InProgress) && last.to == Status::InProgress).then_some(last.id)
    }

    /// Returns the thread, understood.
    #[must_use]
    pub fn thread(&self, protocol: &Protocol) -> Thread {
        Thread::derive(&self.issue.key, &self.comments, protocol)
    }

    /// Returns the lock memos of the issue and what cannot be trusted about it.
    ///
    /// A memo that was edited or deleted since it was first read counts as first read.
    #[must_use]
    pub fn locks(&self, protocol: &Protocol) -> (Vec<LockMemo>, Vec<TamperedIssue>) {
        let key = &self.issue.key;
        let mut memos = Vec::new();
        let mut tampered = Vec::new();
        let in_work = self.is_in(&Status::InProgress);
        let mut distrust = |comment: &Comment, reason: String, never_read: bool| {
            // Who cannot tell what a claim holds must take it to hold everything.
            let is_claim =
                protocol.markers.kind_of(first_line(&comment.body)) == Some(MemoKind::WorkStart);
            tampered.push(TamperedIssue {
                issue: key.clone(),
                comment: comment.id,
                reason,
                blocks_all: never_read && is_claim && in_work,
            });
        };
        let mut restored = Vec::new();
        for c in self
            .comments
            .iter()
            .filter(|c| !self.kept.contains_key(&c.id))
        {
            match protocol.voice(key, c) {
                Voice::Ours(memo) => match LockMemo::read(key, c, &memo) {
                    Ok(lock) => memos.extend(lock),
                    Err(reason) => distrust(c, reason, true),
                },
                Voice::Tampered(reason) => distrust(c, reason, true),
                Voice::Person | Voice::Nobody => {}
            }
        }
        for (id, first) in &self.kept {
            if let Voice::Ours(memo) = protocol.voice(key, first) {
                match LockMemo::read(key, first, &memo) {
                    Ok(lock) => memos.extend(lock),
                    Err(reason) => distrust(first, reason, true),
                }
                match carried(&memo, first) {
                    Ok(claim) => restored.extend(claim),
                    Err(reason) => distrust(first, reason, false),
                }
            }
            match self.comments.iter().find(|c| c.id == *id) {
                Some(now) if now.body != first.body || now.author != first.author => {
                    distrust(now, "it was edited after it had been posted".into(), false);
                }
                Some(_) | None => {}
            }
        }
        for claim in restored {
            let known = memos.iter().any(|m| m.id == claim.id);
            if !known
                && let Voice::Ours(memo) = protocol.voice(key, &claim)
                && let Ok(Some(lock)) = LockMemo::read(key, &claim, &memo)
                && matches!(lock.kind, LockKind::Claim(_))
            {
                memos.push(lock);
            }
        }
        memos.sort_by_key(|m| m.id);
        (memos, tampered)
    }

    /// Returns whether the thread can be read and this comment is not in it.
    #[must_use]
    pub fn lacks(&self, comment: CommentId) -> bool {
        !self.gone && !self.comments.iter().any(|c| c.id == comment)
    }

    /// Returns the comment of a claim, or of its hand-over, that was read once and is gone: somebody deleted it.
    ///
    /// What is younger than `settle` by the server's time `now` may only be invisible: [`missing`](Self::missing) finds it.
    #[must_use]
    pub fn deleted(
        &self,
        claim: CommentId,
        protocol: &Protocol,
        now: Timestamp,
        settle: Duration,
    ) -> Option<CommentId> {
        let mut missing = self.absent(claim, protocol);
        // Times of servers are whole seconds: what seems as old as D may be younger.
        let settled = |first: &&Comment| settle.is_zero() || now.since(first.created) > settle;
        let found = missing.find(settled);
        found.map(|first| first.id)
    }

    /// Returns the comment of a claim, or of its hand-over, that was read once and is not in the thread, however young.
    ///
    /// It may be invisible for now only; either way nothing irrevocable may be built on it.
    #[must_use]
    pub fn missing(&self, claim: CommentId, protocol: &Protocol) -> Option<CommentId> {
        self.absent(claim, protocol).next().map(|first| first.id)
    }

    fn absent<'a>(
        &'a self,
        claim: CommentId,
        protocol: &'a Protocol,
    ) -> impl Iterator<Item = &'a Comment> {
        let key = &self.issue.key;
        let read = move |comment: &Comment| match protocol.voice(key, comment) {
            Voice::Ours(memo) => LockMemo::read(key, comment, &memo).ok().flatten(),
            _ => None,
        };
        let hands_over = move |comment: &Comment| match read(comment)?.kind {
            LockKind::Submit {
                claim: of, patch, ..
            } if of == claim => Some(patch),
            _ => None,
        };
        // A hand-over that stands twice is gone only with both.
        let still_handed_over = move |patch| {
            let mut visible = self.comments.iter().filter_map(hands_over);
            visible.any(|other| other == patch)
        };
        let of_claim = move |first: &Comment| match read(first).map(|lock| (lock.id, lock.kind)) {
            Some((id, LockKind::Claim(_))) => id == claim,
            Some((
                _,
                LockKind::Submit {
                    claim: of, patch, ..
                },
            )) => of == claim && !still_handed_over(patch),
            _ => false,
        };
        let kept = self.kept.values();
        kept.filter(move |first| self.lacks(first.id) && of_claim(first))
    }

    /// Returns one of our memos as it was first read.
    #[must_use]
    pub fn first_read(&self, comment: CommentId) -> Option<&Comment> {
        self.kept.get(&comment)
    }

    pub(super) fn keep_memos(&mut self, protocol: &Protocol) {
        for c in &self.comments {
            if matches!(protocol.voice(&self.issue.key, c), Voice::Ours(_)) {
                self.kept.entry(c.id).or_insert_with(|| c.clone());
            }
        }
    }
}

fn first_line(body: &str) -> &str {
    body.lines().next().unwrap_or_default()
}
