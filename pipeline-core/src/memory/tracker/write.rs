//! What was written, and how a write fails.

use crate::issue::Account;
use crate::issue::AttachmentId;
use crate::issue::CommentId;
use crate::issue::IssueKey;
use crate::status::Status;
use crate::tracker::IssueName;

/// One write that landed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Who made it.
    pub actor: Account,
    /// The issue it changed.
    pub issue: IssueKey,
    /// What it did.
    pub effect: WriteEffect,
}

/// What a write did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteEffect {
    /// Filed the issue.
    Created,
    /// Made a label or milestone; the write's issue says nothing.
    Named(IssueName),
    /// Posted a comment.
    Commented {
        /// Its id.
        id: CommentId,
        /// Its text.
        body: String,
    },
    /// Moved the issue.
    Moved {
        /// From here.
        from: Status,
        /// To there.
        to: Status,
    },
    /// Attached a file.
    Attached {
        /// Its id.
        id: AttachmentId,
        /// The name it was given.
        name: String,
    },
    /// Changed title, body, labels or the like.
    Edited,
    /// Changed the text of a comment.
    CommentEdited {
        /// The comment.
        id: CommentId,
    },
    /// Deleted a comment.
    CommentDeleted {
        /// The comment.
        id: CommentId,
    },
    /// Deleted the issue.
    Deleted,
}

/// How one write of the pipeline fails; the caller sees [`OutcomeUnknown`](crate::tracker::TrackerError::OutcomeUnknown) either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteFault {
    /// The request is lost: nothing is written.
    Lost,
    /// The write lands and only its answer is lost.
    Landed,
}
