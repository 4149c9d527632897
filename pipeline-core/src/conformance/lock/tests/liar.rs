//! A lock store that breaks one rule.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use async_trait::async_trait;

use crate::conflict::ConflictKey;
use crate::conflict::ResourceSet;
use crate::conflict::Scope;
use crate::integrate::ClaimRef;
use crate::issue::CommentId;
use crate::issue::IssueKey;
use crate::lock::BEAT_LEASE;
use crate::lock::CommentLocks;
use crate::lock::EndKind;
use crate::lock::Ender;
use crate::lock::LockError;
use crate::lock::LockOutcome;
use crate::lock::LockRecord;
use crate::lock::LockRequest;
use crate::lock::LockStore;
use crate::lock::LockView;
use crate::lock::MARGIN;
use crate::lock::WorkLock;
use crate::protected::Hold;
use crate::workspace::PatchId;

macro_rules! lies {
    ($($name:ident),* $(,)?) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum Lie { $($name),* }

        impl Lie {
            pub(super) const ALL: &[Self] = &[$(Self::$name),*];
        }
    };
}

lies! {
    AnswersBackwards,
    CountsNothing,
    DropsHolds,
    EndsWhatFollows,
    ForgetsTheTarget,
    ForgetsToEnd,
    FreesForAnybody,
    GivesToEverybody,
    HidesTheHolder,
    IgnoresTheRound,
    KnowsNoTrees,
    MakesItsOwnNonce,
    NeverEndsForOthers,
    NeverLands,
    NeverRenews,
    ParksNothing,
    RenewsAlways,
    RevivesLosers,
    RunsToTheEnd,
    SubmitsAlways,
}

/// The store in the comment thread behind one that lies in one way and is honest otherwise.
#[derive(Debug)]
pub(super) struct Liar {
    inner: CommentLocks,
    lie: Lie,
    lost: Mutex<Vec<LockRequest>>,
}

impl Liar {
    pub(super) fn new(inner: CommentLocks, lie: Lie) -> Self {
        Self {
            inner,
            lie,
            lost: Mutex::default(),
        }
    }

    /// Changes what is asked for.
    fn asks(&self, request: &LockRequest) -> LockRequest {
        let mut request = request.clone();
        let resources = &request.claim.resources;
        let keys: Vec<ConflictKey> = resources.keys().cloned().collect();
        request.claim.resources = match self.lie {
            Lie::ForgetsTheTarget => ResourceSet::posted(Scope::new("conformance", "main"), keys),
            Lie::KnowsNoTrees => {
                let flat = |key: ConflictKey| match key.to_string().strip_prefix("tree:") {
                    Some(dir) => format!("path:{dir}").parse().expect("a key"),
                    None => key,
                };
                ResourceSet::posted(resources.scope().clone(), keys.into_iter().map(flat))
            }
            _ => return request,
        };
        request
    }

    /// Changes what came of it.
    fn tells(&self, request: &LockRequest, outcome: LockOutcome) -> LockOutcome {
        let made_up = || {
            LockOutcome::Acquired(Box::new(LockRecord {
                issue: request.issue.clone(),
                id: CommentId(u64::MAX),
                nonce: "0".repeat(32),
                claim: request.claim.clone(),
                deadline: Duration::MAX,
            }))
        };
        match (self.lie, outcome) {
            (Lie::GivesToEverybody, LockOutcome::Held { .. })
            | (Lie::IgnoresTheRound, LockOutcome::NotCurrent) => made_up(),
            (Lie::HidesTheHolder, LockOutcome::Held { .. }) => LockOutcome::Held {
                by: "somebody".to_owned(),
                holder: None,
            },
            (Lie::MakesItsOwnNonce, LockOutcome::Acquired(mut record)) => {
                record.nonce = "1".repeat(32);
                LockOutcome::Acquired(record)
            }
            (Lie::RunsToTheEnd, LockOutcome::Acquired(mut record)) => {
                record.deadline += MARGIN;
                LockOutcome::Acquired(record)
            }
            (Lie::RevivesLosers, outcome @ LockOutcome::Held { .. }) => {
                self.lost().push(request.clone());
                outcome
            }
            (_, outcome) => outcome,
        }
    }

    fn lost(&self) -> std::sync::MutexGuard<'_, Vec<LockRequest>> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl LockStore for Liar {
    async fn live(&self, own: &BTreeSet<IssueKey>) -> Result<LockView, LockError> {
        let revived = std::mem::take(&mut *self.lost());
        self.inner.acquire(&revived).await?;
        self.inner.live(own).await
    }

    async fn acquire(&self, requests: &[LockRequest]) -> Result<Vec<LockOutcome>, LockError> {
        let asked: Vec<LockRequest> = requests.iter().map(|r| self.asks(r)).collect();
        let told = self.inner.acquire(&asked).await?;
        let told = requests.iter().zip(told).map(|(r, o)| self.tells(r, o));
        let mut told: Vec<LockOutcome> = told.collect();
        if self.lie == Lie::AnswersBackwards {
            told.reverse();
        }
        Ok(told)
    }

    async fn renew(&self, lock: &WorkLock) -> Result<Option<Duration>, LockError> {
        Ok(match (self.lie, self.inner.renew(lock).await?) {
            (Lie::RenewsAlways, _) => Some(lock.deadline() + BEAT_LEASE),
            (Lie::NeverRenews, _) => None,
            (_, deadline) => deadline,
        })
    }

    async fn submit(
        &self,
        lock: &WorkLock,
        patch: &PatchId,
        holds: Vec<Hold>,
        text: String,
    ) -> Result<bool, LockError> {
        let holds = match self.lie {
            Lie::DropsHolds => Vec::new(),
            _ => holds,
        };
        let submitted = self.inner.submit(lock, patch, holds, text).await?;
        Ok(submitted || self.lie == Lie::SubmitsAlways)
    }

    async fn end(&self, claim: &ClaimRef, how: &EndKind, text: String) -> Result<(), LockError> {
        let how = match (self.lie, how) {
            (Lie::ForgetsToEnd, _)
            | (
                Lie::NeverEndsForOthers,
                EndKind::Release {
                    by: Ender::Other, ..
                },
            ) => return Ok(()),
            (Lie::FreesForAnybody, EndKind::Release { reason, .. }) => EndKind::Release {
                reason: reason.clone(),
                by: Ender::Integrator,
            },
            (Lie::CountsNothing, EndKind::Refused { .. }) => EndKind::Refused {
                reason: "infra".to_owned(),
            },
            (Lie::NeverLands, EndKind::Landed { .. }) => EndKind::Release {
                reason: "landed".to_owned(),
                by: Ender::Integrator,
            },
            (_, how) => how.clone(),
        };
        if self.lie == Lie::EndsWhatFollows {
            let seen = self.inner.live(&BTreeSet::new()).await?;
            let live = seen.state.live(seen.date);
            let of_issue: Vec<ClaimRef> = live
                .filter(|h| h.issue == claim.issue)
                .map(|h| h.claim_ref())
                .collect();
            for claim in of_issue {
                self.inner.end(&claim, &how, text.clone()).await?;
            }
            return Ok(());
        }
        self.inner.end(claim, &how, text).await
    }

    async fn park(&self, claim: &ClaimRef) -> Result<(), LockError> {
        if self.lie == Lie::ParksNothing {
            return Ok(());
        }
        self.inner.park(claim).await
    }
}
