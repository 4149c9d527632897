//! What a tracker holds: issues, comments, accounts, attachments.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;

use crate::clock::Timestamp;
use crate::status::Status;

/// The name of an issue in its tracker (`PROJ-12`, `12`), safe as a file name and in a memo line.
///
/// One to 64 of `A–Z a–z 0–9 _ . -`, beginning with a letter, a digit or `_`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IssueKey(String);

/// The text is not an issue key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an issue key: expected 1 to 64 letters, digits, `_`, `.` or `-`, like PROJ-12")]
#[non_exhaustive]
pub struct InvalidIssueKey;

impl IssueKey {
    /// Checks and wraps a key.
    ///
    /// # Errors
    /// [`InvalidIssueKey`] if the text is not of the form above.
    ///
    /// # Examples
    /// ```
    /// use pipeline_core::issue::IssueKey;
    /// assert!(IssueKey::new("PROJ-12").is_ok());
    /// assert!(IssueKey::new("../etc").is_err());
    /// ```
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidIssueKey> {
        let text = text.into();
        let head = text
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
        let rest = text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
        if head && rest && text.len() <= 64 {
            Ok(Self(text))
        } else {
            Err(InvalidIssueKey)
        }
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for IssueKey {
    type Error = InvalidIssueKey;
    fn try_from(text: String) -> Result<Self, InvalidIssueKey> {
        Self::new(text)
    }
}

impl From<IssueKey> for String {
    fn from(key: IssueKey) -> Self {
        key.0
    }
}

impl fmt::Display for IssueKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

number!(
    /// The id of a comment; rises in creation order inside one ordering domain (the whole tracker).
    CommentId
);
number!(
    /// The id of a status event in an issue's history; rises in creation order.
    EventId
);
number!(
    /// The id of an attachment.
    AttachmentId
);

/// Who did something, as the tracker itself recorded it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Account {
    /// The tracker's own id of the account, never reused for somebody else.
    pub id: String,
    /// The unique login name, where the tracker has one.
    pub login: Option<String>,
    /// The display name: for people's eyes, never for a decision.
    pub name: String,
}

impl Account {
    /// Makes an account.
    #[must_use]
    pub fn new(id: impl Into<String>, login: Option<String>, name: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            login,
            name: name.into(),
        }
    }
}

/// A configured reference to accounts: `@login` names a login, anything else the tracker's own id.
///
/// The two never mix, because on some trackers a login may look like somebody else's id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountRef(pub String);

impl AccountRef {
    /// Returns whether this names `account`.
    #[must_use]
    pub fn names(&self, account: &Account) -> bool {
        match self.0.strip_prefix('@') {
            Some(login) => account.login.as_deref() == Some(login),
            None => account.id == self.0,
        }
    }
}

/// A file somebody attached; its content is fetched on demand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The tracker's id.
    pub id: AttachmentId,
    /// The name its uploader gave it: hostile text, never a path.
    pub name: String,
    /// Size in bytes, where the tracker tells.
    pub size: Option<u64>,
    /// Who uploaded it, where the tracker tells.
    pub author: Option<Account>,
    /// The sha256 (hex) of the content, where the tracker or an earlier download tells.
    pub digest: Option<String>,
}

/// One issue as the tracker showed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    /// Its key.
    pub key: IssueKey,
    /// Its title.
    pub title: String,
    /// Its description, as stored (sanitised only when it goes into a prompt).
    pub body: String,
    /// Where the tracker says it is.
    pub status: Status,
    /// Who filed it, where known.
    pub author: Option<Account>,
    /// Labels, categories and milestone names: what the target branch and the scope are chosen by.
    pub labels: Vec<String>,
    /// The milestone's title.
    pub milestone: Option<String>,
    /// The issue type's name, where the tracker has types.
    pub kind: Option<String>,
    /// The assignee.
    pub assignee: Option<Account>,
    /// Lower is more urgent; `None` sorts last.
    pub priority: Option<i64>,
    /// When it was filed.
    pub created: Timestamp,
    /// When the tracker says it last changed. Not every tracker counts comments.
    pub updated: Timestamp,
    /// The page people open.
    pub url: Option<String>,
    /// Files at the issue itself.
    pub attachments: Vec<Attachment>,
}

impl Issue {
    /// Makes an issue with everything optional left empty.
    #[must_use]
    pub fn new(
        key: IssueKey,
        title: impl Into<String>,
        status: Status,
        created: Timestamp,
    ) -> Self {
        Self {
            key,
            title: title.into(),
            body: String::new(),
            status,
            author: None,
            labels: Vec::new(),
            milestone: None,
            kind: None,
            assignee: None,
            priority: None,
            created,
            updated: created,
            url: None,
            attachments: Vec::new(),
        }
    }
}

/// One comment as the tracker showed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comment {
    /// Its id.
    pub id: CommentId,
    /// Who wrote it, by the tracker's word.
    pub author: Account,
    /// The text; empty for records that only note a change.
    pub body: String,
    /// When the server stamped it.
    pub created: Timestamp,
    /// When its text was last changed after it had been posted, where the tracker tells; such a comment opens no gate.
    #[serde(default)]
    pub edited: Option<Timestamp>,
    /// Files that came with it.
    pub attachments: Vec<Attachment>,
}

impl Comment {
    /// Makes a comment without attachments.
    #[must_use]
    pub fn new(
        id: CommentId,
        author: Account,
        body: impl Into<String>,
        created: Timestamp,
    ) -> Self {
        Self {
            id,
            author,
            body: body.into(),
            created,
            edited: None,
            attachments: Vec::new(),
        }
    }
}

/// An issue to be created.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct IssueDraft {
    /// The title.
    pub title: String,
    /// The description, already neutralised for the tracker.
    pub body: String,
    /// Labels or categories by name.
    pub labels: Vec<String>,
    /// The milestone by title.
    pub milestone: Option<String>,
    /// The issue type by name, where the tracker has types.
    pub kind: Option<String>,
    /// The priority, where the tracker has one.
    pub priority: Option<i64>,
}

/// Where a created issue is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssueRef {
    /// Its key.
    pub key: IssueKey,
    /// Its page, where the tracker has one.
    pub url: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_and_an_id_never_stand_for_each_other() {
        let mallory = Account::new("7", Some("42".into()), "Mallory");
        assert!(!AccountRef("42".into()).names(&mallory));
        assert!(AccountRef("@42".into()).names(&mallory));
        assert!(AccountRef("7".into()).names(&mallory));
    }

    #[test]
    fn keys_are_safe_as_file_names() {
        for bad in ["", ".", "..", "-x", "a/b", "a b", "ä", &"x".repeat(65)] {
            assert_eq!(IssueKey::new(bad), Err(InvalidIssueKey), "{bad}");
        }
        for good in ["12", "PROJ-12", "A_B-1", "x.y"] {
            assert!(IssueKey::new(good).is_ok(), "{good}");
        }
    }
}
