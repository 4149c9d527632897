//! Work-start locks on a git remote that the orchestrators share: one ref per target, moved by compare-and-swap.
//!
//! The tree a ref names holds the memos of the claims that still matter, one file each, and the fold of core decides what
//! they mean, so that both stores know one protocol. What a comment thread cannot offer, a push can: it is refused if the
//! ref has moved, so whoever pushed has won and nobody has to settle.

mod board;
mod memos;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pipeline_core::clock::Clock;
use pipeline_core::clock::Timestamp;
use pipeline_core::integrate::ClaimRef;
use pipeline_core::issue::CommentId;
use pipeline_core::issue::IssueKey;
use pipeline_core::journal::Journal;
use pipeline_core::journal::Record;
use pipeline_core::lock::BEAT_LEASE;
use pipeline_core::lock::EndKind;
use pipeline_core::lock::Ender;
use pipeline_core::lock::Fate;
use pipeline_core::lock::LockError;
use pipeline_core::lock::LockKind;
use pipeline_core::lock::LockOutcome;
use pipeline_core::lock::LockRecord;
use pipeline_core::lock::LockRequest;
use pipeline_core::lock::LockState;
use pipeline_core::lock::LockStore;
use pipeline_core::lock::LockView;
use pipeline_core::lock::MARGIN;
use pipeline_core::lock::PARK;
use pipeline_core::lock::Standing;
use pipeline_core::lock::WorkLock;
use pipeline_core::lock::fold;
use pipeline_core::mirror::Mirror;
use pipeline_core::mirror::View;
use pipeline_core::process::ProcessIdentity;
use pipeline_core::protected::Hold;
use pipeline_core::random::nonce;
use pipeline_core::thread::Protocol;
use pipeline_core::tracker::Tracker;
use pipeline_core::workspace::PatchId;
use pipeline_core::workspace::Target;

use self::board::Board;
use self::board::Pushed;
use self::memos::Entry;
use crate::integrator::PushOptions;
use crate::repository::Repository;

/// How often a push that lost the race is made again before the next tick has to.
const MOST_TRIES: u32 = 16;

/// What the store works with beside the repository.
#[derive(Debug, Clone)]
pub struct LockPlace {
    /// The remote the orchestrators share.
    pub remote: String,
    /// How it is reached.
    pub push: PushOptions,
    /// Where issues and their rounds are read.
    pub tracker: Arc<dyn Tracker>,
    /// Who we are.
    pub protocol: Arc<Protocol>,
    /// What is about to happen.
    pub journal: Arc<dyn Journal>,
    /// What the holder's deadline counts by.
    pub clock: Arc<dyn Clock>,
    /// Older issues are not read at the first reading.
    pub watermark: Timestamp,
}

/// Work-start locks kept in refs of a shared remote.
///
/// Threads carry no start memos then: people see claims by `status`. Everything else is as with the store in the threads.
#[derive(Debug)]
pub struct GitLocks {
    place: LockPlace,
    board: Board,
    mirror: Mirror,
    owner: Option<ProcessIdentity>,
}

impl GitLocks {
    /// Makes the store.
    #[must_use]
    pub fn new(repository: &Repository, place: LockPlace, mirror: Mirror) -> Self {
        // Without it a restart cannot tell our runs from a dead process's and waits for the lease to end.
        let owner = ProcessIdentity::of_running(std::process::id())
            .ok()
            .flatten();
        Self {
            board: Board::new(repository, &place.remote, place.push.clone()),
            place,
            mirror,
            owner,
        }
    }

    /// Reads the tracker: issues and rounds, and what time it is for everybody.
    async fn view(&self, own: &BTreeSet<IssueKey>) -> Result<View, LockError> {
        let place = &self.place;
        self.mirror
            .refresh(&*place.tracker, &place.protocol, place.watermark, own)
            .await
            .map_err(|e| LockError::Unreadable { source: e.into() })
    }

    async fn entries(&self) -> Result<Vec<Entry>, LockError> {
        let boards = self.board.read_all().await;
        let boards = boards.map_err(|e| LockError::Unreadable { source: e.into() })?;
        Ok(boards.into_iter().flat_map(|b| b.entries).collect())
    }

    fn state(&self, entries: &[Entry], view: View) -> LockView {
        let (memos, tampered) = memos::read(entries, &self.place.protocol);
        let date = view.date;
        LockView {
            state: fold(&memos, date),
            tampered,
            date,
            view,
        }
    }

    async fn read(&self, own: &BTreeSet<IssueKey>) -> Result<LockView, LockError> {
        let view = self.view(own).await?;
        let entries = self.entries().await?;
        Ok(self.state(&entries, view))
    }

    /// Adds memos to a target's board unless `refuse` says no to what it finds there; made again while others are faster.
    ///
    /// Returns the number of each memo, or what `refuse` said.
    async fn add<T>(
        &self,
        target: &Target,
        view: &View,
        refuse: impl Fn(&LockView) -> Result<Vec<(IssueKey, LockMemoDraft)>, T> + Send,
    ) -> Result<Result<Vec<CommentId>, T>, LockError> {
        let unreadable = |e: crate::error::GitError| LockError::Unreadable { source: e.into() };
        for _ in 0..MOST_TRIES {
            let boards = self.board.read_all().await.map_err(unreadable)?;
            let entries: Vec<Entry> = boards.iter().flat_map(|b| b.entries.clone()).collect();
            let read = self.state(&entries, view.clone());
            let drafts = match refuse(&read) {
                Ok(drafts) => drafts,
                Err(no) => return Ok(Err(no)),
            };
            let mine = self.board.of(target, boards);
            let mut kept = memos::still_needed(&mine.entries, &read.state, read.date);
            let mut ids = Vec::with_capacity(drafts.len());
            let mut next = mine.next;
            for (issue, draft) in drafts {
                let id = self.board.number(target, next);
                next += 1;
                let body =
                    memos::render(&issue, &draft, &*self.place.tracker, &self.place.protocol);
                kept.push(Entry {
                    id,
                    at: read.date,
                    issue,
                    body,
                });
                ids.push(id);
            }
            match self.board.push(target, &mine, next, &kept).await {
                Ok(Pushed::Moved) => return Ok(Ok(ids)),
                // Somebody was faster: what they wrote is read before anything is tried again.
                Ok(Pushed::Raced) => {}
                Err(e) => return Err(unreadable(e)),
            }
        }
        Err(LockError::Unreadable {
            source: format!(
                "the locks of {target} on `{}` moved {MOST_TRIES} times while they were written: the next tick tries again",
                self.place.remote
            )
            .into(),
        })
    }

    fn record(&self, record: &Record) -> Result<(), LockError> {
        self.place
            .journal
            .append(self.place.clock.now(), record)
            .map(|_| ())
            .map_err(|e| LockError::Journal { source: e.into() })
    }

    async fn say(
        &self,
        target: &Target,
        own: &BTreeSet<IssueKey>,
        issue: &IssueKey,
        draft: LockMemoDraft,
    ) -> Result<(), LockError> {
        let view = self.view(own).await?;
        let add =
            |_: &LockView| Ok::<_, std::convert::Infallible>(vec![(issue.clone(), draft.clone())]);
        match self.add(target, &view, add).await? {
            Ok(_) => Ok(()),
            Err(never) => match never {},
        }
    }

    /// Finds the target a claim was made on: its memos stand on that target's board.
    async fn target_of(&self, claim: CommentId) -> Result<Option<Target>, LockError> {
        let boards = self.board.read_all().await;
        let boards = boards.map_err(|e| LockError::Unreadable { source: e.into() })?;
        Ok(boards
            .into_iter()
            .find(|b| b.entries.iter().any(|e| e.id == claim))
            .map(|b| b.target))
    }

    async fn acquire_one(
        &self,
        request: &LockRequest,
        taken: &[&LockRequest],
        view: &View,
    ) -> Result<LockOutcome, LockError> {
        let in_batch = taken.iter().find_map(|other| {
            let keys = request
                .claim
                .resources
                .first_meeting(&other.claim.resources)?;
            Some((other.issue.clone(), keys.0.to_string()))
        });
        if let Some((issue, key)) = in_batch {
            return Ok(LockOutcome::Held {
                by: format!("{issue} takes {key}"),
                holder: Some(issue),
            });
        }
        let current = view
            .issues
            .get(&request.issue)
            .and_then(|m| m.current_round());
        if current != Some(request.claim.round) {
            return Ok(LockOutcome::NotCurrent);
        }
        let target = request.claim.base.target.clone();
        let draft = LockMemoDraft {
            nonce: nonce(),
            kind: LockKind::Claim(Box::new(request.claim.clone())),
            text: request.text.clone(),
        };
        self.record(&Record::ClaimIntent {
            issue: request.issue.clone(),
            nonce: draft.nonce.clone(),
            run: request.claim.run.clone(),
            owner: self.owner.clone(),
        })?;
        let sent = self.place.clock.elapsed();
        let refuse = |read: &LockView| {
            if let Some(t) = read.distrust(&request.issue).or(read.blocks_all()) {
                return Err(LockOutcome::Tampered {
                    reason: t.reason.clone(),
                });
            }
            if read.state.has_landed(&request.issue, request.claim.round) {
                return Err(LockOutcome::Held {
                    by: "its round has landed".into(),
                    holder: None,
                });
            }
            match read.state.blocker(&request.claim.resources, read.date) {
                Some((h, key, _)) => Err(LockOutcome::Held {
                    by: format!("{} holds {key} (claim {}, until {})", h.issue, h.id, h.end),
                    holder: Some(h.issue.clone()),
                }),
                None => Ok(vec![(request.issue.clone(), draft.clone())]),
            }
        };
        if let Err(outcome) = self.add(&target, view, refuse).await? {
            self.record(&Record::RunClosed {
                run: request.claim.run.clone(),
                outcome: "not begun".to_owned(),
            })?;
            return Ok(outcome);
        }
        // The issue may have left while the claim was pushed.
        let own = BTreeSet::from([request.issue.clone()]);
        let read = self.read(&own).await?;
        let current = read
            .view
            .issues
            .get(&request.issue)
            .and_then(|m| m.current_round());
        let standing = read
            .state
            .standing(&draft.nonce, request.claim.round, current, read.date);
        Ok(match standing {
            Standing::Won(live) => {
                let won = self.record(&Record::ClaimWon {
                    issue: request.issue.clone(),
                    claim: live.id,
                    nonce: draft.nonce,
                    round: request.claim.round,
                    run: request.claim.run.clone(),
                    owner: self.owner.clone(),
                });
                match won {
                    Ok(()) => LockOutcome::Acquired(Box::new(LockRecord {
                        issue: request.issue.clone(),
                        id: live.id,
                        nonce: live.nonce,
                        deadline: (sent + live.claim.lease).saturating_sub(MARGIN),
                        claim: live.claim,
                    })),
                    Err(e) => {
                        self.let_go(request, &target, live.id).await;
                        LockOutcome::Failed {
                            reason: e.to_string(),
                        }
                    }
                }
            }
            Standing::NotCurrent(live) => {
                self.let_go(request, &target, live.id).await;
                LockOutcome::NotCurrent
            }
            Standing::Lost => LockOutcome::Failed {
                reason: "it was ended by somebody else at once".into(),
            },
        })
    }

    /// Releases a claim of ours that no run will use; if that fails it ends by itself.
    async fn let_go(&self, request: &LockRequest, target: &Target, claim: CommentId) {
        let draft = LockMemoDraft {
            nonce: nonce(),
            kind: LockKind::Release {
                claim,
                reason: "revoked".into(),
                by: Ender::Run(request.claim.run.clone()),
            },
            text: String::new(),
        };
        let own = BTreeSet::from([request.issue.clone()]);
        if let Err(error) = self.say(target, &own, &request.issue, draft).await {
            tracing::warn!(issue = %request.issue, %error, "the claim is not released");
        }
    }
}

/// A memo that is about to be written.
#[derive(Debug, Clone)]
pub(crate) struct LockMemoDraft {
    pub(crate) nonce: String,
    pub(crate) kind: LockKind,
    pub(crate) text: String,
}

#[async_trait]
impl LockStore for GitLocks {
    async fn live(&self, own: &BTreeSet<IssueKey>) -> Result<LockView, LockError> {
        let view = self.view(own).await?;
        let entries = self.entries().await?;
        let first = self.state(&entries, view);
        let live: BTreeSet<IssueKey> = first
            .state
            .blocking(first.date)
            .map(|h| h.issue.clone())
            .filter(|i| !own.contains(i))
            .collect();
        if live.is_empty() {
            return Ok(first);
        }
        // Whether a holder's issue is still in its round is read in full, as everywhere.
        let view = self.view(&live).await?;
        Ok(self.state(&entries, view))
    }

    async fn acquire(&self, requests: &[LockRequest]) -> Result<Vec<LockOutcome>, LockError> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let own: BTreeSet<IssueKey> = requests.iter().map(|r| r.issue.clone()).collect();
        let view = self.view(&own).await?;
        let mut taken: Vec<&LockRequest> = Vec::new();
        let mut outcomes = Vec::with_capacity(requests.len());
        for request in requests {
            let outcome = match self.acquire_one(request, &taken, &view).await {
                Ok(outcome) => outcome,
                // One issue that cannot be locked takes nothing from the others.
                Err(e) => LockOutcome::Failed {
                    reason: pipeline_core::report::chain(&e),
                },
            };
            if matches!(outcome, LockOutcome::Acquired(_)) {
                taken.push(request);
            }
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    async fn renew(&self, lock: &WorkLock) -> Result<Option<Duration>, LockError> {
        let sent = self.place.clock.elapsed();
        let draft = LockMemoDraft {
            nonce: nonce(),
            kind: LockKind::Beat {
                claim: lock.id(),
                lease: BEAT_LEASE,
            },
            text: String::new(),
        };
        let own = BTreeSet::from([lock.issue().clone()]);
        self.say(&lock.claim().base.target, &own, lock.issue(), draft)
            .await?;
        let read = self.read(&own).await?;
        let live = read.state.live_claim(lock.id(), read.date).is_some();
        Ok(live.then(|| (sent + BEAT_LEASE).saturating_sub(MARGIN)))
    }

    async fn submit(
        &self,
        lock: &WorkLock,
        patch: &PatchId,
        holds: Vec<Hold>,
        text: String,
    ) -> Result<bool, LockError> {
        let own = BTreeSet::from([lock.issue().clone()]);
        let submitted = |state: &LockState, date| {
            state
                .live_claim(lock.id(), date)
                .map(|h| h.submitted.clone())
        };
        let before = self.read(&own).await?;
        if submitted(&before.state, before.date) == Some(Some(patch.clone())) {
            return Ok(true);
        }
        let draft = LockMemoDraft {
            nonce: nonce(),
            kind: LockKind::Submit {
                claim: lock.id(),
                patch: patch.clone(),
                holds,
            },
            text,
        };
        self.say(&lock.claim().base.target, &own, lock.issue(), draft)
            .await?;
        let after = self.read(&own).await?;
        Ok(submitted(&after.state, after.date) == Some(Some(patch.clone())))
    }

    async fn end(&self, claim: &ClaimRef, how: &EndKind, text: String) -> Result<(), LockError> {
        let own = BTreeSet::from([claim.issue.clone()]);
        let view = self.view(&own).await?;
        let Some(target) = self.target_of(claim.comment).await? else {
            // Nothing of it stands anywhere any more: it is over.
            return Ok(());
        };
        let id = claim.comment;
        let kind = match how.clone() {
            EndKind::Release { reason, by } => LockKind::Release {
                claim: id,
                reason,
                by,
            },
            EndKind::Refused { reason } => LockKind::Refused {
                claim: id,
                reason,
                by: Ender::Integrator,
            },
            EndKind::Landed { commit } => LockKind::Landed {
                claim: id,
                round: claim.round,
                commit,
            },
        };
        let draft = LockMemoDraft {
            nonce: nonce(),
            kind,
            text,
        };
        let refuse = |read: &LockView| {
            let already = match how {
                EndKind::Landed { .. } => read.state.has_landed(&claim.issue, claim.round),
                EndKind::Release { .. } | EndKind::Refused { .. } => {
                    let over = |e: &pipeline_core::lock::EndedClaim| {
                        !matches!(e.fate, Fate::Expired { patch: Some(_), .. })
                    };
                    read.state.ended(id).is_some_and(over)
                }
            };
            if already {
                Err(())
            } else {
                Ok(vec![(claim.issue.clone(), draft.clone())])
            }
        };
        // Said before: an ended claim is not ended twice.
        let _said: Result<Vec<CommentId>, ()> = self.add(&target, &view, refuse).await?;
        Ok(())
    }

    async fn park(&self, claim: &ClaimRef) -> Result<(), LockError> {
        let own = BTreeSet::from([claim.issue.clone()]);
        let Some(target) = self.target_of(claim.comment).await? else {
            return Ok(());
        };
        let draft = LockMemoDraft {
            nonce: nonce(),
            kind: LockKind::Beat {
                claim: claim.comment,
                lease: PARK,
            },
            text: String::new(),
        };
        self.say(&target, &own, &claim.issue, draft).await
    }
}
