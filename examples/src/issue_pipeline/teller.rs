//! Tells what happens while it happens: progress to the terminal, causes to the team's command.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::PoisonError;

use pipeline_core::agent::RunId;
use pipeline_core::clock::Timestamp;
use pipeline_core::event::Event;
use pipeline_core::event::Observer;
use pipeline_core::issue::IssueKey;
use serde::Serialize;

use crate::notify::Cause;
use crate::terminal::Progress;

/// One run with its times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct RunTimes {
    pub(super) run: RunId,
    pub(super) issue: IssueKey,
    pub(super) slot: String,
    pub(super) began: Timestamp,
    pub(super) ended: Option<Timestamp>,
    pub(super) outcome: Option<String>,
}

/// Listens to the stages.
#[derive(Debug)]
pub(super) struct Teller {
    pipeline: String,
    progress: Progress,
    heard: Mutex<Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    causes: BTreeMap<String, Cause>,
    runs: Vec<RunTimes>,
}

impl Teller {
    pub(super) fn new(pipeline: String, progress: Progress) -> Self {
        Self {
            pipeline,
            progress,
            heard: Mutex::default(),
        }
    }

    /// Returns what persons are needed for, and forgets it.
    pub(super) fn take_causes(&self) -> Vec<Cause> {
        let causes = std::mem::take(&mut self.heard().causes);
        causes.into_values().collect()
    }

    /// Returns the runs so far.
    pub(super) fn runs(&self) -> Vec<RunTimes> {
        self.heard().runs.clone()
    }

    fn heard(&self) -> std::sync::MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shown(issue: &IssueKey, slot: &str) -> String {
        format!("{issue} ({slot})")
    }
}

impl Observer for Teller {
    fn observe(&self, event: &Event) {
        match event {
            Event::RunBegan {
                run,
                issue,
                slot,
                at,
            } => {
                self.progress.begin(&Self::shown(issue, slot));
                self.heard().runs.push(RunTimes {
                    run: run.clone(),
                    issue: issue.clone(),
                    slot: slot.clone(),
                    began: *at,
                    ended: None,
                    outcome: None,
                });
            }
            Event::Progress { run, issue, line } => {
                let slot = self
                    .heard()
                    .runs
                    .iter()
                    .find(|r| r.run == *run)
                    .map(|r| r.slot.clone());
                self.progress
                    .note(&Self::shown(issue, &slot.unwrap_or_default()), line);
            }
            Event::RunEnded {
                run,
                issue,
                slot,
                outcome,
                at,
                ..
            } => {
                self.progress.end(&Self::shown(issue, slot));
                if let Some(known) = self.heard().runs.iter_mut().find(|r| r.run == *run) {
                    known.ended = Some(*at);
                    known.outcome = Some(outcome.clone());
                }
            }
            Event::PersonNeeded { issue, cause, what } => {
                let told = Cause {
                    cause: cause.clone(),
                    issue: issue.clone(),
                    what: what.clone(),
                    pipeline: self.pipeline.clone(),
                };
                self.heard().causes.insert(cause.clone(), told);
            }
            Event::Note { issue, what } => {
                tracing::info!(issue = issue.as_ref().map(IssueKey::as_str), what);
            }
            _ => {}
        }
    }
}
