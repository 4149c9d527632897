//! Explains why a CI job failed: from a file, a stream, or as a service.

use std::process::ExitCode;

use clap::Parser as _;
use pipeline_examples::failure_analysis;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info")),
        )
        .with_writer(std::io::stderr)
        .init();
    failure_analysis::main(failure_analysis::Arguments::parse()).await
}
