//! The activity feed, which webhooks deliver too.

use pipeline_core::clock::Timestamp;
use serde::Deserialize;

use super::issue::User;
use crate::lenient;

/// What an activity is about, as far as issues are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ActivityKind {
    /// A record of one issue: created, updated, commented on.
    Record,
    /// One stroke over many issues.
    Bulk,
    /// A status was deleted and its issues moved elsewhere.
    StatusDeleted,
    /// Anything else, of which only the named issues matter.
    Other,
}

/// One entry of the feed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Activity {
    #[serde(deserialize_with = "lenient::number")]
    pub(crate) id: u64,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub(crate) project: Option<Project>,
    #[serde(
        default,
        rename = "type",
        deserialize_with = "lenient::optional_number"
    )]
    pub(crate) kind: Option<u64>,
    #[serde(default, deserialize_with = "lenient::optional")]
    content: Option<Content>,
    #[serde(default, deserialize_with = "lenient::optional")]
    pub(crate) created_user: Option<User>,
    #[serde(deserialize_with = "lenient::time")]
    pub(crate) created: Timestamp,
}

/// The project of an activity.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Project {
    #[serde(default, deserialize_with = "lenient::text")]
    pub(crate) project_key: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
struct Content {
    #[serde(default, deserialize_with = "lenient::optional_number")]
    id: Option<u64>,
    #[serde(default, deserialize_with = "lenient::optional_number")]
    key_id: Option<u64>,
    #[serde(default, deserialize_with = "lenient::optional")]
    comment: Option<CommentRef>,
    #[serde(default, deserialize_with = "lenient::optional")]
    changes: Option<Vec<FieldChange>>,
    #[serde(default, deserialize_with = "lenient::optional")]
    change: Option<FieldChange>,
    // Other kinds of activities have a `link` that is a text.
    #[serde(default, deserialize_with = "lenient::optional")]
    link: Option<Vec<Link>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct CommentRef {
    #[serde(default, deserialize_with = "lenient::optional_number")]
    id: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Link {
    #[serde(default, deserialize_with = "lenient::optional_number")]
    id: Option<u64>,
    #[serde(default, deserialize_with = "lenient::optional_number")]
    key_id: Option<u64>,
    #[serde(default, deserialize_with = "lenient::optional")]
    comment: Option<CommentRef>,
}

/// One change of a field, by ids where the field has any.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct FieldChange {
    #[serde(default, deserialize_with = "lenient::text")]
    field: String,
    #[serde(default, deserialize_with = "lenient::optional_text")]
    new_value: Option<String>,
    #[serde(default, deserialize_with = "lenient::optional_text")]
    old_value: Option<String>,
}

/// A change of status, as an activity tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StatusChange {
    pub(crate) to: Option<u64>,
    pub(crate) from: Option<u64>,
}

/// One issue an activity names, with the record it left in the thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Touched {
    pub(crate) id: Option<u64>,
    pub(crate) key_id: u64,
    pub(crate) record: Option<u64>,
}

impl Activity {
    pub(crate) fn what(&self) -> ActivityKind {
        match self.kind {
            Some(1..=3) => ActivityKind::Record,
            Some(14) => ActivityKind::Bulk,
            Some(34) => ActivityKind::StatusDeleted,
            _ => ActivityKind::Other,
        }
    }

    /// Returns every issue it names.
    pub(crate) fn touched(&self) -> Vec<Touched> {
        let Some(content) = &self.content else {
            return Vec::new();
        };
        let record = |comment: &Option<CommentRef>| comment.as_ref().and_then(|c| c.id);
        let own = self.is_of_an_issue().then_some(content.key_id).flatten();
        let own = own.map(|key_id| Touched {
            id: content.id,
            key_id,
            record: record(&content.comment),
        });
        let linked = content.link.iter().flatten().filter_map(|link| {
            Some(Touched {
                id: link.id,
                key_id: link.key_id?,
                record: record(&link.comment),
            })
        });
        own.into_iter().chain(linked).collect()
    }

    /// Returns every change of status it tells of; more than one means that it cannot be told which is real, because a
    /// custom field may be called like a built-in one.
    pub(crate) fn status_changes(&self) -> Vec<StatusChange> {
        let number = |value: &Option<String>| value.as_deref().and_then(|v| v.trim().parse().ok());
        let content = self.content.iter();
        content
            .flat_map(|c| c.changes.iter().flatten().chain(&c.change))
            .filter(|c| c.field == "status")
            .map(|c| StatusChange {
                to: number(&c.new_value),
                from: number(&c.old_value),
            })
            .collect()
    }

    /// Wiki pages, files and pull requests have numbers of their own, which are no issue's.
    fn is_of_an_issue(&self) -> bool {
        !matches!(self.kind, Some(5..=13 | 15 | 16 | 18..=26 | 36..=46 | 48))
    }
}
