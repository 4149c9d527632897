//! Says what conflict rules would have been worth on the history of a repository.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the terminal"
)]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use pipeline_benches::conflict_eval::{Settings, evaluate};

/// Takes windows of consecutive real changes as if they were issues worked on at the same time, and says which
/// of their conflicts the rules keep apart, which the watch sees, and which are left to the integrator.
///
/// The method and the limits of what it proves are in docs/conflicts.md.
#[derive(Parser)]
#[command(name = "conflict-eval", version)]
struct Arguments {
    /// The repository.
    repo: PathBuf,
    /// The revision whose history is taken.
    #[arg(long, default_value = "HEAD")]
    revision: String,
    /// How many windows, the newest ones.
    #[arg(long, default_value_t = 40)]
    windows: usize,
    /// How many changes a window has.
    #[arg(long, default_value_t = 6)]
    size: usize,
    /// How much of the files of a change is declared beforehand, in percent.
    #[arg(long, default_value_t = 60)]
    declared: u32,
    /// What decides which files are declared.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A change with more files is left out.
    #[arg(long, default_value_t = 100)]
    max_files: usize,
    /// A rules file, instead of the presets that fit the repository.
    #[arg(long)]
    rules: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let rules = match arguments
        .rules
        .as_ref()
        .map(std::fs::read_to_string)
        .transpose()
    {
        Ok(rules) => rules,
        Err(error) => {
            eprintln!("the rules file cannot be read: {error}");
            return ExitCode::from(2);
        }
    };
    let settings = Settings {
        revision: arguments.revision,
        windows: arguments.windows,
        size: arguments.size,
        declared: arguments.declared,
        seed: arguments.seed,
        max_files: arguments.max_files,
        rules,
    };
    match evaluate(&arguments.repo, &settings).await {
        Ok(evaluation) => {
            print!("{evaluation}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let mut cause: Option<&dyn std::error::Error> = Some(&*error);
            let mut chain = Vec::new();
            while let Some(error) = cause {
                chain.push(error.to_string());
                cause = error.source();
            }
            eprintln!("{}", chain.join(": "));
            ExitCode::FAILURE
        }
    }
}
