//! `[limits]` and `[markers]`.

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
        Self {
            triage: "Note: this is an automated AI assessment. Please point out any misreadings."
                .to_owned(),
            local_check: "Note: AI local-check memo. Implementation has not started.".to_owned(),
            recheck: "Note: AI local re-check memo. Implementation has not started.".to_owned(),
            work_start: "Note: AI work-start memo.".to_owned(),
            work_done: "Note: AI work-done memo.".to_owned(),
            work_status: "Note: AI work-status memo.".to_owned(),
        }
    }
}
