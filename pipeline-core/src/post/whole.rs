//! Keeping the whole text of a memo that has to be cut.

use super::MOST_SENDINGS;
use super::Poster;
use crate::issue::IssueKey;
use crate::memo::WholeText;
use crate::report::chain;
use crate::tracker::TrackerError;

impl Poster {
    /// Attaches the text to the issue unless it is there; false where the tracker does not take it at all.
    ///
    /// The name says what is in it, so a try that was interrupted is found, and nothing is attached twice.
    pub(super) async fn keep(
        &self,
        issue: &IssueKey,
        whole: &WholeText,
    ) -> Result<bool, TrackerError> {
        if !self.tracker.capabilities().attachments {
            return Ok(false);
        }
        if self.has(issue, whole).await? {
            return Ok(true);
        }
        let mut sendings = 0;
        loop {
            sendings += 1;
            let content = whole.content.as_bytes();
            match self.tracker.attach(issue, &whole.name, content).await {
                Ok(_) => return Ok(true),
                Err(e @ TrackerError::OutcomeUnknown { .. }) => {
                    // Only after D is an absent file certainly absent.
                    self.clock.sleep(self.tracker.settle()).await;
                    if self.has(issue, whole).await? {
                        return Ok(true);
                    }
                    if sendings >= MOST_SENDINGS {
                        return Err(e);
                    }
                }
                Err(e) if e.is_transient() || matches!(e, TrackerError::Unauthenticated { .. }) => {
                    return Err(e);
                }
                // What will be refused next time too must not hold the memo back, which says so.
                Err(e) => {
                    tracing::warn!(%issue, file = whole.name, error = chain(&e), "the whole text of a memo is not kept");
                    return Ok(false);
                }
            }
        }
    }

    /// Returns whether a file of ours has this text, at the issue or in its thread.
    async fn has(&self, issue: &IssueKey, whole: &WholeText) -> Result<bool, TrackerError> {
        let at_issue = self.tracker.issue(issue).await?.value.attachments;
        let thread = self.tracker.comments(issue).await?.value;
        let in_thread = thread.into_iter().flat_map(|c| c.attachments);
        let mut all = at_issue.into_iter().chain(in_thread);
        Ok(all.any(|a| {
            let ours = a
                .author
                .as_ref()
                .is_some_and(|by| self.protocol.is_ours(by));
            ours && a.name == whole.name
        }))
    }
}
