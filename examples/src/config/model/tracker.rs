//! `[tracker]` and `[scope]`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use pipeline_core::issue::AccountRef;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use crate::config::AddressSource;
use crate::config::Period;
use crate::config::SecretSource;

/// `[tracker]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrackerSection {
    /// Which adapter.
    pub kind: TrackerKind,
    /// The local tracker's folder.
    pub dir: Option<PathBuf>,
    /// The address of the project on a server.
    pub project: Option<AddressSource>,
    /// Where the credential is.
    pub token: Option<SecretSource>,
    /// Certificates of a company's own authority.
    pub ca: Option<PathBuf>,
    /// The proxy to go through.
    pub proxy: Option<AddressSource>,
    /// How long an answer may take.
    pub timeout: Period,
    /// The accounts the pipeline writes as.
    #[schemars(with = "Vec<String>")]
    pub accounts: Vec<AccountRef>,
    /// Accounts whose comments are nobody's word.
    #[schemars(with = "Vec<String>")]
    pub ignore_authors: Vec<AccountRef>,
    /// How long a landed comment may stay invisible.
    pub settle: Option<Period>,
    /// The tracker's own names of the three statuses.
    pub statuses: StatusNames,
    /// What only GitLab has.
    pub gitlab: GitlabSection,
    /// What only Backlog has.
    pub backlog: BacklogSection,
}

impl Default for TrackerSection {
    fn default() -> Self {
        Self {
            kind: TrackerKind::Local,
            dir: None,
            project: None,
            token: None,
            ca: None,
            proxy: None,
            timeout: Period::secs(60),
            accounts: vec![AccountRef("pipeline".to_owned())],
            ignore_authors: Vec::new(),
            settle: None,
            statuses: StatusNames::default(),
            gitlab: GitlabSection::default(),
            backlog: BacklogSection::default(),
        }
    }
}

/// The adapters there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TrackerKind {
    /// A folder on this machine.
    Local,
    /// A project on a GitLab instance.
    Gitlab,
    /// A project of a Backlog space.
    Backlog,
}

/// `[tracker.statuses]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StatusNames {
    /// Filed, not yet read.
    pub open: String,
    /// Triaged; checked and discussed.
    pub spec_review: String,
    /// Started by a person.
    pub in_progress: String,
    /// Further statuses of the local tracker.
    pub others: Vec<String>,
}

impl Default for StatusNames {
    fn default() -> Self {
        Self {
            open: "Open".to_owned(),
            spec_review: "Spec/log review".to_owned(),
            in_progress: "In progress".to_owned(),
            others: vec!["Resolved".to_owned(), "Closed".to_owned()],
        }
    }
}

/// `[tracker.gitlab]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GitlabSection {
    /// The part of the project's path that is the instance's own.
    pub root: Option<String>,
    /// Memos that only members from Reporter on can read.
    pub internal_notes: bool,
    /// Issues we create are for members only.
    pub confidential: bool,
    /// The ids of the status labels.
    pub label_ids: LabelIds,
}

/// `[tracker.gitlab.label_ids]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LabelIds {
    /// Of the label of open issues.
    pub open: Option<u64>,
    /// Of the label of issues in review.
    pub spec_review: Option<u64>,
    /// Of the label of issues in progress.
    pub in_progress: Option<u64>,
}

/// `[tracker.backlog]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BacklogSection {
    /// How the project shows texts.
    pub text: BacklogText,
    /// The issue type of issues we create; the project's first otherwise.
    pub issue_type: Option<String>,
    /// A category that issues we create get.
    pub category: Option<String>,
    /// The priority, by its name in the space, of issues we create without one.
    pub priority: Option<String>,
    /// Priorities by name for the numbers a plan gives.
    pub priorities: BTreeMap<String, String>,
    /// An OAuth application, in place of `[tracker] token`.
    pub oauth: OauthSection,
}

/// `[tracker.backlog.oauth]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OauthSection {
    /// Where the application's id is.
    pub client_id: Option<SecretSource>,
    /// Where the application's secret is.
    pub client_secret: Option<SecretSource>,
    /// The file the account's two tokens are kept in; it is written anew with each renewal.
    pub tokens: Option<PathBuf>,
}

impl OauthSection {
    /// Returns whether any of it is set.
    #[must_use]
    pub const fn is_used(&self) -> bool {
        self.client_id.is_some() || self.client_secret.is_some() || self.tokens.is_some()
    }
}

/// The markup of a project's texts, in the service's own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BacklogText {
    /// Markdown.
    #[default]
    Markdown,
    /// The service's older notation.
    Backlog,
}

/// `[scope]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ScopeSection {
    /// Only issues with one of these labels or categories.
    pub labels: Vec<String>,
    /// Only issues of one of these types.
    pub kinds: Vec<String>,
    /// Only issues assigned to one of these accounts.
    #[schemars(with = "Vec<String>")]
    pub assignees: Vec<AccountRef>,
    /// Only issues filed at or after this time (RFC 3339).
    #[schemars(with = "Option<String>")]
    pub created_after: Option<pipeline_core::clock::Timestamp>,
}
