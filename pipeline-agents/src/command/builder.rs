//! Describing a command agent.

use std::path::PathBuf;

use pipeline_core::agent::WorkspaceKind;
use pipeline_core::process::Wrapper;
use pipeline_core::secret::Redactor;
use pipeline_core::secret::Secret;

use super::CommandAgent;
use crate::variables::Variables;

/// Describes a [`CommandAgent`]. Without a wrapper it is unconfined, and says so wherever that matters.
#[derive(Debug)]
#[must_use]
pub struct CommandAgentBuilder {
    name: String,
    program: PathBuf,
    args: Vec<String>,
    env: Variables,
    secrets: Vec<(String, Secret)>,
    read: Vec<PathBuf>,
    write: Vec<PathBuf>,
    scratch: PathBuf,
    wrapper: Wrapper,
    workspace: WorkspaceKind,
    images: bool,
}

impl CommandAgentBuilder {
    pub(super) const fn new(name: String, program: PathBuf, scratch: PathBuf) -> Self {
        Self {
            name,
            program,
            args: Vec::new(),
            env: Variables(Vec::new()),
            secrets: Vec::new(),
            read: Vec::new(),
            write: Vec::new(),
            scratch,
            wrapper: Wrapper::none(),
            workspace: WorkspaceKind::SeparateClone,
            images: false,
        }
    }

    /// Adds one argument. Everybody on the machine can read arguments: no secret and no prompt belongs here.
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    pub fn args<A: Into<String>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Names a variable that the program sees.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.0.push((name.into(), value.into()));
        self
    }

    /// Names a variable that the program sees and whose value is never printed: it is removed from what the program
    /// writes to standard error and tells as progress.
    pub fn secret(mut self, name: impl Into<String>, value: Secret) -> Self {
        self.secrets.push((name.into(), value));
        self
    }

    /// Runs the program inside a wrapper.
    pub fn wrapper(mut self, wrapper: Wrapper) -> Self {
        self.wrapper = wrapper;
        self
    }

    /// Lets the program read a path from inside its wrapper, beside what the wrapper shows to everybody: its own installation.
    pub fn read(mut self, path: impl Into<PathBuf>) -> Self {
        self.read.push(path.into());
        self
    }

    /// Lets the program change a path from inside its wrapper: a cache of its own. It is shared by all its runs.
    pub fn write(mut self, path: impl Into<PathBuf>) -> Self {
        self.write.push(path.into());
        self
    }

    /// Says which kind of workspace the program is safe in: a separate clone, unless told otherwise.
    pub const fn workspace(mut self, kind: WorkspaceKind) -> Self {
        self.workspace = kind;
        self
    }

    /// Says whether the program can look at images.
    pub const fn images(mut self, images: bool) -> Self {
        self.images = images;
        self
    }

    /// Makes the agent.
    #[must_use]
    pub fn build(self) -> CommandAgent {
        let redactor = Redactor::new(self.secrets.iter().map(|(_, value)| value));
        CommandAgent {
            name: self.name,
            program: self.program,
            args: self.args,
            env: self.env,
            secrets: self.secrets,
            redactor,
            read: self.read,
            write: self.write,
            scratch: self.scratch,
            wrapper: self.wrapper,
            workspace: self.workspace,
            images: self.images,
        }
    }
}
