//! What can be typed.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use clap::Parser;
use clap::Subcommand;
use clap::ValueEnum;

/// Explains why a CI job failed, from its log.
#[derive(Debug, Parser)]
#[command(name = "failure-analysis", version, propagate_version = true)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Explain one log.
    Analyze(Analyze),
    /// List or check the rules.
    #[command(subcommand)]
    Rules(Rules),
    /// Serve `POST /api/analysis`.
    Serve(Serve),
}

#[derive(Debug, Args)]
pub(crate) struct Analyze {
    /// The log, or `-` for standard input.
    pub(crate) log: PathBuf,
    /// How to print the answer.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// The name of the job.
    #[arg(long)]
    pub(crate) job: Option<String>,
    /// The pipeline stage of the job.
    #[arg(long)]
    pub(crate) stage: Option<String>,
    /// The exit code of the failed command.
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) exit_code: Option<i32>,
    /// What the platform says about the failure.
    #[arg(long)]
    pub(crate) failure_reason: Option<String>,
    /// A tool the job runs; may be given several times.
    #[arg(long = "tool")]
    pub(crate) tools: Vec<String>,
    /// The log of a run that passed: what stands there too explains nothing.
    #[arg(long)]
    pub(crate) passing: Option<PathBuf>,
    /// The log is one JSON object per line.
    #[arg(long)]
    pub(crate) json_lines: bool,
    /// The log is still being written.
    #[arg(long)]
    pub(crate) incomplete: bool,
    #[command(flatten)]
    pub(crate) rules: RuleFiles,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Format {
    /// A paragraph for a person.
    Text,
    /// The result as one JSON object.
    Json,
    /// A paragraph and a quote for a comment.
    Markdown,
}

#[derive(Debug, Args)]
pub(crate) struct RuleFiles {
    /// A TOML file with own rules, asked before the shipped ones; may be given several times.
    #[arg(long = "rules", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Use only the given files.
    #[arg(long, requires = "files")]
    pub(crate) no_builtin: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Rules {
    /// Check every example and counter-example.
    Test(RuleFiles),
    /// Print every rule with what it answers.
    List(RuleFiles),
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Where to listen. Anything but a loopback address needs a token.
    #[arg(long, default_value = "127.0.0.1:8081")]
    pub(crate) listen: SocketAddr,
    /// The name of the environment variable that holds the bearer token.
    #[arg(long, value_name = "NAME", conflicts_with = "token_file")]
    pub(crate) token_env: Option<String>,
    /// The file that holds the bearer token.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// The largest request, also after decompression, in MiB.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) max_body_mib: u32,
    /// The memory all requests together may hold, in MiB.
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub(crate) max_memory_mib: u32,
    /// How many logs are analysed at once.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) workers: u16,
    /// How many connections may be open.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) connections: u16,
    /// How long a request may take to arrive, in seconds.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) receive_timeout: u64,
    #[command(flatten)]
    pub(crate) rules: RuleFiles,
}
