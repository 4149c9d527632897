//! A candidate for the tests of the gates.

use crate::clock::Timestamp;
use crate::gate::GateEvidence;
use crate::gate::GatePlace;
use crate::gate::Person;
use crate::integrate::Candidate;
use crate::integrate::CandidateCommit;
use crate::integrate::ClaimRef;
use crate::integrate::VerificationRecord;
use crate::issue::CommentId;
use crate::issue::EventId;
use crate::issue::IssueKey;
use crate::patch::RepoPath;
use crate::protected::Evidence;
use crate::protected::Hold;
use crate::protected::HoldReason;
use crate::protected::ProtectedKind;
use crate::workspace::BaseRevision;
use crate::workspace::CommitId;
use crate::workspace::PatchId;
use crate::workspace::Target;

pub(crate) fn commit(digit: char) -> CommitId {
    CommitId::new(digit.to_string().repeat(40)).expect("an id")
}

pub(crate) fn key(text: &str) -> IssueKey {
    IssueKey::new(text).expect("a key")
}

pub(crate) fn ann() -> Person {
    Person::new("Ann", "ann@example.com")
}

fn hold(reason: HoldReason) -> Hold {
    let path = RepoPath::new("db/1.sql");
    Hold::new(reason, "rule", Evidence::Path { path })
}

fn migration() -> Hold {
    hold(HoldReason::Class("migration".parse().expect("a class")))
}

/// A protected operation.
pub(crate) fn deploy() -> Hold {
    hold(HoldReason::Protected(ProtectedKind::ALL[0]))
}

/// A sealed and verified candidate of one patch per issue, held by a migration and by a deploy.
pub(crate) fn candidate(issues: &[&str]) -> Candidate {
    let commits: Vec<_> = issues
        .iter()
        .map(|issue| CandidateCommit {
            claim: ClaimRef {
                issue: key(issue),
                comment: CommentId(1),
                nonce: "0".repeat(32),
                round: EventId(1),
            },
            patch: PatchId::of(issue.as_bytes()),
            commit: commit('b'),
            tree: commit('c'),
            author: ann(),
            authored: Timestamp::EPOCH,
            message: "Change".into(),
            touched: Vec::new(),
            drift: Vec::new(),
            holds: vec![migration(), deploy()],
        })
        .collect();
    Candidate {
        base: BaseRevision {
            target: Target::new("main").expect("a branch"),
            commit: commit('a'),
        },
        commits,
        verification: Some(VerificationRecord {
            tree: commit('c'),
            commands: "make test".into(),
            verified: true,
            at: Timestamp::EPOCH,
        }),
        sealed: true,
        sealed_at: None,
    }
}

/// An OK that lifts everything there is.
pub(crate) fn evidence(subject: &str) -> GateEvidence {
    GateEvidence {
        subject: subject.to_owned(),
        by: ann(),
        at: Timestamp::EPOCH,
        place: GatePlace::Terminal,
        allow: ["migration".to_owned()].into(),
        protected: [deploy().id.to_string()].into(),
        rules: None,
    }
}
