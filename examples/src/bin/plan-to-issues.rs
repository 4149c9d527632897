//! Turns a Markdown roadmap into issues, and links it back.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    pipeline_examples::plan_to_issues::main().await
}
