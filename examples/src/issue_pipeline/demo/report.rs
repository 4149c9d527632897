//! What the demo asserts, for people and for the test that reads it.

use std::path::PathBuf;

use pipeline_core::issue::IssueKey;
use serde::Serialize;

use crate::issue_pipeline::teller::RunTimes;

/// Everything the demo shows.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// The folder of the demo.
    pub(super) dir: PathBuf,
    /// The user's repository.
    pub(super) repo: PathBuf,
    /// How the agent was held in; `null` = by nothing.
    pub(super) confined_by: Option<&'static str>,
    /// The issues, as they stand at the end.
    pub(super) issues: Vec<IssueEnd>,
    /// The runs with their times.
    pub(super) runs: Vec<RunTimes>,
    /// Pairs of working runs that overlapped in time.
    pub(super) overlapping: Vec<(IssueKey, IssueKey)>,
    /// Pairs of issues whose work conflicts, and whether their runs overlapped, which they must not.
    pub(super) conflicting: Vec<(IssueKey, IssueKey, bool)>,
    /// The OKs given, by candidate.
    pub(super) approvals: Vec<Approved>,
    /// Attempts that had to fail, with the sentence the pipeline answered.
    pub(super) refused: Vec<Refusal>,
    /// The landed commits, oldest first.
    pub(super) commits: Vec<Commit>,
    /// Branches and tags before and after.
    pub(super) refs_before: Vec<String>,
    /// Branches and tags after.
    pub(super) refs_after: Vec<String>,
    /// Whether the user's tree has no change.
    pub(super) tree_clean: bool,
    /// Whether the user's branch moved forward over its old tip.
    pub(super) moved_forward: bool,
    /// Worktrees besides the user's own.
    pub(super) worktrees_left: usize,
    /// What a second run of every stage changed.
    pub(super) second_run_changed: Vec<String>,
    /// The whole demo in milliseconds.
    pub(super) millis: u64,
}

/// An issue as it stands at the end.
#[derive(Debug, Serialize)]
pub(super) struct IssueEnd {
    pub(super) key: IssueKey,
    pub(super) title: String,
    pub(super) status: String,
    /// The first lines of our memos in its thread, in order.
    pub(super) memos: Vec<String>,
    /// How many attempts it took.
    pub(super) attempts: usize,
}

/// An OK.
#[derive(Debug, Serialize)]
pub(super) struct Approved {
    pub(super) candidate: String,
    pub(super) comment: String,
    pub(super) issues: Vec<IssueKey>,
}

/// An attempt that had to fail.
#[derive(Debug, Serialize)]
pub(super) struct Refusal {
    pub(super) attempt: &'static str,
    pub(super) answer: String,
}

/// A landed commit.
#[derive(Debug, Serialize)]
pub(super) struct Commit {
    pub(super) id: String,
    pub(super) subject: String,
    pub(super) author: String,
    pub(super) committer: String,
    pub(super) trailers: Vec<String>,
}

impl Report {
    /// Returns what is not as the demo promises; empty if all is well.
    pub(super) fn broken_promises(&self) -> Vec<String> {
        let mut broken = Vec::new();
        let mut promise = |kept: bool, what: &str| {
            if !kept {
                broken.push(what.to_owned());
            }
        };
        promise(self.commits.len() >= 3, "at least three commits land");
        let trailers = |c: &Commit| c.trailers.iter().any(|t| t.starts_with("Agent-Claim:"));
        promise(
            self.commits.iter().all(trailers),
            "every commit names its claim",
        );
        promise(!self.overlapping.is_empty(), "runs overlap in time");
        promise(
            self.conflicting
                .iter()
                .all(|(_, _, overlapped)| !overlapped),
            "conflicting work never overlaps",
        );
        promise(
            self.issues.iter().any(|i| i.attempts == 2),
            "a returned patch lands on its second attempt",
        );
        promise(
            self.refs_before == self.refs_after,
            "no branch or tag is created",
        );
        promise(self.tree_clean, "the user's tree is clean");
        promise(self.moved_forward, "the user's tree has moved forward");
        promise(self.worktrees_left == 0, "no worktree is left");
        promise(
            self.second_run_changed.is_empty(),
            "a second run of every stage changes nothing",
        );
        broken
    }
}
