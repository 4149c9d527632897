//! `[workers]`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use super::AgentOrder;
use crate::config::Period;

/// `[workers]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WorkersSection {
    /// The names of the places where an agent can work at the same time.
    pub slots: Vec<String>,
    /// The integrator's name.
    pub integrator: String,
    /// Which agents work in a slot, in order; the ones that implement otherwise.
    pub agents: BTreeMap<String, AgentOrder>,
    /// How often the issue of a run is looked at.
    pub look_every: Period,
}

impl Default for WorkersSection {
    fn default() -> Self {
        Self {
            slots: vec!["worker-1".to_owned(), "worker-2".to_owned()],
            integrator: "main-integrator".to_owned(),
            agents: BTreeMap::new(),
            look_every: Period::mins(1),
        }
    }
}
