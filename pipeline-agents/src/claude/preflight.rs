//! Looking for what the sandbox needs before anything depends on it.

use std::time::Duration;

use pipeline_core::process::ProcessError;
use pipeline_core::process::ProcessReport;
use pipeline_core::process::ProcessSpec;

use crate::cli::Error;
use crate::cli::Folders;
use crate::words::brief;

const PATIENCE: Duration = Duration::from_secs(60);
const INSTALL: &str = "install bubblewrap and socat, and allow unprivileged user namespaces";

/// Tries what the sandbox is made of; the inner error says what is missing.
///
/// The program has no command of its own for that: it starts even where every command will then fail.
pub(super) async fn try_out(
    search_path: &str,
    folders: &Folders,
) -> Result<Result<(), String>, Error> {
    let trials: &[(&str, &[&str])] = if cfg!(target_os = "macos") {
        &[(
            "/usr/bin/sandbox-exec",
            &["-p", "(version 1)(allow default)", "/usr/bin/true"],
        )]
    } else {
        &[
            (
                "bwrap",
                &[
                    "--unshare-user",
                    "--unshare-net",
                    "--ro-bind",
                    "/",
                    "/",
                    "true",
                ],
            ),
            ("socat", &["-V"]),
        ]
    };
    for (program, arguments) in trials {
        let tried = ProcessSpec::new(*program, &folders.directory)
            .args(arguments.iter().copied())
            .env("PATH", search_path)
            .deadline(PATIENCE)
            .run()
            .await;
        if let Err(why) = told(program, tried)? {
            return Ok(Err(format!("{why}; {INSTALL}")));
        }
    }
    Ok(Ok(()))
}

fn told(
    program: &str,
    tried: Result<ProcessReport, ProcessError>,
) -> Result<Result<(), String>, Error> {
    match tried {
        Ok(report) if report.succeeded() => Ok(Ok(())),
        Ok(report) => {
            let why = brief(&report.stderr().text());
            Ok(Err(format!("`{program}` does not work here: {why}")))
        }
        Err(ProcessError::NotFound { .. }) => Ok(Err(format!("`{program}` is not installed"))),
        Err(error) => Err(Error::Process(error)),
    }
}
