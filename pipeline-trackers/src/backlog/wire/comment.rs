//! Records of a thread: comments, and changes noted in the same list.

use pipeline_core::clock::Timestamp;
use pipeline_core::issue::Account;
use pipeline_core::issue::Attachment;
use pipeline_core::issue::AttachmentId;
use pipeline_core::issue::CommentId;
use serde::Deserialize;

use super::issue::User;
use crate::lenient;

/// One record of a thread. A change is a record with a change log; a person's words are its content.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Comment {
    #[serde(deserialize_with = "lenient::number")]
    pub(crate) id: u64,
    #[serde(default, deserialize_with = "lenient::text")]
    pub(crate) content: String,
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub(crate) change_log: Vec<Change>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub(crate) created_user: Option<User>,
    #[serde(deserialize_with = "lenient::time")]
    pub(crate) created: Timestamp,
    #[serde(default, deserialize_with = "lenient::optional_time")]
    pub(crate) updated: Option<Timestamp>,
}

impl Comment {
    /// Returns who the service says wrote it.
    pub(crate) fn author(&self) -> Account {
        // No configured account can be called like this: ids are digits, logins come with `@`.
        let unknown = || Account::new("unknown", None, "somebody the service no longer names");
        self.created_user
            .as_ref()
            .map_or_else(unknown, User::account)
    }

    pub(crate) fn comment(&self) -> pipeline_core::issue::Comment {
        let author = self.author();
        let files = self.change_log.iter().filter(|c| c.field == "attachment");
        let attachments = files
            .filter(|c| c.new_value.is_some())
            .filter_map(|c| c.attachment_info.as_ref())
            .map(|info| Attachment {
                id: AttachmentId(info.id),
                name: info.name.clone(),
                size: None,
                author: Some(author.clone()),
                digest: None,
            })
            .collect();
        pipeline_core::issue::Comment {
            id: CommentId(self.id),
            body: self.content.clone(),
            created: self.created,
            edited: self.updated.filter(|updated| *updated > self.created),
            author,
            attachments,
        }
    }
}

/// One change of a field, by display names.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Change {
    #[serde(default, deserialize_with = "lenient::text")]
    pub(crate) field: String,
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub(crate) new_value: Option<String>,
    #[serde(default, deserialize_with = "lenient::optional_text")]
    pub(crate) original_value: Option<String>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub(crate) attachment_info: Option<AttachmentInfo>,
    // Kept as it is: whatever stands here marks a custom field, which may be called like a built-in one.
    #[serde(default)]
    pub(crate) attribute_info: serde_json::Value,
}

impl Change {
    /// Returns whether this is a change of the status, and not of a custom field that is called so.
    pub(crate) fn is_status(&self) -> bool {
        self.field == "status" && self.attribute_info.is_null()
    }
}

/// The file a change is about.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AttachmentInfo {
    #[serde(deserialize_with = "lenient::number")]
    pub(crate) id: u64,
    #[serde(default, deserialize_with = "lenient::text")]
    pub(crate) name: String,
}
