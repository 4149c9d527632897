//! `stop` and `release`: a person ends a run, or a lock.

use std::sync::Arc;

use pipeline_core::issue::IssueKey;

use super::Context;
use super::Exit;
use super::Failure;
use super::arguments::ReleaseArguments;
use super::issue::whoever;
use super::teller::Teller;
use crate::compose;
use crate::terminal::escape_line;

pub(super) async fn stop(context: &Context, issue: &IssueKey) -> Result<Exit, Failure> {
    let workplace = context.workplace()?;
    let teller = Teller::new(workplace.name(), context.out.progress().clone());
    let composed = compose::compose(&workplace, &context.around, Arc::new(teller)).await?;
    said(context, &composed.pipeline.stop(issue).await?)
}

pub(super) async fn release(
    context: &Context,
    arguments: &ReleaseArguments,
) -> Result<Exit, Failure> {
    let workplace = context.workplace()?;
    let teller = Teller::new(workplace.name(), context.out.progress().clone());
    let composed = compose::compose(&workplace, &context.around, Arc::new(teller)).await?;
    let login = whoever(&context.around)?;
    let person = match &arguments.reason {
        Some(reason) => format!("{login}: {reason}"),
        None => login,
    };
    said(
        context,
        &composed
            .pipeline
            .release_claim(arguments.claim, &person)
            .await?,
    )
}

fn said(context: &Context, sentence: &str) -> Result<Exit, Failure> {
    context.out.line(escape_line(sentence))?;
    context
        .out
        .result(&serde_json::json!({ "done": sentence }))?;
    Ok(Exit::Done)
}
