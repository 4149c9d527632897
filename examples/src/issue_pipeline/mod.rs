//! The `issue-pipeline` binary as a library: parse, find the configuration, do one thing, tell it.

mod approve;
mod arguments;
mod conflicts;
mod context;
mod demo;
mod doctor;
mod exit;
mod gc;
mod init;
mod interrupt;
mod issue;
mod log;
mod pause;
mod reject;
mod review;
mod schedule;
mod ship;
mod stages;
mod status;
mod stop;
mod teller;
mod watch;
mod work;

use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;
use pipeline_core::event::Stage;

pub use self::arguments::Arguments;
pub use self::arguments::Command;
pub use self::context::Context;
pub use self::exit::Exit;
pub use self::exit::Failure;
pub(crate) use self::interrupt::until_asked_to_end;
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
            if asked {
                return Exit::Done.into();
            }
            // What was typed could not be parsed, so whether a program reads it is looked for by hand.
            if std::env::args_os().any(|argument| argument == "--json") {
                let said = error.render().to_string();
                let report = Failure::usage(said.trim()).report();
                drop(Output::standard(true, true).result(&report));
            }
            return Exit::Usage.into();
        }
    };
    let around = match Surroundings::of_process() {
        Ok(around) => around,
        Err(error) => return end(&Output::standard(false, true), Err(error.into())),
    };
    log_to_stderr(&arguments, &around);
    let no_color = around.variable("NO_COLOR").is_some();
    let out = Output::standard(arguments.json, no_color);
    let watching = matches!(arguments.command, Command::Watch(_));
    let result = match interrupt::until_asked_to_end(run(arguments, around, out.clone())).await {
        Ok(Some(result)) => result,
        // Being stopped is how a watch ends; anything else was cut short.
        Ok(None) => Ok(if watching {
            Exit::Done
        } else {
            Exit::Interrupted
        }),
        Err(error) => Err(error.into()),
    };
    end(&out, result)
}

/// Runs one command.
///
/// # Errors
/// [`Failure`], with how the process ends for it.
pub async fn run(arguments: Arguments, around: Surroundings, out: Output) -> Result<Exit, Failure> {
    #[cfg(feature = "crash-points")]
    let crash_at = arguments.crash_at;
    let Arguments {
        config,
        env_file,
        command,
        ..
    } = arguments;
    let context = Context::new(around, out, config, env_file.as_deref())?;
    #[cfg(feature = "crash-points")]
    let context = context.crashing_at(crash_at);
    match command {
        Command::Demo(arguments) => demo::run(&context, &arguments).await,
        Command::DemoAgent => demo::agent(&context),
        Command::Init(arguments) => init::run(&context, arguments).await,
        Command::Doctor => doctor::run(&context).await,
        Command::Triage(arguments) => stages::run(&context, Stage::Triage, arguments).await,
        Command::Check(arguments) => stages::run(&context, Stage::Check, arguments).await,
        Command::Dispatch(arguments) => stages::run(&context, Stage::Dispatch, arguments).await,
        Command::Integrate(arguments) => stages::run(&context, Stage::Integrate, arguments).await,
        Command::Review(arguments) => review::run(&context, &arguments).await,
        Command::Approve(arguments) => approve::run(&context, arguments).await,
        Command::Reject(arguments) => reject::run(&context, &arguments).await,
        Command::Ship(arguments) => ship::run(&context, &arguments).await,
        Command::Status => status::status(&context).await,
        Command::Explain(arguments) => status::explain(&context, &arguments.issue).await,
        Command::Conflicts(arguments) => conflicts::run(&context, arguments).await,
        Command::Watch(arguments) => watch::run(&context, &arguments).await,
        Command::Schedule(arguments) => schedule::run(&context, &arguments),
        Command::Pause(arguments) => pause::pause(&context, &arguments),
        Command::Resume(arguments) => pause::resume(&context, &arguments),
        Command::Stop(arguments) => stop::stop(&context, &arguments.issue).await,
        Command::Release(arguments) => stop::release(&context, &arguments).await,
        Command::Recover(arguments) => gc::recover(&context, &arguments).await,
        Command::Gc(arguments) => gc::gc(&context, &arguments).await,
        Command::Log(arguments) => log::run(&context, &arguments),
        Command::Work(arguments) => work::run(&context, &arguments).await,
        Command::Issue(arguments) => issue::run(&context, arguments).await,
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

fn log_to_stderr(arguments: &Arguments, around: &Surroundings) {
    use tracing_subscriber::EnvFilter;
    let usual = match arguments.verbose {
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    let asked = around
        .variable("ISSUE_PIPELINE_LOG")
        .and_then(|f| f.to_str());
    let filter =
        EnvFilter::try_new(asked.unwrap_or(usual)).unwrap_or_else(|_| EnvFilter::new(usual));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        .init();
}
