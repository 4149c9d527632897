//! Decides whether two pieces of work may run side by side.
//!
//! Parallel work needs proof: another screen, another API, no database change, no shared file. A
//! [`ConflictDetector`] turns a [`Footprint`] into [`Areas`], the keys it claims with the reason for
//! each; two pieces of work conflict exactly where their keys meet. The same keys are what work-start
//! locks post ([`ResourceSet`]) and what the [`planner`] picks a batch by, so all three agree.
//!
//! The provided detector is [`RuleConflicts`]: rules are data ([`RuleSet`]).
//!
//! ```
//! use pipeline_core::conflict::{ConflictClass, ConflictDetector as _, RuleSet};
//! use pipeline_core::footprint::Footprint;
//!
//! let rules = RuleSet::from_toml(
//!     r#"
//!     [[rule]]
//!     name = "controller"
//!     class = "api"
//!     key = "{api}"
//!     patterns = ["app/Http/Controllers/**/{api}Controller.php", "app/Models/{api}.php"]
//!     "#,
//! )?;
//! let detector = rules.detector("main")?;
//! let controller = Footprint::from_candidates(["app/Http/Controllers/PointsController.php"]);
//! let model = Footprint::from_candidates(["app/Models/Point.php"]);
//! let other = Footprint::from_candidates(["app/Models/Order.php"]);
//!
//! let conflicts = detector.conflicts(&controller, &model);
//! assert_eq!(conflicts[0].class, ConflictClass::Api);
//! assert_eq!(conflicts[0].key.to_string(), "api:point");
//! assert!(detector.conflicts(&controller, &other).is_empty());
//! # Ok::<(), pipeline_core::conflict::RulesError>(())
//! ```

mod areas;
pub mod coupling;
mod detector;
mod fold;
mod index;
mod key;
pub mod lint;
mod pattern;
pub mod planner;
pub mod preset;
pub mod report;
mod resources;
mod rules;
pub mod watch;
mod words;

use std::fmt::{self, Debug};

use serde::{Deserialize, Serialize};

pub use areas::{Area, Areas, Conflict, Mode, Side};
pub use detector::RuleConflicts;
pub use fold::Fold;
pub use key::{AreaClass, ConflictKey, KeyError, KeyKind};
pub use pattern::{Pattern, PatternError};
pub use resources::{MAX_KEYS, ResourceSet, Scope};
pub use rules::{
    AllowRule, AreaRule, DenyRule, PresetChoice, PresetUse, RuleFile, RuleSet, RulesError,
    TargetRules, Unclassified,
};

use crate::footprint::Footprint;

/// Decides whether two pieces of work may run side by side.
///
/// # Contract
/// Pure: no I/O, no clock, the same answer for the same input. A detector speaks for one target
/// branch. The two methods agree: work conflicts exactly if its areas meet, so an implementation
/// usually answers `self.areas(candidate).conflicts_with(&self.areas(active))`. Moreover:
///
/// - symmetric: swapping the two swaps the sides of the same conflicts;
/// - self-conflicting: work conflicts with itself;
/// - monotone: widening a known footprint never removes a conflict;
/// - an unknown footprint conflicts with everything;
/// - every conflict names a rule.
pub trait ConflictDetector: Debug + Send + Sync + 'static {
    /// Returns the name shown in explanations.
    fn name(&self) -> &str;

    /// Returns the keys that a footprint claims, each with its mode and its reasons.
    fn areas(&self, footprint: &Footprint) -> Areas;

    /// Returns every reason against running both at once; empty means parallel.
    fn conflicts(&self, candidate: &Footprint, active: &Footprint) -> Vec<Conflict>;
}

/// The kind of reason for which two pieces of work may not run side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ConflictClass {
    /// The same screen, admin view or layout.
    Screen,
    /// The same API's controller, service, repository or model.
    Api,
    /// A migration, schema, seed or configuration table.
    Db,
    /// Shared configuration, a dependency definition or a lockfile.
    Deps,
    /// A shared component, style or utility.
    Shared,
    /// A cross-cutting domain such as payments.
    Domain,
    /// The same file.
    Path,
    /// The same directory, where no rule says more.
    Dir,
    /// Nothing is known about one of the two.
    Unknown,
}

impl ConflictClass {
    /// Returns the name used in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Screen => "screen",
            Self::Api => "api",
            Self::Db => "db",
            Self::Deps => "deps",
            Self::Shared => "shared",
            Self::Domain => "domain",
            Self::Path => "path",
            Self::Dir => "dir",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for ConflictClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<AreaClass> for ConflictClass {
    fn from(class: AreaClass) -> Self {
        match class {
            AreaClass::Screen => Self::Screen,
            AreaClass::Api => Self::Api,
            AreaClass::Db => Self::Db,
            AreaClass::Deps => Self::Deps,
            AreaClass::Shared => Self::Shared,
            AreaClass::Domain => Self::Domain,
        }
    }
}
