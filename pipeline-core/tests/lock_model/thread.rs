//! The thread of the model: memos small enough to be hashed, and the production fold over them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use pipeline_core::agent::RunId;
use pipeline_core::clock::Timestamp;
use pipeline_core::conflict::ResourceSet;
use pipeline_core::conflict::Scope;
use pipeline_core::integrate::ClaimRef;
use pipeline_core::issue::CommentId;
use pipeline_core::issue::EventId;
use pipeline_core::issue::IssueKey;
use pipeline_core::lock::Claim;
use pipeline_core::lock::Ender;
use pipeline_core::lock::Integrator;
use pipeline_core::lock::LockKind;
use pipeline_core::lock::LockMemo;
use pipeline_core::lock::LockState;
use pipeline_core::lock::Terms;
use pipeline_core::lock::fold_under;
use pipeline_core::workspace::BaseRevision;
use pipeline_core::workspace::CommitId;
use pipeline_core::workspace::PatchId;
use pipeline_core::workspace::Target;

/// D, in ticks.
pub(crate) const SETTLE: u8 = 1;
/// The lease of a claim, in ticks.
pub(crate) const LEASE: u8 = 2;
/// The lease of a beat, in ticks.
pub(crate) const BEAT: u8 = 3;
/// How long a submitted claim holds, in ticks.
pub(crate) const PARK: u8 = 4;

const TERMS: Terms = Terms {
    grace: Duration::ZERO,
    park: ticks(PARK),
    future: ticks(SETTLE),
};

const fn ticks(n: u8) -> Duration {
    Duration::from_secs(n as u64)
}

pub(crate) fn at(tick: u8) -> Timestamp {
    Timestamp::EPOCH.plus(ticks(tick))
}

/// Who ends a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum By {
    Run(u8),
    Integrator,
    Other,
}

/// What a memo of the model says; claims are named by comment, patches by the nonce of the claim they were made under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum What {
    Claim { round: u8, patch: Option<u8> },
    Beat { claim: u8 },
    Submit { claim: u8, patch: u8 },
    Landed { claim: u8, round: u8 },
    Refused { claim: u8 },
    Release { claim: u8, by: By },
}

/// A memo of the model. The nonce of a claim is its run too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Memo {
    pub(crate) issue: u8,
    pub(crate) nonce: u8,
    pub(crate) what: What,
}

/// A memo that landed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Posted {
    pub(crate) memo: Memo,
    pub(crate) at: u8,
    pub(crate) seen: bool,
}

pub(crate) fn key(issue: u8) -> IssueKey {
    IssueKey::new(format!("A-{issue}")).expect("a key")
}

pub(crate) fn nonce(n: u8) -> String {
    format!("{n:032x}")
}

pub(crate) fn patch(n: u8) -> PatchId {
    PatchId::of(&[n])
}

pub(crate) fn claim_ref(issue: u8, claim: u8, nonced: u8, round: u8) -> ClaimRef {
    ClaimRef {
        issue: key(issue),
        comment: CommentId(claim.into()),
        nonce: nonce(nonced),
        round: EventId(round.into()),
    }
}

fn run(n: u8) -> RunId {
    RunId::new(format!("run-{n}")).expect("a run")
}

fn real(id: u8, memo: Memo, time: u8) -> LockMemo {
    let named = |claim: u8| CommentId(claim.into());
    let kind = match memo.what {
        What::Claim { round, patch: p } => LockKind::Claim(Box::new(Claim {
            run: run(memo.nonce),
            round: EventId(round.into()),
            attempt: 1,
            lease: ticks(LEASE),
            base: BaseRevision {
                target: Target::new("main").expect("a target"),
                commit: CommitId::new("0".repeat(40)).expect("a commit"),
            },
            // Every issue of the model holds the same file besides itself.
            resources: ResourceSet::new(
                Scope::new("shop", "main"),
                &format!("A-{}", memo.issue),
                ["path:a".parse().expect("a key")],
            ),
            rules: "r1".into(),
            files: Vec::new(),
            agent: "bob-1".into(),
            workdir: "w".into(),
            integrator: Integrator {
                name: "main-bob".into(),
                id: "here".into(),
            },
            patch: p.map(patch),
        })),
        What::Beat { claim } => LockKind::Beat {
            claim: named(claim),
            lease: ticks(BEAT),
        },
        What::Submit { claim, patch: p } => LockKind::Submit {
            claim: named(claim),
            patch: patch(p),
            holds: Vec::new(),
        },
        What::Landed { claim, round } => LockKind::Landed {
            claim: named(claim),
            round: EventId(round.into()),
            commit: None,
        },
        What::Refused { claim } => LockKind::Refused {
            claim: named(claim),
            reason: "verify".into(),
            by: Ender::Integrator,
        },
        What::Release { claim, by } => LockKind::Release {
            claim: named(claim),
            reason: "revoked".into(),
            by: match by {
                By::Run(n) => Ender::Run(run(n)),
                By::Integrator => Ender::Integrator,
                By::Other => Ender::Other,
            },
        },
    };
    LockMemo {
        issue: key(memo.issue),
        id: CommentId(id.into()),
        time: at(time),
        nonce: nonce(memo.nonce),
        kind,
    }
}

/// A memo with its comment id, as one reader sees it.
type Read = (u8, Memo, u8);

/// What was read, and when.
type Question = (Vec<Read>, u8);

/// Folds what is read, each distinct reading once.
#[derive(Debug, Default)]
pub(crate) struct Folds(Mutex<HashMap<Question, Arc<LockState>>>);

impl Folds {
    pub(crate) fn of(&self, read: Vec<Read>, now: u8) -> Arc<LockState> {
        let question = (read, now);
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = known.get(&question) {
            return Arc::clone(state);
        }
        drop(known);
        let memos: Vec<LockMemo> = question
            .0
            .iter()
            .map(|(id, memo, time)| real(*id, *memo, *time))
            .collect();
        let state = Arc::new(fold_under(&memos, at(now), &TERMS));
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(question, Arc::clone(&state));
        state
    }
}
