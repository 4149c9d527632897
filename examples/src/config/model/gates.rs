//! `[gates]` and `[gates.ship]`.

use std::path::PathBuf;

use pipeline_core::gate::GatePlace;
use pipeline_core::issue::AccountRef;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use crate::config::Period;

/// `[gates]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GatesSection {
    /// Who may give the OK; empty = nobody.
    #[schemars(with = "Vec<String>")]
    pub approvers: Vec<AccountRef>,
    /// Who may start an issue; absent = the approvers.
    #[schemars(with = "Option<Vec<String>>")]
    pub starters: Option<Vec<AccountRef>>,
    /// The pipeline starts an issue itself where all seven answers are yes.
    pub automatic_start: bool,
    /// Where the OK on the merged diff is given.
    pub local_ok: Place,
    /// The approver's own folder, for `owner`.
    pub owner_folder: Option<PathBuf>,
    /// The ship gate.
    pub ship: ShipSection,
}

impl GatesSection {
    /// Returns who may start an issue.
    #[must_use]
    pub fn starters(&self) -> &[AccountRef] {
        self.starters.as_deref().unwrap_or(&self.approvers)
    }
}

/// `[gates.ship]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ShipSection {
    /// Where the permission is given; absent = where the OK is given.
    pub place: Option<Place>,
    /// The team's deploy rules, a file in the repository.
    pub rules: Option<PathBuf>,
    /// A check that changes nothing and must pass first.
    pub pre_check: Vec<String>,
    /// The team's own command.
    pub command: Vec<String>,
    /// Names of variables the two commands see.
    pub env: Vec<String>,
    /// How long each of the two may take.
    pub deadline: Period,
}

impl Default for ShipSection {
    fn default() -> Self {
        Self {
            place: None,
            rules: None,
            pre_check: Vec::new(),
            command: Vec::new(),
            env: Vec::new(),
            deadline: Period::mins(30),
        }
    }
}

/// Where a gate is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Typed on a terminal.
    #[default]
    Terminal,
    /// A folder another user of the operating system owns.
    Owner,
    /// A comment by an approver.
    Tracker,
}

impl From<Place> for GatePlace {
    fn from(place: Place) -> Self {
        match place {
            Place::Terminal => Self::Terminal,
            Place::Owner => Self::Owner,
            Place::Tracker => Self::Tracker,
        }
    }
}
