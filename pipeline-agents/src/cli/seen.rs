//! What was seen of a run so far, and what of it ends the run.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;

use pipeline_core::agent::AgentOutcome;
use pipeline_core::agent::AgentTask;
use pipeline_core::agent::ExecutedCommand;
use pipeline_core::agent::RunLimits;
use pipeline_core::agent::RunMode;
use pipeline_core::agent::TaskKind;
use pipeline_core::agent::Usage;
use pipeline_core::protected::ProhibitedKind;
use pipeline_core::protected::ProhibitedRules;

use crate::words::brief;

/// More commands than this are counted, not kept.
const MOST_COMMANDS: usize = 10_000;
const MOST_FILES: usize = 10_000;
const LONGEST_COMMAND: usize = 16 << 10;
/// How much of an agent's last words is kept.
const LONGEST_MESSAGE: usize = 1 << 20;

/// What was seen of a run so far.
///
/// Bounded, whatever the program says.
#[derive(Debug)]
pub(crate) struct Seen<'r> {
    mode: RunMode,
    /// Its commands may speak to the one place its sandbox lets through; there is nothing they could change.
    driving: bool,
    limits: RunLimits,
    rules: &'r ProhibitedRules,
    commands: Vec<ExecutedCommand>,
    calls: HashMap<String, usize>,
    /// The first command of the run, until it is known how it ended.
    first: Option<String>,
    files: BTreeSet<String>,
    message: String,
    told: Vec<String>,
    /// What the session had used before this run; a resumed session counts on.
    pub(crate) before: Usage,
    /// What the run has used.
    pub(crate) usage: Usage,
    /// The session that a later task may go on with.
    pub(crate) session: Option<String>,
    strange: u64,
    oversized: u64,
    uncounted: u64,
}

impl<'r> Seen<'r> {
    pub(crate) fn new(task: &AgentTask, rules: &'r ProhibitedRules) -> Self {
        Self {
            mode: task.mode,
            driving: task.kind == TaskKind::PlanDrive,
            limits: task.limits,
            rules,
            commands: Vec::new(),
            calls: HashMap::new(),
            first: None,
            files: BTreeSet::new(),
            message: String::new(),
            told: Vec::new(),
            before: Usage::default(),
            usage: Usage::default(),
            session: None,
            strange: 0,
            oversized: 0,
            uncounted: 0,
        }
    }

    /// A command began. Answers with the run's end where it may not be made.
    pub(crate) fn command(&mut self, call: &str, command: &str) -> Option<AgentOutcome> {
        let command = clipped(command, LONGEST_COMMAND);
        if self.calls.contains_key(call) {
            return None;
        }
        if self.commands.len() >= MOST_COMMANDS {
            self.uncounted += 1;
        } else {
            if self.commands.is_empty() {
                self.first = Some(call.to_owned());
            }
            self.calls.insert(call.to_owned(), self.commands.len());
            self.commands.push(ExecutedCommand {
                command: command.to_owned(),
                exit_code: None,
            });
            self.tell(format!("$ {command}"));
        }
        self.prohibited(command)
    }

    /// Something was typed into a program that still runs.
    pub(crate) fn typed(&mut self, call: &str, text: &str) -> Option<AgentOutcome> {
        if text.trim().is_empty() {
            return None;
        }
        self.command(call, text)
    }

    fn prohibited(&self, command: &str) -> Option<AgentOutcome> {
        if self.mode != RunMode::ReadOnly {
            return None;
        }
        let harmless =
            |kind| self.driving && matches!(kind, ProhibitedKind::Network | ProhibitedKind::Edit);
        let mut found = self.rules.command(command).into_iter();
        let found = found.find(|found| !harmless(found.kind))?;
        Some(AgentOutcome::ProhibitedCommand {
            command: format!("{} ({})", brief(&found.command), found.kind),
        })
    }

    /// A command ended. Answers with the run's end where the sandbox never let it begin.
    pub(crate) fn ended(
        &mut self,
        call: &str,
        code: Option<i32>,
        output: &str,
    ) -> Option<AgentOutcome> {
        if let Some(known) = self.calls.get(call).and_then(|n| self.commands.get_mut(*n)) {
            known.exit_code = code;
        }
        // Only the first one tells: later ones may be a `bwrap` of the agent's own.
        if self.first.take_if(|first| first == call).is_some() && code != Some(0) {
            let output = output.trim_start();
            let complaint = output.lines().find(|line| line.starts_with("bwrap: "));
            if let Some(complaint) = complaint {
                return Some(AgentOutcome::SandboxUnavailable {
                    detail: format!(
                        "{}; unprivileged user namespaces must be allowed",
                        brief(complaint)
                    ),
                });
            }
        }
        None
    }

    /// A file was changed, or was to be. Answers with the run's end where nothing may be.
    pub(crate) fn edit(&mut self, path: &str) -> Option<AgentOutcome> {
        let path = clipped(path, LONGEST_COMMAND);
        if self.files.len() < MOST_FILES && self.files.insert(path.to_owned()) {
            self.tell(format!("edits {path}"));
        }
        (self.mode == RunMode::ReadOnly).then(|| AgentOutcome::ProhibitedCommand {
            command: format!("an edit of {}", brief(path)),
        })
    }

    /// The agent said something to people; the last of it is its message.
    pub(crate) fn says(&mut self, words: &str) {
        self.tell(words.to_owned());
        clipped(words, LONGEST_MESSAGE).clone_into(&mut self.message);
    }

    /// Something that people who look on may want to see.
    pub(crate) fn tell(&mut self, line: String) {
        if !line.trim().is_empty() {
            self.told.push(line);
        }
    }

    /// Takes what is to be told.
    pub(crate) fn take_told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.told)
    }

    /// What the session has used in all. Answers with the run's end where that is too much.
    pub(crate) fn used(&mut self, total: Usage) -> Option<AgentOutcome> {
        self.usage = Usage {
            input_tokens: total.input_tokens.saturating_sub(self.before.input_tokens),
            output_tokens: total
                .output_tokens
                .saturating_sub(self.before.output_tokens),
            cost_micros: total
                .cost_micros
                .map(|cost| cost.saturating_sub(self.before.cost_micros.unwrap_or(0))),
            millis: 0,
        };
        self.is_over().then_some(AgentOutcome::OverBudget)
    }

    /// Returns whether the run used more than it may.
    pub(crate) fn is_over(&self) -> bool {
        self.limits.is_over(&self.usage)
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// A line was no JSON object.
    pub(crate) const fn strange(&mut self) {
        self.strange += 1;
    }

    /// A line was longer than is read.
    pub(crate) const fn oversized(&mut self) {
        self.oversized += 1;
    }

    pub(crate) fn take_commands(&mut self) -> Vec<ExecutedCommand> {
        std::mem::take(&mut self.commands)
    }

    /// Returns what is worth a line in the log.
    pub(crate) fn notes(&self) -> BTreeMap<String, String> {
        let counted = [
            ("lines-not-understood", self.strange),
            ("lines-too-long", self.oversized),
            ("commands-not-kept", self.uncounted),
        ];
        let mut notes: BTreeMap<String, String> = counted
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(name, count)| (name.to_owned(), count.to_string()))
            .collect();
        if !self.files.is_empty() {
            let shown: Vec<&str> = self.files.iter().take(20).map(String::as_str).collect();
            notes.insert("edited".to_owned(), shown.join(", "));
        }
        notes
    }
}

fn clipped(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}
