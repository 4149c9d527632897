//! The lock store in the issue's own comment thread, over any tracker.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::fold::Fate;
use super::fold::LiveClaim;
use super::fold::TamperedIssue;
use super::fold::fold;
use super::record;
use super::record::Ender;
use super::record::LockKind;
use super::record::LockMemo;
use super::store::BEAT_LEASE;
use super::store::EndKind;
use super::store::LockError;
use super::store::LockOutcome;
use super::store::LockRecord;
use super::store::LockRequest;
use super::store::LockStore;
use super::store::LockView;
use super::store::MARGIN;
use super::store::WorkLock;
use super::verdict::Standing;
use crate::clock::Timestamp;
use crate::integrate::ClaimRef;
use crate::issue::Comment;
use crate::issue::CommentId;
use crate::issue::IssueKey;
use crate::journal::Record;
use crate::memo::Memo;
use crate::mirror::Mirror;
use crate::post::Poster;
use crate::protected::Hold;
use crate::random;
use crate::report::chain;
use crate::status::Status;
use crate::workspace::PatchId;

/// Work-start locks kept as memos in the comment threads.
#[derive(Debug, Clone)]
pub struct CommentLocks {
    poster: Poster,
    mirror: Arc<Mirror>,
    watermark: Timestamp,
}

impl CommentLocks {
    /// Makes the store. `watermark` is the time `init` wrote: older issues are not read at the first reading.
    #[must_use]
    pub fn new(poster: Poster, mirror: Arc<Mirror>, watermark: Timestamp) -> Self {
        Self {
            poster,
            mirror,
            watermark,
        }
    }

    /// Waits until what a dead process may have posted on an issue is visible.
    async fn settled(&self, issue: &IssueKey) -> Result<(), LockError> {
        let settled = self.poster.settled(issue).await;
        settled.map_err(|e| LockError::Post {
            issue: issue.clone(),
            source: e.into(),
        })
    }

    async fn read(&self, also: &BTreeSet<IssueKey>) -> Result<LockView, LockError> {
        let view = self
            .mirror
            .refresh(
                &*self.poster.tracker,
                &self.poster.protocol,
                self.watermark,
                also,
            )
            .await
            .map_err(|e| LockError::Unreadable { source: e.into() })?;
        let mut memos = Vec::new();
        let mut tampered = Vec::new();
        for (key, m) in &view.issues {
            let (locks, distrust) = m.locks(&self.poster.protocol);
            tampered.extend(distrust);
            // What it held or holds cannot be known now.
            if let Some(reason) = view.unreadable.get(key)
                && (!locks.is_empty() || m.is_in(&Status::InProgress))
            {
                tampered.push(TamperedIssue {
                    issue: key.clone(),
                    comment: CommentId(0),
                    reason: format!("it cannot be read: {reason}"),
                    blocks_all: false,
                });
            }
            memos.extend(locks);
        }
        let date = view.date;
        let state = fold(&memos, date);
        tampered.extend(state.from_the_future().iter().cloned());
        Ok(LockView {
            state,
            tampered,
            date,
            view,
        })
    }

    /// Reads twice at most: what is found live in the first reading is read in full in the second.
    async fn read_in_full(&self, own: &BTreeSet<IssueKey>) -> Result<LockView, LockError> {
        let first = self.read(own).await?;
        let live: BTreeSet<IssueKey> = first
            .state
            .blocking(first.date)
            .map(|h| h.issue.clone())
            .filter(|i| !own.contains(i))
            .collect();
        if live.is_empty() {
            Ok(first)
        } else {
            self.read(&live).await
        }
    }

    async fn post(
        &self,
        issue: &IssueKey,
        nonce: &str,
        kind: &LockKind,
        text: String,
    ) -> Result<Comment, LockError> {
        self.send(issue, LockMemo::memo(issue, nonce, kind, text))
            .await
    }

    async fn send(&self, issue: &IssueKey, memo: Memo) -> Result<Comment, LockError> {
        let reply = self
            .poster
            .post(issue, memo)
            .await
            .map_err(|e| LockError::Post {
                issue: issue.clone(),
                source: e.into(),
            })?;
        Ok(reply.value)
    }

    fn record(&self, record: &Record) -> Result<(), LockError> {
        self.poster
            .journal
            .append(self.poster.clock.now(), record)
            .map(|_| ())
            .map_err(|e| LockError::Journal { source: e.into() })
    }

    /// Releases a claim of ours that no run will use; if that fails it ends by itself.
    async fn let_go(&self, request: &LockRequest, claim: CommentId, text: &str) {
        let by = Ender::Run(request.claim.run.clone());
        let kind = LockKind::Release {
            claim,
            reason: "revoked".into(),
            by,
        };
        if let Err(error) = self
            .post(&request.issue, &random::nonce(), &kind, text.to_owned())
            .await
        {
            tracing::warn!(issue = %request.issue, error = chain(&error), "the claim is not released");
        }
    }

    /// Decides what became of one posted claim in a reading after the settle.
    fn judge(read: &LockView, request: &LockRequest, nonce: &str) -> Judgement {
        if let Some(t) = read.distrust(&request.issue) {
            return Judgement::Tampered(t.reason.clone());
        }
        let current = read
            .view
            .issues
            .get(&request.issue)
            .and_then(|m| m.current_round());
        let standing = read
            .state
            .standing(nonce, request.claim.round, current, read.date);
        Judgement::Stands(standing)
    }
}

enum Judgement {
    Stands(Standing),
    Tampered(String),
}

/// A claim that was posted and is waited for.
struct Posted {
    at: usize,
    nonce: String,
    sent: Duration,
}

/// Returns from when on the holder must not work: by its own clock, and no later than others see the lease end.
///
/// Both agree unless the server stamped a memo too early; then the stricter answer holds. `asked` is before the reading.
fn deadline(own: Duration, h: &LiveClaim, asked: Duration, read: &LockView) -> Duration {
    let theirs = asked + h.end.since(read.date);
    own.min(theirs).saturating_sub(MARGIN)
}

fn held_by(h: &LiveClaim, key: &impl std::fmt::Display) -> LockOutcome {
    LockOutcome::Held {
        by: format!("{} holds {key} (claim {}, until {})", h.issue, h.id, h.end),
        holder: Some(h.issue.clone()),
    }
}

#[async_trait]
impl LockStore for CommentLocks {
    async fn live(&self, own: &BTreeSet<IssueKey>) -> Result<LockView, LockError> {
        self.read_in_full(own).await
    }

    async fn acquire(&self, requests: &[LockRequest]) -> Result<Vec<LockOutcome>, LockError> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let own: BTreeSet<IssueKey> = requests.iter().map(|r| r.issue.clone()).collect();
        let before = self.read_in_full(&own).await?;
        let mut outcomes: Vec<Option<LockOutcome>> = Vec::with_capacity(requests.len());
        let mut posted: Vec<Posted> = Vec::new();
        for (at, request) in requests.iter().enumerate() {
            let in_batch = posted.iter().find_map(|p| {
                let other = requests.get(p.at)?;
                let keys = request
                    .claim
                    .resources
                    .first_meeting(&other.claim.resources)?;
                Some((other.issue.clone(), keys.0.to_string()))
            });
            let outcome = if let Some(t) = before.distrust(&request.issue) {
                Some(LockOutcome::Tampered {
                    reason: t.reason.clone(),
                })
            } else if let Some(t) = before.blocks_all() {
                Some(LockOutcome::Held {
                    by: format!(
                        "comment {} on {} may be a work-start memo and cannot be read ({}): until a person has looked \
                         it blocks everything",
                        t.comment, t.issue, t.reason
                    ),
                    holder: Some(t.issue.clone()),
                })
            } else if let Some((h, key, _)) =
                before.state.blocker(&request.claim.resources, before.date)
            {
                Some(held_by(h, &key))
            } else if let Some((issue, key)) = in_batch {
                Some(LockOutcome::Held {
                    by: format!("{issue} takes {key}"),
                    holder: Some(issue),
                })
            } else {
                let nonce = random::nonce();
                // Died between here and the win, it is released by whoever looks next.
                self.record(&Record::ClaimIntent {
                    issue: request.issue.clone(),
                    nonce: nonce.clone(),
                    run: request.claim.run.clone(),
                    owner: self.poster.owner.clone(),
                })?;
                // The holder counts from before the first sending.
                let sent = self.poster.clock.elapsed();
                let kind = LockKind::Claim(Box::new(request.claim.clone()));
                match self
                    .post(&request.issue, &nonce, &kind, request.text.clone())
                    .await
                {
                    Ok(_) => {
                        posted.push(Posted { at, nonce, sent });
                        None
                    }
                    // One issue that cannot be locked takes nothing from the others.
                    Err(e) => Some(LockOutcome::Failed { reason: chain(&e) }),
                }
            };
            outcomes.push(outcome);
        }
        if !posted.is_empty() {
            self.poster.clock.sleep(self.poster.tracker.settle()).await;
            let asked = self.poster.clock.elapsed();
            let after = self.read_in_full(&own).await?;
            for p in posted {
                let Some(request) = requests.get(p.at) else {
                    continue;
                };
                let outcome = match Self::judge(&after, request, &p.nonce) {
                    Judgement::Stands(Standing::Won(live)) => {
                        let deadline = deadline(p.sent + live.claim.lease, &live, asked, &after);
                        if deadline <= self.poster.clock.elapsed() {
                            let why = "By its times this lock ends before anything can begin.";
                            self.let_go(request, live.id, why).await;
                            let reason = why.to_owned();
                            if let Some(slot) = outcomes.get_mut(p.at) {
                                *slot = Some(LockOutcome::Failed { reason });
                            }
                            continue;
                        }
                        let won = self.record(&Record::ClaimWon {
                            issue: request.issue.clone(),
                            claim: live.id,
                            nonce: p.nonce.clone(),
                            round: request.claim.round,
                            run: request.claim.run.clone(),
                            owner: self.poster.owner.clone(),
                        });
                        match won {
                            Ok(()) => LockOutcome::Acquired(Box::new(LockRecord {
                                issue: request.issue.clone(),
                                // After a repost the lowest comment with this nonce is the claim.
                                id: live.id,
                                nonce: live.nonce,
                                deadline,
                                claim: live.claim,
                            })),
                            Err(e) => {
                                self.let_go(request, live.id, "The win could not be journaled.")
                                    .await;
                                LockOutcome::Failed { reason: chain(&e) }
                            }
                        }
                    }
                    Judgement::Stands(Standing::Lost) => after
                        .state
                        .blocker(&request.claim.resources, after.date)
                        .map_or_else(
                            || LockOutcome::Held {
                                by: "somebody who has let go again".into(),
                                holder: None,
                            },
                            |(h, key, _)| held_by(h, &key),
                        ),
                    Judgement::Stands(Standing::NotCurrent(live)) => {
                        let why = "The issue left its status while the lock was taken.";
                        self.let_go(request, live.id, why).await;
                        LockOutcome::NotCurrent
                    }
                    Judgement::Tampered(reason) => LockOutcome::Tampered { reason },
                };
                if !matches!(outcome, LockOutcome::Acquired(_)) {
                    self.record(&Record::RunClosed {
                        run: request.claim.run.clone(),
                        outcome: "not begun".to_owned(),
                    })?;
                }
                if let Some(slot) = outcomes.get_mut(p.at) {
                    *slot = Some(outcome);
                }
            }
        }
        Ok(outcomes
            .into_iter()
            .map(|o| {
                o.unwrap_or(LockOutcome::Held {
                    by: "nobody".into(),
                    holder: None,
                })
            })
            .collect())
    }

    async fn renew(&self, lock: &WorkLock) -> Result<Option<Duration>, LockError> {
        let sent = self.poster.clock.elapsed();
        let kind = LockKind::Beat {
            claim: lock.id(),
            lease: BEAT_LEASE,
        };
        let text = format!("Still at work on {}.", lock.issue());
        let beat = self
            .post(lock.issue(), &random::nonce(), &kind, text)
            .await?;
        self.poster.clock.sleep(self.poster.tracker.settle()).await;
        let own = BTreeSet::from([lock.issue().clone()]);
        let asked = self.poster.clock.elapsed();
        let read = self.read(&own).await?;
        let seen = read
            .view
            .issues
            .get(lock.issue())
            .is_some_and(|m| m.comments.iter().any(|c| c.id == beat.id));
        let live = read.state.live_claim(lock.id(), read.date);
        Ok(live
            .filter(|_| seen)
            .map(|h| deadline(sent + BEAT_LEASE, h, asked, &read)))
    }

    async fn submit(
        &self,
        lock: &WorkLock,
        patch: &PatchId,
        holds: Vec<Hold>,
        text: String,
    ) -> Result<bool, LockError> {
        self.settled(lock.issue()).await?;
        let own = BTreeSet::from([lock.issue().clone()]);
        let before = self.read(&own).await?;
        let submitted = |read: &LockView| {
            read.state
                .live_claim(lock.id(), read.date)
                .map(|h| h.submitted.clone())
        };
        if submitted(&before) == Some(Some(patch.clone())) {
            return Ok(true);
        }
        let kind = LockKind::Submit {
            claim: lock.id(),
            patch: patch.clone(),
            holds,
        };
        self.post(lock.issue(), &random::nonce(), &kind, text)
            .await?;
        // Not before D can an absent memo be called late.
        self.poster.clock.sleep(self.poster.tracker.settle()).await;
        let after = self.read(&own).await?;
        Ok(submitted(&after) == Some(Some(patch.clone())))
    }

    async fn end(&self, claim: &ClaimRef, how: &EndKind, text: String) -> Result<(), LockError> {
        self.settled(&claim.issue).await?;
        let own = BTreeSet::from([claim.issue.clone()]);
        let read = self.read(&own).await?;
        let already = match how {
            EndKind::Landed { .. } => read.state.has_landed(&claim.issue, claim.round),
            EndKind::Release { .. } | EndKind::Refused { .. } => {
                let over = read
                    .state
                    .ended(claim.comment)
                    .is_some_and(|e| !matches!(e.fate, Fate::Expired { patch: Some(_), .. }));
                // Only the holder's own word, or the integrator's, says more of a revoked claim.
                let held = read
                    .state
                    .blocking(read.date)
                    .find(|h| h.id == claim.comment);
                let again = matches!(
                    how,
                    EndKind::Release {
                        by: Ender::Other,
                        ..
                    }
                );
                over || (again && held.is_some_and(|h| h.revoked))
            }
        };
        if already {
            return Ok(());
        }
        let claim_id = claim.comment;
        let kind = match how.clone() {
            EndKind::Release { reason, by } => LockKind::Release {
                claim: claim_id,
                reason,
                by,
            },
            EndKind::Refused { reason } => LockKind::Refused {
                claim: claim_id,
                reason,
                by: Ender::Integrator,
            },
            EndKind::Landed { commit } => LockKind::Landed {
                claim: claim_id,
                round: claim.round,
                commit,
            },
        };
        let mut memo = LockMemo::memo(&claim.issue, &random::nonce(), &kind, text);
        let known = read.view.issues.get(&claim.issue);
        if matches!(kind, LockKind::Release { .. })
            && let Some(m) = known.filter(|m| m.lacks(claim_id))
            && let Some(first) = m.first_read(claim_id)
        {
            // Whoever never read the claim learns from its release what it holds until its lease ends.
            record::carry(&mut memo.fields, first);
        }
        self.send(&claim.issue, memo).await?;
        Ok(())
    }

    async fn park(&self, claim: &ClaimRef) -> Result<(), LockError> {
        let kind = LockKind::Beat {
            claim: claim.comment,
            lease: super::fold::PARK,
        };
        let text = "The patch still waits for its OK.".to_owned();
        self.post(&claim.issue, &random::nonce(), &kind, text)
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
