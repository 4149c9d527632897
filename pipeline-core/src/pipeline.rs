//! The composition: the seams, held together; its methods are the stages.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::attachment::AttachmentStore;
use crate::clock::Clock;
use crate::clock::SystemClock;
use crate::clock::Timestamp;
use crate::conflict::ConflictDetector;
use crate::conflict::ConflictKey;
use crate::conflict::RuleSet;
use crate::conflict::RulesError;
use crate::conflict::watch::WatchPolicy;
use crate::event::Event;
use crate::event::Observer;
use crate::event::Stage;
use crate::event::Unobserved;
use crate::failure::FailureAnalyzer;
use crate::footprint::Footprint;
use crate::gate::Gate;
use crate::integrate::PatchIntegrator;
use crate::issue::IssueKey;
use crate::journal::Journal;
use crate::journal::JournalError;
use crate::journal::MemoryJournal;
use crate::ledger::Ledger;
use crate::lock::CommentLocks;
use crate::lock::LockStore;
use crate::mirror::Mirror;
use crate::mirror::View;
use crate::post::Poster;
use crate::process::ProcessIdentity;
use crate::protected::ProtectedRules;
use crate::runner::Runner;
use crate::secret::Redactor;
use crate::settings::Settings;
use crate::stages::Collisions;
use crate::stages::FailingBases;
use crate::thread::Protocol;
use crate::tracker::Tracker;
use crate::tracker::TrackerError;
use crate::verify::Verifier;
use crate::workspace::Target;
use crate::workspace::WorkspaceProvider;

/// Everything a team composes: its tracker, agents, workspaces, rules, gates and integrator.
///
/// Each stage is one idempotent tick; what it does is derived anew from the tracker and the stores.
#[derive(Debug, Clone)]
pub struct Pipeline {
    pub(crate) settings: Arc<Settings>,
    pub(crate) protocol: Arc<Protocol>,
    pub(crate) tracker: Arc<dyn Tracker>,
    pub(crate) mirror: Arc<Mirror>,
    pub(crate) poster: Poster,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) runner: Option<Arc<dyn Runner>>,
    pub(crate) locks: Arc<dyn LockStore>,
    pub(crate) conflicts: Conflicts,
    pub(crate) workspaces: Option<Arc<dyn WorkspaceProvider>>,
    pub(crate) integrator: Option<Arc<dyn PatchIntegrator>>,
    pub(crate) verifier: Option<Arc<dyn Verifier>>,
    pub(crate) analyzer: Option<Arc<dyn FailureAnalyzer>>,
    pub(crate) gates: Vec<Arc<dyn Gate>>,
    pub(crate) attachments: Option<Arc<AttachmentStore>>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) protected: Arc<ProtectedRules>,
    pub(crate) failing_bases: Arc<FailingBases>,
    pub(crate) collisions: Arc<Collisions>,
}

/// The conflict rules of each target.
#[derive(Debug, Clone, Default)]
pub struct Conflicts {
    detectors: BTreeMap<Target, Arc<dyn ConflictDetector>>,
    fallback: Option<Arc<dyn ConflictDetector>>,
    digest: String,
    watch: WatchPolicy,
}

impl Conflicts {
    /// Takes one detector for every target; `digest` names the rules in lock memos.
    #[must_use]
    pub fn one(detector: Arc<dyn ConflictDetector>, digest: impl Into<String>) -> Self {
        Self {
            detectors: BTreeMap::new(),
            fallback: Some(detector),
            digest: digest.into(),
            watch: WatchPolicy::default(),
        }
    }

    /// Takes a rule set, with its detector for each target.
    ///
    /// # Errors
    /// [`RulesError`] if the rules make no sense for one of them.
    pub fn of_rules(rules: &RuleSet, targets: &[Target]) -> Result<Self, RulesError> {
        let mut detectors: BTreeMap<Target, Arc<dyn ConflictDetector>> = BTreeMap::new();
        for target in targets {
            detectors.insert(target.clone(), Arc::new(rules.detector(target.as_str())?));
        }
        Ok(Self::of_detectors(detectors, rules.digest()).with_watch(rules.watch()))
    }

    /// Takes a detector for each target; `digest` names the rules in lock memos.
    #[must_use]
    pub fn of_detectors(
        detectors: BTreeMap<Target, Arc<dyn ConflictDetector>>,
        digest: impl Into<String>,
    ) -> Self {
        Self {
            detectors,
            fallback: None,
            digest: digest.into(),
            watch: WatchPolicy::default(),
        }
    }

    /// Sets what is done when runs collide.
    #[must_use]
    pub fn with_watch(mut self, watch: WatchPolicy) -> Self {
        self.watch = watch;
        self
    }

    /// Returns what is done when runs collide.
    #[must_use]
    pub const fn watch(&self) -> WatchPolicy {
        self.watch
    }

    /// Returns the detector of a target; without any rules nothing may run beside anything.
    #[must_use]
    pub fn of(&self, target: &Target) -> Option<&Arc<dyn ConflictDetector>> {
        self.detectors.get(target).or(self.fallback.as_ref())
    }

    /// Returns the detector of a target by its name, which need not be one that the configuration knows.
    #[must_use]
    pub fn of_name(&self, target: &str) -> Option<&Arc<dyn ConflictDetector>> {
        self.detectors
            .iter()
            .find(|(known, _)| known.as_str() == target)
            .map(|(_, detector)| detector)
            .or(self.fallback.as_ref())
    }

    /// Returns what names the rules in lock memos.
    #[must_use]
    pub fn digest(&self) -> &str {
        if self.digest.is_empty() {
            "none"
        } else {
            &self.digest
        }
    }

    /// Returns the keys that a footprint claims on a target.
    #[must_use]
    pub fn keys(&self, target: &Target, footprint: &Footprint) -> Vec<ConflictKey> {
        match self.of(target) {
            Some(detector) => detector.areas(footprint).keys(),
            None => vec![ConflictKey::all()],
        }
    }
}

/// What is missing for a pipeline, or for a stage of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// The stage needs something that is not configured.
    #[error("{stage} needs {what}: configure it, or leave this stage out", stage = stage.name())]
    Missing {
        /// The stage.
        stage: Stage,
        /// What.
        what: &'static str,
    },
    /// The tracker could not be read at all.
    #[error("{stage}: the tracker could not be read", stage = stage.name())]
    Tracker {
        /// The stage.
        stage: Stage,
        /// Why.
        #[source]
        source: TrackerError,
    },
    /// The locks could not be read at all.
    #[error("{stage}: the work-start locks could not be read", stage = stage.name())]
    Locks {
        /// The stage.
        stage: Stage,
        /// Why.
        #[source]
        source: crate::lock::LockError,
    },
    /// The integrator could not be used.
    #[error("{stage}: the integrator could not be used", stage = stage.name())]
    Integrate {
        /// The stage.
        stage: Stage,
        /// Why.
        #[source]
        source: crate::integrate::IntegrateError,
    },
    /// The journal could not be used.
    #[error("{stage}: the journal could not be used, so nothing was done", stage = stage.name())]
    Journal {
        /// The stage.
        stage: Stage,
        /// Why.
        #[source]
        source: JournalError,
    },
    /// What was named does not exist or cannot be done now.
    #[error("{0}")]
    Refused(String),
}

/// Builds a [`Pipeline`]. Only tracker, protocol and settings are needed; a stage says what it lacks.
#[derive(Debug)]
pub struct Builder {
    settings: Settings,
    protocol: Protocol,
    tracker: Arc<dyn Tracker>,
    mirror: Mirror,
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
    redactor: Redactor,
    runner: Option<Arc<dyn Runner>>,
    locks: Option<Arc<dyn LockStore>>,
    conflicts: Conflicts,
    workspaces: Option<Arc<dyn WorkspaceProvider>>,
    integrator: Option<Arc<dyn PatchIntegrator>>,
    verifier: Option<Arc<dyn Verifier>>,
    analyzer: Option<Arc<dyn FailureAnalyzer>>,
    gates: Vec<Arc<dyn Gate>>,
    attachments: Option<Arc<AttachmentStore>>,
    ledger: Arc<Ledger>,
    most_posts_per_day: usize,
    protected: Arc<ProtectedRules>,
    owner: Option<ProcessIdentity>,
}

impl Pipeline {
    /// Begins a composition.
    #[must_use]
    pub fn builder(tracker: Arc<dyn Tracker>, protocol: Protocol, settings: Settings) -> Builder {
        Builder {
            settings,
            protocol,
            tracker,
            mirror: Mirror::in_memory(),
            journal: Arc::new(MemoryJournal::default()),
            clock: Arc::new(SystemClock),
            observer: Arc::new(Unobserved),
            redactor: Redactor::default(),
            runner: None,
            locks: None,
            conflicts: Conflicts::default(),
            workspaces: None,
            integrator: None,
            verifier: None,
            analyzer: None,
            gates: Vec::new(),
            attachments: None,
            ledger: Arc::new(Ledger::in_memory()),
            most_posts_per_day: 60,
            protected: Arc::new(ProtectedRules::builtin()),
            // Without it a restart cannot tell our runs from a dead process's and waits for the lease to end.
            owner: ProcessIdentity::of_running(std::process::id())
                .ok()
                .flatten(),
        }
    }

    /// Returns the settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns who we are.
    #[must_use]
    pub fn protocol(&self) -> &Protocol {
        &self.protocol
    }

    /// Returns the tracker.
    #[must_use]
    pub fn tracker(&self) -> &Arc<dyn Tracker> {
        &self.tracker
    }

    pub(crate) async fn read(
        &self,
        stage: Stage,
        also: &BTreeSet<IssueKey>,
    ) -> Result<View, PipelineError> {
        self.mirror
            .refresh(
                &*self.tracker,
                &self.protocol,
                self.settings.start.watermark.at,
                also,
            )
            .await
            .map_err(|source| PipelineError::Tracker { stage, source })
    }

    pub(crate) fn tell_person(&self, issue: Option<&IssueKey>, cause: String, what: String) {
        self.observer.observe(&Event::PersonNeeded {
            issue: issue.cloned(),
            cause,
            what,
        });
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

macro_rules! with {
    ($($(#[$doc:meta])* $name:ident($field:ident: $type:ty) = $value:expr;)*) => {
        $($(#[$doc])*
        #[must_use]
        pub fn $name(mut self, $field: $type) -> Self {
            self.$field = $value;
            self
        })*
    };
}

impl Builder {
    with! {
        /// Sets where what was read is kept; in memory otherwise.
        with_mirror(mirror: Mirror) = mirror;
        /// Sets the journal; in memory otherwise.
        with_journal(journal: Arc<dyn Journal>) = journal;
        /// Sets the clock; the system's otherwise.
        with_clock(clock: Arc<dyn Clock>) = clock;
        /// Sets who is told what happens.
        with_observer(observer: Arc<dyn Observer>) = observer;
        /// Sets what must never be posted.
        with_redactor(redactor: Redactor) = redactor;
        /// Sets who makes runs.
        with_runner(runner: Arc<dyn Runner>) = Some(runner);
        /// Sets the lock store; the comment threads otherwise.
        with_locks(locks: Arc<dyn LockStore>) = Some(locks);
        /// Sets the conflict rules; the generic preset otherwise.
        with_conflicts(conflicts: Conflicts) = conflicts;
        /// Sets where bases are read from.
        with_workspaces(workspaces: Arc<dyn WorkspaceProvider>) = Some(workspaces);
        /// Sets the integrator.
        with_integrator(integrator: Arc<dyn PatchIntegrator>) = Some(integrator);
        /// Sets the team's checks.
        with_verifier(verifier: Arc<dyn Verifier>) = Some(verifier);
        /// Sets who explains failures.
        with_analyzer(analyzer: Arc<dyn FailureAnalyzer>) = Some(analyzer);
        /// Sets where the files of issues are kept; without it agents see their names only.
        with_attachments(attachments: Arc<AttachmentStore>) = Some(attachments);
        /// Sets where is written down what runs use and which agents are paused; in memory otherwise.
        with_ledger(ledger: Arc<Ledger>) = ledger;
        /// Sets what is recognised in commands that agents ran; the built-in rules otherwise.
        with_protected(protected: Arc<ProtectedRules>) = protected;
        /// Sets the cap on our memos per issue and day.
        with_most_posts_per_day(most_posts_per_day: usize) = most_posts_per_day;
    }

    /// Adds a place where an OK can be given.
    #[must_use]
    pub fn with_gate(mut self, gate: Arc<dyn Gate>) -> Self {
        self.gates.push(gate);
        self
    }

    /// Sets which process the journal names, so that a test can let one die that is not its own.
    #[cfg(test)]
    pub(crate) fn with_owner(mut self, owner: Option<ProcessIdentity>) -> Self {
        self.owner = owner;
        self
    }

    /// Finishes the composition.
    #[must_use]
    pub fn build(self) -> Pipeline {
        let protocol = Arc::new(self.protocol);
        let mirror = Arc::new(self.mirror);
        let poster = Poster {
            tracker: Arc::clone(&self.tracker),
            protocol: Arc::clone(&protocol),
            journal: Arc::clone(&self.journal),
            clock: Arc::clone(&self.clock),
            redactor: Arc::new(self.redactor),
            most_per_day: self.most_posts_per_day,
            owner: self.owner,
        };
        let watermark = self.settings.start.watermark.at;
        let locks = self.locks.unwrap_or_else(|| {
            Arc::new(CommentLocks::new(
                poster.clone(),
                Arc::clone(&mirror),
                watermark,
            ))
        });
        Pipeline {
            settings: Arc::new(self.settings),
            protocol,
            tracker: self.tracker,
            mirror,
            poster,
            journal: self.journal,
            clock: self.clock,
            observer: self.observer,
            runner: self.runner,
            locks,
            conflicts: self.conflicts,
            workspaces: self.workspaces,
            integrator: self.integrator,
            verifier: self.verifier,
            analyzer: self.analyzer,
            gates: self.gates,
            attachments: self.attachments,
            ledger: self.ledger,
            protected: self.protected,
            failing_bases: Arc::default(),
            collisions: Arc::default(),
        }
    }
}
