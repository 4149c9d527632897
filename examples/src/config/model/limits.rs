//! `[limits]` and `[markers]`.

use pipeline_core::memo::Markers;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use crate::config::Period;

/// `[limits]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsSection {
    /// The most issues one tick of a stage takes on.
    pub issues_per_tick: u32,
    /// The most re-checks per issue and day.
    pub rechecks: u32,
    /// The most attempts per issue and round.
    pub attempts: u32,
    /// The most failing answers on one text.
    pub failures: u32,
    /// The most memos per issue and day.
    pub posts_per_day: u32,
    /// The largest patch, in MiB.
    pub patch_mib: u32,
    /// The most files in a patch.
    pub patch_files: u32,
    /// The most runs at a time.
    pub in_flight: Option<u32>,
    /// The most runs at a time by role.
    pub in_flight_by: InFlightSection,
    /// What one issue may use, as long as it lives.
    pub issue: BudgetSection,
    /// What the issues of one author may use a day.
    pub author: BudgetSection,
    /// What everything may use a day.
    pub day: BudgetSection,
}

/// A sum that runs may use up.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BudgetSection {
    /// Runs.
    pub runs: Option<u64>,
    /// Tokens, in and out.
    pub tokens: Option<u64>,
    /// Money, in US dollars.
    pub cost_usd: Option<f64>,
    /// Wall time of the runs, added up.
    pub time: Option<Period>,
}

/// `[limits.in_flight_by]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InFlightSection {
    /// Of issues in the first status.
    pub triage: Option<u32>,
    /// Of issues in the second.
    pub check: Option<u32>,
    /// Of issues in the third.
    pub implement: Option<u32>,
}

impl LimitsSection {
    /// The most runs of one issue where nothing is set.
    pub const RUNS_OF_AN_ISSUE: u64 = 60;
    /// The most runs of one author's issues a day where nothing is set.
    pub const RUNS_OF_AN_AUTHOR: u64 = 100;
    /// The most runs a day where nothing is set.
    pub const RUNS_OF_A_DAY: u64 = 300;
}

impl Default for LimitsSection {
    fn default() -> Self {
        Self {
            issues_per_tick: 5,
            rechecks: 5,
            attempts: 3,
            failures: 3,
            posts_per_day: 60,
            patch_mib: 5,
            patch_files: 500,
            in_flight: None,
            in_flight_by: InFlightSection::default(),
            issue: BudgetSection::default(),
            author: BudgetSection::default(),
            day: BudgetSection::default(),
        }
    }
}

/// `[markers]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MarkersSection {
    /// Triage.
    pub triage: String,
    /// The local check.
    pub local_check: String,
    /// The re-check.
    pub recheck: String,
    /// The work-start lock.
    pub work_start: String,
    /// The submit.
    pub work_done: String,
    /// Everything else.
    pub work_status: String,
}

impl Default for MarkersSection {
    fn default() -> Self {
        let Markers {
            triage,
            local_check,
            recheck,
            work_start,
            work_done,
            work_status,
        } = Markers::default();
        Self {
            triage,
            local_check,
            recheck,
            work_start,
            work_done,
            work_status,
        }
    }
}

impl From<MarkersSection> for Markers {
    fn from(section: MarkersSection) -> Self {
        let MarkersSection {
            triage,
            local_check,
            recheck,
            work_start,
            work_done,
            work_status,
        } = section;
        Self {
            triage,
            local_check,
            recheck,
            work_start,
            work_done,
            work_status,
        }
    }
}
