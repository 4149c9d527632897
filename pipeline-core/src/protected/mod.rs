//! Protected paths and protected operations: recognised by rules as data, and held until a person lifts them.
//!
//! Two things are held (`docs/protected-operations.md`):
//!
//! - **protected paths**, by [class](HoldClass): CI files, `.git*`, hooks, build scripts, lockfiles,
//!   migrations, agent configuration. The OK that names a class lifts all its paths.
//! - **protected operations**, of seven [kinds](ProtectedKind), found in what a patch writes and in commands
//!   an agent ran. Each is lifted alone, by its [id](HoldId); neither the local OK nor the ship implies it.
//!
//! [`ProtectedRules`] finds them, [`Lifts`] is what an OK says, and [`Lifts::remaining`] is what stays held.
//! [`ProhibitedRules`] is the stricter list for read-only runs, over the same reader.

mod compile;
mod data;
mod embedded;
mod find;
mod hold;
mod lift;
mod programs;
mod prohibited;
mod rules;
mod shell;
mod sql;
mod written;

pub use self::compile::RulesError;
pub use self::hold::Evidence;
pub use self::hold::Hold;
pub use self::hold::HoldClass;
pub use self::hold::HoldId;
pub use self::hold::HoldReason;
pub use self::hold::InvalidClass;
pub use self::hold::ProtectedKind;
pub use self::hold::TeamClass;
pub use self::lift::InvalidLift;
pub use self::lift::Lifts;
pub use self::prohibited::Prohibited;
pub use self::prohibited::ProhibitedKind;
pub use self::prohibited::ProhibitedRules;
pub use self::rules::ProtectedRules;

#[cfg(test)]
mod tests;
