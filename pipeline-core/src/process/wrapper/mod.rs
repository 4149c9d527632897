//! Wrappers: a command put before a child's own, which takes from it what it does not need.

mod bubblewrap;
mod custom;
mod probe;
mod reach;
mod sandbox_exec;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::Path;
use std::path::PathBuf;

use self::custom::Template;
pub use self::reach::Access;
pub use self::reach::Network;
pub use self::reach::Reach;
#[cfg(test)]
use self::reach::Right;
use self::reach::View;
use super::error::WrapperError;
use super::report::ProcessReport;
use crate::agent::Confinement;

/// Confines children, by a command that is put before theirs.
///
/// # Contract
/// A confined child reads the system's programs, the paths named by [`read`](Self::read) and what its [`Reach`] names,
/// and nothing else: not the home folder, not the state directory, no other process. It writes its workspace (unless
/// that is read-only), a temporary folder of its own, and what its reach names. It has no network unless that is named.
///
/// A path inside a hidden folder may be named; of two paths where one lies inside the other, the inner one decides.
///
/// # Examples
///
/// ```
/// use pipeline_core::agent::Confinement;
/// use pipeline_core::process::{Access, ProcessSpec, Reach, Wrapper};
///
/// let wrapper = Wrapper::bubblewrap().hide("/home/me").hide("/var/lib/pipeline").read("/home/me/.cargo");
/// assert_eq!(wrapper.confinement(), Confinement::Confined { by: "bubblewrap".to_owned() });
///
/// let reach = Reach::new("/var/lib/pipeline/workspaces/7", Access::ReadOnly);
/// let spec = ProcessSpec::new("cargo", "/var/lib/pipeline/workspaces/7").arg("check").confined(wrapper, reach);
/// # let _ = spec;
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Wrapper {
    tool: Tool,
    program: Option<PathBuf>,
    read: Vec<PathBuf>,
    hidden: Vec<PathBuf>,
    network: Network,
}

#[derive(Debug, Clone)]
enum Tool {
    None,
    Bubblewrap,
    SandboxExec,
    Custom(Template),
}

impl Wrapper {
    const fn of(tool: Tool) -> Self {
        Self {
            tool,
            program: None,
            read: Vec::new(),
            hidden: Vec::new(),
            network: Network::Off,
        }
    }

    /// Confines nothing.
    pub const fn none() -> Self {
        Self::of(Tool::None)
    }

    /// Confines by bubblewrap (`bwrap`), on Linux.
    pub const fn bubblewrap() -> Self {
        Self::of(Tool::Bubblewrap)
    }

    /// Confines by `sandbox-exec`, on macOS.
    ///
    /// macOS has no private temporary folder: name one by [`Reach::write`] and as the child's `TMPDIR`.
    pub const fn sandbox_exec() -> Self {
        Self::of(Tool::SandboxExec)
    }

    /// Confines by what the operating system is known for: `sandbox-exec` on macOS, bubblewrap elsewhere.
    pub const fn native() -> Self {
        if cfg!(target_os = "macos") {
            Self::sandbox_exec()
        } else {
            Self::bubblewrap()
        }
    }

    /// Confines by a command of the team's own, the first word being the program.
    ///
    /// A word may hold `{workspace}`, `{directory}` (where the child starts), `{access}` (`ro` or `rw`) and `{network}`
    /// (`on` or `off`). A word with `{read}` is repeated for each readable path. The word `{command}` stands for the
    /// child's own command, which otherwise comes last. What such a command really keeps from a child is
    /// [`probe`](Self::probe)d, not believed.
    ///
    /// # Errors
    /// Fails on an empty command and on an unknown placeholder.
    pub fn custom<W: Into<String>>(
        command: impl IntoIterator<Item = W>,
    ) -> Result<Self, WrapperError> {
        Template::new(command.into_iter().map(Into::into).collect())
            .map(|template| Self::of(Tool::Custom(template)))
    }

    /// Says where the wrapper's program is, if not in one of the system's folders.
    ///
    /// It is never looked for in the child's search path, which may name folders that a stranger can write.
    pub fn program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = Some(program.into());
        self
    }

    /// Lets every child read a path: toolchains, for the most part.
    pub fn read(mut self, path: impl Into<PathBuf>) -> Self {
        self.read.push(path.into());
        self
    }

    /// Hides a folder, also where a readable path would show it: the home and the state directory.
    pub fn hide(mut self, path: impl Into<PathBuf>) -> Self {
        self.hidden.push(path.into());
        self
    }

    /// Says whether children have the network; they have none otherwise.
    pub const fn network(mut self, network: Network) -> Self {
        self.network = network;
        self
    }

    /// Returns whether and by what children are confined.
    #[must_use]
    pub fn confinement(&self) -> Confinement {
        match self.by() {
            Some(by) => Confinement::Confined { by: by.to_owned() },
            None => Confinement::Unconfined,
        }
    }

    /// Returns whether a read-only workspace is read-only inside, as far as the wrapper's command can tell.
    #[must_use]
    pub fn enforces_read_only(&self) -> bool {
        match &self.tool {
            Tool::None => false,
            Tool::Bubblewrap | Tool::SandboxExec => true,
            Tool::Custom(template) => template.names_access(),
        }
    }

    /// Returns the wrapper's own complaint if a child never ran because the wrapper could not set up what it should.
    #[must_use]
    pub fn complaint(&self, report: &ProcessReport) -> Option<String> {
        let prefix = match &self.tool {
            Tool::Bubblewrap => "bwrap: ",
            Tool::SandboxExec => "sandbox-exec: ",
            Tool::None | Tool::Custom(_) => return None,
        };
        let failed = report.code().is_some_and(|code| code != 0) && report.stdout().total() == 0;
        let stderr = report.stderr().text();
        (failed && stderr.starts_with(prefix)).then(|| probe::first_words(&stderr))
    }

    /// Tries the wrapper: runs a command inside that must work, and must not see its neighbours.
    ///
    /// Below `scratch`, a folder that children must not see (one in the state directory), a workspace and a canary are
    /// made and removed again. Inside, the workspace must be writable in one mode and (where the wrapper
    /// [enforces](Self::enforces_read_only) that) not in the other, and the canary must be out of reach.
    ///
    /// # Errors
    /// Fails with the reason in words if the wrapper does not start or lets through what it should not.
    ///
    /// # Cancel safety
    /// Dropping the future ends the trial; its folder may stay behind.
    pub async fn probe(&self, scratch: &Path) -> Result<(), WrapperError> {
        match self.by() {
            Some(by) => probe::probe(self, by, scratch).await,
            None => Ok(()),
        }
    }

    pub(super) fn by(&self) -> Option<&str> {
        match &self.tool {
            Tool::None => None,
            Tool::Bubblewrap => Some("bubblewrap"),
            Tool::SandboxExec => Some("sandbox-exec"),
            Tool::Custom(template) => Some(template.name()),
        }
    }

    /// Returns the command that runs `program` inside, or nothing where nothing is confined.
    pub(super) fn wrap(
        &self,
        reach: &Reach,
        program: &Path,
        args: &[OsString],
        directory: &Path,
    ) -> Result<Option<Wrapped>, WrapperError> {
        let default = match &self.tool {
            Tool::None => return Ok(None),
            Tool::Bubblewrap => "bwrap",
            Tool::SandboxExec => "/usr/bin/sandbox-exec",
            Tool::Custom(template) => template.program(),
        };
        let view = View::new(self, reach)?;
        let directory = view.shown(directory)?;
        let before = match &self.tool {
            Tool::None => Vec::new(),
            Tool::Bubblewrap => {
                view.check_program(program, bubblewrap::SYSTEM)?;
                bubblewrap::arguments(&view, &directory)
            }
            Tool::SandboxExec => {
                view.check_program(program, sandbox_exec::SYSTEM)?;
                sandbox_exec::arguments(&view)?
            }
            // What its system paths are is unknown: whether the program is visible shows when it runs.
            Tool::Custom(template) => {
                return Ok(Some(template.wrapped(
                    self.program.as_deref(),
                    &view,
                    &directory,
                    program,
                    args,
                )));
            }
        };
        let mut all = before;
        all.push(program.into());
        all.extend(args.iter().cloned());
        Ok(Some(Wrapped {
            program: self
                .program
                .clone()
                .map_or_else(|| default.into(), PathBuf::into_os_string),
            args: all,
            namespaced: matches!(self.tool, Tool::Bubblewrap),
        }))
    }
}

/// A command with its wrapper around it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrapped {
    pub(super) program: OsString,
    pub(super) args: Vec<OsString>,
    /// Whether everything inside dies with the wrapper, and the wrapper with the thread that started it.
    pub(super) namespaced: bool,
}
