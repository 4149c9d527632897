//! From plan to backlog and back: a Markdown roadmap stays the plan, the tracker gets one issue per item, and the
//! document links to each.
//!
//! [`PlanDocument`] reads the roadmap without losing a byte. [`PlanSync`] compares it with a tracker ([`PlanSync::look`] writes
//! nothing) and makes what is missing ([`PlanSync::apply`]), so that a crash anywhere is repaired by running it again.
//! [`Drafter`] lets an agent word the issues before anything is made.

mod document;
mod draft;
mod files;
mod fingerprint;
mod marks;
mod sync;

pub use self::document::Edit;
pub use self::document::EditError;
pub use self::document::InvalidSyntax;
pub use self::document::IssueLink;
pub use self::document::NewLink;
pub use self::document::Phase;
pub use self::document::PlanDocument;
pub use self::document::PlanItem;
pub use self::document::PlanSyntax;
pub use self::document::Task;
pub use self::draft::DraftError;
pub use self::draft::Drafter;
pub use self::draft::Drafts;
pub use self::draft::ItemDraft;
pub use self::files::DiskFiles;
pub use self::files::FilesError;
pub use self::files::PlanFiles;
pub use self::files::Replaced;
pub use self::fingerprint::Fingerprint;
pub use self::fingerprint::normal;
pub use self::marks::Origin;
pub use self::sync::Action;
pub use self::sync::Done;
pub use self::sync::Drift;
pub use self::sync::FilePlan;
pub use self::sync::ItemPlan;
pub use self::sync::PhaseNames;
pub use self::sync::PlanError;
pub use self::sync::PlanSync;
pub use self::sync::PlanWatch;
pub use self::sync::Skip;
pub use self::sync::StopReason;
pub use self::sync::Stopped;
pub use self::sync::SyncOptions;
pub use self::sync::SyncPlan;
pub use self::sync::SyncReport;
pub use self::sync::TakenBack;
pub use self::sync::Unwatched;

#[cfg(test)]
mod tests;
