//! `demo`: the whole pipeline on a repository made for it.

mod agent;
mod shop;
mod work;

use super::Context;
use super::Exit;
use super::Failure;
use super::arguments::DemoArguments;

pub(super) async fn run(_context: &Context, _arguments: &DemoArguments) -> Result<Exit, Failure> {
    Err(Failure::usage("not yet"))
}

pub(super) fn agent(context: &Context) -> Result<Exit, Failure> {
    agent::run(&context.out)?;
    Ok(Exit::Done)
}
