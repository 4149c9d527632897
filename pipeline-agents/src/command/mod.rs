//! Any executable as an agent.

mod builder;
mod error;
mod message;

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::path::PathBuf;

use async_trait::async_trait;
use pipeline_core::agent::Agent;
use pipeline_core::agent::AgentCapabilities;
use pipeline_core::agent::AgentError;
use pipeline_core::agent::AgentOutcome;
use pipeline_core::agent::AgentReport;
use pipeline_core::agent::AgentTask;
use pipeline_core::agent::AgentWatch;
use pipeline_core::agent::RunMode;
use pipeline_core::agent::WorkspaceKind;
use pipeline_core::process::Access;
use pipeline_core::process::Capture;
use pipeline_core::process::Ending;
use pipeline_core::process::Exit;
use pipeline_core::process::Flow;
use pipeline_core::process::ProcessError;
use pipeline_core::process::ProcessReport;
use pipeline_core::process::ProcessSpec;
use pipeline_core::process::Reach;
use pipeline_core::process::StdoutLine;
use pipeline_core::process::Wrapper;
use pipeline_core::process::WrapperError;
use pipeline_core::secret::Redactor;
use pipeline_core::secret::Secret;

pub use self::builder::CommandAgentBuilder;
use self::error::Error;
use self::message::OutcomeMessage;
use self::message::Said;
use self::message::TaskMessage;
use self::message::Word;
use self::message::begins_outcome;
use crate::private_folder::PrivateFolder;
use crate::schema::Schema;
use crate::variables::Variables;
use crate::words::brief;
use crate::words::last_words;

const LONGEST_PROGRESS_LINE: usize = 4096;
const STDERR: Capture = Capture::tail(16 << 10, 256 << 20);

/// An agent that is any executable.
///
/// # Protocol (version 1)
/// The command starts in the task's directory (an empty one of its own, if the task has none) and reads one line of JSON
/// from standard input, which then ends:
///
/// ```json
/// {"v":1,"run":"run-0f…","issue":"PROJ-12","kind":"local_check","mode":"read_only","prompt":"…","schema":{},
///  "input":{},"workdir":"/…","images":[],"model":null,"session":null,"deadline_seconds":3600}
/// ```
///
/// What it prints before the first line that begins with `{` is progress. From there on, standard output is one JSON
/// object and nothing else:
///
/// ```json
/// {"v":1,"outcome":"completed","answer":{},"message":"what people may read",
///  "usage":{"input_tokens":0,"output_tokens":0,"cost_micros":0},
///  "commands":[{"command":"make test","exit_code":0}],"session":"an id it can go on with"}
/// ```
///
/// Only `v` and `outcome` must be there, and unknown keys are refused. Outcomes are `completed`, `needs_input` (with
/// `question`), `refused`, `authentication_failed` and `sandbox_unavailable` (with `detail`), `rate_limited` and
/// `usage_limit` (with `until`, RFC 3339), `context_overflow` and `over_budget`. A command that was asked for no answer
/// may also just change files and exit with code 0; its last words are the message then. Any other exit code is a crash,
/// unless an outcome other than `completed` explains it.
///
/// # Environment
/// Empty but for what was named, `PIPELINE_RUN`, and, where not named, `HOME` (the task's state directory, otherwise an
/// empty folder) and `TMPDIR`.
///
/// # Examples
/// ```
/// use pipeline_agents::CommandAgent;
/// use pipeline_core::process::Wrapper;
///
/// let agent = CommandAgent::builder("my-agent", "/opt/my-agent/bin/agent", "/var/lib/pipeline/scratch")
///     .arg("--quiet")
///     .env("PATH", "/usr/bin:/bin")
///     .wrapper(Wrapper::native().hide("/home/me").hide("/var/lib/pipeline").read("/opt/my-agent"))
///     .build();
/// # let _ = agent;
/// ```
#[derive(Debug)]
pub struct CommandAgent {
    name: String,
    program: PathBuf,
    args: Vec<String>,
    env: Variables,
    secrets: Vec<(String, Secret)>,
    redactor: Redactor,
    read: Vec<PathBuf>,
    write: Vec<PathBuf>,
    scratch: PathBuf,
    wrapper: Wrapper,
    workspace: WorkspaceKind,
    images: bool,
}

impl CommandAgent {
    /// Starts the description of an agent: its configured name, its program, and a folder of the state directory in which
    /// each run gets a private folder while it lasts.
    pub fn builder(
        name: impl Into<String>,
        program: impl Into<PathBuf>,
        scratch: impl Into<PathBuf>,
    ) -> CommandAgentBuilder {
        CommandAgentBuilder::new(name.into(), program.into(), scratch.into())
    }

    fn spec(&self, task: &AgentTask, folder: &PrivateFolder) -> Result<ProcessSpec, Error> {
        let made = |name: &str| {
            folder.folder(name).map_err(|source| Error::Folder {
                scratch: self.scratch.clone(),
                source,
            })
        };
        let home = match &task.state_dir {
            Some(folder) => kept(folder)?,
            None => made("home")?,
        };
        let temporary = made("tmp")?;
        let directory = task.workdir.clone().map_or_else(|| made("work"), Ok)?;
        let access = match task.mode {
            RunMode::ReadOnly => Access::ReadOnly,
            RunMode::Implement => Access::ReadWrite,
        };
        let mut reach = Reach::new(&directory, access)
            .write(&home)
            .write(&temporary);
        for path in task.images.iter().chain(&self.read) {
            reach = reach.read(path);
        }
        for path in &self.write {
            reach = reach.write(path);
        }
        let input = TaskMessage::new(task).to_line().map_err(Error::Task)?;
        let mut spec = ProcessSpec::new(&self.program, &directory)
            .args(&self.args)
            // First, so that a name that was configured wins.
            .env("HOME", home)
            .env("TMPDIR", temporary)
            .envs(self.env.0.iter().map(|(name, value)| (name, value)))
            .envs(
                self.secrets
                    .iter()
                    .map(|(name, value)| (name, value.expose())),
            )
            .stdin(input)
            .run_id(&task.run)
            .deadline(task.limits.deadline)
            .stdout(Capture::all(
                usize::try_from(task.limits.output_bytes).unwrap_or(usize::MAX),
            ))
            .stderr(STDERR)
            .confined(self.wrapper.clone(), reach);
        if let Some(stall) = task.limits.stall {
            spec = spec.stall(stall);
        }
        Ok(spec)
    }

    async fn try_run(
        &self,
        task: &AgentTask,
        watch: &dyn AgentWatch,
    ) -> Result<AgentReport, Error> {
        if !task.images.is_empty() && !self.images {
            return Err(Error::Images);
        }
        let schema = task
            .schema
            .as_ref()
            .map(Schema::new)
            .transpose()
            .map_err(Error::Schema)?;
        let folder =
            PrivateFolder::new(&self.scratch, &task.run).map_err(|source| Error::Folder {
                scratch: self.scratch.clone(),
                source,
            })?;
        // Declared after the folder, so that on a drop the program is gone before its folder goes.
        let running = match self.spec(task, &folder)?.start() {
            Ok(running) => running,
            Err(ProcessError::Wrapper { program, source }) => {
                return Ok(AgentReport::of(unavailable(&program, &source)));
            }
            Err(error) => return Err(Error::Process(error)),
        };
        watch.started(&running.identity().map_err(Error::Process)?);
        let mut outcome_began = false;
        let mut on_line = |line: StdoutLine<'_>| {
            let (StdoutLine::Whole(bytes) | StdoutLine::Oversized(bytes)) = line else {
                return Flow::Continue;
            };
            outcome_began = outcome_began || begins_outcome(bytes);
            let text = String::from_utf8_lossy(bytes);
            if !outcome_began && !text.trim().is_empty() {
                watch.progress(&self.redactor.redact(&brief(&text)));
            }
            Flow::Continue
        };
        let report = running
            .finish_lines(std::future::pending(), LONGEST_PROGRESS_LINE, &mut on_line)
            .await
            .map_err(Error::Process)?;
        Ok(self.conclude(task, schema.as_ref(), &report))
    }

    /// Turns what is known of the program into what it means.
    fn conclude(
        &self,
        task: &AgentTask,
        schema: Option<&Schema>,
        process: &ProcessReport,
    ) -> AgentReport {
        let mut report = match process.ending() {
            Ending::Exited => match self.wrapper.complaint(process) {
                Some(detail) => AgentReport::of(AgentOutcome::SandboxUnavailable { detail }),
                None => self.without_secrets(self.conclude_exit(task, schema, process)),
            },
            Ending::Deadline => AgentReport::of(AgentOutcome::Deadline),
            Ending::Stalled => AgentReport::of(AgentOutcome::Stalled),
            Ending::Flooded(_) => AgentReport::of(AgentOutcome::Flooded),
            _ => AgentReport::of(AgentOutcome::Cancelled),
        };
        report.usage.millis = u64::try_from(process.duration().as_millis()).unwrap_or(u64::MAX);
        if process.escaped() > 0 {
            let count = process.escaped().to_string();
            report
                .notes
                .insert("escaped-processes-ended".to_owned(), count);
        }
        report
    }

    /// Takes the agent's own secrets out of what a program says for people to read.
    fn without_secrets(&self, mut report: AgentReport) -> AgentReport {
        let clear = |text: &mut String| *text = self.redactor.redact(text);
        clear(&mut report.message);
        for command in &mut report.commands {
            clear(&mut command.command);
        }
        match &mut report.outcome {
            AgentOutcome::NeedsInput { question } => clear(question),
            AgentOutcome::Refused { detail }
            | AgentOutcome::AuthenticationFailed { detail }
            | AgentOutcome::SandboxUnavailable { detail }
            | AgentOutcome::SchemaViolation { detail } => clear(detail),
            _ => {}
        }
        report
    }

    fn conclude_exit(
        &self,
        task: &AgentTask,
        schema: Option<&Schema>,
        process: &ProcessReport,
    ) -> AgentReport {
        let said = message::read(process.stdout().bytes());
        let crashed = || {
            let code = match process.exit() {
                Exit::Code(code) => Some(code),
                _ => None,
            };
            let stderr = self.redactor.redact(&last_words(&process.stderr().text()));
            AgentReport::of(AgentOutcome::Crashed { code, stderr })
        };
        match said {
            Said::Outcome(message) if process.succeeded() || message.outcome != Word::Completed => {
                concluded(*message, task, schema, process)
            }
            _ if !process.succeeded() => crashed(),
            Said::Unreadable(detail) => violation(detail),
            Said::Nothing | Said::Words(_) if schema.is_some() => {
                violation("an answer was asked for, and it gave none".to_owned())
            }
            Said::Words(message) => AgentReport {
                message,
                ..AgentReport::of(AgentOutcome::Completed)
            },
            Said::Nothing | Said::Outcome(_) => AgentReport::of(AgentOutcome::Completed),
        }
    }
}

/// Makes sure that a folder that outlives the run is there.
fn kept(folder: &Path) -> Result<PathBuf, Error> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map(|()| folder.to_owned())
        .map_err(|source| Error::Folder {
            scratch: folder.to_owned(),
            source,
        })
}

fn violation(detail: String) -> AgentReport {
    AgentReport::of(AgentOutcome::SchemaViolation { detail })
}

fn unavailable(program: &str, source: &WrapperError) -> AgentOutcome {
    AgentOutcome::SandboxUnavailable {
        detail: format!("`{program}` was not started: {source}"),
    }
}

/// Takes a command's own word for how it went, as far as it can be believed.
fn concluded(
    message: OutcomeMessage,
    task: &AgentTask,
    schema: Option<&Schema>,
    process: &ProcessReport,
) -> AgentReport {
    let usage = message.usage.with_time(process.duration());
    let detail = brief(&message.detail);
    let (outcome, answer) = match message.outcome {
        Word::Completed if task.limits.is_over(&usage) => (AgentOutcome::OverBudget, None),
        Word::Completed => match schema.map_or(Ok(()), |schema| schema.check(&message.answer)) {
            Ok(()) => (AgentOutcome::Completed, Some(message.answer)),
            Err(detail) => (
                AgentOutcome::SchemaViolation {
                    detail: brief(&detail),
                },
                None,
            ),
        },
        Word::NeedsInput => (
            AgentOutcome::NeedsInput {
                question: last_words(&message.question),
            },
            None,
        ),
        Word::Refused => (AgentOutcome::Refused { detail }, None),
        Word::RateLimited => (
            AgentOutcome::RateLimited {
                until: message.until,
            },
            None,
        ),
        Word::UsageLimit => (
            AgentOutcome::UsageLimit {
                until: message.until,
            },
            None,
        ),
        Word::AuthenticationFailed => (AgentOutcome::AuthenticationFailed { detail }, None),
        Word::ContextOverflow => (AgentOutcome::ContextOverflow, None),
        Word::OverBudget => (AgentOutcome::OverBudget, None),
        Word::SandboxUnavailable => (AgentOutcome::SandboxUnavailable { detail }, None),
    };
    AgentReport {
        answer: answer.unwrap_or_default(),
        message: last_words(&message.message),
        usage,
        commands: message.commands.into_iter().map(Into::into).collect(),
        session: message.session,
        ..AgentReport::of(outcome)
    }
}

#[async_trait]
impl Agent for CommandAgent {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> AgentCapabilities {
        AgentCapabilities {
            enforces_read_only: self.wrapper.enforces_read_only(),
            structured_output: false,
            images: self.images,
            edits_files: true,
            resumes: true,
            workspace: self.workspace,
            confinement: self.wrapper.confinement(),
            litter: Vec::new(),
        }
    }

    async fn run(
        &self,
        task: &AgentTask,
        watch: &dyn AgentWatch,
    ) -> Result<AgentReport, AgentError> {
        self.try_run(task, watch)
            .await
            .map_err(|error| error.of(&self.name))
    }
}
