//! The prompt of one task.

use serde_json::Value;

use super::Dossier;
use super::PromptSettings;
use super::source::Sources;
use super::template;
use super::template::TemplateError;
use super::visible::visible_line;
use crate::agent::RunMode;
use crate::agent::TaskKind;
use crate::local_check::CheckAnswer;
use crate::local_check::TriageAnswer;

/// Longest prohibition of a team, in characters.
const LONGEST_PROHIBITION: usize = 500;

/// What an agent is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// The whole prompt.
    pub text: String,
    /// The same input as structured data, for agents that are programs and not models.
    pub input: Value,
    /// The schema the answer must fit, where an answer is asked for.
    pub schema: Option<Value>,
}

/// Why a prompt cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PromptError {
    /// A configured template cannot be used.
    #[error("the prompts cannot be used")]
    Template(#[from] TemplateError),
    /// The task is not about an issue.
    #[error("the task {kind:?} has no prompt of its own here: it is not about an issue")]
    NotAboutAnIssue {
        /// The task.
        kind: TaskKind,
    },
    /// The dossier lacks what the task is about.
    #[error("the task {kind:?} on {issue} needs {what}, and the dossier has none")]
    Missing {
        /// The task.
        kind: TaskKind,
        /// The issue.
        issue: crate::issue::IssueKey,
        /// What is missing.
        what: &'static str,
    },
    /// The nonce can be guessed.
    #[error("the fence of a prompt needs a nonce of at least 16 letters and digits")]
    Nonce,
}

/// Writes the prompt of a task from a dossier.
///
/// # Contract
/// - Pure: equal arguments give an equal prompt.
/// - Every word that is not ours stands in a block fenced by `nonce`, each of its lines after a `|`; no text can
///   open or close a block, and the nonce stands nowhere inside one.
/// - The length is bounded by the settings' limits plus the template; what is left out is said where it is missing.
///
/// # Errors
/// [`PromptError`] if a configured template cannot be used, the nonce is too short, or the dossier lacks what the task
/// is about.
///
/// # Panics
/// Never: what becomes JSON is plain data with string keys.
///
/// # Examples
/// ```
/// # use pipeline_core::clock::Timestamp;
/// # use pipeline_core::issue::{Issue, IssueKey};
/// # use pipeline_core::memo::{Markers, SigningKeys};
/// # use pipeline_core::mirror::Mirrored;
/// # use pipeline_core::status::Status;
/// # use pipeline_core::thread::Protocol;
/// use pipeline_core::agent::TaskKind;
/// use pipeline_core::dossier::{Dossier, PromptSettings, render};
///
/// # let protocol = Protocol {
/// #     accounts: Vec::new(),
/// #     ignore_authors: Vec::new(),
/// #     markers: Markers::default(),
/// #     keys: SigningKeys::new("tracker.example"),
/// # };
/// # let issue = Issue::new(IssueKey::new("A-1")?, "Login fails", Status::Open, Timestamp::EPOCH);
/// # let read = Mirrored::of(issue, Vec::new(), Vec::new());
/// let dossier = Dossier::of(&read, &protocol, &[]);
/// let nonce = pipeline_core::random::nonce();
/// let prompt = render(TaskKind::Triage, &dossier, &PromptSettings::default(), &nonce)?;
/// assert!(prompt.text.contains("| title: Login fails"));
/// assert!(prompt.schema.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn render(
    kind: TaskKind,
    dossier: &Dossier,
    settings: &PromptSettings,
    nonce: &str,
) -> Result<Prompt, PromptError> {
    if nonce.len() < 16 || !nonce.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(PromptError::Nonce);
    }
    let Some((name, built_in, _)) = template::built_in(kind) else {
        return Err(PromptError::NotAboutAnIssue { kind });
    };
    settings.check()?;
    let missing = |what| PromptError::Missing {
        kind,
        issue: dossier.issue.clone(),
        what,
    };
    let answers = match (kind, &dossier.repair) {
        (TaskKind::Repair, None) => return Err(missing("the answer that did not fit")),
        (TaskKind::Repair, Some(repair)) => repair.of,
        _ => kind,
    };
    if kind == TaskKind::Rework && dossier.rework.is_none() {
        return Err(missing("the memo that says why the last patch went back"));
    }
    let schema = schema_of(answers).map(|mut schema| {
        settings.fields.extend(answers, &mut schema);
        schema
    });
    let sources = Sources::of(kind, dossier, settings, prohibitions(kind, settings), nonce);
    let text = settings
        .templates
        .get(name)
        .map_or(built_in, String::as_str);
    let text = template::fill(name, text, |variable| {
        Some(match variable {
            "issue" => dossier.issue.to_string(),
            "reading" => reading(nonce),
            "prohibitions" => sources
                .prohibitions
                .iter()
                .map(|p| format!("- {p}\n"))
                .collect(),
            "documents" => sources.write_documents(nonce),
            "sources" => sources.write(nonce),
            "schema" => schema
                .as_ref()
                .map_or_else(String::new, |s| format!("{s:#}\n")),
            "language" => settings
                .language
                .as_deref()
                .unwrap_or("the language of the issue")
                .to_owned(),
            _ => return None,
        })
    })?;
    let input = serde_json::to_value(&sources).expect("sources are plain data with string keys");
    Ok(Prompt {
        text,
        input,
        schema,
    })
}

impl Dossier {
    /// Returns which task the work is: rework where a patch of this round went back, else the first implementation.
    #[must_use]
    pub const fn work_kind(&self) -> TaskKind {
        if self.rework.is_some() {
            TaskKind::Rework
        } else {
            TaskKind::Implement
        }
    }
}

fn schema_of(kind: TaskKind) -> Option<Value> {
    match kind {
        TaskKind::Triage => Some(TriageAnswer::schema()),
        TaskKind::LocalCheck | TaskKind::Recheck => Some(CheckAnswer::schema()),
        TaskKind::Implement
        | TaskKind::Rework
        | TaskKind::Repair
        | TaskKind::PlanDraft
        | TaskKind::PlanDrive
        | TaskKind::FailureAnalysis => None,
    }
}

fn reading(nonce: &str) -> String {
    include_str!("prompts/reading.md").replace("{{nonce}}", nonce)
}

fn prohibitions(kind: TaskKind, settings: &PromptSettings) -> Vec<String> {
    let built_in = match kind.mode() {
        RunMode::ReadOnly => include_str!("prompts/prohibitions_read_only.md"),
        RunMode::Implement => include_str!("prompts/prohibitions_work.md"),
    };
    built_in
        .lines()
        .filter_map(|l| l.strip_prefix("- "))
        .map(str::to_owned)
        .chain(
            settings
                .extra_prohibitions
                .iter()
                .map(|p| visible_line(p, LONGEST_PROHIBITION)),
        )
        .collect()
}
