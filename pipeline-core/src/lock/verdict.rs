//! What a settled reading decides: who won, who may land, whose claim is outdated. Pure, like the fold.

use super::fold::LiveClaim;
use super::fold::LockState;
use super::record::Claim;
use crate::clock::Timestamp;
use crate::integrate::ClaimRef;
use crate::issue::EventId;
use crate::workspace::PatchId;

/// What became of a posted claim, by a reading after the settle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It holds.
    Won(Box<LiveClaim>),
    /// Somebody held what it needs, or it is over; there is nothing to clean up.
    Lost,
    /// It holds, but its issue left the status or is in another round: it has to be released.
    NotCurrent(Box<LiveClaim>),
}

impl LockState {
    /// Decides what became of the claim with this nonce. `current` is the round its issue is in, read after the memos.
    ///
    /// By nonce and not by comment: of a claim that was posted twice, the lowest comment counts, and it may have
    /// become visible last.
    #[must_use]
    pub fn standing(
        &self,
        nonce: &str,
        round: EventId,
        current: Option<EventId>,
        now: Timestamp,
    ) -> Standing {
        match self.live(now).find(|h| h.nonce == nonce) {
            None => Standing::Lost,
            Some(h) if current == Some(round) => Standing::Won(Box::new(h.clone())),
            Some(h) => Standing::NotCurrent(Box::new(h.clone())),
        }
    }

    /// Decides whether a submitted claim may reach the target, but for the trailers in the target itself.
    ///
    /// # Errors
    /// Why not, in half a sentence.
    pub fn may_land(
        &self,
        claim: &ClaimRef,
        patch: &PatchId,
        current: Option<EventId>,
        now: Timestamp,
    ) -> Result<(), &'static str> {
        if self.has_landed(&claim.issue, claim.round) {
            return Err("its round has landed");
        }
        let Some(h) = self.live_claim(claim.comment, now) else {
            return Err("its claim is no longer live");
        };
        if h.nonce != claim.nonce || h.submitted.as_ref() != Some(patch) {
            return Err("its claim was submitted with another patch");
        }
        if h.claim.round != claim.round || current != Some(claim.round) {
            return Err("its issue left `In progress` or was started anew");
        }
        Ok(())
    }
}

/// Returns whether a claim is of an earlier round than its issue is in, or its issue is in none. The thread the claim
/// stands in must have been read before `current`.
#[must_use]
pub fn is_outdated(claim: &Claim, current: Option<EventId>) -> bool {
    current.is_none_or(|round| claim.round < round)
}
