//! How many patches are verified at once, and which of them is at fault when that fails: the policy, without any effect.
//!
//! A batch is a chain of patches on top of what has passed. It is verified as a whole; if that fails, the shortest
//! failing part of the chain is looked for by halving. Each part that passes is what the next ones stand on, so what is
//! left in the end was verified as exactly that whole, and the patch that ends the shortest failing part goes back with
//! the log of that very run. The patches behind it have shown nothing yet: they come into the next batch.

/// Of how many patches, with how many failing, the team is thought to have had before the first one is seen.
///
/// One of twenty: what is seen soon outweighs it.
const BEFORE: (f64, f64) = (20.0, 1.0);

/// How the patches of one queue have done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Record {
    passed: usize,
    failed: usize,
}

impl Record {
    /// Adds what a batch has shown.
    pub(super) const fn add(&mut self, passed: usize, failed: usize) {
        self.passed += passed;
        self.failed += failed;
    }

    /// Returns how many patches the next batch takes: as many as pass together about every other time.
    pub(super) fn batch(self, most: usize) -> usize {
        let (seen, bad) = BEFORE;
        let share = (count(self.failed) + bad) / (count(self.passed + self.failed) + seen);
        // The number of patches after which the chance that all of them are good has halved.
        let half = (0.5f64.ln() / (1.0 - share).ln()).round();
        let mut batch = 1;
        while batch < most && count(batch + 1) <= half {
            batch += 1;
        }
        batch
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a queue is far shorter than what a float counts exactly"
)]
const fn count(patches: usize) -> f64 {
    patches as f64
}

/// What to do next with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Verify the chain of this many patches.
    Verify(usize),
    /// All of them are good, and were verified as a whole.
    Good,
    /// This many are good and were verified as a whole; the next one is at fault.
    Fault(usize),
}

/// The search for the patch at fault in one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Search {
    /// The longest part that passed.
    passed: usize,
    /// The shortest part that failed; one more than there are as long as none has.
    failed: usize,
    patches: usize,
}

impl Search {
    /// Begins with a batch of which nothing is known.
    pub(super) const fn new(patches: usize) -> Self {
        Self {
            passed: 0,
            failed: patches + 1,
            patches,
        }
    }

    /// Returns what to do next.
    pub(super) const fn step(self) -> Step {
        if self.passed == self.patches {
            Step::Good
        } else if self.failed > self.patches {
            Step::Verify(self.patches)
        } else if self.failed == self.passed + 1 {
            Step::Fault(self.passed)
        } else {
            Step::Verify(self.passed.midpoint(self.failed))
        }
    }

    /// Takes note of what a verification said.
    pub(super) const fn saw(&mut self, part: usize, passed: bool) {
        if passed && part > self.passed {
            self.passed = part;
        } else if !passed && part < self.failed {
            self.failed = part;
        }
    }

    /// Returns how many patches have passed as a whole.
    pub(super) const fn passed(self) -> usize {
        self.passed
    }
}

#[cfg(test)]
mod tests;
