//! A tracker that has every trouble the protocol is made for, around any other.

mod dice;
mod seam;

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use self::dice::Dice;
use crate::clock::Timestamp;
use crate::issue::Comment;
use crate::issue::CommentId;
use crate::issue::IssueKey;
use crate::tracker::Tracker;
use crate::tracker::TrackerError;

/// How often each kind of trouble happens, in thousandths, and how bad it is. The default is none.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use pipeline_core::conformance::faults::Faults;
///
/// let faults = Faults { lost_answers: 200, lag: Duration::from_secs(30), ..Faults::default() };
/// # let _ = faults;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faults {
    /// Writes that land and whose answer is lost.
    pub lost_answers: u16,
    /// Writes that are lost on the way.
    pub lost_writes: u16,
    /// Writes whose answer is lost and which land later, at somebody's next reading.
    pub late_writes: u16,
    /// Comments that land twice.
    pub doubled: u16,
    /// Reads that fail.
    pub failed_reads: u16,
    /// Longest time from landing until a comment is visible. Beyond the tracker's `settle` it breaks what the protocol
    /// assumes, and then work may be doubled but never a landing.
    pub lag: Duration,
    /// Threads whose rows come in another order, one of them twice, as pages do that shift while they are read.
    pub shuffled: u16,
    /// Comments whose time is up to an hour too early.
    pub back_dated: u16,
    /// Comments whose time is up to an hour ahead.
    pub future_dated: u16,
    /// Comments that a maintainer deletes soon after they became visible.
    pub deleted: u16,
    /// Comments that a maintainer edits soon after they became visible.
    pub edited: u16,
}

/// A [`Tracker`] with faults, around any other.
///
/// Whatever befalls a comment follows from the seed and the comment's id alone, so every reader with the same seed sees
/// the same history, if at different times; what befalls a request follows from the seed and the requests before it.
/// Each reader takes a wrapper of its own: what one of them has seen of the change feed is not another's.
#[derive(Debug)]
pub struct FaultyTracker {
    inner: Arc<dyn Tracker>,
    faults: Faults,
    seed: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    dice: Dice,
    /// Sent, and not landed yet.
    flying: Vec<(IssueKey, String)>,
    /// Changes that are reported again until everything of them is visible.
    news: Vec<(IssueKey, Timestamp)>,
    healed: bool,
}

impl FaultyTracker {
    /// Wraps a tracker. `reader` tells the wrappers of one tracker apart that share a seed.
    #[must_use]
    pub fn new(inner: Arc<dyn Tracker>, faults: Faults, seed: u64, reader: u64) -> Self {
        let state = Mutex::new(State {
            dice: Dice::new(seed ^ reader.rotate_left(32)),
            flying: Vec::new(),
            news: Vec::new(),
            healed: false,
        });
        Self {
            inner,
            faults,
            seed,
            state,
        }
    }

    /// Ends all trouble with requests; what befell comments stays.
    pub fn heal(&self) {
        let mut state = self.state();
        state.healed = true;
        state.flying.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn happens(&self, rate: u16) -> bool {
        let mut state = self.state();
        !state.healed && state.dice.one_in_thousand(rate)
    }

    /// Returns what the seed decides about one comment.
    fn fate(&self, comment: CommentId, what: u64) -> Dice {
        Dice::new(
            self.seed
                ^ comment.0.wrapping_mul(0x9E37_79B9_7F4A_7C15)
                ^ what.wrapping_mul(0xD1B5_4A32_D192_ED03),
        )
    }

    fn lag_of(&self, comment: CommentId) -> Duration {
        let most = u64::try_from(self.faults.lag.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.fate(comment, 1).below(most.saturating_add(1)))
    }

    /// Returns the comment as readers see it at `date`; nothing while it is invisible or once it is deleted.
    fn seen(&self, comment: Comment, date: Timestamp) -> Option<Comment> {
        let id = comment.id;
        let visible = comment.created.plus(self.lag_of(id));
        if date < visible {
            return None;
        }
        // A maintainer acts some minutes after everybody could have read it.
        let acted = comment
            .created
            .plus(self.faults.lag)
            .plus(Duration::from_secs(60 + self.fate(id, 2).below(600)));
        if date >= acted && self.fate(id, 3).one_in_thousand(self.faults.deleted) {
            return None;
        }
        let mut comment = comment;
        if date >= acted && self.fate(id, 4).one_in_thousand(self.faults.edited) {
            comment.body.push_str("\n(edited)");
            comment.edited = Some(acted);
        }
        let off = Duration::from_secs(self.fate(id, 5).below(3600));
        if self.fate(id, 6).one_in_thousand(self.faults.back_dated) {
            comment.created = comment.created.minus(off);
        } else if self.fate(id, 7).one_in_thousand(self.faults.future_dated) {
            comment.created = comment.created.plus(off);
        }
        Some(comment)
    }

    fn shuffle(&self, comments: &mut Vec<Comment>) {
        if comments.len() < 2 || !self.happens(self.faults.shuffled) {
            return;
        }
        let mut state = self.state();
        for i in (1..comments.len()).rev() {
            let j = state.dice.index(i + 1);
            comments.swap(i, j);
        }
        let again = state.dice.index(comments.len());
        if let Some(row) = comments.get(again).cloned() {
            comments.push(row);
        }
    }

    fn unknown(&self, issue: &IssueKey) -> TrackerError {
        TrackerError::OutcomeUnknown {
            tracker: self.inner.name().to_owned(),
            issue: issue.to_string(),
            source: None,
        }
    }

    /// Lets others go first, as a request does, and fails now and then.
    async fn readable(&self, operation: &str) -> Result<(), TrackerError> {
        tokio::task::yield_now().await;
        if self.happens(self.faults.failed_reads) {
            return Err(TrackerError::Unavailable {
                tracker: self.inner.name().to_owned(),
                operation: operation.to_owned(),
                source: None,
            });
        }
        Ok(())
    }

    /// Lets a write land that was under way.
    async fn land_one(&self) -> Result<(), TrackerError> {
        let landing = {
            let mut state = self.state();
            let half = state.dice.one_in_thousand(500);
            if half { state.flying.pop() } else { None }
        };
        if let Some((issue, body)) = landing {
            self.inner.add_comment(&issue, &body).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
