//! The fold: from the memos of every issue to who holds what. Pure; the same function everywhere.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashSet;
use std::time::Duration;

use super::record::Claim;
use super::record::Ender;
use super::record::LockKind;
use super::record::LockMemo;
use crate::agent::RunId;
use crate::clock::Timestamp;
use crate::conflict::ConflictKey;
use crate::conflict::ResourceSet;
use crate::integrate::ClaimRef;
use crate::issue::CommentId;
use crate::issue::EventId;
use crate::issue::IssueKey;
use crate::protected::Hold;
use crate::workspace::CommitId;
use crate::workspace::PatchId;

/// G: how long past its end a claim still blocks. The holder stops M (the same length) before its end.
pub const GRACE: Duration = Duration::from_secs(60);
/// How long a submitted claim holds without a beat.
pub const PARK: Duration = Duration::from_secs(7 * 24 * 3600);
/// How far ahead of the reply a memo's time counts.
pub const FUTURE: Duration = Duration::from_secs(60);

/// The spans a fold goes by. Everybody who reads one tracker must go by the same: outside of models, the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How long past its end a claim still blocks.
    pub grace: Duration,
    /// How long a submitted claim holds without a beat.
    pub park: Duration,
    /// How far ahead of the reply a memo's time counts.
    pub future: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            grace: GRACE,
            park: PARK,
            future: FUTURE,
        }
    }
}

/// Reasons of a release or refusal that cost no attempt.
pub const FREE_REASONS: [&str; 6] = [
    "rate-limit",
    "usage-limit",
    "cancelled",
    "revoked",
    "base-moved",
    "infra",
];

/// A claim that holds its resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveClaim {
    /// The issue.
    pub issue: IssueKey,
    /// Its comment: the fence token.
    pub id: CommentId,
    /// Its nonce.
    pub nonce: String,
    /// When it was posted, by the server.
    pub posted: Timestamp,
    /// What was posted.
    pub claim: Claim,
    /// When its lease ends, by the server.
    pub end: Timestamp,
    /// The patch, once submitted.
    pub submitted: Option<PatchId>,
    /// When it was submitted, by the server.
    pub submitted_at: Option<Timestamp>,
    /// What commands of the run hold the patch.
    pub holds: Vec<Hold>,
    /// Somebody else ended it: it blocks until its lease ends, but may do nothing more.
    pub revoked: bool,
}

impl LiveClaim {
    /// Returns what stands in the trailers.
    #[must_use]
    pub fn claim_ref(&self) -> ClaimRef {
        ClaimRef {
            issue: self.issue.clone(),
            comment: self.id,
            nonce: self.nonce.clone(),
            round: self.claim.round,
        }
    }
}

/// What became of a claim that holds nothing any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Something it needed was held: it never lived.
    Lost {
        /// The claim that held it.
        to: CommentId,
    },
    /// Its round had landed before.
    TooLate,
    /// Its lease ended.
    Expired {
        /// The patch it had submitted, in time or late: it is claimed anew without a run.
        patch: Option<PatchId>,
        /// What commands of its run hold that patch.
        holds: Vec<Hold>,
    },
    /// It was given up.
    Released {
        /// Why, in one word.
        reason: String,
    },
    /// The integrator gave it back.
    Refused {
        /// Why, in one word.
        reason: String,
    },
    /// Its round landed.
    Landed,
}

/// A claim with what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedClaim {
    /// The issue.
    pub issue: IssueKey,
    /// Its comment.
    pub id: CommentId,
    /// Its nonce.
    pub nonce: String,
    /// What was posted.
    pub claim: Claim,
    /// What became of it.
    pub fate: Fate,
}

/// A submitted patch whose claim has run out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// The issue.
    pub issue: IssueKey,
    /// The claim's comment.
    pub id: CommentId,
    /// The claim.
    pub claim: Claim,
    /// The patch.
    pub patch: PatchId,
    /// What commands of its run hold it.
    pub holds: Vec<Hold>,
}

/// An issue whose lock memos cannot be trusted; it blocks and gets nothing new until a person has looked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TamperedIssue {
    /// The issue.
    pub issue: IssueKey,
    /// The comment.
    pub comment: CommentId,
    /// What is wrong.
    pub reason: String,
    /// The comment may be a claim whose resources nobody ever read: it blocks everything.
    pub blocks_all: bool,
}

/// Who holds what after all memos.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LockState {
    held: BTreeMap<CommentId, LiveClaim>,
    ended: BTreeMap<CommentId, EndedClaim>,
    landed: BTreeSet<(IssueKey, EventId)>,
    /// How the revoked claims among the held ones were ended.
    revocations: BTreeMap<CommentId, Fate>,
    future: Vec<TamperedIssue>,
    terms: Terms,
}

/// Folds memos into who holds what. `date` is the server's time of the reply they came with.
///
/// The order of the input does not matter; memos are taken by comment id, each nonce at its lowest.
#[must_use]
pub fn fold<'a>(memos: impl IntoIterator<Item = &'a LockMemo>, date: Timestamp) -> LockState {
    fold_under(memos, date, &Terms::default())
}

/// Folds like [`fold`] with other spans: a model checker needs short ones.
#[must_use]
pub fn fold_under<'a>(
    memos: impl IntoIterator<Item = &'a LockMemo>,
    date: Timestamp,
    terms: &Terms,
) -> LockState {
    let mut sorted: Vec<&LockMemo> = memos.into_iter().collect();
    sorted.sort_by_key(|m| m.id);
    let latest = date.plus(terms.future);
    let mut state = LockState {
        terms: *terms,
        ..LockState::default()
    };
    let mut seen: HashSet<&str> = HashSet::with_capacity(sorted.len());
    let mut now = Timestamp::EPOCH;
    for memo in sorted {
        if !seen.insert(&memo.nonce) {
            continue;
        }
        if memo.time > latest {
            state.future.push(TamperedIssue {
                issue: memo.issue.clone(),
                comment: memo.id,
                reason: "its time lies ahead of the server's".into(),
                blocks_all: false,
            });
        }
        // Back-dated times do no harm: time only goes on.
        now = now.max(memo.time.min(latest));
        state.expire(now);
        state.take(memo, now);
    }
    state
}

impl LockState {
    fn expire(&mut self, now: Timestamp) {
        let over: Vec<CommentId> = self
            .held
            .values()
            .filter(|h| self.is_over(h, now))
            .map(|h| h.id)
            .collect();
        for id in over {
            if let Some(h) = self.held.remove(&id) {
                let (patch, holds) = (h.submitted.clone(), h.holds.clone());
                // What was ended before it ran out has run out as what it was ended as: nobody claims it anew.
                let fate = self.revocations.remove(&id);
                self.end(h, fate.unwrap_or(Fate::Expired { patch, holds }));
            }
        }
    }

    fn is_over(&self, h: &LiveClaim, now: Timestamp) -> bool {
        now > h.end.plus(self.terms.grace)
    }

    fn end(&mut self, h: LiveClaim, fate: Fate) {
        let id = h.id;
        self.revocations.remove(&id);
        let ended = EndedClaim {
            issue: h.issue,
            id,
            nonce: h.nonce,
            claim: h.claim,
            fate,
        };
        self.ended.insert(id, ended);
    }

    fn take(&mut self, memo: &LockMemo, now: Timestamp) {
        match &memo.kind {
            LockKind::Claim(claim) => self.take_claim(memo, claim, now),
            LockKind::Beat { claim, lease } => {
                if let Some(h) = self.held.get_mut(claim).filter(|h| !h.revoked) {
                    // It never shortens.
                    h.end = h.end.max(now.plus(*lease));
                }
            }
            LockKind::Submit {
                claim,
                patch,
                holds,
            } => self.take_submit(*claim, patch, holds, now),
            LockKind::Landed { claim, round, .. } => self.take_landed(&memo.issue, *claim, *round),
            LockKind::Refused { claim, reason, by } => {
                self.take_end(
                    *claim,
                    by,
                    Fate::Refused {
                        reason: reason.clone(),
                    },
                );
            }
            LockKind::Release { claim, reason, by } => {
                self.take_end(
                    *claim,
                    by,
                    Fate::Released {
                        reason: reason.clone(),
                    },
                );
            }
        }
    }

    fn take_claim(&mut self, memo: &LockMemo, claim: &Claim, now: Timestamp) {
        let live = LiveClaim {
            issue: memo.issue.clone(),
            id: memo.id,
            nonce: memo.nonce.clone(),
            posted: memo.time,
            end: now.plus(claim.lease),
            claim: claim.clone(),
            submitted: None,
            submitted_at: None,
            holds: Vec::new(),
            revoked: false,
        };
        if self.has_landed(&memo.issue, claim.round) {
            self.end(live, Fate::TooLate);
        } else if let Some(to) = self
            .held
            .values()
            .find(|h| h.claim.resources.meets(&claim.resources))
            .map(|h| h.id)
        {
            self.end(live, Fate::Lost { to });
        } else {
            self.held.insert(memo.id, live);
        }
    }

    fn take_submit(&mut self, claim: CommentId, patch: &PatchId, holds: &[Hold], now: Timestamp) {
        if let Some(h) = self.held.get_mut(&claim) {
            if !h.revoked {
                h.submitted = Some(patch.clone());
                h.submitted_at = Some(now);
                h.holds = holds.to_vec();
                h.end = now.plus(self.terms.park);
            }
        } else if let Some(e) = self.ended.get_mut(&claim)
            && let Fate::Expired {
                patch: kept,
                holds: held,
            } = &mut e.fate
            && kept.is_none()
        {
            // Late: the work is not lost, it is claimed anew, and what held it goes with it.
            *kept = Some(patch.clone());
            *held = holds.to_vec();
        }
    }

    fn take_landed(&mut self, issue: &IssueKey, claim: CommentId, round: EventId) {
        self.landed.insert((issue.clone(), round));
        let of_round: Vec<CommentId> = self
            .held
            .values()
            .filter(|h| h.issue == *issue && h.claim.round == round)
            .map(|h| h.id)
            .collect();
        for id in of_round {
            let over = id == claim || self.held.get(&id).is_some_and(|h| h.submitted.is_some());
            if over {
                if let Some(h) = self.held.remove(&id) {
                    self.end(h, Fate::Landed);
                }
            } else if let Some(h) = self.held.get_mut(&id) {
                h.revoked = true;
                self.revocations.insert(id, Fate::Landed);
            }
        }
        if let Some(e) = self.ended.get_mut(&claim).filter(|e| e.issue == *issue) {
            e.fate = Fate::Landed;
        }
    }

    fn take_end(&mut self, claim: CommentId, by: &Ender, fate: Fate) {
        let Some(h) = self.held.get_mut(&claim) else {
            // What had already run out is given back for good: nobody claims it anew.
            if let Some(e) = self.ended.get_mut(&claim)
                && matches!(e.fate, Fate::Expired { .. })
            {
                e.fate = fate;
            }
            return;
        };
        let entitled = match by {
            Ender::Integrator => true,
            Ender::Run(run) => *run == h.claim.run,
            Ender::Other => false,
        };
        if entitled || h.submitted.is_some() {
            if let Some(h) = self.held.remove(&claim) {
                self.end(h, fate);
            }
        } else if !h.revoked {
            h.revoked = true;
            self.revocations.insert(claim, fate);
        }
    }

    /// Returns every claim that blocks at `now` (the server's time), revoked ones included, lowest id first.
    pub fn blocking(&self, now: Timestamp) -> impl Iterator<Item = &LiveClaim> {
        self.held.values().filter(move |h| !self.is_over(h, now))
    }

    /// Returns the claims that are live at `now` (the server's time): held, not expired, not revoked.
    pub fn live(&self, now: Timestamp) -> impl Iterator<Item = &LiveClaim> {
        self.blocking(now).filter(|h| !h.revoked)
    }

    /// Returns the live claim with this id.
    #[must_use]
    pub fn live_claim(&self, id: CommentId, now: Timestamp) -> Option<&LiveClaim> {
        self.live(now).find(|h| h.id == id)
    }

    /// Returns the claim that blocks these resources at `now` with the keys that meet, ours and theirs.
    #[must_use]
    pub fn blocker(
        &self,
        resources: &ResourceSet,
        now: Timestamp,
    ) -> Option<(&LiveClaim, ConflictKey, ConflictKey)> {
        self.blocking(now).find_map(|h| {
            let (a, b) = resources.first_meeting(&h.claim.resources)?;
            Some((h, a.clone(), b.clone()))
        })
    }

    /// Returns what became of a claim that holds nothing any more.
    #[must_use]
    pub fn ended(&self, id: CommentId) -> Option<&EndedClaim> {
        self.ended.get(&id)
    }

    /// Returns the ended claims of a round, oldest first.
    pub fn ended_of<'a>(
        &'a self,
        issue: &'a IssueKey,
        round: EventId,
    ) -> impl Iterator<Item = &'a EndedClaim> {
        self.ended
            .values()
            .filter(move |e| e.issue == *issue && e.claim.round == round)
    }

    /// Returns every submitted patch whose claim has run out at `now` without being given back or landed, with the claim
    /// and what holds the patch. One that was claimed anew since is not among them: its later claim speaks for it.
    #[must_use]
    pub fn orphans(&self, now: Timestamp) -> Vec<Orphan> {
        let ended = self.ended.values().filter_map(|e| match &e.fate {
            Fate::Expired {
                patch: Some(patch),
                holds,
            } => Some(Orphan {
                issue: e.issue.clone(),
                id: e.id,
                claim: e.claim.clone(),
                patch: patch.clone(),
                holds: holds.clone(),
            }),
            Fate::Expired { patch: None, .. }
            | Fate::Lost { .. }
            | Fate::TooLate
            | Fate::Released { .. }
            | Fate::Refused { .. }
            | Fate::Landed => None,
        });
        let over = self
            .held
            .values()
            .filter(|h| !h.revoked && self.is_over(h, now))
            .filter_map(|h| {
                Some(Orphan {
                    issue: h.issue.clone(),
                    id: h.id,
                    claim: h.claim.clone(),
                    patch: h.submitted.clone()?,
                    holds: h.holds.clone(),
                })
            });
        ended
            .chain(over)
            .filter(|o| !self.has_landed(&o.issue, o.claim.round) && !self.is_claimed_anew(o, now))
            .collect()
    }

    /// Returns whether a later claim speaks for the patch.
    ///
    /// One that ended without the patch, because whoever took it died before handing over, does not: the patch would
    /// be lost with it.
    fn is_claimed_anew(&self, orphan: &Orphan, now: Timestamp) -> bool {
        let same = |issue: &IssueKey, claim: &Claim| {
            *issue == orphan.issue
                && claim.round == orphan.claim.round
                && claim.patch.as_ref() == Some(&orphan.patch)
        };
        let after = (
            std::ops::Bound::Excluded(orphan.id),
            std::ops::Bound::Unbounded,
        );
        self.held.range(after).any(|(_, h)| {
            same(&h.issue, &h.claim) && (h.submitted.is_some() || !self.is_over(h, now))
        }) || self.ended.range(after).any(|(_, e)| {
            let answered = match &e.fate {
                Fate::Lost { .. } => false,
                Fate::Expired { patch, .. } => patch.is_some(),
                Fate::Released { reason } => !FREE_REASONS.contains(&reason.as_str()),
                Fate::TooLate | Fate::Refused { .. } | Fate::Landed => true,
            };
            answered && same(&e.issue, &e.claim)
        })
    }

    /// Returns the issue and round that a run of ours, or anybody's, was claimed for.
    #[must_use]
    pub fn round_of_run(&self, run: &RunId) -> Option<(&IssueKey, EventId)> {
        let held = self.held.values().map(|h| (&h.issue, &h.claim));
        let ended = self.ended.values().map(|e| (&e.issue, &e.claim));
        held.chain(ended)
            .find(|(_, c)| c.run == *run)
            .map(|(issue, c)| (issue, c.round))
    }

    /// Returns whether a round has landed.
    #[must_use]
    pub fn has_landed(&self, issue: &IssueKey, round: EventId) -> bool {
        self.landed.contains(&(issue.clone(), round))
    }

    /// Returns how many claims of a round ended in a way that counts as an attempt.
    #[must_use]
    pub fn attempts(&self, issue: &IssueKey, round: EventId) -> u32 {
        let counts = |fate: &Fate| match fate {
            Fate::Released { reason } | Fate::Refused { reason } => {
                !FREE_REASONS.contains(&reason.as_str())
            }
            Fate::Lost { .. } | Fate::TooLate | Fate::Expired { .. } | Fate::Landed => false,
        };
        let n = self
            .ended
            .values()
            .filter(|e| e.issue == *issue && e.claim.round == round && counts(&e.fate))
            .count();
        u32::try_from(n).unwrap_or(u32::MAX)
    }

    /// Returns the bases of every claim of a round: trailers are searched back to the oldest of them.
    #[must_use]
    pub fn bases_of(&self, issue: &IssueKey, round: EventId) -> Vec<CommitId> {
        let held = self.held.values().map(|h| (&h.issue, &h.claim));
        let ended = self.ended.values().map(|e| (&e.issue, &e.claim));
        let bases: BTreeSet<CommitId> = held
            .chain(ended)
            .filter(|(i, c)| *i == issue && c.round == round)
            .map(|(_, c)| c.base.commit.clone())
            .collect();
        bases.into_iter().collect()
    }

    /// Returns the issues with a memo from the future.
    #[must_use]
    pub fn from_the_future(&self) -> &[TamperedIssue] {
        &self.future
    }
}

#[cfg(test)]
mod tests;
