//! What holds a patch until a person names it.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::Serialize;

/// How a hold is lifted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldKind {
    /// By naming its class: `--allow lockfile,migration`.
    Class(String),
    /// One by one, by its id: `--protected ID`.
    Protected(String),
}

/// One reason why a patch waits for an OK that names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Hold {
    kind: HoldKind,
    id: String,
    rule: String,
    evidence: String,
}

impl Hold {
    /// Makes a hold.
    #[must_use]
    pub const fn new(kind: HoldKind, id: String, rule: String, evidence: String) -> Self {
        Self {
            kind,
            id,
            rule,
            evidence,
        }
    }

    /// Returns its stable id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns how it is lifted.
    #[must_use]
    pub const fn kind(&self) -> &HoldKind {
        &self.kind
    }

    /// Returns the rule that found it.
    #[must_use]
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// Returns what it was found in, bounded and escaped.
    #[must_use]
    pub fn evidence(&self) -> &str {
        &self.evidence
    }

    /// Returns the option that lifts it, as it is typed behind `approve CANDIDATE`.
    #[must_use]
    pub fn lifted_by(&self) -> String {
        match &self.kind {
            HoldKind::Class(class) => format!("--allow {class}"),
            HoldKind::Protected(_) => format!("--protected {}", self.id),
        }
    }

    /// Returns whether an OK with these classes and ids lifts it.
    #[must_use]
    pub fn is_lifted_by(&self, allow: &BTreeSet<String>, protected: &BTreeSet<String>) -> bool {
        match &self.kind {
            HoldKind::Class(class) => allow.contains(class),
            HoldKind::Protected(_) => protected.contains(&self.id),
        }
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            HoldKind::Class(class) => write!(f, "{class}: {} (--allow {class})", self.evidence),
            HoldKind::Protected(kind) => {
                write!(f, "{kind}: {} (--protected {})", self.evidence, self.id)
            }
        }
    }
}
