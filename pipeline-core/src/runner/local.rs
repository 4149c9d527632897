//! Runs on this machine: a workspace, an agent, a patch.

mod agent_state;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use async_trait::async_trait;

use super::Begin;
use super::Kept;
use super::RunRequest;
use super::RunResult;
use super::RunTable;
use super::Runner;
use super::RunnerError;
use super::RunningRun;
use crate::agent::Agent;
use crate::agent::AgentOutcome;
use crate::agent::AgentReport;
use crate::agent::AgentTask;
use crate::agent::AgentWatch;
use crate::agent::RunId;
use crate::agent::RunMode;
use crate::agent::TaskKind;
use crate::clock::Clock;
use crate::event::Event;
use crate::event::Observer;
use crate::issue::IssueKey;
use crate::journal::Journal;
use crate::journal::JournalError;
use crate::journal::Record;
use crate::process::ProcessIdentity;
use crate::report::chain;
use crate::workspace::Captured;
use crate::workspace::RemovalReason;
use crate::workspace::Workspace;
use crate::workspace::WorkspaceProvider;
use crate::workspace::WorkspaceRequest;

/// How often a run looks whether another process asked it to end.
const CANCEL_POLL: Duration = Duration::from_secs(1);
/// How often the run table is looked through for what nobody needs.
const PRUNED_EVERY: Duration = Duration::from_secs(6 * 3600);

/// Makes runs on this machine: workspaces + agents + the run table.
#[derive(Debug)]
pub struct LocalRunner {
    agents: BTreeMap<String, Arc<dyn Agent>>,
    workspaces: Option<Arc<dyn WorkspaceProvider>>,
    table: RunTable,
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
    agent_state: Option<PathBuf>,
    unconfined: BTreeSet<String>,
    /// When the table was last rid of what nobody needs, on the monotonic clock.
    pruned: Mutex<Option<Duration>>,
}

impl LocalRunner {
    /// Makes a runner without agents and without workspaces: it can then only say that there are none.
    #[must_use]
    pub fn new(
        table: RunTable,
        journal: Arc<dyn Journal>,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
    ) -> Self {
        let (agents, unconfined) = (BTreeMap::new(), BTreeSet::new());
        let (workspaces, agent_state) = (None, None);
        Self {
            agents,
            workspaces,
            table,
            journal,
            clock,
            observer,
            agent_state,
            unconfined,
            pruned: Mutex::default(),
        }
    }

    /// Adds an agent under its name.
    #[must_use]
    pub fn with_agent(mut self, agent: Arc<dyn Agent>) -> Self {
        self.agents.insert(agent.name().to_owned(), agent);
        self
    }

    /// Sets where workspaces come from. Without it only tasks without a repository can be run.
    #[must_use]
    pub fn with_workspaces(mut self, workspaces: Arc<dyn WorkspaceProvider>) -> Self {
        self.workspaces = Some(workspaces);
        self
    }

    /// Sets the folder below which each agent gets a private state directory per issue and round.
    #[must_use]
    pub fn with_agent_state(mut self, folder: PathBuf) -> Self {
        self.agent_state = Some(folder);
        self
    }

    /// Lets an agent have read-only tasks although nothing but its own word keeps it from writing.
    #[must_use]
    pub fn with_unconfined(mut self, agent: impl Into<String>) -> Self {
        self.unconfined.insert(agent.into());
        self
    }

    /// Returns an agent by its name.
    #[must_use]
    pub fn agent(&self, name: &str) -> Option<&Arc<dyn Agent>> {
        self.agents.get(name)
    }

    /// Returns the run table.
    #[must_use]
    pub const fn table(&self) -> &RunTable {
        &self.table
    }

    /// Rids the table of what nobody needs, now and then; that it cannot fails no run.
    fn prune(&self) {
        let now = self.clock.elapsed();
        {
            let mut pruned = self.pruned.lock().unwrap_or_else(PoisonError::into_inner);
            if pruned.is_some_and(|at| now.saturating_sub(at) < PRUNED_EVERY) {
                return;
            }
            *pruned = Some(now);
        }
        if let Err(error) = self.table.prune(self.clock.now()) {
            tracing::warn!(error = chain(&error), "the run table cannot be pruned");
        }
    }

    fn find(&self, name: &str) -> Result<&Arc<dyn Agent>, RunnerError> {
        self.agents
            .get(name)
            .ok_or_else(|| RunnerError::UnknownAgent {
                name: name.to_owned(),
                known: self.agents.keys().cloned().collect::<Vec<_>>().join(", "),
            })
    }

    fn provider(&self) -> Result<&Arc<dyn WorkspaceProvider>, RunnerError> {
        self.workspaces.as_ref().ok_or_else(|| RunnerError::Other {
            operation: "make a workspace: no repository is configured".into(),
            source: None,
        })
    }

    async fn workspace(
        &self,
        request: &RunRequest,
        agent: &Arc<dyn Agent>,
    ) -> Result<Option<Workspace>, RunnerError> {
        let Some(base) = &request.base else {
            return Ok(None);
        };
        let wanted = WorkspaceRequest {
            run: request.run.clone(),
            issue: request.issue.clone(),
            base: base.clone(),
            mode: request.mode(),
            kind: agent.capabilities().workspace,
            exclude: request.exclude.clone(),
        };
        let workspace =
            self.provider()?
                .create(&wanted)
                .await
                .map_err(|source| RunnerError::Workspace {
                    issue: request.issue.clone(),
                    source,
                })?;
        self.table.set_workspace(&workspace)?;
        let run = request.run.clone();
        self.record(&Record::WorkspaceTaken {
            run,
            workspace: workspace.clone(),
        })?;
        Ok(Some(workspace))
    }

    /// Runs the agent until it ends or somebody asks for the end.
    async fn run_agent(
        &self,
        request: &RunRequest,
        agent: &Arc<dyn Agent>,
        workspace: Option<&Workspace>,
    ) -> Result<AgentReport, RunnerError> {
        let state_dir = match &self.agent_state {
            Some(folder) => Some(self::agent_state::prepare(folder, request)?),
            None => None,
        };
        let session = match (&request.session, request.kind) {
            (None, TaskKind::Rework) => self.table.last_session(request)?,
            (session, _) => session.clone(),
        };
        let task = AgentTask {
            run: request.run.clone(),
            issue: request.issue.clone(),
            kind: request.kind,
            mode: request.mode(),
            prompt: request.prompt.clone(),
            schema: request.schema.clone(),
            input: request.input.clone(),
            workdir: workspace.map(|w| w.path.clone()),
            images: request.images.clone(),
            model: request.model.clone(),
            session,
            state_dir,
            loopback: None,
            limits: request.limits,
        };
        let watch = Watch {
            runner: self,
            run: &request.run,
            issue: &request.issue,
            failed: Mutex::default(),
        };
        let ended = tokio::select! {
            biased;
            () = self.cancelled(&request.run) => Ok(AgentReport::of(AgentOutcome::Cancelled)),
            ended = agent.run(&task, &watch) => ended,
        };
        if let Some(error) = watch
            .failed
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
        {
            return Err(journal_failed(error));
        }
        ended.map_err(|source| RunnerError::Agent {
            issue: request.issue.clone(),
            source,
        })
    }

    async fn cancelled(&self, run: &RunId) {
        while !self.table.is_cancelled(run) {
            self.clock.sleep(CANCEL_POLL).await;
        }
    }

    /// Takes what the run has written; if that fails, keeps it and says where.
    async fn take(
        &self,
        workspace: &Workspace,
        agent: &Arc<dyn Agent>,
    ) -> Result<(Option<Captured>, Option<Kept>), RunnerError> {
        let provider = self.provider()?;
        match provider
            .capture(workspace, &agent.capabilities().litter)
            .await
        {
            Ok(captured) => Ok((Some(captured), None)),
            Err(error) => {
                tracing::warn!(run = %workspace.run, %error, "the work could not be captured");
                let kept = match provider.salvage(workspace).await {
                    Ok(Some(reference)) => Kept {
                        reference: Some(reference),
                        detail: chain(&error),
                    },
                    Ok(None) => return Ok((None, None)),
                    Err(second) => Kept {
                        reference: None,
                        detail: format!(
                            "{} ({}; {})",
                            workspace.path.display(),
                            chain(&error),
                            chain(&second)
                        ),
                    },
                };
                Ok((None, Some(kept)))
            }
        }
    }

    /// Finds the workspace of a run; one that was made right before the process died stands in no table yet.
    async fn left_workspace(&self, run: &RunId) -> Result<Option<Workspace>, RunnerError> {
        if let Some(workspace) = self.table.workspace(run)? {
            return Ok(Some(workspace));
        }
        let Some(provider) = &self.workspaces else {
            return Ok(None);
        };
        let listed = provider.list().await.map_err(|source| RunnerError::Other {
            operation: format!("look for the workspace of {run}"),
            source: Some(source.into()),
        })?;
        Ok(listed.into_iter().find(|workspace| workspace.run == *run))
    }

    fn record(&self, record: &Record) -> Result<(), RunnerError> {
        self.journal
            .append(self.clock.now(), record)
            .map(|_| ())
            .map_err(journal_failed)
    }

    async fn make(&self, request: &RunRequest) -> Result<RunResult, RunnerError> {
        let agent = self.find(&request.agent)?;
        let read_only = request.mode() == RunMode::ReadOnly;
        let trusted =
            agent.capabilities().enforces_read_only || self.unconfined.contains(&request.agent);
        if read_only && request.base.is_some() && !trusted {
            return Err(RunnerError::NotReadOnly {
                agent: request.agent.clone(),
            });
        }
        let began = self.clock.now();
        let workspace = self.workspace(request, agent).await?;
        let digest = async |w: &Workspace| {
            self.provider()?
                .digest(w)
                .await
                .map_err(|source| RunnerError::Workspace {
                    issue: request.issue.clone(),
                    source,
                })
        };
        let before = match &workspace {
            Some(w) if read_only => Some(digest(w).await?),
            Some(_) | None => None,
        };
        let report = self.run_agent(request, agent, workspace.as_ref()).await?;
        let tree_changed = match (&workspace, before) {
            (Some(w), Some(before)) => digest(w).await? != before,
            _ => false,
        };
        let (captured, kept) = match &workspace {
            Some(w) if !read_only => self.take(w, agent).await?,
            Some(_) | None => (None, None),
        };
        let (patch, touched) = captured.map_or((None, Vec::new()), |c| (Some(c.patch), c.touched));
        let result = RunResult {
            run: request.run.clone(),
            report,
            patch,
            touched,
            confinement: agent.capabilities().confinement,
            tree_changed,
            kept,
            began,
            ended: self.clock.now(),
        };
        self.table.finish(&result)?;
        Ok(result)
    }
}

fn journal_failed(e: JournalError) -> RunnerError {
    RunnerError::Other {
        operation: "go on without the journal".into(),
        source: Some(e.into()),
    }
}

#[async_trait]
impl Runner for LocalRunner {
    async fn run(&self, request: &RunRequest) -> Result<RunResult, RunnerError> {
        let _guard = match self.table.begin(request)? {
            Begin::Begun(guard) => guard,
            Begin::Finished(result) => return Ok(*result),
            Begin::Running => {
                return Err(RunnerError::Other {
                    operation: format!("begin run {}: another process is at it", request.run),
                    source: None,
                });
            }
        };
        self.observer.observe(&Event::RunBegan {
            run: request.run.clone(),
            issue: request.issue.clone(),
            slot: request.slot.clone(),
            at: self.clock.now(),
        });
        self.prune();
        let made = self.make(request).await;
        let (outcome, usage) = match &made {
            Ok(result) => (
                result.report.outcome.reason().to_owned(),
                result.report.usage,
            ),
            Err(_) => ("infra".to_owned(), crate::agent::Usage::default()),
        };
        self.observer.observe(&Event::RunEnded {
            run: request.run.clone(),
            issue: request.issue.clone(),
            slot: request.slot.clone(),
            outcome,
            usage,
            at: self.clock.now(),
        });
        made
    }

    async fn finished(&self, run: &RunId) -> Result<Option<RunResult>, RunnerError> {
        self.table.result(run)
    }

    async fn cancel(&self, run: &RunId) -> Result<(), RunnerError> {
        self.table.ask_to_cancel(run)
    }

    async fn running(&self, repo: &str) -> Result<Vec<RunningRun>, RunnerError> {
        self.table.running(repo)
    }

    async fn release(&self, run: &RunId) -> Result<(), RunnerError> {
        let Some(workspace) = self.left_workspace(run).await? else {
            return Ok(());
        };
        let result = self.table.result(run)?;
        let kept = result.as_ref().and_then(|r| r.kept.as_ref());
        let reason = match (&result, workspace.mode) {
            (Some(_), _) if kept.is_some_and(|k| k.reference.is_none()) => {
                // Nothing made it safe, so it stays; the report has said where.
                return Ok(());
            }
            (
                Some(RunResult {
                    kept:
                        Some(Kept {
                            reference: Some(reference),
                            ..
                        }),
                    ..
                }),
                _,
            ) => RemovalReason::Salvaged(reference.clone()),
            (_, RunMode::ReadOnly) => RemovalReason::ReadOnly,
            (
                Some(RunResult {
                    patch: Some(patch), ..
                }),
                _,
            ) if !patch.is_empty() => RemovalReason::PatchStored(patch.id().clone()),
            (Some(_), RunMode::Implement) => RemovalReason::Unchanged,
            // The run died in the middle: whatever it wrote is kept before its workspace goes.
            (None, RunMode::Implement) => {
                let salvaged = self.provider()?.salvage(&workspace).await;
                match salvaged.map_err(|source| RunnerError::Workspace {
                    issue: workspace.issue.clone(),
                    source,
                })? {
                    Some(reference) => RemovalReason::Salvaged(reference),
                    None => RemovalReason::Unchanged,
                }
            }
        };
        let issue = workspace.issue.clone();
        self.provider()?
            .remove(workspace, &reason)
            .await
            .map_err(|source| RunnerError::Workspace { issue, source })?;
        self.table.forget_workspace(run)
    }
}

/// Journals the children of a run and passes on what they tell.
#[derive(Debug)]
struct Watch<'a> {
    runner: &'a LocalRunner,
    run: &'a RunId,
    issue: &'a IssueKey,
    failed: Mutex<Option<JournalError>>,
}

impl AgentWatch for Watch<'_> {
    fn started(&self, process: &ProcessIdentity) {
        let record = Record::ChildStarted {
            run: self.run.clone(),
            process: process.clone(),
        };
        if let Err(error) = self.runner.journal.append(self.runner.clock.now(), &record) {
            *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
    }

    fn progress(&self, line: &str) {
        self.runner
            .table
            .log(self.run, self.runner.clock.now(), line);
        self.runner.observer.observe(&Event::Progress {
            run: self.run.clone(),
            issue: self.issue.clone(),
            line: line.to_owned(),
        });
    }
}
