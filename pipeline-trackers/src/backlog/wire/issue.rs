//! Issues and what hangs on them.

use pipeline_core::clock::Timestamp;
use pipeline_core::issue::Account;
use pipeline_core::issue::AttachmentId;
use serde::Deserialize;

use crate::lenient;

/// Somebody.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct User {
    #[serde(deserialize_with = "lenient::number")]
    pub(crate) id: u64,
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub(crate) user_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub(crate) name: String,
    #[serde(default, deserialize_with = "lenient::optional_number")]
    pub(crate) role_type: Option<u64>,
}

impl User {
    pub(crate) fn account(&self) -> Account {
        let login = self.user_id.clone().filter(|login| !login.is_empty());
        Account::new(self.id.to_string(), login, self.name.clone())
    }
}

/// Something with an id and a name: an issue type, a category, a milestone, a priority.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Named {
    #[serde(deserialize_with = "lenient::number")]
    pub(crate) id: u64,
    #[serde(default, deserialize_with = "lenient::text")]
    pub(crate) name: String,
}

/// A status of a project.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    #[serde(deserialize_with = "lenient::number")]
    pub(crate) id: u64,
    #[serde(default, deserialize_with = "lenient::text")]
    pub(crate) name: String,
}

/// A file at an issue.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Attachment {
    #[serde(deserialize_with = "lenient::number")]
    pub(crate) id: u64,
    #[serde(default, deserialize_with = "lenient::text")]
    pub(crate) name: String,
    #[serde(default, deserialize_with = "lenient::optional_number")]
    pub(crate) size: Option<u64>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub(crate) created_user: Option<User>,
}

impl Attachment {
    pub(crate) fn attachment(&self) -> pipeline_core::issue::Attachment {
        pipeline_core::issue::Attachment {
            id: AttachmentId(self.id),
            name: self.name.clone(),
            size: self.size,
            author: self.created_user.as_ref().map(User::account),
            digest: None,
        }
    }
}

/// An issue.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Issue {
    #[serde(deserialize_with = "lenient::number")]
    pub(crate) id: u64,
    pub(crate) issue_key: String,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub(crate) issue_type: Option<Named>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub(crate) summary: String,
    #[serde(default, deserialize_with = "lenient::text")]
    pub(crate) description: String,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub(crate) priority: Option<Named>,
    pub(crate) status: Status,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub(crate) assignee: Option<User>,
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub(crate) category: Vec<Named>,
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub(crate) milestone: Vec<Named>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub(crate) created_user: Option<User>,
    #[serde(deserialize_with = "lenient::time")]
    pub(crate) created: Timestamp,
    #[serde(default, deserialize_with = "lenient::optional_time")]
    pub(crate) updated: Option<Timestamp>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub(crate) updated_user: Option<User>,
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub(crate) attachments: Vec<Attachment>,
}
