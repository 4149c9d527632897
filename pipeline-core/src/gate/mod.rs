//! The three gates: what a person said, and the proofs that only this crate mints from it.
//!
//! An OK is given in one of three places: on a terminal or by another user of the machine ([`FolderGate`]), or in a
//! comment ([`TrackerGate`]). A place only tells what it found; [`ask()`] and [`ask_ship`] turn that into the proof.

mod ask;
mod folder;
mod tracker;
mod trust;
mod word;

#[cfg(test)]
pub(crate) mod fixture;

use std::collections::BTreeSet;
use std::fmt;
use std::fmt::Debug;
use std::marker::PhantomData;

use async_trait::async_trait;
use serde::Deserialize;
use serde::Serialize;

pub use self::ask::Asked;
pub use self::ask::ask;
pub use self::ask::ask_ship;
pub use self::folder::FolderGate;
pub use self::folder::GiveError;
pub use self::tracker::TrackerGate;
pub use self::word::ok_comment;
pub use self::word::ship_comment;
use crate::BoxError;
use crate::clock::Timestamp;
use crate::integrate::Candidate;
use crate::integrate::CandidateId;
use crate::issue::EventId;
use crate::issue::IssueKey;
use crate::protected::Hold;
use crate::protected::Lifts;
use crate::workspace::CommitId;

/// A name and address as git writes them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Person {
    /// The name.
    pub name: String,
    /// The address.
    pub email: String,
}

impl Person {
    /// Makes a person; characters git does not allow in an identity are dropped.
    #[must_use]
    pub fn new(name: &str, email: &str) -> Self {
        let clean = |s: &str| {
            s.chars()
                .filter(|c| !c.is_control() && !"<>".contains(*c))
                .collect::<String>()
                .trim()
                .to_owned()
        };
        Self {
            name: clean(name),
            email: clean(email),
        }
    }
}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} <{}>", self.name, self.email)
    }
}

/// Where an OK was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GatePlace {
    /// Typed on a terminal by the user the pipeline runs as.
    Terminal,
    /// Written by another user of the operating system into a folder of theirs.
    Owner,
    /// A comment by an approver.
    Tracker,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum GateRequest {
    /// The OK on exactly this merged diff.
    LocalOk {
        /// The candidate.
        candidate: CandidateId,
        /// The issues in whose threads the OK may stand.
        issues: Vec<IssueKey>,
    },
    /// The permission to ship exactly this landed commit.
    Ship {
        /// The commit.
        commit: CommitId,
        /// Digest of the team's deploy rules as they are now.
        rules: String,
        /// The issues in whose threads the permission may stand.
        issues: Vec<IssueKey>,
    },
}

impl GateRequest {
    /// Returns the full id a person has to name, shortened or whole.
    #[must_use]
    pub fn subject(&self) -> &str {
        match self {
            Self::LocalOk { candidate, .. } => candidate.as_str(),
            Self::Ship { commit, .. } => commit.as_str(),
        }
    }
}

/// What a person said, as plain data. Becomes a proof only in this crate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateEvidence {
    /// The full id of what was approved.
    pub subject: String,
    /// Who gave it.
    pub by: Person,
    /// When.
    pub at: Timestamp,
    /// Where.
    pub place: GatePlace,
    /// Hold classes lifted (`lockfile`, `migration`).
    pub allow: BTreeSet<String>,
    /// Ids of protected operations lifted, one by one.
    pub protected: BTreeSet<String>,
    /// For ship: the digest of the deploy rules the person saw.
    pub rules: Option<String>,
}

impl GateEvidence {
    /// Returns what it lifts; a name that can be no class or id lifts nothing.
    #[must_use]
    pub fn lifts(&self) -> Lifts {
        let mut lifts = Lifts::none();
        for class in &self.allow {
            lifts = lifts.clone().allow(class).unwrap_or(lifts);
        }
        for id in &self.protected {
            lifts = lifts.clone().protected(id).unwrap_or(lifts);
        }
        lifts
    }
}

/// The answer of a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum GateDecision {
    /// Nobody has said anything valid yet.
    Pending {
        /// What a person has to do, with the command or the comment to write.
        how: String,
        /// Attempts that do not count, each with why.
        ignored: Vec<String>,
    },
    /// A person said yes to exactly this.
    Given(GateEvidence),
}

/// A question that only a person answers. Polled, so `Pending` is a value and not an error.
///
/// # Contract
/// Answers `Given` only for exactly the subject of the request, from a place the pipeline's own credentials cannot
/// write, as far as its documentation says.
#[async_trait]
pub trait Gate: Debug + Send + Sync + 'static {
    /// Returns where it looks.
    fn place(&self) -> GatePlace;
    /// Returns what was said.
    ///
    /// # Errors
    /// [`GateError`] if the place cannot be read; that is never an approval.
    async fn decision(&self, request: &GateRequest) -> Result<GateDecision, GateError>;
}

/// Why a gate could not be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GateError {
    /// Its place cannot be read.
    #[error("the approvals in {place} cannot be read")]
    Unreadable {
        /// The folder or tracker.
        place: String,
        /// Why.
        #[source]
        source: Option<BoxError>,
    },
    /// Its place can be written by the pipeline itself, so it proves nothing.
    #[error("{place} cannot serve as the gate: {reason}")]
    NotTrustworthy {
        /// The folder.
        place: String,
        /// Why, and what to do.
        reason: String,
    },
}

/// Why evidence does not open a gate. Each is a sentence for the person who tried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotApproved {
    /// The OK names something else.
    #[error("the OK names {approved}, but {found} waits now: look at it again and give a new OK")]
    OtherSubject {
        /// What was named.
        approved: String,
        /// What there is.
        found: String,
    },
    /// The candidate is not sealed or its last tree not verified.
    #[error("candidate {0} is not sealed and verified yet: run `integrate` first")]
    NotReady(CandidateId),
    /// Not every hold is lifted.
    #[error("the OK does not lift every hold; still held: {}", list(.0))]
    Held(Vec<Hold>),
    /// The deploy rules changed since the permission.
    #[error(
        "the deploy rules changed since the permission was given: read them and give a new one"
    )]
    RulesChanged,
}

fn list(holds: &[Hold]) -> String {
    holds
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

/// What an [`Approval`] is for.
pub trait Approvable: sealed::Sealed + Debug + Clone + Send + Sync + 'static {}

mod sealed {
    pub trait Sealed {}
}

/// The OK on a merged local diff.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalDiff;
/// The permission to ship.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ship;

impl sealed::Sealed for LocalDiff {}
impl sealed::Sealed for Ship {}
impl Approvable for LocalDiff {}
impl Approvable for Ship {}

/// The proof that a person approved exactly one thing of one kind.
///
/// Only this crate mints it, so no adapter can. The local OK is no permission to ship:
///
/// ```compile_fail
/// use pipeline_core::gate::{Approval, LocalDiff, Ship};
/// fn ship(_: &Approval<Ship>) {}
/// fn wrong(ok: &Approval<LocalDiff>) { ship(ok) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval<K: Approvable> {
    evidence: GateEvidence,
    kind: PhantomData<K>,
}

impl<K: Approvable> Approval<K> {
    /// Returns what the person said.
    #[must_use]
    pub const fn evidence(&self) -> &GateEvidence {
        &self.evidence
    }

    /// Returns the full id of what is approved.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.evidence.subject
    }
}

impl Approval<LocalDiff> {
    /// Turns what a person said into the proof for this candidate.
    ///
    /// # Errors
    /// [`NotApproved`] if it names anything else or leaves a hold.
    pub(crate) fn mint(candidate: &Candidate, evidence: GateEvidence) -> Result<Self, NotApproved> {
        let id = candidate.id();
        if evidence.subject != id.as_str() {
            return Err(NotApproved::OtherSubject {
                approved: evidence.subject.chars().take(12).collect(),
                found: id.short().to_owned(),
            });
        }
        if !candidate.sealed || !candidate.is_verified() {
            return Err(NotApproved::NotReady(id));
        }
        let holds: Vec<Hold> = candidate.holds().cloned().collect();
        let held: Vec<Hold> = evidence
            .lifts()
            .remaining(&holds)
            .into_iter()
            .cloned()
            .collect();
        if !held.is_empty() {
            return Err(NotApproved::Held(held));
        }
        Ok(Self {
            evidence,
            kind: PhantomData,
        })
    }
}

impl Approval<Ship> {
    /// Turns what a person said into the permission to ship this commit under these rules.
    ///
    /// # Errors
    /// [`NotApproved`] if it names another commit or other rules.
    pub(crate) fn mint_ship(
        commit: &CommitId,
        rules: &str,
        evidence: GateEvidence,
    ) -> Result<Self, NotApproved> {
        if evidence.subject != commit.as_str() {
            return Err(NotApproved::OtherSubject {
                approved: evidence.subject.chars().take(12).collect(),
                found: commit.short().to_owned(),
            });
        }
        if evidence.rules.as_deref() != Some(rules) {
            return Err(NotApproved::RulesChanged);
        }
        Ok(Self {
            evidence,
            kind: PhantomData,
        })
    }
}

/// The proof that the automatic start is configured and all seven answers of the readiness are yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartPermit {
    issue: IssueKey,
    text_digest: String,
}

impl StartPermit {
    pub(crate) const fn mint(issue: IssueKey, text_digest: String) -> Self {
        Self { issue, text_digest }
    }

    /// Returns the issue it is for.
    #[must_use]
    pub const fn issue(&self) -> &IssueKey {
        &self.issue
    }

    /// Returns the digest of the text it is bound to.
    #[must_use]
    pub fn text_digest(&self) -> &str {
        &self.text_digest
    }
}

/// The proof that an issue's current round was started by an allowed person (or under a permit).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartApproval {
    pub(crate) issue: IssueKey,
    pub(crate) round: EventId,
}

impl StartApproval {
    /// Returns the issue.
    #[must_use]
    pub const fn issue(&self) -> &IssueKey {
        &self.issue
    }

    /// Returns the round: the id of the approving start event.
    #[must_use]
    pub const fn round(&self) -> EventId {
        self.round
    }
}
