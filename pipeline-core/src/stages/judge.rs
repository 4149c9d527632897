//! One reading run: dossier, prompt, answer, one repair round.

use std::sync::Arc;

use serde_json::Value;

use super::brakes::NotRun;
use super::brakes::Wanted;
use super::failed;
use super::waits;
use crate::agent::AgentOutcome;
use crate::agent::Confinement;
use crate::agent::Retry;
use crate::agent::RunId;
use crate::agent::TaskKind;
use crate::dossier::ContextDocument;
use crate::dossier::Dossier;
use crate::dossier::PromptSettings;
use crate::dossier::render;
use crate::event::Stage;
use crate::issue::IssueKey;
use crate::ledger::Failing;
use crate::ledger::backoff;
use crate::local_check::AnswerError;
use crate::lock::LockView;
use crate::memo::quote;
use crate::mirror::Mirrored;
use crate::pipeline::Pipeline;
use crate::random;
use crate::report::Outcome;
use crate::report::chain;
use crate::runner::RunRequest;
use crate::runner::RunResult;
use crate::settings::AgentRole;
use crate::thread::TextDigest;
use crate::workspace::BaseRevision;

/// Most bytes of one context document.
const MOST_DOCUMENT_BYTES: u64 = 256 << 10;

/// What a reading run came to.
pub(super) enum Judged<T> {
    /// An answer that fits.
    Answer {
        /// The answer.
        answer: T,
        /// The run that gave it.
        run: RunId,
        /// How the agent was held in.
        unconfined: bool,
        /// What a team asked for besides, as text for the memo.
        more: String,
    },
    /// None; what became of the issue.
    Not(Outcome),
}

/// What an agent is asked about an issue.
pub(super) struct Question {
    pub(super) stage: Stage,
    pub(super) role: AgentRole,
    pub(super) kind: TaskKind,
    pub(super) base: Option<BaseRevision>,
    /// A person asked for it: earlier failures on this text do not hold it back.
    pub(super) again: bool,
}

impl Pipeline {
    /// Lets an agent read an issue and returns its checked answer.
    pub(super) async fn judge<T>(
        &self,
        m: &Arc<Mirrored>,
        question: &Question,
        locks: Option<&LockView>,
        read: fn(&Value) -> Result<T, AnswerError>,
    ) -> Judged<T> {
        let stage = question.stage;
        let key = &m.issue.key;
        let last = m.comments.iter().map(|c| c.id).max();
        let text = TextDigest::of(&m.issue, &m.comments, last, &self.protocol);
        match self.ledger.failing(stage, key, text.whole()) {
            Err(e) => return Judged::Not(failed(chain(&e))),
            Ok(Some(failing)) if !question.again => {
                if let Some(waiting) = self.failed_before(stage, key, &failing, &text) {
                    return Judged::Not(waiting);
                }
            }
            Ok(_) => {}
        }
        let under_way = match self.under_way(locks).await {
            Ok(under_way) => under_way,
            Err(why) => return Judged::Not(failed(why)),
        };
        match self.is_read(key, question.role).await {
            Ok(false) => {}
            Ok(true) => {
                return Judged::Not(waits(
                    "another tick is reading it: it is looked at again by the next one",
                ));
            }
            Err(why) => return Judged::Not(failed(why)),
        }
        let wanted = Wanted {
            issue: m,
            role: question.role,
            round: None,
            under_way: &under_way,
        };
        let order = match question.role {
            AgentRole::Triage => &self.settings.roles.triage,
            _ => &self.settings.roles.check,
        };
        let mut last = None;
        // An agent that met its limit is paused then, and the next one in order takes its place.
        for _ in 0..order.len().max(1) {
            let names = order.iter().map(String::as_str);
            let agent = match self.pick_agent(&wanted, question.kind, names) {
                Ok(agent) => agent,
                Err(outcome) => return Judged::Not(last.map_or(outcome, waits)),
            };
            match self.judge_twice(m, question, &wanted, &agent, read).await {
                Ok(Read {
                    answer,
                    run,
                    unconfined,
                    more,
                }) => {
                    if let Err(e) = self.ledger.answered(stage, key, self.now()) {
                        tracing::warn!(issue = %key, error = chain(&e), "the ledger cannot be written");
                    }
                    return Judged::Answer {
                        answer,
                        run,
                        unconfined,
                        more,
                    };
                }
                Err(Trouble::Later(why)) => last = Some(why),
                Err(Trouble::Failed(why)) => {
                    let now = self.now();
                    if let Err(e) = self.ledger.failed(stage, key, text.whole(), &why, now) {
                        tracing::warn!(issue = %key, error = chain(&e), "the ledger cannot be written");
                    }
                    return Judged::Not(failed(why));
                }
            }
        }
        Judged::Not(waits(last.unwrap_or_default()))
    }

    /// Returns whether a run of this machine reads an issue in this role: ticks may overlap.
    async fn is_read(&self, key: &IssueKey, role: AgentRole) -> Result<bool, String> {
        let Some(runner) = &self.runner else {
            return Ok(false);
        };
        let running = runner
            .running(&self.settings.repo)
            .await
            .map_err(|e| format!("the run table cannot be read: {}", chain(&e)))?;
        Ok(running.iter().any(|r| r.issue == *key && r.role == role))
    }

    /// Returns what an issue waits for that had no usable answer on its text.
    fn failed_before(
        &self,
        stage: Stage,
        key: &IssueKey,
        failing: &Failing,
        text: &TextDigest,
    ) -> Option<Outcome> {
        let Failing { times, why, at, .. } = failing;
        let stage = stage.name();
        if *times < self.settings.max_failures {
            let until = at.plus(backoff(*times));
            return (until > self.now()).then(|| {
                waits(format!(
                    "{stage} of {key} failed ({why}): it is tried again after {until}"
                ))
            });
        }
        let what = format!(
            "{stage} of {key} failed {times} times on this text, last: {why}; it is tried again when the text changes, \
             or with `{command} {stage} {key} --again`",
            command = self.settings.command,
        );
        let cause = format!("{stage}-fails:{key}:{}", text.whole());
        self.tell_person(Some(key), cause, what.clone());
        Some(waits(what))
    }

    async fn judge_twice<T>(
        &self,
        m: &Arc<Mirrored>,
        question: &Question,
        wanted: &Wanted<'_>,
        agent: &str,
        read: fn(&Value) -> Result<T, AnswerError>,
    ) -> Result<Read<T>, Trouble> {
        let dossier = Dossier::of(m, &self.protocol, &self.settings.start.approvers);
        let mut dossier = self.with_files(dossier).await;
        let settings = self
            .prompt_settings(question.base.as_ref())
            .await
            .map_err(Trouble::Failed)?;
        let mut kind = question.kind;
        let mut session = None;
        loop {
            let request =
                self.reading_request(question, kind, agent, &dossier, &settings, session)?;
            let run = request.run.clone();
            let result = self.run_reading(wanted, request).await?;
            if result.tree_changed {
                return Err(Trouble::Failed(format!(
                    "agent {agent} changed files during a read-only task: its answer is void"
                )));
            }
            let problem = match &result.report.outcome {
                AgentOutcome::Completed => {
                    let taken = settings.fields.take(question.kind, &result.report.answer);
                    match taken.and_then(|(rest, more)| Ok((read(&rest)?, more))) {
                        Ok((answer, more)) => {
                            return Ok(Read {
                                answer,
                                run,
                                unconfined: result.confinement == Confinement::Unconfined,
                                more: more_answers(&more),
                            });
                        }
                        Err(e) => e.to_string(),
                    }
                }
                AgentOutcome::SchemaViolation { detail } => detail.clone(),
                other => {
                    let why = format!("agent {agent} gave no answer: {other}");
                    return Err(match other.retry() {
                        Retry::Later(_) => Trouble::Later(why),
                        Retry::No | Retry::Backoff => Trouble::Failed(why),
                    });
                }
            };
            if kind == TaskKind::Repair {
                return Err(Trouble::Failed(format!(
                    "agent {agent} answered outside the schema, and again after it was told: {problem}"
                )));
            }
            let said = match &result.report.answer {
                Value::Null => result.report.message.clone(),
                answer => answer.to_string(),
            };
            dossier = dossier.with_repair(question.kind, &said, &problem);
            kind = TaskKind::Repair;
            session = result.report.session;
        }
    }

    fn reading_request(
        &self,
        question: &Question,
        kind: TaskKind,
        agent: &str,
        dossier: &Dossier,
        settings: &PromptSettings,
        session: Option<String>,
    ) -> Result<RunRequest, Trouble> {
        let prompt = render(kind, dossier, settings, &random::nonce())
            .map_err(|e| Trouble::Failed(chain(&e)))?;
        Ok(RunRequest {
            run: RunId::random(),
            repo: self.settings.repo.clone(),
            issue: dossier.issue.clone(),
            asked: self.now(),
            agent: agent.to_owned(),
            slot: format!("{agent}-reading"),
            kind,
            base: question.base.clone(),
            exclude: self.settings.exclude.clone(),
            prompt: prompt.text,
            schema: prompt.schema,
            input: prompt.input,
            images: self.images(dossier),
            model: self.settings.model(agent, question.role).map(str::to_owned),
            session,
            round: None,
            limits: self.settings.limits(agent, question.role),
        })
    }

    /// Fetches the files of an issue, where a place for them is configured.
    pub(super) async fn with_files(&self, dossier: Dossier) -> Dossier {
        match &self.attachments {
            Some(store) => match store.fetch(&*self.tracker, dossier.clone()).await {
                Ok(dossier) => dossier,
                Err(error) => {
                    let error = chain(&error);
                    tracing::warn!(issue = %dossier.issue, error, "its files cannot be fetched");
                    dossier
                }
            },
            None => dossier,
        }
    }

    /// Returns the images an agent may look at.
    pub(super) fn images(&self, dossier: &Dossier) -> Vec<std::path::PathBuf> {
        self.attachments
            .as_ref()
            .map(|store| store.images(dossier))
            .unwrap_or_default()
    }

    /// Returns what a team sets about its prompts, with its context documents as they are at the base.
    ///
    /// # Errors
    /// A sentence, if a prompt that lies in the repository cannot be had: its task must not be given by another one.
    pub(super) async fn prompt_settings(
        &self,
        base: Option<&BaseRevision>,
    ) -> Result<PromptSettings, String> {
        let mut documents = Vec::new();
        let mut templates = self.settings.prompts.clone();
        if let (Some(base), Some(workspaces)) = (base, &self.workspaces) {
            for name in &self.settings.context {
                match workspaces.file(base, name, MOST_DOCUMENT_BYTES).await {
                    Ok(Some(bytes)) => {
                        documents.push(ContextDocument::new(name, String::from_utf8_lossy(&bytes)));
                    }
                    Ok(None) => tracing::warn!(name, "the context document is not in the base"),
                    Err(error) => tracing::warn!(
                        name,
                        error = chain(&error),
                        "the context document cannot be read"
                    ),
                }
            }
        }
        if let (Some(base), Some(workspaces)) = (base, &self.workspaces) {
            for (task, path) in &self.settings.base_prompts {
                let missing = |why: String| format!("the prompt {path} of {task} {why}");
                let bytes = workspaces
                    .file(base, path, MOST_DOCUMENT_BYTES)
                    .await
                    .map_err(|e| missing(format!("cannot be read: {}", chain(&e))))?
                    .ok_or_else(|| {
                        missing(format!("is not in the base {}", base.commit.short()))
                    })?;
                let text = String::from_utf8(bytes).map_err(|_| missing("is not UTF-8".into()))?;
                templates.insert(task.clone(), text);
            }
        }
        Ok(PromptSettings {
            templates,
            extra_prohibitions: self.settings.prohibitions.clone(),
            fields: self.settings.fields.clone(),
            documents,
            ..PromptSettings::default()
        })
    }

    async fn run_reading(
        &self,
        wanted: &Wanted<'_>,
        request: RunRequest,
    ) -> Result<RunResult, Trouble> {
        let run = request.run.clone();
        let result = match self.braked_run(wanted, request).await {
            Ok(result) => result,
            Err(NotRun::Held(brake)) => return Err(Trouble::Later(brake.to_string())),
            Err(NotRun::Ledger(e)) => return Err(Trouble::Failed(chain(&e))),
            Err(NotRun::Runner(e)) => return Err(Trouble::Failed(chain(&e))),
        };
        if let Some(runner) = &self.runner
            && let Err(error) = runner.release(&run).await
        {
            tracing::warn!(%run, error = chain(&error), "a reading workspace is left behind");
        }
        Ok(result)
    }
}

/// An answer that fits.
struct Read<T> {
    answer: T,
    run: RunId,
    unconfined: bool,
    more: String,
}

/// Returns what a team asked for besides, for the memo.
fn more_answers(more: &[(String, String)]) -> String {
    if more.is_empty() {
        return String::new();
    }
    let lines: Vec<String> = more.iter().map(|(n, v)| format!("- {n}: {v}")).collect();
    format!("\n\nFurther answers:\n\n{}", quote(&lines.join("\n")))
}

enum Trouble {
    /// It counts as an attempt.
    Failed(String),
    /// It does not.
    Later(String),
}
