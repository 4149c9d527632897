//! `work`: executes one run request here, for an engine that spreads runs over machines.

use std::io::Read as _;
use std::sync::Arc;

use pipeline_core::runner::RunRequest;
use pipeline_core::runner::Runner as _;

use super::Context;
use super::Exit;
use super::Failure;
use super::arguments::WorkArguments;
use super::teller::Teller;
use crate::compose;

/// The largest request that is read.
const LARGEST: u64 = 16 << 20;

pub(super) async fn run(context: &Context, arguments: &WorkArguments) -> Result<Exit, Failure> {
    let workplace = context.workplace()?;
    let mut bytes = Vec::new();
    if arguments.request.as_os_str() == "-" {
        std::io::stdin()
            .lock()
            .take(LARGEST + 1)
            .read_to_end(&mut bytes)?;
    } else {
        let path = context.around.directory.join(&arguments.request);
        let read = std::fs::File::open(&path)
            .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes));
        read.map_err(|error| {
            let path = path.display();
            Failure::usage(format!("the request {path} cannot be read: {error}"))
        })?;
    }
    if bytes.len() as u64 > LARGEST {
        return Err(Failure::usage("the request is larger than 16 MiB"));
    }
    let request: RunRequest = serde_json::from_slice(&bytes).map_err(|error| {
        Failure::usage(format!(
            "this is no run request as `--json log RUN` shows one: {error}"
        ))
    })?;
    let teller = Teller::new(workplace.name(), context.out.progress().clone());
    let composed = compose::compose(&workplace, &context.around, Arc::new(teller)).await?;
    let repo = &composed.pipeline.settings().repo;
    if request.repo != *repo {
        let text = format!(
            "the request is for repository {}, and this is {repo}",
            request.repo
        );
        return Err(Failure::refused(text));
    }
    let result = composed.runner.run(&request).await?;
    context
        .out
        .line(format!("run {}: {}", result.run, result.report.outcome))?;
    context.out.result(&result)?;
    Ok(Exit::Done)
}
