//! `[locks]`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

/// `[locks]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LocksSection {
    /// Where work-start locks are kept.
    pub store: LockPlace,
    /// The remote the orchestrators share, for `git`.
    pub remote: String,
}

impl Default for LocksSection {
    fn default() -> Self {
        Self {
            store: LockPlace::Threads,
            remote: "origin".to_owned(),
        }
    }
}

/// Where work-start locks are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LockPlace {
    /// As memos in the issues' threads.
    Threads,
    /// In refs of a git remote that every orchestrator can push to.
    Git,
}
