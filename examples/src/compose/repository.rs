//! The git side of a pipeline: workspaces, integrator, checks, conflict rules.

use std::collections::BTreeMap;
use std::sync::Arc;

use pipeline_core::conflict::ConflictDetector;
use pipeline_core::conflict::PresetChoice;
use pipeline_core::conflict::PresetUse;
use pipeline_core::conflict::RuleFile;
use pipeline_core::conflict::RuleSet;
use pipeline_core::conflict::Unclassified;
use pipeline_core::footprint::RepoPath;
use pipeline_core::integrate::PatchIntegrator;
use pipeline_core::patch::ParsedPatch;
use pipeline_core::patch::PatchLimits;
use pipeline_core::pipeline::Conflicts;
use pipeline_core::process::Wrapper;
use pipeline_core::protected::ProtectedRules;
use pipeline_core::report::chain;
use pipeline_core::verify::CommandVerifier;
use pipeline_core::verify::Verifier;
use pipeline_core::verify::VerifyCommand;
use pipeline_core::workspace::Target;
use pipeline_core::workspace::WorkspaceProvider;
use pipeline_git::GitIntegrator;
use pipeline_git::GitOptions;
use pipeline_git::GitWorkspaces;
use pipeline_git::Hook;
use pipeline_git::HookPoint;
use pipeline_git::Hooks;
use pipeline_git::IntegratorOptions;
use pipeline_git::PushOptions;
use pipeline_git::Repository;
use pipeline_git::Signing;
use pipeline_git::WorkspaceOptions;

use super::ComposeError;
use super::learn;
use super::settings;
use crate::config::model;
use crate::config::model::HookSection;
use crate::sandbox;
use crate::surroundings::FoundRepository;
use crate::surroundings::StateDir;
use crate::surroundings::Surroundings;
use crate::workplace::Workplace;

/// The git side of a pipeline.
#[derive(Debug)]
pub struct OpenRepository {
    /// The repository.
    pub git: Repository,
    /// The integrator, as itself.
    pub git_integrator: GitIntegrator,
    /// Where runs work.
    pub workspaces: Arc<dyn WorkspaceProvider>,
    /// The integrator, as a seam.
    pub integrator: Arc<dyn PatchIntegrator>,
    /// The team's checks.
    pub verifier: Arc<dyn Verifier>,
    /// What is held.
    pub protected: Arc<ProtectedRules>,
}

impl OpenRepository {
    pub(super) async fn open(
        workplace: &Workplace,
        around: &Surroundings,
        found: &FoundRepository,
    ) -> Result<Self, ComposeError> {
        let git = git(around, found, &workplace.state).await?;
        let section = &workplace.config().sandbox;
        let wrapper = sandbox::wrapper(around, workplace, None, section.network)
            .map_err(ComposeError::unusable)?;
        let hooks = hooks(workplace, around, &wrapper);
        let limits = workplace.config().limits.clone();
        let bytes = u64::from(limits.patch_mib) << 20;
        let workspaces = WorkspaceOptions::default()
            .patch_limit(bytes)
            .grace(workplace.config().workspace.grace.get())
            .pool(workplace.config().workspace.pool as usize)
            .hooks(hooks.clone());
        let protected = Arc::new(protected(workplace)?);
        let options = integrator(workplace, around, hooks, Arc::clone(&protected))?;
        let integrator = GitIntegrator::new(&git, options);
        Ok(Self {
            workspaces: Arc::new(GitWorkspaces::new(&git, workspaces)),
            integrator: Arc::new(integrator.clone()),
            verifier: Arc::new(verifier(workplace, around, wrapper)),
            git_integrator: integrator,
            protected,
            git,
        })
    }

    #[cfg(feature = "crash-points")]
    pub(super) fn crashing(self, points: &crate::crash::Points) -> Self {
        use crate::crash::CrashingIntegrator;
        use crate::crash::CrashingWorkspaces;
        Self {
            workspaces: Arc::new(CrashingWorkspaces::new(self.workspaces, points.clone())),
            integrator: Arc::new(CrashingIntegrator::new(self.integrator, points.clone())),
            ..self
        }
    }

    /// Returns the conflict rules for these targets: the team's own over a preset.
    ///
    /// # Errors
    /// If the rules cannot be read or make no sense.
    pub async fn conflicts(
        &self,
        workplace: &Workplace,
        targets: &[Target],
    ) -> Result<Conflicts, ComposeError> {
        let section = &workplace.config().conflicts;
        let bad = |source: pipeline_core::BoxError| ComposeError::Unusable {
            what: "the conflict rules cannot be used".to_owned(),
            source: Some(source),
        };
        let mut file = match &section.rules {
            Some(path) => {
                let path = workplace.loaded.resolve(path);
                let text = std::fs::read_to_string(&path).map_err(|source| ComposeError::File {
                    path: path.clone(),
                    source,
                })?;
                RuleFile::parse(&text, &path.display().to_string())
                    .map_err(|error| bad(error.into()))?
            }
            None => RuleFile::default(),
        };
        if section.preset != "auto" {
            file.presets = Some(PresetChoice::Named(vec![PresetUse::new(
                section.preset.as_str(),
                "",
            )]));
        }
        file.unclassified = file.unclassified.or(Some(match section.unclassified {
            model::Unclassified::Serial => Unclassified::Serial,
            model::Unclassified::Directory => Unclassified::Directory,
            model::Unclassified::File => Unclassified::File,
        }));
        let listing = self.listing(targets).await;
        let rules = RuleSet::new(&file, &listing).map_err(|error| bad(error.into()))?;
        let mut detectors: BTreeMap<Target, Arc<dyn ConflictDetector>> = BTreeMap::new();
        for target in targets {
            let mut detector = rules
                .detector(target.as_str())
                .map_err(|error| bad(error.into()))?;
            if rules.coupling().enabled {
                let branch = format!("refs/heads/{target}");
                match learn(&self.git, &workplace.state, &branch, rules.coupling()).await {
                    Ok(coupling) => detector = detector.with_coupling(coupling),
                    // The declared files still decide; nothing runs together that the rules keep apart.
                    Err(error) => {
                        tracing::warn!(%target, error = chain(&error), "no coupling is learned");
                    }
                }
            }
            detectors.insert(target.clone(), Arc::new(detector));
        }
        Ok(Conflicts::of_detectors(detectors, rules.digest()).with_watch(rules.watch()))
    }

    /// Returns what lies in the repository; nothing where the target has no commit yet.
    async fn listing(&self, targets: &[Target]) -> Vec<RepoPath> {
        let Some(target) = targets.first() else {
            return Vec::new();
        };
        let Ok(base) = self.workspaces.base(target).await else {
            return Vec::new();
        };
        let files = self.workspaces.files(&base).await.unwrap_or_default();
        files
            .iter()
            .filter_map(|path| RepoPath::parse(path).ok())
            .collect()
    }
}

/// Opens a repository with the person's own search path, but none of their git configuration.
pub(crate) async fn git(
    around: &Surroundings,
    found: &FoundRepository,
    state: &StateDir,
) -> Result<Repository, ComposeError> {
    let program = around.find_program("git").unwrap_or_else(|| "git".into());
    let options = GitOptions::new(program).search_path(around.search_path());
    let opened = Repository::open(options, &found.root, state.path().join("git")).await;
    opened.map_err(|error| ComposeError::Repository {
        path: found.root.clone(),
        source: error.into(),
    })
}

fn hooks(workplace: &Workplace, around: &Surroundings, wrapper: &Wrapper) -> Hooks {
    let section = &workplace.config().workspace.hooks;
    let points: [(HookPoint, &Option<HookSection>); 5] = [
        (HookPoint::AfterCreate, &section.after_create),
        (HookPoint::BeforeRun, &section.before_run),
        (HookPoint::AfterRun, &section.after_run),
        (HookPoint::BeforeRemove, &section.before_remove),
        (HookPoint::BeforeVerify, &section.before_verify),
    ];
    let mut hooks = Hooks::default()
        .env("PATH", around.search_path().to_string_lossy())
        .wrapper(wrapper.clone());
    for (name, value) in around.named(&section.env) {
        hooks = hooks.env(name.to_string_lossy(), value.to_string_lossy());
    }
    for (point, hook) in points {
        if let Some(hook) = hook {
            hooks = hooks.on(
                point,
                Hook::new(hook.run.clone()).deadline(hook.deadline.get()),
            );
        }
    }
    hooks
}

/// Returns what is held: the built-in rules with the team's own.
fn protected(workplace: &Workplace) -> Result<ProtectedRules, ComposeError> {
    let Some(path) = &workplace.config().protected.rules else {
        return Ok(ProtectedRules::builtin());
    };
    let path = workplace.loaded.resolve(path);
    let text = std::fs::read_to_string(&path).map_err(|source| ComposeError::File {
        path: path.clone(),
        source,
    })?;
    ProtectedRules::with_team(&text).map_err(|error| ComposeError::Unusable {
        what: format!("the protected rules {} cannot be used", path.display()),
        source: Some(error.into()),
    })
}

fn integrator(
    workplace: &Workplace,
    around: &Surroundings,
    hooks: Hooks,
    protected: Arc<ProtectedRules>,
) -> Result<IntegratorOptions, ComposeError> {
    let config = workplace.config();
    let landing = &config.landing;
    let id = settings::integrator_id(&workplace.state)?;
    let limits = PatchLimits::default()
        .with_max_bytes(u64::from(config.limits.patch_mib) << 20)
        .with_max_files(u64::from(config.limits.patch_files));
    let mut options = IntegratorOptions::new(&config.workers.integrator, id)
        .limits(limits)
        .three_way(config.verify.three_way)
        .filters(&landing.filters)
        .hooks(hooks)
        .keep(&config.verify.keep)
        .holds(Arc::new(move |patch: &ParsedPatch<'_>| {
            protected.patch(patch)
        }))
        .sign_off(landing.signoff);
    let format = match landing.sign {
        model::Signing::Off => None,
        model::Signing::Openpgp => Some("openpgp"),
        model::Signing::Ssh => Some("ssh"),
    };
    if let (Some(format), Some(key)) = (format, &landing.signing_key) {
        let mut signing = Signing::new(format, key);
        if let Some(program) = &landing.signing_program {
            signing = signing.program(program);
        }
        for (name, value) in around.named(&landing.signing_env) {
            signing = signing.env(name.to_string_lossy(), value.to_string_lossy());
        }
        options = options.signing(signing);
    }
    if landing.push {
        options = options.push(push_options(workplace, around));
    }
    Ok(options)
}

/// Returns how a remote is reached.
pub(super) fn push_options(workplace: &Workplace, around: &Surroundings) -> PushOptions {
    let landing = &workplace.config().landing;
    let mut push = PushOptions::new();
    for (name, value) in around.named(&landing.push_env) {
        push = push.env(name.to_string_lossy(), value.to_string_lossy());
    }
    if let Some(helper) = &landing.push_credential_helper {
        push = push.credential_helper(helper);
    }
    if let Some(command) = &landing.push_ssh_command {
        push = push.ssh_command(command);
    }
    push
}

fn verifier(workplace: &Workplace, around: &Surroundings, wrapper: Wrapper) -> CommandVerifier {
    let section = &workplace.config().verify;
    let command = |c: &model::VerifyCommand| VerifyCommand {
        name: c.name.clone(),
        command: c.run.clone(),
        deadline: c.deadline.get(),
    };
    let text = |path: &std::ffi::OsStr| path.to_string_lossy().into_owned();
    let named = around.named(&section.env);
    let env = [("PATH".to_owned(), text(&around.search_path()))]
        .into_iter()
        .chain(named.iter().map(|(name, value)| (text(name), text(value))));
    let verifier = CommandVerifier::new(section.commands.iter().map(command).collect())
        .confined(wrapper)
        .with_env(env.collect());
    let hooks = &workplace.config().workspace.hooks;
    if hooks.after_create.is_some() || hooks.before_verify.is_some() {
        verifier.after_hooks()
    } else {
        verifier
    }
}
