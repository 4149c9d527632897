//! A person at the tracker in memory.

use super::MemoryTracker;
use crate::issue::Account;
use crate::issue::AttachmentId;
use crate::issue::Comment;
use crate::issue::CommentId;
use crate::issue::Issue;
use crate::issue::IssueDraft;
use crate::issue::IssueKey;
use crate::status::Status;
use crate::tracker::TrackerError;

/// A person who uses a [`MemoryTracker`], by [`as_person`](MemoryTracker::as_person).
///
/// People may do what the pipeline may not: move an issue anywhere, edit and delete. Scripted faults do not
/// meet them.
#[derive(Debug, Clone)]
pub struct MemoryPerson {
    tracker: MemoryTracker,
    account: Account,
}

impl MemoryPerson {
    pub(super) const fn new(tracker: MemoryTracker, account: Account) -> Self {
        Self { tracker, account }
    }

    /// Returns the account the person acts under.
    #[must_use]
    pub const fn account(&self) -> &Account {
        &self.account
    }

    /// Files an issue.
    ///
    /// # Errors
    /// None today; the signature leaves room for a tracker that refuses.
    pub fn new_issue(&self, title: &str, body: &str) -> Result<IssueKey, TrackerError> {
        self.file(&IssueDraft {
            title: title.to_owned(),
            body: body.to_owned(),
            ..IssueDraft::default()
        })
    }

    /// Files an issue with labels, milestone, type or priority.
    ///
    /// # Errors
    /// None today; the signature leaves room for a tracker that refuses.
    pub fn file(&self, draft: &IssueDraft) -> Result<IssueKey, TrackerError> {
        let (now, at) = (self.tracker.clock.now(), self.tracker.clock.elapsed());
        Ok(self
            .tracker
            .state()
            .push_issue(&self.account, draft, now, at))
    }

    /// Posts a comment.
    ///
    /// # Errors
    /// [`TrackerError::NotFound`].
    pub fn comment(&self, key: &IssueKey, body: &str) -> Result<Comment, TrackerError> {
        let (now, at) = (self.tracker.clock.now(), self.tracker.clock.elapsed());
        self.tracker
            .state()
            .push_comment(key, &self.account, body, now, at)
    }

    /// Moves an issue to any known status, the one it is in included.
    ///
    /// # Errors
    /// [`TrackerError::NotFound`], [`TrackerError::UnknownStatus`].
    pub fn move_to(&self, key: &IssueKey, to: &Status) -> Result<(), TrackerError> {
        let (now, at) = (self.tracker.clock.now(), self.tracker.clock.elapsed());
        let mut state = self.tracker.state();
        state.known(to)?;
        state.move_issue(key, &self.account, to, now, at)
    }

    /// Attaches a file to an issue.
    ///
    /// # Errors
    /// [`TrackerError::NotFound`].
    pub fn attach(
        &self,
        key: &IssueKey,
        name: &str,
        content: &[u8],
    ) -> Result<AttachmentId, TrackerError> {
        let (now, at) = (self.tracker.clock.now(), self.tracker.clock.elapsed());
        self.tracker
            .state()
            .push_file(key, &self.account, name, content, now, at)
    }

    /// Changes an issue's title.
    ///
    /// # Errors
    /// [`TrackerError::NotFound`].
    pub fn edit_title(&self, key: &IssueKey, title: &str) -> Result<(), TrackerError> {
        self.edit(key, |issue| title.clone_into(&mut issue.title))
    }

    /// Changes an issue's body.
    ///
    /// # Errors
    /// [`TrackerError::NotFound`].
    pub fn edit_body(&self, key: &IssueKey, body: &str) -> Result<(), TrackerError> {
        self.edit(key, |issue| body.clone_into(&mut issue.body))
    }

    /// Changes anything of an issue but its key and status.
    ///
    /// # Errors
    /// [`TrackerError::NotFound`].
    pub fn edit(
        &self,
        key: &IssueKey,
        change: impl FnOnce(&mut Issue),
    ) -> Result<(), TrackerError> {
        let (now, at) = (self.tracker.clock.now(), self.tracker.clock.elapsed());
        self.tracker
            .state()
            .edit(key, &self.account, change, now, at)
    }

    /// Changes the text of anybody's comment.
    ///
    /// # Errors
    /// [`TrackerError::NotFound`].
    pub fn edit_comment(
        &self,
        key: &IssueKey,
        id: CommentId,
        body: &str,
    ) -> Result<(), TrackerError> {
        let (now, at) = (self.tracker.clock.now(), self.tracker.clock.elapsed());
        self.tracker
            .state()
            .edit_comment(key, &self.account, id, body, now, at)
    }

    /// Deletes anybody's comment; its id is not given again.
    ///
    /// # Errors
    /// [`TrackerError::NotFound`].
    pub fn delete_comment(&self, key: &IssueKey, id: CommentId) -> Result<(), TrackerError> {
        let (now, at) = (self.tracker.clock.now(), self.tracker.clock.elapsed());
        self.tracker
            .state()
            .delete_comment(key, &self.account, id, now, at)
    }

    /// Deletes an issue; its key is not given again.
    ///
    /// # Errors
    /// [`TrackerError::NotFound`].
    pub fn delete_issue(&self, key: &IssueKey) -> Result<(), TrackerError> {
        let (now, at) = (self.tracker.clock.now(), self.tracker.clock.elapsed());
        self.tracker
            .state()
            .delete_issue(key, &self.account, now, at)
    }
}
