//! `reject`: one issue's patch goes back with a person's reason.

use std::sync::Arc;

use super::Context;
use super::Exit;
use super::Failure;
use super::arguments::RejectArguments;
use super::stages;
use super::teller::Teller;
use crate::compose;

pub(super) async fn run(context: &Context, arguments: &RejectArguments) -> Result<Exit, Failure> {
    let workplace = context.workplace()?;
    let teller = Arc::new(Teller::new(
        workplace.name(),
        context.out.progress().clone(),
    ));
    let composed = compose::compose(&workplace, &context.around, Arc::clone(&teller) as _).await?;
    let (candidate, issue) = (&arguments.candidate, &arguments.issue);
    let report = composed
        .pipeline
        .reject(candidate, issue, &arguments.reason)
        .await?;
    stages::tell(&context.out, &report)?;
    context.out.result(&report)?;
    stages::tell_persons(context, &workplace, &teller).await?;
    Ok(if report.failed() {
        Exit::Failed
    } else {
        Exit::Done
    })
}
