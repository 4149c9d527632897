//! `[workers]`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

/// `[workers]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WorkersSection {
    /// The names of the places where an agent can work at the same time.
    pub slots: Vec<String>,
    /// The integrator's name.
    pub integrator: String,
    /// The most runs at once; absent = one per slot.
    pub total: Option<u32>,
    /// The most runs at once of one agent, by its name.
    pub per_agent: BTreeMap<String, u32>,
    /// The most issues worked on at once in one status, by its name.
    pub per_status: BTreeMap<String, u32>,
}

impl Default for WorkersSection {
    fn default() -> Self {
        Self {
            slots: vec!["worker-1".to_owned(), "worker-2".to_owned()],
            integrator: "main-integrator".to_owned(),
            total: None,
            per_agent: BTreeMap::new(),
            per_status: BTreeMap::new(),
        }
    }
}
