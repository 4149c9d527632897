//! The `plan-to-issues` binary as a library: a Markdown roadmap becomes issues, and the roadmap links back.

mod arguments;
mod bridge;
mod broker;
mod patch;
mod run;
mod setting;
mod watch;

use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

pub use self::arguments::Arguments;
pub use self::arguments::Command;
use crate::issue_pipeline::Exit;
use crate::issue_pipeline::Failure;
use crate::surroundings::Surroundings;
use crate::terminal::Output;

/// Parses the process's arguments, runs the command and returns the exit code of the process.
#[must_use = "the exit code belongs to the process"]
pub async fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are results, not errors; if they cannot be printed nobody is there to read.
            drop(error.print());
            let asked = matches!(
                error.kind(),
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
            );
            return if asked {
                Exit::Done.into()
            } else {
                Exit::Usage.into()
            };
        }
    };
    let around = match Surroundings::of_process() {
        Ok(around) => around,
        Err(error) => return end(&Output::standard(false, true), Err(error.into())),
    };
    if let Command::Bridge(arguments) = &arguments.command {
        // Inside the sandbox there is nothing of what every other command begins with.
        return bridge::run(&around, arguments).await;
    }
    let out = Output::standard(arguments.json, around.variable("NO_COLOR").is_some());
    let result = match crate::issue_pipeline::until_asked_to_end(run(
        arguments,
        around,
        out.clone(),
    ))
    .await
    {
        Ok(Some(result)) => result,
        // What was made until then is found again by the next run.
        Ok(None) => Ok(Exit::Interrupted),
        Err(error) => Err(error.into()),
    };
    end(&out, result)
}

/// Runs one command.
///
/// # Errors
/// [`Failure`], with how the process ends for it.
pub async fn run(arguments: Arguments, around: Surroundings, out: Output) -> Result<Exit, Failure> {
    let Arguments { place, command, .. } = arguments;
    let setting = setting::Setting::new(around, out, place)?;
    match command {
        Command::Plan(arguments) => run::plan(&setting, &arguments).await,
        Command::Apply(arguments) => run::apply(&setting, &arguments).await,
        Command::Status(arguments) => run::status(&setting, &arguments).await,
        Command::Broker(arguments) => broker::run(&setting, &arguments).await,
        Command::Bridge(arguments) => Err(Failure::usage(format!(
            "the bridge to {} is a program of its own",
            arguments.socket.display()
        ))),
    }
}

fn end(out: &Output, result: Result<Exit, Failure>) -> ExitCode {
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => {
            // Where the output is closed there is nobody to tell.
            drop(out.complain(&failure));
            drop(out.result(&failure.report()));
            failure.exit().into()
        }
    }
}
