//! From a configuration to a pipeline: every part once, in the order it is needed.

pub(crate) mod agents;
mod analyzer;
mod coupling;
pub(crate) mod repository;
mod settings;
mod signing;
pub(crate) mod tracker;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use pipeline_core::agent::Agent;
use pipeline_core::attachment::AttachmentLimits;
use pipeline_core::attachment::AttachmentStore;
use pipeline_core::clock::Clock;
use pipeline_core::clock::SystemClock;
use pipeline_core::event::Observer;
use pipeline_core::gate::FolderGate;
use pipeline_core::gate::Gate;
use pipeline_core::gate::TrackerGate;
use pipeline_core::journal::FileJournal;
use pipeline_core::journal::Journal;
use pipeline_core::journal::JournalError;
use pipeline_core::ledger::Ledger;
use pipeline_core::ledger::LedgerError;
use pipeline_core::lock::Integrator;
use pipeline_core::memo::Markers;
use pipeline_core::memo::SigningKeys;
use pipeline_core::memory::MemoryTracker;
use pipeline_core::mirror::Mirror;
use pipeline_core::pipeline::Pipeline;
use pipeline_core::report::chain;
use pipeline_core::runner::LocalRunner;
use pipeline_core::runner::RunTable;
use pipeline_core::runner::RunnerError;
use pipeline_core::secret::Redactor;
use pipeline_core::secret::Secret;
use pipeline_core::settings::Settings;
use pipeline_core::thread::Protocol;
use pipeline_core::tracker::Tracker;
use pipeline_core::tracker::TrackerError;
use pipeline_core::workspace::Target;
use pipeline_git::GitIntegrator;
use pipeline_git::GitLocks;
use pipeline_git::IntegratorOptions;

use crate::config::model::LockPlace;
use crate::config::model::Place;
#[cfg(feature = "crash-points")]
use crate::crash;
use crate::surroundings::SecretError;
use crate::surroundings::StateDir;
use crate::surroundings::StateDirError;
use crate::surroundings::Surroundings;
use crate::workplace::Workplace;

pub(crate) use self::coupling::learn;
pub use self::repository::OpenRepository;
pub use self::settings::watermark;

/// A pipeline with the parts that commands use beside it.
#[derive(Debug)]
pub struct Composed {
    /// The stages.
    pub pipeline: Pipeline,
    /// Makes the runs.
    pub runner: Arc<LocalRunner>,
    /// The tracker, as the pipeline.
    pub tracker: Arc<dyn Tracker>,
    /// Where the permission to ship is given.
    pub ship_gate: Arc<dyn Gate>,
    /// What began and what ended.
    pub journal: Arc<dyn Journal>,
    /// What runs used, and which agents are paused.
    pub ledger: Arc<Ledger>,
    /// The repository, where there is one.
    pub repository: Option<OpenRepository>,
}

/// Why a configuration cannot be composed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComposeError {
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] StateDirError),
    /// A file of the state directory cannot be used.
    #[error("{} cannot be used", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The tracker cannot be opened.
    #[error("the tracker cannot be opened: run `issue-pipeline init`, or correct [tracker]")]
    Tracker(#[source] TrackerError),
    /// The journal cannot be opened.
    #[error("the journal cannot be opened")]
    Journal(#[source] JournalError),
    /// The ledger cannot be opened.
    #[error(transparent)]
    Ledger(LedgerError),
    /// The run table cannot be opened.
    #[error(transparent)]
    Runs(#[from] RunnerError),
    /// A secret is missing.
    #[error("agent {agent}: no value for {variable}")]
    Secret {
        /// The agent.
        agent: String,
        /// The variable it is for.
        variable: String,
        /// Why.
        #[source]
        source: SecretError,
    },
    /// The repository cannot be used.
    #[error("the repository {} cannot be used", path.display())]
    Repository {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        source: pipeline_core::BoxError,
    },
    /// Something in the configuration cannot be used.
    #[error("{what}")]
    Unusable {
        /// What, and what to do.
        what: String,
        /// Why.
        #[source]
        source: Option<pipeline_core::BoxError>,
    },
}

impl ComposeError {
    fn unusable(what: impl Into<String>) -> Self {
        Self::Unusable {
            what: what.into(),
            source: None,
        }
    }
}

/// Returns the folder of the run table.
#[must_use]
pub fn runs_dir(workplace: &Workplace) -> PathBuf {
    workplace.state.path().join("runs")
}

/// Returns the folder of OKs given on a terminal.
#[must_use]
pub fn approvals_dir(workplace: &Workplace) -> PathBuf {
    workplace.state.path().join("approvals")
}

/// Builds the pipeline a configuration describes.
///
/// # Errors
/// [`ComposeError`], with what to do about it.
pub async fn compose(
    workplace: &Workplace,
    around: &Surroundings,
    observer: Arc<dyn Observer>,
) -> Result<Composed, ComposeError> {
    workplace.state.prepare()?;
    let state = workplace.state.path();
    let config = workplace.config();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let journal = FileJournal::open(&state.join("journal.jsonl")).map_err(ComposeError::Journal)?;
    let journal: Arc<dyn Journal> = Arc::new(journal);
    #[cfg(feature = "crash-points")]
    let points = crash::Points::new(workplace.crash_at);
    #[cfg(feature = "crash-points")]
    let journal: Arc<dyn Journal> = Arc::new(crash::CrashingJournal::new(journal, points.clone()));

    let ledger = Ledger::open(&state.join("ledger.jsonl")).map_err(ComposeError::Ledger)?;
    let ledger = Arc::new(ledger);

    let opened = tracker::open(workplace, around).await?;
    let tracker = opened.tracker;
    #[cfg(feature = "crash-points")]
    let tracker: Arc<dyn Tracker> = Arc::new(crash::CrashingTracker::new(tracker, points.clone()));
    let (keys, signing_secrets) = signing::keys(workplace, around, tracker.identity()).await?;
    let protocol = Protocol {
        accounts: config.tracker.accounts.clone(),
        ignore_authors: config.tracker.ignore_authors.clone(),
        markers: config.markers.clone().into(),
        keys,
    };

    let repository = match &workplace.repository {
        Some(found) => Some(OpenRepository::open(workplace, around, found).await?),
        None => None,
    };
    #[cfg(feature = "crash-points")]
    let repository = repository.map(|r| r.crashing(&points));
    let agents = agents::agents(workplace, around).await?;
    let table = RunTable::open(&runs_dir(workplace))?;
    let mut runner = LocalRunner::new(
        table,
        Arc::clone(&journal),
        Arc::clone(&clock),
        Arc::clone(&observer),
    )
    .with_agent_state(state.join("agents"));
    for agent in &agents.built {
        runner = runner.with_agent(Arc::clone(agent));
    }
    for (name, agent) in &config.agents {
        if agent.unconfined {
            runner = runner.with_unconfined(name);
        }
    }
    if let Some(repository) = &repository {
        runner = runner.with_workspaces(Arc::clone(&repository.workspaces));
    }
    let runner = Arc::new(runner);

    let settings = settings::settings(workplace, &*tracker).await?;
    let targets = settings.targets.all();
    let watermark = settings.start.watermark.at;
    let attachments = AttachmentStore::open(state.join("attachments"), AttachmentLimits::default())
        .map_err(|e| ComposeError::unusable(chain(&e)))?;
    let approvers = config.gates.approvers.clone();
    let secrets: Vec<&Secret> = opened
        .secrets
        .iter()
        .chain(&agents.secrets)
        .chain(&signing_secrets)
        .collect();
    let redactor = redactor(workplace, around, &secrets);
    if let Some(tokens) = &opened.renewed {
        tokens.tell(&redactor);
    }
    let mut builder = Pipeline::builder(Arc::clone(&tracker), protocol.clone(), settings)
        .with_mirror(mirror(workplace)?)
        .with_journal(Arc::clone(&journal))
        .with_clock(clock)
        .with_observer(observer)
        .with_redactor(redactor)
        .with_attachments(Arc::new(attachments))
        .with_ledger(Arc::clone(&ledger))
        .with_runner(Arc::clone(&runner) as _)
        .with_analyzer(Arc::new(analyzer::LazyAnalyzer::default()))
        .with_most_posts_per_day(config.limits.posts_per_day as usize);
    let gate = |place: Place| -> Result<Arc<dyn Gate>, ComposeError> {
        Ok(match place {
            Place::Terminal => Arc::new(FolderGate::terminal(approvals_dir(workplace))),
            Place::Owner => {
                let folder = config.gates.owner_folder.as_deref();
                let folder = folder
                    .ok_or_else(|| ComposeError::unusable("[gates] owner_folder is not set"))?;
                Arc::new(FolderGate::owner(workplace.loaded.resolve(folder), state))
            }
            Place::Tracker => {
                let protocol = Arc::new(protocol.clone());
                let gate = TrackerGate::new(Arc::clone(&tracker), protocol, approvers.clone());
                Arc::new(gate)
            }
        })
    };
    // Each gate has its own place: one that is weaker for the one opens nothing of the other.
    let ship_gate = gate(config.gates.ship.place.unwrap_or(config.gates.local_ok))?;
    builder = builder.with_gate(gate(config.gates.local_ok)?);
    if config.locks.store == LockPlace::Git {
        let found = repository.as_ref();
        let found = found
            .ok_or_else(|| ComposeError::unusable("[locks] store = \"git\" needs a repository"))?;
        let place = pipeline_git::LockPlace {
            remote: config.locks.remote.clone(),
            push: repository::push_options(workplace, around),
            tracker: Arc::clone(&tracker),
            protocol: Arc::new(protocol.clone()),
            journal: Arc::clone(&journal),
            clock: Arc::new(SystemClock),
            watermark,
        };
        let locks = GitLocks::new(&found.git, place, mirror(workplace)?);
        builder = builder.with_locks(Arc::new(locks));
    }
    if let Some(repository) = &repository {
        builder = builder
            .with_workspaces(Arc::clone(&repository.workspaces))
            .with_integrator(Arc::clone(&repository.integrator))
            .with_protected(Arc::clone(&repository.protected))
            .with_verifier(Arc::clone(&repository.verifier))
            .with_conflicts(repository.conflicts(workplace, &targets).await?);
    }
    Ok(Composed {
        pipeline: builder.build(),
        runner,
        tracker,
        ship_gate,
        journal,
        ledger,
        repository,
    })
}

/// Opens the mirror, which a dry run only reads.
fn mirror(workplace: &Workplace) -> Result<Mirror, ComposeError> {
    let folder = workplace.state.path().join("mirror");
    let opened = if workplace.dry_run {
        Mirror::open_reading_only(&folder)
    } else {
        Mirror::open(&folder)
    };
    opened.map_err(ComposeError::Tracker)
}

/// Returns what must never be posted: the tracker's and the agents' secrets and every value that a child of ours is passed by name.
///
/// A test of a patch may print its environment, and its output goes into a rework memo.
fn redactor(workplace: &Workplace, around: &Surroundings, secrets: &[&Secret]) -> Redactor {
    /// Names whose values are no secrets, and stand in every log.
    const PLAIN: [&str; 9] = [
        "PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "SHELL", "TERM",
    ];
    let config = workplace.config();
    let names = [
        &config.gates.ship.env,
        &config.landing.signing_env,
        &config.landing.push_env,
        &config.notify.env,
        &config.workspace.hooks.env,
        &config.verify.env,
    ];
    let passed = around.named(
        names
            .into_iter()
            .flatten()
            .filter(|n| !PLAIN.contains(&n.as_str())),
    );
    let passed: Vec<Secret> = passed
        .iter()
        .filter_map(|(_, value)| Some(Secret::new(value.to_str()?)))
        .collect();
    Redactor::new(secrets.iter().copied().chain(&passed))
}

/// Builds the agent a configuration has under this name.
///
/// # Errors
/// [`ComposeError`] if one of its agents cannot be built.
pub async fn agent(
    workplace: &Workplace,
    around: &Surroundings,
    name: &str,
) -> Result<Option<Arc<dyn Agent>>, ComposeError> {
    let agents = agents::agents(workplace, around).await?;
    Ok(agents.built.into_iter().find(|a| a.name() == name))
}

/// Builds a pipeline that only looks at the candidates of the repository around: for a person who has no configuration.
///
/// # Errors
/// [`ComposeError`] if there is no repository, or it cannot be read.
pub async fn of_repository(around: &Surroundings) -> Result<Pipeline, ComposeError> {
    let found = around.repository();
    let found = found.ok_or_else(|| ComposeError::unusable("there is no repository here"))?;
    let state = StateDir::default_for(around, Some(&found))?;
    state.prepare()?;
    let git = repository::git(around, &found, &state).await?;
    let options = IntegratorOptions::new("none", "none");
    let integrator = GitIntegrator::new(&git, options);
    let nobody = Integrator {
        name: "none".to_owned(),
        id: "none".to_owned(),
    };
    let target = Target::new("none").map_err(ComposeError::unusable)?;
    let tracker: Arc<dyn Tracker> = Arc::new(MemoryTracker::new());
    let protocol = Protocol {
        accounts: Vec::new(),
        ignore_authors: Vec::new(),
        markers: Markers::default(),
        keys: SigningKeys::new(tracker.identity()),
    };
    let settings = Settings::new(found.name(), target, nobody);
    let builder = Pipeline::builder(tracker, protocol, settings);
    Ok(builder.with_integrator(Arc::new(integrator)).build())
}
