//! A watch that remembers.

use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use crate::agent::AgentWatch;
use crate::process::ProcessIdentity;

/// Remembers what an agent told while it ran.
#[derive(Debug, Default)]
pub(super) struct Recorder(Mutex<Told>);

#[derive(Debug, Default, Clone)]
pub(super) struct Told {
    pub(super) started: Vec<ProcessIdentity>,
    /// Whether each process lived when it was told of.
    pub(super) alive: Vec<bool>,
    pub(super) lines: Vec<String>,
    pub(super) lines_before_start: usize,
}

impl Recorder {
    pub(super) fn told(&self) -> Told {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AgentWatch for Recorder {
    fn started(&self, process: &ProcessIdentity) {
        let alive = process.is_alive().unwrap_or(false);
        let mut told = self.lock();
        if told.started.is_empty() {
            told.lines_before_start = told.lines.len();
        }
        told.started.push(process.clone());
        told.alive.push(alive);
    }

    fn progress(&self, line: &str) {
        self.lock().lines.push(line.to_owned());
    }
}
