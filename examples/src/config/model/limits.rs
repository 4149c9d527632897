//! `[limits]` and `[markers]`.

use pipeline_core::memo::Markers;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

/// `[limits]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
