//! What a dossier is made of.

use serde::Serialize;

use crate::agent::TaskKind;
use crate::clock::Timestamp;
use crate::issue::Attachment;
use crate::issue::Comment;
use crate::issue::CommentId;
use crate::memo::Memo;
use crate::thread::CheckMemo;

/// Whose words a part of the dossier holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// One of the configured approvers.
    Approver,
    /// Anybody else.
    Person,
    /// The pipeline itself.
    Pipeline,
}

impl Role {
    /// Returns how a fence names it.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Approver => "an approver",
            Self::Person => "a person",
            Self::Pipeline => "the pipeline",
        }
    }
}

/// One comment of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The comment.
    pub comment: CommentId,
    /// Whose word it is.
    pub role: Role,
    /// The author's display name: untrusted.
    pub author: String,
    /// When the server stamped it.
    pub at: Timestamp,
    /// The text as stored.
    pub text: String,
    /// It came after the latest check.
    pub new: bool,
    /// The tracker says that its text was changed after it had been posted.
    pub edited: bool,
}

/// The people's text of one of our memos.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    /// Its comment.
    pub comment: CommentId,
    /// When the server stamped it.
    pub at: Timestamp,
    /// The text; what an agent wrote stands in it, quoted.
    pub text: String,
}

impl Noted {
    pub(super) fn of(comment: &Comment, memo: &Memo) -> Self {
        Self {
            comment: comment.id,
            at: comment.created,
            text: memo.text.clone(),
        }
    }
}

/// The check memo an agent is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckPart {
    /// Its text.
    pub memo: Noted,
    /// Candidate files that exist.
    pub files: Vec<String>,
    /// Candidate files that do not exist (yet).
    pub unknown_files: Vec<String>,
}

impl CheckPart {
    pub(super) fn of(check: &CheckMemo<'_>) -> Self {
        Self {
            memo: Noted::of(check.comment, check.memo),
            files: check.files.clone(),
            unknown_files: check.unknown_files.clone(),
        }
    }
}

/// What is known of an attachment's content.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(tag = "content", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Content {
    /// It was not fetched.
    #[default]
    NotFetched,
    /// An image the agent may look at.
    Image {
        /// Its address: the sha256 of its bytes.
        address: String,
    },
    /// Text.
    Text {
        /// Its address.
        address: String,
        /// The text as stored.
        text: String,
    },
    /// Stored, but not shown in the prompt.
    Stored {
        /// Its address.
        address: String,
        /// Its sniffed type.
        kind: String,
    },
    /// Not taken.
    Refused {
        /// Why.
        reason: String,
    },
}

/// One attachment of the issue or of a comment in the dossier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DossierFile {
    /// The attachment as the tracker lists it; its name is untrusted.
    pub attachment: Attachment,
    /// The comment it came with; `None` for the issue itself.
    pub comment: Option<CommentId>,
    /// Who uploaded it.
    pub role: Role,
    /// What is known of its content.
    pub content: Content,
}

/// An answer that did not fit, to be given again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepairPart {
    /// The task it answered.
    pub of: TaskKind,
    /// What it said.
    pub answer: String,
    /// What is wrong with it, in one sentence.
    pub problem: String,
}

/// What stays out of the prompt, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct LeftOut {
    /// Comments with our account and marker that are not as we wrote them.
    pub altered: usize,
    /// Comments after the checked text by people who are not approvers.
    pub later: usize,
    /// Comments under one of our accounts that are no memo: nothing binds them to what the starter saw.
    pub unbound: usize,
}
