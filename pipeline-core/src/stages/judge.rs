//! One reading run: dossier, prompt, answer, one repair round.

use std::sync::Arc;

use serde_json::Value;

use super::failed;
use super::waits;
use crate::agent::AgentOutcome;
use crate::agent::Confinement;
use crate::agent::RunId;
use crate::agent::TaskKind;
use crate::dossier::ContextDocument;
use crate::dossier::Dossier;
use crate::dossier::PromptSettings;
use crate::dossier::render;
use crate::event::Stage;
use crate::local_check::AnswerError;
use crate::mirror::Mirrored;
use crate::pipeline::Pipeline;
use crate::random;
use crate::report::Outcome;
use crate::report::chain;
use crate::runner::RunRequest;
use crate::runner::RunResult;
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
    },
    /// None; what became of the issue.
    Not(Outcome),
}

impl Pipeline {
    /// Lets an agent read an issue and returns its checked answer.
    pub(super) async fn judge<T>(
        &self,
        stage: Stage,
        m: &Arc<Mirrored>,
        kind: TaskKind,
        agent: &str,
        base: Option<BaseRevision>,
        read: impl Fn(&Value) -> Result<T, AnswerError>,
    ) -> Judged<T> {
        let key = &m.issue.key;
        let last = m.comments.iter().map(|c| c.id).max();
        let text = TextDigest::of(&m.issue, &m.comments, last, &self.protocol);
        if let Some((n, why)) = self.failures.on(stage, key, text.whole())
            && n >= self.settings.max_failures
        {
            let what = format!(
                "{stage} of {key} failed {n} times on this text, last: {why}; it is tried again when the text \
                 changes, or with `{command} {stage} {key} --again`",
                stage = stage.name(),
                command = self.settings.command,
            );
            self.tell_person(
                Some(key),
                format!("{}-fails:{key}:{}", stage.name(), text.whole()),
                what.clone(),
            );
            return Judged::Not(waits(what));
        }
        match self.judge_twice(m, kind, agent, base, read).await {
            Ok((answer, run, unconfined)) => {
                self.failures.clear(stage, key);
                Judged::Answer {
                    answer,
                    run,
                    unconfined,
                }
            }
            Err(Trouble::Later(why)) => Judged::Not(waits(why)),
            Err(Trouble::Failed(why)) => {
                self.failures.add(stage, key, text.whole(), &why);
                Judged::Not(failed(why))
            }
        }
    }

    async fn judge_twice<T>(
        &self,
        m: &Arc<Mirrored>,
        kind: TaskKind,
        agent: &str,
        base: Option<BaseRevision>,
        read: impl Fn(&Value) -> Result<T, AnswerError>,
    ) -> Result<(T, RunId, bool), Trouble> {
        let dossier = Dossier::of(m, &self.protocol, &self.settings.start.approvers);
        let mut dossier = self.with_files(dossier).await;
        let settings = self.prompt_settings(base.as_ref()).await;
        let mut kind_now = kind;
        let mut repaired = false;
        let mut session = None;
        loop {
            let request = self.reading_request(
                m,
                kind_now,
                agent,
                base.clone(),
                &dossier,
                &settings,
                session,
            )?;
            let result = self.run_reading(&request).await?;
            if result.tree_changed {
                return Err(Trouble::Failed(format!(
                    "agent {agent} changed files during a read-only task: its answer is void"
                )));
            }
            let problem = match &result.report.outcome {
                AgentOutcome::Completed => match read(&result.report.answer) {
                    Ok(answer) => {
                        let unconfined = result.confinement == Confinement::Unconfined;
                        return Ok((answer, request.run, unconfined));
                    }
                    Err(e) => e.to_string(),
                },
                AgentOutcome::SchemaViolation { detail } => detail.clone(),
                other => {
                    let why = format!("agent {agent} gave no answer: {other}");
                    return Err(match other.retry() {
                        crate::agent::Retry::Later(_) => Trouble::Later(why),
                        crate::agent::Retry::No | crate::agent::Retry::Backoff => {
                            Trouble::Failed(why)
                        }
                    });
                }
            };
            if repaired {
                return Err(Trouble::Failed(format!(
                    "agent {agent} answered outside the schema, and again after it was told: {problem}"
                )));
            }
            repaired = true;
            let said = match &result.report.answer {
                Value::Null => result.report.message.clone(),
                answer => answer.to_string(),
            };
            dossier = dossier.with_repair(kind, &said, &problem);
            kind_now = TaskKind::Repair;
            session = result.report.session;
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one request, named at the only call"
    )]
    fn reading_request(
        &self,
        m: &Arc<Mirrored>,
        kind: TaskKind,
        agent: &str,
        base: Option<BaseRevision>,
        dossier: &Dossier,
        settings: &PromptSettings,
        session: Option<String>,
    ) -> Result<RunRequest, Trouble> {
        let prompt = render(kind, dossier, settings, &random::nonce())
            .map_err(|e| Trouble::Failed(chain(&e)))?;
        Ok(RunRequest {
            run: RunId::random(),
            repo: self.settings.repo.clone(),
            issue: m.issue.key.clone(),
            asked: self.now(),
            agent: agent.to_owned(),
            slot: format!("{agent}-reading"),
            kind,
            base,
            exclude: self.settings.exclude.clone(),
            prompt: prompt.text,
            schema: prompt.schema,
            input: prompt.input,
            images: self.images(dossier),
            session,
            limits: self.settings.limits(kind),
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
    pub(super) async fn prompt_settings(&self, base: Option<&BaseRevision>) -> PromptSettings {
        let mut documents = Vec::new();
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
        PromptSettings {
            templates: self.settings.prompts.clone(),
            extra_prohibitions: self.settings.prohibitions.clone(),
            documents,
            ..PromptSettings::default()
        }
    }

    async fn run_reading(&self, request: &RunRequest) -> Result<RunResult, Trouble> {
        let runner = self
            .runner
            .as_ref()
            .ok_or_else(|| Trouble::Failed("no agent is configured".into()))?;
        let result = runner
            .run(request)
            .await
            .map_err(|e| Trouble::Failed(chain(&e)))?;
        if let Err(error) = runner.release(&request.run).await {
            tracing::warn!(run = %request.run, error = chain(&error), "a reading workspace is left behind");
        }
        Ok(result)
    }
}

enum Trouble {
    /// It counts as an attempt.
    Failed(String),
    /// It does not.
    Later(String),
}
