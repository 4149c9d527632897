//! `[plan]`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

/// `[plan]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PlanSection {
    /// The roadmaps, by their paths in the repository.
    pub files: Vec<String>,
    /// The level of the headings that are phases.
    pub level: Option<u8>,
    /// What a heading must look like to be a phase.
    pub pattern: Option<String>,
    /// The words that begin a definition of done.
    pub definition_of_done: Vec<String>,
    /// The label of a phase.
    pub label: String,
    /// The milestone of a phase.
    pub milestone: String,
    /// Labels of every issue.
    pub labels: Vec<String>,
    /// Labels and milestones of single phases.
    pub phases: BTreeMap<String, PlanPhaseSection>,
    /// The type of every issue.
    pub kind: Option<String>,
    /// The priority of every issue.
    pub priority: Option<i64>,
    /// Names of the statuses in which an issue is done.
    pub done: Vec<String>,
    /// Ticked items without a link get an issue too.
    pub include_ticked: bool,
    /// Design documents every issue names.
    pub references: Vec<String>,
    /// The address of a line in the repository's web view.
    pub web: Option<String>,
    /// Labels an agent may propose in a draft.
    pub draft_labels: Vec<String>,
    /// A command may be given the broker that nothing keeps from calling anybody else.
    pub unconfined_broker: bool,
}

/// One phase of `[plan] phases`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PlanPhaseSection {
    /// Its labels.
    pub labels: Option<Vec<String>>,
    /// Its milestone; empty = none.
    pub milestone: Option<String>,
}

impl Default for PlanSection {
    fn default() -> Self {
        Self {
            files: vec!["docs/project-notes.md".to_owned()],
            level: None,
            pattern: None,
            definition_of_done: Vec::new(),
            label: "{phase}".to_owned(),
            milestone: "{phase}".to_owned(),
            labels: Vec::new(),
            phases: BTreeMap::new(),
            kind: None,
            priority: None,
            done: ["Closed", "Done", "完了"].map(str::to_owned).into(),
            include_ticked: false,
            references: Vec::new(),
            web: None,
            draft_labels: Vec::new(),
            unconfined_broker: false,
        }
    }
}
