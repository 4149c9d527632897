//! The sections of `pipeline.toml`. What each key means stands in `template.toml`, which `init` writes.

mod agents;
mod gates;
mod landing;
mod limits;
mod locks;
mod plan;
mod repository;
mod schedule;
mod signing;
mod tracker;
mod workers;
mod workspace;

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

pub use self::agents::AgentKind;
pub use self::agents::AgentOrder;
pub use self::agents::AgentSection;
pub use self::agents::AgentStage;
pub use self::agents::ApiSection;
pub use self::agents::ApiWire;
pub use self::agents::RolesSection;
pub use self::agents::RunLimitsSection;
pub use self::agents::StageOverrides;
pub use self::agents::WorkspaceChoice;
pub use self::gates::GatesSection;
pub use self::gates::Place;
pub use self::gates::ShipSection;
pub use self::landing::LandingSection;
pub use self::landing::Signing;
pub use self::limits::BudgetSection;
pub use self::limits::InFlightSection;
pub use self::limits::LimitsSection;
pub use self::limits::MarkersSection;
pub use self::locks::LockPlace;
pub use self::locks::LocksSection;
pub use self::plan::PlanPhaseSection;
pub use self::plan::PlanSection;
pub use self::repository::ConflictsSection;
pub use self::repository::ContextSection;
pub use self::repository::FieldSection;
pub use self::repository::FieldTask;
pub use self::repository::FieldWord;
pub use self::repository::ProtectedSection;
pub use self::repository::RepositorySection;
pub use self::repository::TargetsSection;
pub use self::repository::Unclassified;
pub use self::schedule::NotifySection;
pub use self::schedule::ScheduleSection;
pub use self::schedule::StageSection;
pub use self::signing::OldKey;
pub use self::signing::SigningSection;
pub use self::tracker::BacklogSection;
pub use self::tracker::BacklogText;
pub use self::tracker::GitlabSection;
pub use self::tracker::ScopeSection;
pub use self::tracker::StatusNames;
pub use self::tracker::TrackerKind;
pub use self::tracker::TrackerSection;
pub use self::workers::WorkersSection;
pub use self::workspace::HookSection;
pub use self::workspace::HooksSection;
pub use self::workspace::SandboxSection;
pub use self::workspace::VerifyCommand;
pub use self::workspace::VerifySection;
pub use self::workspace::WorkspaceSection;
pub use self::workspace::Wrapper;

/// Everything `pipeline.toml` can say.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Which repository the work is for.
    pub repository: RepositorySection,
    /// Where the pipeline keeps what it knows.
    pub state: StateSection,
    /// The issue tracker.
    pub tracker: TrackerSection,
    /// Which issues exist for the pipeline.
    pub scope: ScopeSection,
    /// The three questions only a person answers.
    pub gates: GatesSection,
    /// The agents, by name.
    pub agents: BTreeMap<String, AgentSection>,
    /// Which agent does what.
    pub roles: RolesSection,
    /// Who works at the same time.
    pub workers: WorkersSection,
    /// Private working areas and their hooks.
    pub workspace: WorkspaceSection,
    /// The team's own checks on every merged tree.
    pub verify: VerifySection,
    /// How hooks, checks and command agents are held in.
    pub sandbox: SandboxSection,
    /// Which branch an issue is meant for.
    pub targets: TargetsSection,
    /// What may not be worked on at the same time.
    pub conflicts: ConflictsSection,
    /// What is held until a person names it.
    pub protected: ProtectedSection,
    /// When `watch` runs each stage.
    pub schedule: ScheduleSection,
    /// Who is told that a person is needed.
    pub notify: NotifySection,
    /// How approved work becomes commits.
    pub landing: LandingSection,
    /// From the roadmap to issues.
    pub plan: PlanSection,
    /// What goes into prompts.
    pub context: ContextSection,
    /// Brakes.
    pub limits: LimitsSection,
    /// Where work-start locks are kept.
    pub locks: LocksSection,
    /// The keys memos are signed with.
    pub signing: SigningSection,
    /// The first lines by which memos are known.
    pub markers: MarkersSection,
}

/// `[state]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StateSection {
    /// The state directory.
    pub dir: Option<PathBuf>,
}
