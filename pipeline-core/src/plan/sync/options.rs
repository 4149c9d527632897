//! What a team decides about its plan.

use std::collections::BTreeMap;

use crate::issue::AccountRef;
use crate::plan::document::Phase;
use crate::plan::document::PlanSyntax;
use crate::plan::draft::Drafts;

/// How a plan becomes issues.
#[derive(Debug, Clone)]
pub struct SyncOptions {
    /// How the document is read.
    pub syntax: PlanSyntax,
    /// Accounts whose issues count as made by us, beside the one the tracker writes as.
    pub accounts: Vec<AccountRef>,
    /// The label of a phase; `{phase}`, `{title}` and `{number}` are filled in; empty = none.
    pub label: String,
    /// The milestone of a phase, likewise.
    pub milestone: String,
    /// Labels of every issue.
    pub labels: Vec<String>,
    /// Labels and milestone of single phases, by number or heading, instead of the templates.
    pub phases: BTreeMap<String, PhaseNames>,
    /// The type of every issue, where the tracker has types.
    pub kind: Option<String>,
    /// The priority of every issue, where the tracker has priorities.
    pub priority: Option<i64>,
    /// Names of the statuses in which an issue counts as done.
    pub done: Vec<String>,
    /// Items that are ticked and have no link get an issue too.
    pub include_ticked: bool,
    /// Boxes of done issues are ticked.
    pub pull: bool,
    /// Design documents every issue names, by the paths they have for [`PlanFiles`](crate::plan::PlanFiles).
    pub references: Vec<String>,
    /// The address of a line in the repository's web view; `{commit}`, `{path}` and `{line}` are filled in.
    pub web: Option<String>,
    /// The commit the plan is read from, where there is one.
    pub commit: Option<String>,
    /// What stands before an issue's key in a link where the tracker shows no page.
    pub without_page: String,
    /// What an agent drafted.
    pub drafts: Drafts,
}

/// The labels and the milestone of one phase.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PhaseNames {
    /// Its labels; `None` = by the template.
    pub labels: Option<Vec<String>>,
    /// Its milestone; `None` = by the template, empty = none.
    pub milestone: Option<String>,
}

impl Default for SyncOptions {
    fn default() -> Self {
        Self {
            syntax: PlanSyntax::default(),
            accounts: Vec::new(),
            label: "{phase}".to_owned(),
            milestone: "{phase}".to_owned(),
            labels: Vec::new(),
            phases: BTreeMap::new(),
            kind: None,
            priority: None,
            done: ["Closed", "Done", "完了"].map(str::to_owned).into(),
            include_ticked: false,
            pull: false,
            references: Vec::new(),
            web: None,
            commit: None,
            without_page: "#".to_owned(),
            drafts: Drafts::default(),
        }
    }
}

impl SyncOptions {
    fn named(&self, phase: &Phase) -> Option<&PhaseNames> {
        let number = phase.number.map(|n| n.to_string());
        let by_number = number.and_then(|n| self.phases.get(&n));
        by_number
            .or_else(|| self.phases.get(&phase.heading))
            .or_else(|| self.phases.get(&phase.title))
    }

    /// Returns the labels that say which phase an issue is of.
    pub(super) fn phase_labels(&self, phase: Option<&Phase>) -> Vec<String> {
        let Some(phase) = phase else {
            return Vec::new();
        };
        if let Some(labels) = self.named(phase).and_then(|n| n.labels.clone()) {
            return labels;
        }
        filled(&self.label, phase).into_iter().collect()
    }

    pub(super) fn phase_milestone(&self, phase: Option<&Phase>) -> Option<String> {
        let phase = phase?;
        match self.named(phase).and_then(|n| n.milestone.clone()) {
            Some(milestone) => Some(milestone).filter(|m| !m.is_empty()),
            None => filled(&self.milestone, phase),
        }
    }
}

/// Fills in a template; a name is one line, has no comma (which separates labels), and is short enough for every tracker.
fn filled(template: &str, phase: &Phase) -> Option<String> {
    const MOST: usize = 100;
    let number = phase
        .number
        .map_or_else(|| phase.heading.clone(), |n| n.to_string());
    let text = template
        .replace("{phase}", &phase.heading)
        .replace("{title}", &phase.title)
        .replace("{number}", &number);
    let text: String = text
        .chars()
        .map(|c| if c == ',' || c.is_control() { ' ' } else { c })
        .collect();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = text.chars().take(MOST).collect();
    let short = short.trim();
    (!short.is_empty()).then(|| short.to_owned())
}
