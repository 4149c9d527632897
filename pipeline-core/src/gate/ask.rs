//! Asking every gate, and minting the proof.

use std::sync::Arc;

use super::Approvable;
use super::Approval;
use super::Gate;
use super::GateDecision;
use super::GateError;
use super::GateEvidence;
use super::GateRequest;
use super::LocalDiff;
use super::NotApproved;
use super::Ship;
use crate::integrate::Candidate;
use crate::issue::IssueKey;
use crate::report::chain;
use crate::workspace::CommitId;

/// What asking the gates came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Asked<K: Approvable> {
    /// A person said yes to exactly this.
    Approved(Approval<K>),
    /// Nobody has said anything that counts.
    Pending {
        /// What a person may do, one way per place.
        how: Vec<String>,
        /// Attempts that do not count, and places that could not be read: a sentence each.
        ignored: Vec<String>,
    },
    /// A person said yes, but not to all of it or not to this.
    Refused {
        /// Why, one per OK found.
        reasons: Vec<NotApproved>,
        /// What a person may do, one way per place.
        how: Vec<String>,
        /// As above.
        ignored: Vec<String>,
    },
}

/// Asks every gate for the OK on a candidate, in order; the first OK that opens it counts.
///
/// # Errors
/// [`GateError`] if none of the gates could be read; that is never an approval. A single one that cannot is told among
/// the ignored attempts.
///
/// # Cancel safety
/// Reads only; can be repeated.
pub async fn ask(
    gates: &[Arc<dyn Gate>],
    candidate: &Candidate,
) -> Result<Asked<LocalDiff>, GateError> {
    let mut issues: Vec<IssueKey> = candidate
        .commits
        .iter()
        .map(|c| c.claim.issue.clone())
        .collect();
    issues.sort();
    issues.dedup();
    let request = GateRequest::LocalOk {
        candidate: candidate.id(),
        issues,
    };
    collect(gates, &request, |evidence| {
        Approval::<LocalDiff>::mint(candidate, evidence)
    })
    .await
}

/// Asks every gate for the permission to ship a landed commit under the deploy rules with this digest.
///
/// # Errors
/// Like [`ask`].
///
/// # Cancel safety
/// Reads only; can be repeated.
pub async fn ask_ship(
    gates: &[Arc<dyn Gate>],
    commit: &CommitId,
    rules: &str,
    issues: Vec<IssueKey>,
) -> Result<Asked<Ship>, GateError> {
    let request = GateRequest::Ship {
        commit: commit.clone(),
        rules: rules.to_owned(),
        issues,
    };
    collect(gates, &request, |evidence| {
        Approval::<Ship>::mint_ship(commit, rules, evidence)
    })
    .await
}

async fn collect<K: Approvable>(
    gates: &[Arc<dyn Gate>],
    request: &GateRequest,
    mint: impl Fn(GateEvidence) -> Result<Approval<K>, NotApproved> + Send,
) -> Result<Asked<K>, GateError> {
    let (mut how, mut ignored, mut reasons) = (Vec::new(), Vec::new(), Vec::new());
    let mut failed = Vec::new();
    for gate in gates {
        match gate.decision(request).await {
            Ok(GateDecision::Given(mut evidence)) => {
                // Where it was given is our knowledge, not the word of whoever wrote it.
                evidence.place = gate.place();
                match mint(evidence) {
                    Ok(approval) => return Ok(Asked::Approved(approval)),
                    Err(reason) => reasons.push(reason),
                }
            }
            Ok(GateDecision::Pending {
                how: way,
                ignored: attempts,
            }) => {
                how.push(way);
                ignored.extend(attempts);
            }
            Err(e) => failed.push(e),
        }
    }
    if failed.len() == gates.len()
        && let Some(first) = failed.pop()
    {
        return Err(first);
    }
    ignored.extend(failed.iter().map(|e| chain(e)));
    if gates.is_empty() {
        how.push(
            "no gate is configured, so nobody can give an OK: set [gates] local_ok".to_owned(),
        );
    }
    Ok(if reasons.is_empty() {
        Asked::Pending { how, ignored }
    } else {
        Asked::Refused {
            reasons,
            how,
            ignored,
        }
    })
}

#[cfg(test)]
mod tests;
