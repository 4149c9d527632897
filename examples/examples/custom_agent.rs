//! An agent of one's own: a bare model in a loop of ours. `cargo run -p pipeline-examples --example custom_agent`

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::{Component, Path};
use std::time::Duration;

use async_trait::async_trait;
use pipeline_core::agent::*;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// A document, or an error code with its words.
pub type Answered = Result<Vec<u8>, (i32, String)>;

/// Whatever answers a prompt; in real life a client of a service.
#[async_trait]
pub trait Model: Debug + Send + Sync + 'static {
    /// Returns one JSON document ([`Said`]), or an error code with its words. What it thinks aloud it sends to `aloud`.
    async fn ask(&self, task: &AgentTask, aloud: &UnboundedSender<String>) -> Answered;
}

/// What the model is asked to return.
#[derive(Debug, Deserialize)]
pub struct Said {
    #[serde(default)]
    answer: Value,
    /// Whole files by path, relative to the workspace.
    #[serde(default)]
    edits: BTreeMap<String, String>,
}

/// The agent: it alone writes, so a read-only task cannot change anything.
#[derive(Debug)]
pub struct ModelAgent<M>(pub M);

impl<M: Model> ModelAgent<M> {
    fn conclude(&self, task: &AgentTask, bytes: &[u8]) -> Result<Value, String> {
        let said: Said = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        if let Some(schema) = &task.schema {
            let schema = jsonschema::validator_for(schema).map_err(|e| e.to_string())?;
            let checked = schema.validate(&said.answer);
            checked.map_err(|e| e.to_string())?;
        }
        if let (RunMode::Implement, Some(root)) = (task.mode, &task.workdir) {
            for (path, text) in &said.edits {
                write(root, Path::new(path), text).map_err(|e| format!("{path}: {e}"))?;
            }
        }
        Ok(said.answer)
    }
}

/// Writes a file, but never outside of the workspace.
fn write(root: &Path, path: &Path, text: &str) -> std::io::Result<()> {
    let plain = path.components().all(|c| matches!(c, Component::Normal(_)));
    let linked = path.ancestors().any(|part| root.join(part).is_symlink());
    if !plain || linked {
        return Err(std::io::Error::other("it lies outside of the workspace"));
    }
    let file = root.join(path);
    std::fs::create_dir_all(file.parent().unwrap_or(root))?;
    std::fs::write(file, text)
}

#[async_trait]
impl<M: Model> Agent for ModelAgent<M> {
    fn name(&self) -> &'static str {
        "model"
    }

    fn capabilities(&self) -> AgentCapabilities {
        AgentCapabilities {
            enforces_read_only: true,
            structured_output: false,
            images: false,
            edits_files: true,
            resumes: false,
            workspace: WorkspaceKind::DetachedWorktree,
            confinement: Confinement::Unconfined,
            litter: Vec::new(),
        }
    }

    async fn run(
        &self,
        task: &AgentTask,
        watch: &dyn AgentWatch,
    ) -> Result<AgentReport, AgentError> {
        if !task.images.is_empty() {
            let (agent, operation) = (self.name().into(), "look at images".into());
            return Err(AgentError::Unsupported { agent, operation });
        }
        let (aloud, mut heard) = unbounded_channel();
        let stall = task.limits.stall.unwrap_or(Duration::MAX);
        let over = tokio::time::sleep(task.limits.deadline);
        let asked = self.0.ask(task, &aloud);
        tokio::pin!(over, asked);
        let answered = loop {
            tokio::select! {
                biased;
                Some(line) = heard.recv() => watch.progress(&line),
                answered = &mut asked => break answered,
                () = &mut over => return Ok(AgentReport::of(AgentOutcome::Deadline)),
                () = tokio::time::sleep(stall) => return Ok(AgentReport::of(AgentOutcome::Stalled)),
            }
        };
        std::iter::from_fn(|| heard.try_recv().ok()).for_each(|line| watch.progress(&line));
        Ok(match answered {
            Err((code, stderr)) => AgentReport::of(AgentOutcome::Crashed {
                code: Some(code),
                stderr,
            }),
            Ok(bytes) if bytes.len() as u64 > task.limits.output_bytes => {
                AgentReport::of(AgentOutcome::Flooded)
            }
            Ok(bytes) => match self.conclude(task, &bytes) {
                Err(detail) => AgentReport::of(AgentOutcome::SchemaViolation { detail }),
                Ok(answer) => AgentReport {
                    answer,
                    ..AgentReport::of(AgentOutcome::Completed)
                },
            },
        })
    }
}

/// Handed to a pipeline by `LocalRunner::new(…).with_agent(…)`; it greets, whatever it is asked.
#[derive(Debug)]
pub struct Greeter;

#[async_trait]
impl Model for Greeter {
    async fn ask(&self, _: &AgentTask, _: &UnboundedSender<String>) -> Answered {
        Ok(br#"{"answer": "hello", "edits": {"greeting.txt": "hello\n"}}"#.to_vec())
    }
}

#[allow(
    dead_code,
    clippy::print_stdout,
    reason = "an example, included by a test"
)]
fn main() {
    let agent: std::sync::Arc<dyn Agent> = std::sync::Arc::new(ModelAgent(Greeter));
    println!("{agent:?}: {:?}", agent.capabilities());
}
