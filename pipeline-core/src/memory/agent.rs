//! An agent that plays a script.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::future::pending;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::agent::Agent;
use crate::agent::AgentCapabilities;
use crate::agent::AgentError;
use crate::agent::AgentOutcome;
use crate::agent::AgentReport;
use crate::agent::AgentTask;
use crate::agent::AgentWatch;
use crate::agent::Confinement;
use crate::agent::RunMode;
use crate::agent::TaskKind;
use crate::agent::WorkspaceKind;

/// What a [`ScriptedAgent`] does with one task.
///
/// # Examples
/// ```
/// use pipeline_core::memory::ScriptedTurn;
/// use serde_json::json;
///
/// let turn = ScriptedTurn::answers(json!({ "comment": "Clear.", "confidence": 0.9 })).says("reading");
/// # let _ = turn;
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct ScriptedTurn {
    ends: Result<AgentReport, String>,
    lines: Vec<String>,
    edits: Vec<(String, Option<Vec<u8>>)>,
    wait: Wait,
}

#[derive(Debug, Clone)]
enum Wait {
    No,
    Until(Arc<Notify>),
    Forever,
}

impl ScriptedTurn {
    const fn of(ends: Result<AgentReport, String>) -> Self {
        Self {
            ends,
            lines: Vec::new(),
            edits: Vec::new(),
            wait: Wait::No,
        }
    }

    /// Completes with an answer. Schemas are not checked: an answer outside of one is scripted as its outcome.
    pub fn answers(answer: serde_json::Value) -> Self {
        let completed = AgentReport::of(AgentOutcome::Completed);
        Self::of(Ok(AgentReport {
            answer,
            ..completed
        }))
    }

    /// Completes without an answer.
    pub fn completes() -> Self {
        Self::answers(serde_json::Value::Null)
    }

    /// Ends with this outcome.
    pub fn ends(outcome: AgentOutcome) -> Self {
        Self::of(Ok(AgentReport::of(outcome)))
    }

    /// Ends with this report.
    pub const fn reports(report: AgentReport) -> Self {
        Self::of(Ok(report))
    }

    /// Fails for want of infrastructure; `operation` completes the sentence "could not …".
    pub fn fails(operation: impl Into<String>) -> Self {
        Self::of(Err(operation.into()))
    }

    /// Tells one line of progress before it ends.
    pub fn says(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }

    /// Writes a file below the task's directory, folders included.
    pub fn writes(mut self, path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        self.edits.push((path.into(), Some(bytes.into())));
        self
    }

    /// Deletes a file below the task's directory.
    pub fn deletes(mut self, path: impl Into<String>) -> Self {
        self.edits.push((path.into(), None));
        self
    }

    /// Waits, after its edits, until somebody notifies.
    pub fn waits(mut self, until: Arc<Notify>) -> Self {
        self.wait = Wait::Until(until);
        self
    }

    /// Never ends by itself; a limit of the task ends it.
    pub fn hangs(mut self) -> Self {
        self.wait = Wait::Forever;
        self
    }
}

/// An agent without a program: it does what was scripted, and remembers what it was asked.
///
/// # Guarantees
/// A scripted turn is taken by the next task of its kind; when none is left, the kind's standing turn is taken. A task
/// of a kind without either fails and says so. Limits hold as for a real agent (deadline, stall, size of the answer), in
/// tokio's time, so that a test may pause it. With `enforces_read_only` (the default) a read-only task changes nothing,
/// whatever is scripted; without it, it does.
///
/// # Examples
/// ```
/// use pipeline_core::agent::TaskKind;
/// use pipeline_core::memory::ScriptedAgent;
/// use pipeline_core::memory::ScriptedTurn;
///
/// let agent = ScriptedAgent::new("scripted")
///     .always(TaskKind::Implement, ScriptedTurn::completes().writes("src/a.txt", "done\n"));
/// assert!(agent.tasks().is_empty());
/// ```
#[derive(Debug)]
pub struct ScriptedAgent {
    name: String,
    capabilities: AgentCapabilities,
    script: Mutex<Script>,
}

#[derive(Debug, Default)]
struct Script {
    next: BTreeMap<TaskKind, VecDeque<ScriptedTurn>>,
    standing: BTreeMap<TaskKind, ScriptedTurn>,
    tasks: Vec<AgentTask>,
    running: usize,
    most_running: usize,
}

impl ScriptedAgent {
    /// Makes an agent without a script that can do everything and is confined by having no program.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            capabilities: AgentCapabilities {
                enforces_read_only: true,
                structured_output: true,
                images: true,
                edits_files: true,
                resumes: true,
                workspace: WorkspaceKind::DetachedWorktree,
                confinement: Confinement::Confined {
                    by: "its script".to_owned(),
                },
                litter: Vec::new(),
            },
            script: Mutex::default(),
        }
    }

    /// Changes what the agent claims to be able to do.
    #[must_use]
    pub fn with_capabilities(mut self, change: impl FnOnce(&mut AgentCapabilities)) -> Self {
        change(&mut self.capabilities);
        self
    }

    /// Scripts the next turn for a kind of task.
    #[must_use]
    pub fn then(self, kind: TaskKind, turn: ScriptedTurn) -> Self {
        self.add(kind, turn);
        self
    }

    /// Scripts the turn for a kind of task once no other is left.
    #[must_use]
    pub fn always(self, kind: TaskKind, turn: ScriptedTurn) -> Self {
        self.script().standing.insert(kind, turn);
        self
    }

    /// Scripts the next turn for a kind of task while the agent is in use.
    pub fn add(&self, kind: TaskKind, turn: ScriptedTurn) {
        self.script().next.entry(kind).or_default().push_back(turn);
    }

    /// Returns every task it was given, in order.
    #[must_use]
    pub fn tasks(&self) -> Vec<AgentTask> {
        self.script().tasks.clone()
    }

    /// Returns how many tasks it has worked on at the same time, at most.
    #[must_use]
    pub fn most_at_once(&self) -> usize {
        self.script().most_running
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        // A test that panicked elsewhere is no reason to hide what was recorded.
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, task: &AgentTask) -> Option<ScriptedTurn> {
        let mut script = self.script();
        script.tasks.push(task.clone());
        script.running += 1;
        script.most_running = script.most_running.max(script.running);
        let next = script
            .next
            .get_mut(&task.kind)
            .and_then(VecDeque::pop_front);
        next.or_else(|| script.standing.get(&task.kind).cloned())
    }

    fn refuse(&self, task: &AgentTask) -> Result<(), AgentError> {
        let unsupported = |operation: &str| {
            let agent = self.name.clone();
            let operation = operation.to_owned();
            Err(AgentError::Unsupported { agent, operation })
        };
        if !task.images.is_empty() && !self.capabilities.images {
            unsupported("look at images")
        } else if task.mode == RunMode::Implement && !self.capabilities.edits_files {
            unsupported("change files")
        } else {
            Ok(())
        }
    }

    fn edit(&self, task: &AgentTask, turn: &ScriptedTurn) -> std::io::Result<()> {
        let held = task.mode == RunMode::ReadOnly && self.capabilities.enforces_read_only;
        let (false, Some(directory)) = (held, &task.workdir) else {
            return Ok(());
        };
        for (path, bytes) in &turn.edits {
            edit(&directory.join(path), bytes.as_deref())?;
        }
        Ok(())
    }
}

fn edit(path: &Path, bytes: Option<&[u8]>) -> std::io::Result<()> {
    match bytes {
        Some(bytes) => {
            path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
            std::fs::write(path, bytes)
        }
        None => std::fs::remove_file(path),
    }
}

/// Counts a task as running until dropped, which a cancelled run does too.
struct Running<'a>(&'a ScriptedAgent);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.script().running -= 1;
    }
}

#[async_trait]
impl Agent for ScriptedAgent {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> AgentCapabilities {
        self.capabilities.clone()
    }

    async fn run(
        &self,
        task: &AgentTask,
        watch: &dyn AgentWatch,
    ) -> Result<AgentReport, AgentError> {
        self.refuse(task)?;
        let other = |operation: String, source: Option<crate::BoxError>| AgentError::Other {
            agent: self.name.clone(),
            operation,
            source,
        };
        let turn = self.begin(task);
        let _running = Running(self);
        let turn = turn.ok_or_else(|| {
            other(
                format!("find a scripted turn for {}", kind_name(task.kind)),
                None,
            )
        })?;
        for line in &turn.lines {
            watch.progress(line);
        }
        self.edit(task, &turn)
            .map_err(|error| other("make its scripted edits".to_owned(), Some(error.into())))?;
        let until = async {
            match &turn.wait {
                Wait::No => {}
                Wait::Until(notify) => notify.notified().await,
                Wait::Forever => pending().await,
            }
        };
        let stall = async {
            match task.limits.stall {
                Some(stall) => sleep(stall).await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            () = until => {}
            () = sleep(task.limits.deadline) => return Ok(AgentReport::of(AgentOutcome::Deadline)),
            () = stall => return Ok(AgentReport::of(AgentOutcome::Stalled)),
        }
        let report = turn.ends.map_err(|operation| other(operation, None))?;
        let size = report.answer.to_string().len() + report.message.len();
        if u64::try_from(size).unwrap_or(u64::MAX) > task.limits.output_bytes {
            return Ok(AgentReport::of(AgentOutcome::Flooded));
        }
        Ok(report)
    }
}

fn kind_name(kind: TaskKind) -> String {
    serde_json::to_value(kind).map_or_else(
        |_| format!("{kind:?}"),
        |name| name.as_str().unwrap_or_default().to_owned(),
    )
}

#[cfg(test)]
mod tests;
