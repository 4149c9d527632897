//! What is spent at most, over all runs: successful ones too.

use std::collections::BTreeMap;
use std::time::Duration;

use super::AgentRole;

/// A sum that may be used up. Empty fields do not restrict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Budget {
    /// Runs.
    pub runs: Option<u64>,
    /// Tokens, in and out.
    pub tokens: Option<u64>,
    /// Money, in millionths of a US dollar.
    pub cost_micros: Option<u64>,
    /// Wall time of the runs, added up.
    pub time: Option<Duration>,
}

impl Budget {
    /// Makes a budget of runs alone.
    #[must_use]
    pub fn runs(runs: u64) -> Self {
        Self {
            runs: Some(runs),
            ..Self::default()
        }
    }
}

/// What is spent at most. A day is the last 24 hours.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Brakes {
    /// By one issue, as long as it lives.
    pub issue: Budget,
    /// By the issues of one author, a day.
    pub author: Budget,
    /// By everything, a day.
    pub day: Budget,
    /// Most runs at a time.
    pub in_flight: Option<u32>,
    /// Most runs at a time of one role: by it, of the issues in one status.
    pub in_flight_by: BTreeMap<AgentRole, u32>,
}
