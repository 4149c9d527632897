//! What GitLab's refusals mean.

use std::time::Duration;

use pipeline_core::clock::Timestamp;
use pipeline_core::tracker::TrackerError;
use serde_json::Value;

use super::NAME;
use crate::http::Answer;
use crate::http::Rate;
use crate::http::Request;
use crate::http::Service;

/// Notes may be posted 300 times a minute where the limit was not changed; others post as this account too.
const NOTES: usize = 240;

/// The category of posted notes.
pub(super) const POST_NOTE: &str = "notes";

#[derive(Debug)]
pub(super) struct GitLabService;

impl Service for GitLabService {
    fn name(&self) -> &'static str {
        NAME
    }

    fn limits(&self) -> &[(&'static str, usize)] {
        &[(POST_NOTE, NOTES)]
    }

    fn rate(&self, answer: &Answer) -> Option<Rate> {
        let reset = i64::try_from(answer.number("ratelimit-reset")?).ok()?;
        let at = Timestamp::from_millis(reset.saturating_mul(1000));
        Some(Rate {
            limit: answer.number("ratelimit-limit")?,
            remaining: answer.number("ratelimit-remaining")?,
            // By the server's own clock, and never for longer than its window.
            reset_in: at.since(answer.date).min(Duration::from_secs(120)),
        })
    }

    fn said(&self, answer: &Answer) -> Option<String> {
        let body: Value = answer.json().ok()?;
        let mut words = Vec::new();
        for key in ["message", "error", "error_description"] {
            collect(body.get(key), &mut words);
        }
        Some(words.join(", "))
    }

    fn refusal(&self, request: &Request, answer: &Answer) -> Option<TrackerError> {
        match answer.status {
            // The row is busy: nothing was done, and it passes.
            409 if self
                .said(answer)
                .is_some_and(|said| said.contains("Resource lock")) =>
            {
                Some(TrackerError::Unavailable {
                    tracker: NAME.to_owned(),
                    operation: request.operation().to_owned(),
                    source: Some("the issue is busy".into()),
                })
            }
            403 if self
                .said(answer)
                .is_some_and(|said| said.contains("insufficient_scope")) =>
            {
                Some(TrackerError::PermissionDenied {
                    tracker: NAME.to_owned(),
                    operation: format!(
                        "{}: its token lacks the scope `api`, so make one that has it",
                        request.operation()
                    ),
                })
            }
            _ => None,
        }
    }
}

/// Gathers the words of a message, which may be text, a list, or a table of fields.
fn collect(value: Option<&Value>, words: &mut Vec<String>) {
    match value {
        Some(Value::String(text)) => words.push(text.clone()),
        Some(Value::Array(all)) => {
            for one in all.iter().take(5) {
                collect(Some(one), words);
            }
        }
        Some(Value::Object(fields)) => {
            for (name, value) in fields.iter().take(5) {
                let mut inner = Vec::new();
                collect(Some(value), &mut inner);
                words.push(format!("{name}: {}", inner.join(", ")));
            }
        }
        _ => {}
    }
}
