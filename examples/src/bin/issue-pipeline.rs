//! Turns an issue tracker into the state machine of AI coding agents.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    pipeline_examples::issue_pipeline::main().await
}
