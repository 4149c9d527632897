//! `[schedule]` and `[notify]`.

use pipeline_core::event::Stage;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use crate::config::Period;
use crate::schedule::ActiveHours;
use crate::schedule::Day;
use crate::schedule::StageTimes;

/// `[schedule]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduleSection {
    /// The time zone of the hours; absent = the machine's.
    pub time_zone: Option<String>,
    /// When triage runs.
    pub triage: StageSection,
    /// When the local check runs.
    pub check: StageSection,
    /// When dispatch runs.
    pub dispatch: StageSection,
    /// When the integrator runs.
    pub integrate: StageSection,
}

impl ScheduleSection {
    /// Returns when a stage runs, with its defaults filled in.
    #[must_use]
    pub fn of(&self, stage: Stage) -> StageTimes {
        let working = ActiveHours::new(7, 21);
        let (written, every, active) = match stage {
            Stage::Triage => (&self.triage, Period::mins(15), working),
            Stage::Check => (&self.check, Period::mins(15), working),
            Stage::Dispatch => (&self.dispatch, Period::mins(60), ActiveHours::ALWAYS),
            Stage::Integrate => (&self.integrate, Period::mins(5), ActiveHours::ALWAYS),
        };
        StageTimes {
            every: written.every.unwrap_or(every).get(),
            active: written.active.unwrap_or(active),
            days: written.days.clone(),
        }
    }
}

/// `[schedule.STAGE]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StageSection {
    /// How often; absent = the stage's own default.
    pub every: Option<Period>,
    /// Between which hours of the day; absent = the stage's own default.
    pub active: Option<ActiveHours>,
    /// On which days of the week; empty = on every day.
    pub days: Vec<Day>,
}

/// `[notify]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NotifySection {
    /// The command that gets one JSON line on its standard input.
    pub command: Vec<String>,
    /// Names of variables it sees.
    pub env: Vec<String>,
    /// How long it may take.
    pub deadline: Period,
}

impl Default for NotifySection {
    fn default() -> Self {
        Self {
            command: Vec::new(),
            env: Vec::new(),
            deadline: Period::secs(30),
        }
    }
}
