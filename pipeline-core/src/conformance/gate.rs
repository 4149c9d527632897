//! The conformance suite of [`Gate`].
//!
//! A gate's tests implement [`GateHarness`], which plays the person and those who may not give the answer, and call
//! [`gate_conformance!`](crate::gate_conformance).

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;

use super::Violation;
use super::case::Succeeds as _;
use super::case::ensure;
use super::case::same;
use crate::BoxError;
use crate::gate::Gate;
use crate::gate::GateDecision;
use crate::gate::GateEvidence;
use crate::gate::GateRequest;
use crate::issue::IssueKey;
use crate::workspace::CommitId;

/// What a person lifts with an OK.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lifted {
    /// Hold classes.
    pub allow: BTreeSet<String>,
    /// Protected operations, by their id.
    pub protected: BTreeSet<String>,
}

/// One gate under test, the person it listens to, and the others.
#[async_trait]
pub trait GateHarness: Send + Sync {
    /// Sets up a gate at which nobody has said anything.
    async fn fresh() -> Result<Self, BoxError>
    where
        Self: Sized;

    /// Returns the gate.
    fn gate(&self) -> Arc<dyn Gate>;

    /// Returns the issues in whose threads an answer may stand.
    fn issues(&self) -> Vec<IssueKey>;

    /// Shows a request where the gate's place needs it: a memo in a thread. Otherwise nothing is done.
    async fn show(&self, request: &GateRequest) -> Result<(), BoxError>;

    /// Says yes to exactly this, as the person, the way people do it here.
    async fn give(&self, request: &GateRequest, lifted: &Lifted) -> Result<(), BoxError>;

    /// Says yes to exactly this in every way that must not count here: as somebody else, as the pipeline, in a file that
    /// is none. Nothing where nobody else can reach the place.
    async fn forge(&self, request: &GateRequest) -> Result<(), BoxError>;
}

/// Expands to one test per behaviour of a [`Gate`], for a type that implements [`GateHarness`].
///
/// Put it into a module of its own. The tests bring their runtime; the crate needs no tokio.
///
/// ```text
/// mod conformance {
///     pipeline_core::gate_conformance!(super::MyHarness);
/// }
/// ```
#[macro_export]
macro_rules! gate_conformance {
    ($harness:ty) => {
        $crate::__conformance_tests!(
            $harness,
            $crate::conformance::gate::GateHarness,
            $crate::conformance::gate,
            [
                a_forged_answer_opens_nothing,
                a_permission_is_for_one_commit_under_one_set_of_rules,
                an_ok_is_for_exactly_its_candidate,
                an_ok_is_no_permission_to_ship,
                an_ok_lifts_what_it_names_and_nothing_more,
                asking_changes_nothing,
                the_latest_ok_stands_alone,
                what_nobody_said_is_pending_and_says_how,
            ]
        );
    };
}

fn candidate(harness: &dyn GateHarness, digit: char) -> GateRequest {
    let id = serde_json::Value::String(digit.to_string().repeat(64));
    GateRequest::LocalOk {
        candidate: serde_json::from_value(id).expect("an id is a text"),
        issues: harness.issues(),
    }
}

fn ship(harness: &dyn GateHarness, digit: char, rules: char) -> GateRequest {
    GateRequest::Ship {
        commit: CommitId::new(digit.to_string().repeat(40)).expect("40 hexadecimal digits"),
        rules: rules.to_string().repeat(64),
        issues: harness.issues(),
    }
}

fn lifted(allow: &[&str], protected: &[&str]) -> Lifted {
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Lifted {
        allow: set(allow),
        protected: set(protected),
    }
}

async fn shown(harness: &dyn GateHarness, request: &GateRequest) -> Result<(), Violation> {
    harness.show(request).await.succeeds("showing the request")
}

async fn given(
    harness: &dyn GateHarness,
    request: &GateRequest,
    lifted: &Lifted,
) -> Result<(), Violation> {
    let given = harness.give(request, lifted).await;
    given.succeeds("saying yes as the person")
}

async fn decided(
    harness: &dyn GateHarness,
    request: &GateRequest,
) -> Result<GateDecision, Violation> {
    let decision = harness.gate().decision(request).await;
    decision.succeeds("asking the gate")
}

/// Returns what was said, which must be about exactly this.
async fn opened(
    harness: &dyn GateHarness,
    request: &GateRequest,
) -> Result<GateEvidence, Violation> {
    match decided(harness, request).await? {
        GateDecision::Given(evidence) => {
            same(
                "the subject",
                &evidence.subject.as_str(),
                &request.subject(),
            )?;
            same("the place", &evidence.place, &harness.gate().place())?;
            ensure(!evidence.by.name.is_empty(), || {
                "the answer is nobody's".to_owned()
            })?;
            Ok(evidence)
        }
        other @ GateDecision::Pending { .. } => Err(Violation::new(format!(
            "the person said yes to {}, and the gate says {other:?}",
            request.subject()
        ))),
    }
}

async fn pending(harness: &dyn GateHarness, request: &GateRequest) -> Result<(), Violation> {
    match decided(harness, request).await? {
        GateDecision::Pending { how, .. } => ensure(!how.trim().is_empty(), || {
            "nobody is told how to answer".to_owned()
        }),
        GateDecision::Given(evidence) => Err(Violation::new(format!(
            "the gate is open for {}, to which nobody said yes: {evidence:?}",
            request.subject()
        ))),
    }
}

/// Silence is no answer, and the person is told what to type or write for exactly this.
///
/// # Errors
/// Says how the rule is broken.
pub async fn what_nobody_said_is_pending_and_says_how(
    harness: &dyn GateHarness,
) -> Result<(), Violation> {
    for request in [candidate(harness, 'a'), ship(harness, 'b', '1')] {
        pending(harness, &request).await?;
        shown(harness, &request).await?;
        let GateDecision::Pending { how, .. } = decided(harness, &request).await? else {
            return Err(Violation::new("showing a request opened its gate"));
        };
        let short = request.subject().get(..12).unwrap_or_default();
        ensure(how.contains(short), || {
            format!("what to do is told as {how:?}, which does not name {short}")
        })?;
    }
    Ok(())
}

/// A yes to one candidate is none to another, whichever was there first.
///
/// # Errors
/// Says how the rule is broken.
pub async fn an_ok_is_for_exactly_its_candidate(
    harness: &dyn GateHarness,
) -> Result<(), Violation> {
    let (before, this, rebuilt) = (
        candidate(harness, 'a'),
        candidate(harness, 'b'),
        candidate(harness, 'c'),
    );
    shown(harness, &before).await?;
    shown(harness, &this).await?;
    given(harness, &this, &Lifted::default()).await?;
    shown(harness, &rebuilt).await?;
    opened(harness, &this).await?;
    pending(harness, &before).await?;
    pending(harness, &rebuilt).await
}

/// What is lifted is what was named.
///
/// # Errors
/// Says how the rule is broken.
pub async fn an_ok_lifts_what_it_names_and_nothing_more(
    harness: &dyn GateHarness,
) -> Result<(), Violation> {
    for (digit, lifted) in [
        ('a', lifted(&[], &[])),
        ('b', lifted(&["lockfile", "migration"], &[])),
        ('c', lifted(&[], &["0123456789", "abcdef0123"])),
        ('d', lifted(&["ci"], &["0123456789"])),
    ] {
        let request = candidate(harness, digit);
        shown(harness, &request).await?;
        given(harness, &request, &lifted).await?;
        let evidence = opened(harness, &request).await?;
        same("the classes lifted", &evidence.allow, &lifted.allow)?;
        same(
            "the operations lifted",
            &evidence.protected,
            &lifted.protected,
        )?;
    }
    Ok(())
}

/// Who says it again says it anew: an earlier answer adds nothing to a later one.
///
/// # Errors
/// Says how the rule is broken.
pub async fn the_latest_ok_stands_alone(harness: &dyn GateHarness) -> Result<(), Violation> {
    let request = candidate(harness, 'a');
    shown(harness, &request).await?;
    given(harness, &request, &lifted(&["migration"], &["0123456789"])).await?;
    given(harness, &request, &lifted(&["lockfile"], &[])).await?;
    let evidence = opened(harness, &request).await?;
    same(
        "the classes lifted",
        &evidence.allow,
        &lifted(&["lockfile"], &[]).allow,
    )?;
    same(
        "the operations lifted",
        &evidence.protected,
        &BTreeSet::new(),
    )
}

/// The answer to the merged diff says nothing about production, nor the other way round.
///
/// # Errors
/// Says how the rule is broken.
pub async fn an_ok_is_no_permission_to_ship(harness: &dyn GateHarness) -> Result<(), Violation> {
    let (ok, permission) = (candidate(harness, 'a'), ship(harness, 'a', '1'));
    shown(harness, &ok).await?;
    shown(harness, &permission).await?;
    given(harness, &ok, &Lifted::default()).await?;
    pending(harness, &permission).await?;
    let (ok, permission) = (candidate(harness, 'b'), ship(harness, 'b', '1'));
    shown(harness, &ok).await?;
    shown(harness, &permission).await?;
    given(harness, &permission, &Lifted::default()).await?;
    pending(harness, &ok).await
}

/// A permission names its commit, and is worth nothing once the rules read otherwise.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_permission_is_for_one_commit_under_one_set_of_rules(
    harness: &dyn GateHarness,
) -> Result<(), Violation> {
    let permission = ship(harness, 'a', '1');
    shown(harness, &permission).await?;
    given(harness, &permission, &Lifted::default()).await?;
    let evidence = opened(harness, &permission).await?;
    let rules = "1".repeat(64);
    same("the rules", &evidence.rules, &Some(rules))?;
    pending(harness, &ship(harness, 'b', '1')).await?;
    // Whatever the gate answers under other rules, it must not claim that the person saw them.
    match decided(harness, &ship(harness, 'a', '2')).await? {
        GateDecision::Pending { .. } => Ok(()),
        GateDecision::Given(evidence) => ensure(evidence.rules != Some("2".repeat(64)), || {
            "the permission is told to be for rules that nobody has seen".to_owned()
        }),
    }
}

/// Asking is free: the same question has the same answer.
///
/// # Errors
/// Says how the rule is broken.
pub async fn asking_changes_nothing(harness: &dyn GateHarness) -> Result<(), Violation> {
    let (this, other) = (candidate(harness, 'a'), candidate(harness, 'b'));
    shown(harness, &this).await?;
    given(harness, &this, &lifted(&["ci"], &[])).await?;
    let first = (
        decided(harness, &this).await?,
        decided(harness, &other).await?,
    );
    let again = (
        decided(harness, &this).await?,
        decided(harness, &other).await?,
    );
    same("the second answers", &again, &first)
}

/// Nobody but the person opens it, and what the others tried is told where it can be.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_forged_answer_opens_nothing(harness: &dyn GateHarness) -> Result<(), Violation> {
    for request in [candidate(harness, 'a'), ship(harness, 'b', '1')] {
        shown(harness, &request).await?;
        let forged = harness.forge(&request).await;
        forged.succeeds("saying yes as those who may not")?;
        pending(harness, &request).await?;
    }
    // They do not stand in the person's way either.
    let request = candidate(harness, 'a');
    given(harness, &request, &Lifted::default()).await?;
    opened(harness, &request).await.map(drop)
}

#[cfg(test)]
mod tests;
