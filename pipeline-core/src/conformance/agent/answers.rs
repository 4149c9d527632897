//! What a program says, and what becomes of it.

use serde_json::Value;
use serde_json::json;

use super::AgentHarness;
use super::Behaviour;
use super::Ran;
use super::question;
use super::run;
use super::size_schema;
use crate::agent::AgentOutcome;
use crate::agent::Retry;
use crate::conformance::Violation;
use crate::conformance::case::ensure;
use crate::conformance::case::same;

/// An answer that fits the schema arrives as it was given.
///
/// # Errors
/// How the rule was broken.
pub async fn an_answer_that_fits_completes(harness: &dyn AgentHarness) -> Result<(), Violation> {
    let answer = json!({ "size": "small" });
    let ran = run(
        harness,
        &Behaviour::Answer(answer.clone()),
        &question(harness, size_schema())?,
    )
    .await?;
    same(
        "the answer",
        &ran.demand(&AgentOutcome::Completed)?.answer,
        &answer,
    )
}

/// An answer outside the schema is never handed on.
///
/// # Errors
/// How the rule was broken.
pub async fn an_answer_outside_the_schema_is_no_success(
    harness: &dyn AgentHarness,
) -> Result<(), Violation> {
    for wrong in [
        json!({ "size": "medium" }),
        json!({ "size": "small", "extra": 1 }),
        json!({}),
        json!([1]),
    ] {
        let ran = run(
            harness,
            &Behaviour::Answer(wrong),
            &question(harness, size_schema())?,
        )
        .await?;
        no_success(&ran)?;
    }
    Ok(())
}

/// What is no answer in the agent's protocol is never handed on.
///
/// # Errors
/// How the rule was broken.
pub async fn a_garbled_answer_is_no_success(harness: &dyn AgentHarness) -> Result<(), Violation> {
    no_success(
        &run(
            harness,
            &Behaviour::Garble,
            &question(harness, size_schema())?,
        )
        .await?,
    )
}

/// Bytes that are no text are never handed on, and end nobody.
///
/// # Errors
/// How the rule was broken.
pub async fn an_answer_that_is_no_text_is_no_success(
    harness: &dyn AgentHarness,
) -> Result<(), Violation> {
    no_success(
        &run(
            harness,
            &Behaviour::Mojibake,
            &question(harness, size_schema())?,
        )
        .await?,
    )
}

/// Where an answer was asked for, none is no success.
///
/// # Errors
/// How the rule was broken.
pub async fn silence_is_no_answer(harness: &dyn AgentHarness) -> Result<(), Violation> {
    no_success(
        &run(
            harness,
            &Behaviour::SayNothing,
            &question(harness, size_schema())?,
        )
        .await?,
    )
}

/// A crash is an outcome, with its code and last words.
///
/// # Errors
/// How the rule was broken.
pub async fn a_crash_is_reported_with_its_last_words(
    harness: &dyn AgentHarness,
) -> Result<(), Violation> {
    let words = "panicked at line 7";
    let crash = Behaviour::Crash {
        code: 3,
        words: words.to_owned(),
    };
    let ran = run(harness, &crash, &question(harness, size_schema())?).await?;
    let outcome = &ran.report()?.outcome;
    let told = matches!(outcome, AgentOutcome::Crashed { code: Some(3), stderr } if stderr.contains(words));
    ensure(told, || format!("the run ended as {outcome:?}"))
}

/// Runs at the same time do not get each other's answers.
///
/// # Errors
/// How the rule was broken.
pub async fn runs_side_by_side_keep_apart(harness: &dyn AgentHarness) -> Result<(), Violation> {
    let sizes = ["small", "large"].map(|size| json!({ "size": size }));
    let [small, large] = sizes.clone().map(Behaviour::Answer);
    let (one, other) = (
        question(harness, size_schema())?,
        question(harness, size_schema())?,
    );
    let (one, other) = tokio::join!(run(harness, &small, &one), run(harness, &large, &other));
    for (ran, size) in [one?, other?].iter().zip(&sizes) {
        same(
            "the answer",
            &ran.demand(&AgentOutcome::Completed)?.answer,
            size,
        )?;
    }
    Ok(())
}

/// Demands an outcome that hands nothing on and may be tried again.
fn no_success(ran: &Ran) -> Result<(), Violation> {
    let report = ran.report()?;
    let outcome = &report.outcome;
    let named = matches!(
        outcome,
        AgentOutcome::SchemaViolation { .. } | AgentOutcome::Crashed { .. }
    );
    ensure(named, || format!("the run ended as {outcome:?}"))?;
    ensure(outcome.retry() == Retry::Backoff, || {
        format!("{outcome:?} is not tried again")
    })?;
    same(
        "the answer of a run without success",
        &report.answer,
        &Value::Null,
    )
}
