//! From what was seen of a program to the report of its run.

use pipeline_core::agent::AgentOutcome;
use pipeline_core::agent::AgentReport;
use pipeline_core::secret::Redactor;
use serde_json::Value;

use super::Driven;
use super::Seen;
use super::judged;
use crate::schema::Schema;
use crate::words::last_words;

/// Makes the report of a run that is over.
pub(crate) fn report(
    driven: Driven,
    seen: &mut Seen<'_>,
    schema: Option<&Schema>,
    answer: Option<Value>,
    redactor: &Redactor,
) -> AgentReport {
    let (outcome, answer) = match driven.outcome {
        AgentOutcome::Completed if seen.is_over() => (AgentOutcome::OverBudget, Value::Null),
        AgentOutcome::Completed => judged(schema, answer, seen.message()),
        other => (other, Value::Null),
    };
    let mut notes = seen.notes();
    if driven.escaped > 0 {
        notes.insert(
            "escaped-processes-ended".to_owned(),
            driven.escaped.to_string(),
        );
    }
    let mut commands = seen.take_commands();
    for command in &mut commands {
        command.command = redactor.redact(&command.command);
    }
    let mut usage = seen.usage;
    usage.millis = driven.millis;
    AgentReport {
        answer,
        message: redactor.redact(&last_words(seen.message())),
        usage,
        commands,
        session: seen.session.take(),
        notes,
        ..AgentReport::of(outcome)
    }
}
