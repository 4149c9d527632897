//! What stands in the ledger.

use serde::Deserialize;
use serde::Serialize;

use super::spent::Spent;
use crate::agent::RunId;
use crate::agent::TaskKind;
use crate::agent::Usage;
use crate::clock::Timestamp;
use crate::event::Stage;
use crate::issue::EventId;
use crate::issue::IssueKey;
use crate::process::ProcessIdentity;
use crate::settings::AgentRole;

/// One line of the ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(super) enum LedgerRecord {
    /// A run begins. It counts from now on, whatever becomes of it.
    Began(Began),
    /// It has ended.
    Ended {
        run: RunId,
        /// How, in one word.
        outcome: String,
        usage: Usage,
        /// What it left: base and patch, where it left something that can be compared.
        #[serde(default)]
        left: Option<String>,
    },
    /// An agent may not be used until a time.
    Paused { agent: String, pause: Pause },
    /// A person took that back.
    Resumed { agent: String },
    /// A reading stage had no usable answer on a text.
    Failed {
        stage: Stage,
        issue: IssueKey,
        text: String,
        why: String,
    },
    /// It had one.
    Answered { stage: Stage, issue: IssueKey },
    /// What runs of an issue have used whose own records are no longer kept.
    Before { issue: IssueKey, spent: Spent },
    /// How often a reading stage had had no usable answer when the ledger was written anew.
    Failing {
        stage: Stage,
        issue: IssueKey,
        text: String,
        why: String,
        times: u32,
    },
}

/// A run that begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Began {
    pub(super) run: RunId,
    pub(super) issue: IssueKey,
    /// Who filed the issue: the account's id.
    pub(super) author: Option<String>,
    pub(super) agent: String,
    pub(super) role: AgentRole,
    pub(super) kind: TaskKind,
    /// The round of a run that works.
    pub(super) round: Option<EventId>,
    /// What it may use, where it was given a limit of its own: others may not count on it meanwhile.
    pub(super) reserved: Reserved,
    /// The process that makes it, where the system tells.
    pub(super) owner: Option<ProcessIdentity>,
}

/// What a run may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Reserved {
    pub(super) tokens: u64,
    pub(super) cost_micros: u64,
    pub(super) millis: u64,
}

/// Why and until when an agent is not used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Until when.
    pub until: Timestamp,
    /// Why, as an outcome's reason word.
    pub reason: String,
}
