//! When each stage ran last, kept over restarts.

use std::collections::BTreeMap;

use pipeline_core::clock::Timestamp;
use pipeline_core::event::Stage;

use crate::surroundings::StateDir;
use crate::surroundings::StateDirError;

const FILE: &str = "schedule.json";

/// When each stage ran last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LastRuns(BTreeMap<String, Timestamp>);

impl LastRuns {
    /// Reads it; a file that cannot be understood counts as no memory, since at worst a stage runs once too often.
    ///
    /// # Errors
    /// If the state directory cannot be read.
    pub fn read(state: &StateDir) -> Result<Self, StateDirError> {
        let bytes = state.read(FILE)?;
        let known = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Ok(Self(known.unwrap_or_default()))
    }

    /// Returns when the stage ran last.
    #[must_use]
    pub fn of(&self, stage: Stage) -> Option<Timestamp> {
        self.0.get(stage.name()).copied()
    }

    /// Notes that the stage began now, for this process and the next ones.
    ///
    /// # Errors
    /// If the state directory cannot be written.
    pub fn note(state: &StateDir, stage: Stage, now: Timestamp) -> Result<(), StateDirError> {
        // Read again: another process may have noted another stage meanwhile.
        let mut known = Self::read(state)?;
        known.0.insert(stage.name().to_owned(), now);
        state.write_json(FILE, &known.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_kept_and_damage_is_no_obstacle() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let state = StateDir::at(dir.path());
        let now = Timestamp::from_millis(1_000);
        LastRuns::note(&state, Stage::Triage, now).expect("noted");
        LastRuns::note(&state, Stage::Check, now).expect("noted");
        let known = LastRuns::read(&state).expect("read");
        assert_eq!(known.of(Stage::Triage), Some(now));
        assert_eq!(known.of(Stage::Dispatch), None);
        std::fs::write(dir.path().join(FILE), "{").expect("damaged");
        assert_eq!(LastRuns::read(&state).expect("read"), LastRuns::default());
    }
}
