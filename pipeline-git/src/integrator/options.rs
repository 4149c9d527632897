//! How an integrator works.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pipeline_core::patch::ParsedPatch;
use pipeline_core::patch::PatchLimits;
use pipeline_core::protected::Hold;
use pipeline_core::protected::ProtectedRules;

use crate::hooks::Hooks;
use crate::integrator::push::PushOptions;

/// Finds what holds a patch until a person names it.
pub type HoldFinder = Arc<dyn Fn(&ParsedPatch<'_>) -> Vec<Hold> + Send + Sync>;

/// How an integrator works.
///
/// # Examples
/// ```
/// use pipeline_git::IntegratorOptions;
///
/// let options = IntegratorOptions::new("main-codex", "3f2a").three_way(true).keep(["node_modules"]);
/// # let _ = options;
/// ```
#[derive(Clone)]
pub struct IntegratorOptions {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) limits: PatchLimits,
    pub(crate) three_way: bool,
    pub(crate) holds: Option<HoldFinder>,
    pub(crate) filters: Vec<String>,
    pub(crate) hooks: Hooks,
    pub(crate) keep: Vec<String>,
    pub(crate) dependency_files: Vec<String>,
    pub(crate) sign_off: bool,
    pub(crate) signing: Option<Signing>,
    pub(crate) push: Option<PushOptions>,
}

impl IntegratorOptions {
    /// Makes the options of the integrator with this name and id of (machine, repository).
    #[must_use]
    pub fn new(name: impl Into<String>, id: impl Into<String>) -> Self {
        let rules = ProtectedRules::builtin();
        Self {
            name: name.into(),
            id: id.into(),
            limits: PatchLimits::default(),
            three_way: false,
            holds: Some(Arc::new(move |patch| rules.patch(patch))),
            filters: Vec::new(),
            hooks: Hooks::default(),
            keep: Vec::new(),
            dependency_files: DEPENDENCY_FILES.iter().map(ToString::to_string).collect(),
            sign_off: false,
            signing: None,
            push: None,
        }
    }

    /// Bounds the patches.
    #[must_use]
    pub fn limits(mut self, limits: PatchLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Lets a patch that does not apply as it is be merged three-way.
    #[must_use]
    pub fn three_way(mut self, allowed: bool) -> Self {
        self.three_way = allowed;
        self
    }

    /// Sets what finds the holds of a patch; without it only filters hold.
    #[must_use]
    pub fn holds(mut self, finder: HoldFinder) -> Self {
        self.holds = Some(finder);
        self
    }

    /// Names the `filter` drivers of the repository's own configuration that may run; a path with
    /// any other one is held.
    #[must_use]
    pub fn filters(mut self, drivers: impl IntoIterator<Item: Into<String>>) -> Self {
        self.filters = drivers.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the hooks of the verification worktree.
    #[must_use]
    pub fn hooks(mut self, hooks: Hooks) -> Self {
        self.hooks = hooks;
        self
    }

    /// Names paths that a reset of the verification worktree leaves, such as installed dependencies.
    #[must_use]
    pub fn keep(mut self, paths: impl IntoIterator<Item: Into<String>>) -> Self {
        self.keep = paths.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the globs of the files whose change makes `after_create` run again.
    #[must_use]
    pub fn dependency_files(mut self, globs: impl IntoIterator<Item: Into<String>>) -> Self {
        self.dependency_files = globs.into_iter().map(Into::into).collect();
        self
    }

    /// Adds a `Signed-off-by` of who gave the OK.
    #[must_use]
    pub fn sign_off(mut self, on: bool) -> Self {
        self.sign_off = on;
        self
    }

    /// Signs the landed commits.
    #[must_use]
    pub fn signing(mut self, signing: Signing) -> Self {
        self.signing = Some(signing);
        self
    }

    /// Pushes after landing.
    #[must_use]
    pub fn push(mut self, push: PushOptions) -> Self {
        self.push = Some(push);
        self
    }
}

impl fmt::Debug for IntegratorOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntegratorOptions")
            .field("name", &self.name)
            .field("id", &self.id)
            .field("three_way", &self.three_way)
            .field("push", &self.push.is_some())
            .finish_non_exhaustive()
    }
}

/// How landed commits are signed; the key itself stays with the program that signs.
#[derive(Clone)]
pub struct Signing {
    pub(crate) format: String,
    pub(crate) key: String,
    pub(crate) program: Option<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) deadline: Duration,
}

impl Signing {
    /// Signs with git's `gpg.format` (`openpgp`, `ssh`, `x509`) and `user.signingKey`.
    #[must_use]
    pub fn new(format: impl Into<String>, key: impl Into<String>) -> Self {
        Self {
            format: format.into(),
            key: key.into(),
            program: None,
            env: Vec::new(),
            deadline: Duration::from_secs(60),
        }
    }

    /// Sets the program that signs, where it is not git's default for the format.
    #[must_use]
    pub fn program(mut self, program: impl Into<String>) -> Self {
        self.program = Some(program.into());
        self
    }

    /// Passes one variable to it, such as `SSH_AUTH_SOCK`.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }
}

impl fmt::Debug for Signing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.env.iter().map(|(name, _)| name).collect();
        f.debug_struct("Signing")
            .field("format", &self.format)
            .field("env", &names)
            .finish_non_exhaustive()
    }
}

/// Files that say what a project depends on, in the common stacks.
const DEPENDENCY_FILES: &[&str] = &[
    "**/package.json",
    "**/package-lock.json",
    "**/npm-shrinkwrap.json",
    "**/yarn.lock",
    "**/pnpm-lock.yaml",
    "**/bun.lock*",
    "**/composer.json",
    "**/composer.lock",
    "**/Gemfile",
    "**/Gemfile.lock",
    "**/requirements*.txt",
    "**/pyproject.toml",
    "**/poetry.lock",
    "**/uv.lock",
    "**/Pipfile.lock",
    "**/Cargo.toml",
    "**/Cargo.lock",
    "**/go.mod",
    "**/go.sum",
    "**/pom.xml",
    "**/build.gradle*",
    "**/gradle.lockfile",
    "**/*.csproj",
    "**/packages.lock.json",
    "**/mix.lock",
    "**/pubspec.lock",
    "**/Package.resolved",
    "**/flake.lock",
];
