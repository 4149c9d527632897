//! The events of `codex exec --json`, for installations without an app-server.

use pipeline_core::agent::AgentOutcome;
use pipeline_core::agent::Usage;
use serde_json::Value;

use super::failure;
use super::items;
use crate::cli::Decoder;
use crate::cli::End;
use crate::cli::Seen;
use crate::cli::Step;
use crate::cli::crashed;
use crate::cli::number;
use crate::cli::text;

/// Reads the events.
#[derive(Debug)]
pub(super) struct Exec {
    directory: String,
    kept: bool,
    began: bool,
    completed: bool,
    failed: Option<String>,
}

impl Exec {
    pub(super) const fn new(directory: String, kept: bool) -> Self {
        Self {
            directory,
            kept,
            began: false,
            completed: false,
            failed: None,
        }
    }

    /// Returns whether it never began, because it does not know the session it was to go on with.
    pub(super) fn lost_session(&self, stderr: &str) -> bool {
        !self.began && stderr.contains("no rollout found")
    }
}

impl Decoder for Exec {
    fn line(&mut self, event: &Value, seen: &mut Seen<'_>) -> Step {
        let Some(kind) = text(event, "/type") else {
            seen.strange();
            return Step::Continue;
        };
        match kind {
            "thread.started" => {
                self.began = true;
                if self.kept {
                    seen.session = text(event, "/thread_id").map(str::to_owned);
                }
                Step::Continue
            }
            "item.started" | "item.updated" | "item.completed" => match event.get("item") {
                Some(item) => {
                    let over = kind == "item.completed";
                    items::snake_case(item, over, &self.directory, seen).into()
                }
                None => Step::Continue,
            },
            "turn.completed" => {
                self.completed = true;
                let used = |name: &str| number(event, &format!("/usage/{name}")).unwrap_or(0);
                let total = Usage {
                    input_tokens: used("input_tokens"),
                    output_tokens: used("output_tokens"),
                    ..Usage::default()
                };
                // Too late to end the run for it; the report tells.
                drop(seen.used(total));
                Step::Final
            }
            "turn.failed" => {
                self.failed = text(event, "/error/message").map(str::to_owned);
                Step::Final
            }
            "error" => {
                let message = text(event, "/message").unwrap_or_default();
                seen.tell(message.to_owned());
                // What begins so is tried again; any other is said once more when the turn fails.
                if !message.starts_with("Reconnecting") {
                    self.failed = Some(message.to_owned());
                }
                Step::Continue
            }
            _ => Step::Continue,
        }
    }

    fn interrupt(&mut self) -> bool {
        false
    }

    fn outcome(&mut self, _seen: &Seen<'_>, end: &End<'_>) -> AgentOutcome {
        match (&self.failed, self.completed) {
            (_, true) if end.is_clean() => AgentOutcome::Completed,
            (_, true) => crashed(end, "it failed after its turn had ended"),
            // Only an exit of its own says that the failure was final.
            (Some(message), false) if end.code.is_some() || end.lingered => {
                failure::by_words(message)
            }
            _ if end.stderr.contains("input_too_large") => AgentOutcome::ContextOverflow,
            _ => crashed(end, "it ended in the middle of its turn"),
        }
    }
}
