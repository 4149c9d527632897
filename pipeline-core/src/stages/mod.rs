//! The stages: idempotent ticks over the seams. State is derived from the tracker and the stores, never kept twice.

mod brakes;
mod check;
mod collisions;
mod conflicts;
mod dispatch;
mod integrate;
mod judge;
mod recover;
mod restart;
mod review;
mod run;
mod slots;
mod status;
mod triage;

#[cfg(test)]
mod tests;

pub(crate) use self::collisions::Collisions;
pub(crate) use self::integrate::FailingBases;
pub use self::recover::LeftOver;
pub use self::review::Approve;
pub use self::review::Review;
pub use self::status::AgentLine;
pub use self::status::Explanation;
pub use self::status::StatusLine;
pub use self::status::StatusReport;

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::event::Event;
use crate::event::Stage;
use crate::issue::IssueKey;
use crate::mirror::Mirrored;
use crate::pipeline::Pipeline;
use crate::report::IssueReport;
use crate::report::Outcome;
use crate::report::TickOptions;
use crate::report::TickReport;

/// Collects what a tick does.
#[derive(Debug)]
struct Tick {
    stage: Stage,
    began: Timestamp,
    issues: Vec<IssueReport>,
    left: usize,
}

impl Tick {
    fn begin(pipeline: &Pipeline, stage: Stage) -> Self {
        pipeline.observer.observe(&Event::TickBegan { stage });
        Self {
            stage,
            began: pipeline.now(),
            issues: Vec::new(),
            left: 0,
        }
    }

    fn push(&mut self, issue: Option<&IssueKey>, outcome: Outcome) {
        tracing::info!(
            stage = self.stage.name(),
            issue = issue.map(IssueKey::as_str),
            text = outcome.text()
        );
        self.issues.push(IssueReport {
            issue: issue.cloned(),
            outcome,
        });
    }

    fn end(self, pipeline: &Pipeline) -> TickReport {
        let Self {
            stage,
            began,
            issues,
            left,
        } = self;
        TickReport {
            stage,
            began,
            ended: pipeline.now(),
            issues,
            left,
        }
    }
}

/// Returns whether a tick looks at this issue.
fn wanted(pipeline: &Pipeline, m: &Arc<Mirrored>, options: &TickOptions) -> bool {
    options
        .only
        .as_ref()
        .is_none_or(|only| *only == m.issue.key)
        && pipeline.settings.scope.contains(&m.issue)
}

fn failed(why: impl Into<String>) -> Outcome {
    Outcome::Failed { why: why.into() }
}

fn waits(why: impl Into<String>) -> Outcome {
    Outcome::Waits { why: why.into() }
}

fn nothing(why: impl Into<String>) -> Outcome {
    Outcome::Nothing { why: why.into() }
}

fn done(what: impl Into<String>) -> Outcome {
    Outcome::Done { what: what.into() }
}

fn would(what: impl Into<String>) -> Outcome {
    Outcome::WouldDo { what: what.into() }
}
