//! GitLab's JSON, as much of it as is used. Whatever else stands there is ignored; what an older instance leaves out has
//! a default.

use pipeline_core::clock::Timestamp;
use pipeline_core::issue::Account;
use serde::Deserialize;

use crate::lenient;

#[derive(Debug, Clone, Deserialize)]
pub(super) struct User {
    #[serde(deserialize_with = "lenient::number")]
    pub(super) id: u64,
    #[serde(default)]
    pub(super) username: Option<String>,
    #[serde(default)]
    pub(super) name: Option<String>,
}

impl User {
    pub(super) fn account(&self) -> Account {
        let name = self.name.clone().or_else(|| self.username.clone());
        Account::new(
            self.id.to_string(),
            self.username.clone(),
            name.unwrap_or_default(),
        )
    }
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Label {
    #[serde(default, deserialize_with = "lenient::optional_number")]
    pub(super) id: Option<u64>,
    pub(super) name: String,
}

/// A label of an issue: its name alone, or the whole record where the request asked for it.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum IssueLabel {
    Whole(Label),
    Name(String),
}

impl IssueLabel {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Whole(label) => &label.name,
            Self::Name(name) => name,
        }
    }

    pub(super) const fn id(&self) -> Option<u64> {
        match self {
            Self::Whole(label) => label.id,
            Self::Name(_) => None,
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Milestone {
    #[serde(deserialize_with = "lenient::number")]
    pub(super) id: u64,
    #[serde(default)]
    pub(super) title: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Issue {
    #[serde(deserialize_with = "lenient::number")]
    pub(super) iid: u64,
    #[serde(default)]
    pub(super) title: String,
    #[serde(default)]
    pub(super) description: Option<String>,
    #[serde(default)]
    pub(super) state: String,
    #[serde(default, deserialize_with = "lenient::optional_time")]
    pub(super) created_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "lenient::optional_time")]
    pub(super) updated_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub(super) labels: Vec<IssueLabel>,
    #[serde(default)]
    pub(super) milestone: Option<Milestone>,
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub(super) assignees: Vec<User>,
    #[serde(default)]
    pub(super) assignee: Option<User>,
    #[serde(default)]
    pub(super) author: Option<User>,
    #[serde(default)]
    pub(super) issue_type: Option<String>,
    #[serde(default)]
    pub(super) web_url: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Note {
    #[serde(deserialize_with = "lenient::number")]
    pub(super) id: u64,
    #[serde(default)]
    pub(super) body: Option<String>,
    #[serde(default)]
    pub(super) author: Option<User>,
    #[serde(default, deserialize_with = "lenient::optional_time")]
    pub(super) created_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "lenient::optional_time")]
    pub(super) updated_at: Option<Timestamp>,
    #[serde(default)]
    pub(super) system: bool,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct LabelEvent {
    #[serde(deserialize_with = "lenient::number")]
    pub(super) id: u64,
    #[serde(default)]
    pub(super) user: Option<User>,
    #[serde(default, deserialize_with = "lenient::optional_time")]
    pub(super) created_at: Option<Timestamp>,
    #[serde(default)]
    pub(super) label: Option<Label>,
    #[serde(default)]
    pub(super) action: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct StateEvent {
    #[serde(deserialize_with = "lenient::number")]
    pub(super) id: u64,
    #[serde(default)]
    pub(super) user: Option<User>,
    #[serde(default, deserialize_with = "lenient::optional_time")]
    pub(super) created_at: Option<Timestamp>,
    #[serde(default)]
    pub(super) state: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Project {
    #[serde(deserialize_with = "lenient::number")]
    pub(super) id: u64,
    #[serde(default)]
    pub(super) permissions: Option<Permissions>,
    #[serde(default)]
    pub(super) web_url: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Permissions {
    #[serde(default)]
    pub(super) project_access: Option<Access>,
    #[serde(default)]
    pub(super) group_access: Option<Access>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Access {
    #[serde(default, deserialize_with = "lenient::optional_number")]
    pub(super) access_level: Option<u64>,
}

impl Project {
    /// Returns the role of whoever asked, where the instance tells.
    pub(super) fn access_level(&self) -> Option<u64> {
        let permissions = self.permissions.as_ref()?;
        let levels = [&permissions.project_access, &permissions.group_access];
        levels
            .into_iter()
            .flatten()
            .filter_map(|a| a.access_level)
            .max()
    }
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Upload {
    pub(super) url: String,
}
