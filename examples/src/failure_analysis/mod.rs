//! The `failure-analysis` binary: `analyze`, `rules` and `serve` over [`pipeline_core::failure`].

mod arguments;
mod body;
mod commands;
mod metrics;
mod openapi;
mod problem;
mod report;
mod routes;
mod service;

use std::error::Error;
use std::process::ExitCode;

pub use self::arguments::Arguments;
pub use self::service::Limits;
pub use self::service::Service;
pub use self::service::ServiceError;

/// Runs the command that `arguments` name and returns the exit code of the process.
///
/// The code says whether the command itself worked (0 or 2), never what it found: a job that explains
/// a failure must not fail for it. Only `rules test` answers 1, when an example does not hold.
#[must_use = "the exit code belongs to the process"]
pub async fn main(arguments: Arguments) -> ExitCode {
    match commands::run(arguments).await {
        Ok(code) => code,
        Err(error) => {
            complain(error.as_ref());
            ExitCode::from(2)
        }
    }
}

/// Prints an error with everything that led to it.
fn complain(error: &(dyn Error + 'static)) {
    let mut text = format!("error: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!("\n  because: {cause}"));
        source = cause.source();
    }
    report::to_stderr(&text);
}
