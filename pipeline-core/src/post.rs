//! Sending memos: journaled first, sent once, looked for before anything is repeated.
//!
//! A memo that is longer than the tracker takes is posted shortened, and its whole text is attached to the issue first.

mod whole;

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::issue::Comment;
use crate::issue::IssueKey;
use crate::journal::Journal;
use crate::journal::JournalError;
use crate::journal::Record;
use crate::memo::Memo;
use crate::memo::WholeText;
use crate::process::ProcessIdentity;
use crate::random;
use crate::secret::Redactor;
use crate::status::Transition;
use crate::thread::Protocol;
use crate::thread::Voice;
use crate::tracker::Reply;
use crate::tracker::Tracker;
use crate::tracker::TrackerError;

/// Times a memo is sent before it is left to the next tick.
const MOST_SENDINGS: u32 = 3;
/// A day, over which posts are counted.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Posts memos.
#[derive(Debug, Clone)]
pub struct Poster {
    /// Where.
    pub tracker: Arc<dyn Tracker>,
    /// Who we are.
    pub protocol: Arc<Protocol>,
    /// What is about to happen.
    pub journal: Arc<dyn Journal>,
    /// Waits.
    pub clock: Arc<dyn Clock>,
    /// What must never be posted.
    pub redactor: Arc<Redactor>,
    /// Most memos of ours in one issue and day.
    pub most_per_day: usize,
    /// This process, where the system tells: a restart asks whether it still lives.
    pub owner: Option<ProcessIdentity>,
}

/// Why a memo was not posted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostError {
    /// The tracker refused or could not be reached.
    #[error("the memo was not posted on {issue}")]
    Tracker {
        /// The issue.
        issue: IssueKey,
        /// Why.
        #[source]
        source: TrackerError,
    },
    /// The journal could not be written.
    #[error("nothing was posted on {issue}, because the journal cannot be written")]
    Journal {
        /// The issue.
        issue: IssueKey,
        /// Why.
        #[source]
        source: JournalError,
    },
    /// It contains a secret.
    #[error("the memo for {issue} contains a secret of this pipeline and was not posted")]
    Secret {
        /// The issue.
        issue: IssueKey,
    },
    /// Too many today.
    #[error(
        "{issue} already has {most} of our comments within a day: nothing more is posted there today"
    )]
    TooMany {
        /// The issue.
        issue: IssueKey,
        /// The cap.
        most: usize,
    },
}

impl PostError {
    /// Returns what the tracker said, if it was the tracker.
    #[must_use]
    pub const fn tracker(&self) -> Option<&TrackerError> {
        match self {
            Self::Tracker { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl Poster {
    /// Posts a memo under a fresh nonce (or the one its fields carry) and returns the comment.
    ///
    /// # Errors
    /// [`PostError`]; after a lost reply the thread was searched for the nonce before it was sent again.
    ///
    /// # Cancel safety
    /// A dropped future may have posted; the journal has the nonce and the body.
    pub async fn post(&self, issue: &IssueKey, memo: Memo) -> Result<Reply<Comment>, PostError> {
        let (nonce, body) = self.ready(issue, memo).await?;
        let mut sendings = 0;
        loop {
            sendings += 1;
            match self.tracker.add_comment(issue, &body).await {
                Ok(reply) => {
                    self.done(issue, &nonce, &reply.value)?;
                    return Ok(reply);
                }
                Err(e @ TrackerError::OutcomeUnknown { .. }) => {
                    // Only after D is an absent comment certainly absent.
                    self.clock.sleep(self.tracker.settle()).await;
                    match self.find(issue, &nonce).await? {
                        Some(reply) => {
                            self.done(issue, &nonce, &reply.value)?;
                            return Ok(reply);
                        }
                        None if sendings < MOST_SENDINGS => {}
                        None => return Err(failed(issue, e)),
                    }
                }
                Err(e) => {
                    self.dropped(issue, &nonce)?;
                    return Err(failed(issue, e));
                }
            }
        }
    }

    /// Moves an issue, with its memo in the same request where the tracker can, else before the move.
    ///
    /// # Errors
    /// [`PostError`]; a memo that stands without its move is completed by the next tick.
    pub async fn post_and_move(
        &self,
        issue: &IssueKey,
        memo: Memo,
        step: &Transition,
    ) -> Result<(), PostError> {
        if !self.tracker.capabilities().comment_with_transition {
            self.post(issue, memo).await?;
            return self.move_only(issue, step).await;
        }
        let (nonce, body) = self.ready(issue, memo).await?;
        match self.tracker.transition(issue, step, Some(&body)).await {
            Ok(Reply {
                value: Some(comment),
                ..
            }) => self.done(issue, &nonce, &comment),
            Ok(Reply { value: None, .. }) => Ok(()),
            Err(e @ TrackerError::OutcomeUnknown { .. }) => {
                self.clock.sleep(self.tracker.settle()).await;
                match self.find(issue, &nonce).await? {
                    Some(reply) => self.done(issue, &nonce, &reply.value),
                    None => Err(failed(issue, e)),
                }
            }
            Err(e) => {
                self.dropped(issue, &nonce)?;
                Err(failed(issue, e))
            }
        }
    }

    /// Makes only the move.
    ///
    /// # Errors
    /// [`PostError::Tracker`].
    pub async fn move_only(&self, issue: &IssueKey, step: &Transition) -> Result<(), PostError> {
        match self.tracker.transition(issue, step, None).await {
            Ok(_) => Ok(()),
            // Somebody, perhaps we in an earlier life, has made the very move.
            Err(TrackerError::StatusChanged { found, .. }) if found == *step.to() => Ok(()),
            Err(e) => Err(failed(issue, e)),
        }
    }

    /// Waits until every memo that a former process was about to post on an issue is visible, if it ever will be.
    ///
    /// Whoever decides by the thread whether a memo is missing calls this first: one that landed right before its
    /// process died is invisible for up to D, and would be posted twice.
    ///
    /// # Errors
    /// [`PostError`] if journal or thread cannot be used.
    ///
    /// # Cancel safety
    /// May be dropped anywhere and be repeated.
    pub async fn settled(&self, issue: &IssueKey) -> Result<(), PostError> {
        let open = self.unknown(issue)?;
        if open.is_empty() {
            return Ok(());
        }
        let mut missing = Vec::new();
        for left in open {
            match self.find(issue, &left.nonce).await? {
                Some(found) => self.done(issue, &left.nonce, &found.value)?,
                None => missing.push(left),
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        self.clock.sleep(self.tracker.settle()).await;
        for left in missing {
            match self.find(issue, &left.nonce).await? {
                Some(found) => self.done(issue, &left.nonce, &found.value)?,
                // Only what nobody can still be sending is certainly absent now.
                None if left.dead => self.dropped(issue, &left.nonce)?,
                None => {}
            }
        }
        Ok(())
    }

    /// Returns the memos on an issue of which it is not known whether they were posted.
    fn unknown(&self, issue: &IssueKey) -> Result<Vec<Unknown>, PostError> {
        let entries = self
            .journal
            .entries()
            .map_err(|source| PostError::Journal {
                issue: issue.clone(),
                source,
            })?;
        let mut open: Vec<Unknown> = Vec::new();
        for entry in entries {
            match entry.record {
                Record::PostIntent {
                    issue: on,
                    nonce,
                    owner,
                    ..
                } if on == *issue => {
                    let dead = owner.is_none_or(|o| !o.is_alive().unwrap_or(true));
                    // What the living send is asked for again by themselves; a wait of theirs lasts no longer than D.
                    if dead || self.clock.now().since(entry.at) <= self.tracker.settle() {
                        open.push(Unknown { nonce, dead });
                    }
                }
                Record::PostDone { nonce, .. } | Record::PostDropped { nonce } => {
                    open.retain(|left| left.nonce != nonce);
                }
                _ => {}
            }
        }
        Ok(open)
    }

    async fn ready(&self, issue: &IssueKey, memo: Memo) -> Result<(String, String), PostError> {
        let mut memo = memo;
        let nonce = match memo.fields.one("nonce") {
            Some(nonce) => nonce.to_owned(),
            None => {
                let nonce = random::nonce();
                memo.fields.push("nonce", &nonce);
                nonce
            }
        };
        let fits = memo.fits(self.tracker.dialect(), &self.protocol.markers);
        let whole = (!fits).then(|| WholeText::of(&memo));
        let mut body = self.rendered(issue, &memo, whole.as_ref().map(WholeText::note));
        let secret = |text: &str| self.redactor.finds(text);
        if secret(&body) || whole.as_ref().is_some_and(|w| secret(&w.content)) {
            return Err(PostError::Secret {
                issue: issue.clone(),
            });
        }
        let thread = self
            .tracker
            .comments(issue)
            .await
            .map_err(|e| failed(issue, e))?;
        let since = thread.date.minus(DAY);
        let ours = thread
            .value
            .iter()
            .filter(|c| c.created > since && self.protocol.is_ours(&c.author))
            .count();
        if ours >= self.most_per_day {
            return Err(PostError::TooMany {
                issue: issue.clone(),
                most: self.most_per_day,
            });
        }
        self.intend(issue, &nonce, &memo, &body)?;
        if let Some(whole) = whole {
            match self.keep(issue, &whole).await {
                Ok(true) => {}
                Ok(false) => {
                    body = self.rendered(issue, &memo, Some(WholeText::NOT_KEPT.to_owned()));
                    self.intend(issue, &nonce, &memo, &body)?;
                }
                Err(e) => {
                    self.dropped(issue, &nonce)?;
                    return Err(failed(issue, e));
                }
            }
        }
        Ok((nonce, body))
    }

    /// Returns the comment's body; `note` stands at the end of a text that is cut.
    fn rendered(&self, issue: &IssueKey, memo: &Memo, note: Option<String>) -> String {
        let (dialect, markers) = (self.tracker.dialect(), &self.protocol.markers);
        let memo = match note {
            Some(note) => memo.neutralise_telling(dialect, markers, &note),
            None => memo.neutralise(dialect, markers),
        };
        memo.render(markers, dialect, issue, &self.protocol.keys)
    }

    fn intend(
        &self,
        issue: &IssueKey,
        nonce: &str,
        memo: &Memo,
        body: &str,
    ) -> Result<(), PostError> {
        self.record(
            issue,
            &Record::PostIntent {
                issue: issue.clone(),
                nonce: nonce.to_owned(),
                kind: format!("{:?}", memo.kind),
                body: body.to_owned(),
                owner: self.owner.clone(),
            },
        )
    }

    async fn find(
        &self,
        issue: &IssueKey,
        nonce: &str,
    ) -> Result<Option<Reply<Comment>>, PostError> {
        let Reply { value, date } = self
            .tracker
            .comments(issue)
            .await
            .map_err(|e| failed(issue, e))?;
        let found = value
            .into_iter()
            .find(|c| match self.protocol.voice(issue, c) {
                Voice::Ours(memo) => memo.fields.one("nonce") == Some(nonce),
                Voice::Tampered(_) | Voice::Person | Voice::Nobody => false,
            });
        Ok(found.map(|c| Reply::new(c, date)))
    }

    fn done(&self, issue: &IssueKey, nonce: &str, comment: &Comment) -> Result<(), PostError> {
        self.record(
            issue,
            &Record::PostDone {
                nonce: nonce.to_owned(),
                comment: comment.id,
            },
        )
    }

    fn dropped(&self, issue: &IssueKey, nonce: &str) -> Result<(), PostError> {
        self.record(
            issue,
            &Record::PostDropped {
                nonce: nonce.to_owned(),
            },
        )
    }

    fn record(&self, issue: &IssueKey, record: &Record) -> Result<(), PostError> {
        self.journal
            .append(self.clock.now(), record)
            .map(|_| ())
            .map_err(|source| PostError::Journal {
                issue: issue.clone(),
                source,
            })
    }
}

/// A memo of which it is not known whether it was posted.
struct Unknown {
    nonce: String,
    /// Whoever was about to post it is gone.
    dead: bool,
}

fn failed(issue: &IssueKey, source: TrackerError) -> PostError {
    PostError::Tracker {
        issue: issue.clone(),
        source,
    }
}

#[cfg(test)]
mod tests;
