//! Measures a built `issue-pipeline`: how fast it starts, and how much memory a quiet `watch` holds.
//!
//! `cargo run --release -p pipeline-benches --bin binary-eval -- target/release/issue-pipeline`
#![allow(clippy::print_stdout, reason = "a command prints its figures")]
#![allow(
    clippy::disallowed_methods,
    reason = "the binary is started as a shell does it"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;

/// Measures a built `issue-pipeline`.
#[derive(Debug, Parser)]
struct Arguments {
    /// The binary.
    binary: PathBuf,
    /// How often it is started.
    #[arg(long, default_value_t = 101)]
    starts: usize,
    /// How long `watch` is looked at, in seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

type Answer<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    match measure(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("it cannot be measured: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> Answer<()> {
    let binary = arguments.binary.canonicalize()?;
    let mut starts = Vec::new();
    // Taken in turns with a program that does nothing, which shows what the machine itself needs to start one.
    let mut nothing = Vec::new();
    for _ in 0..arguments.starts.max(1) {
        starts.push(start(&binary, &["--version"])?);
        nothing.push(start(Path::new("/bin/sh"), &["-c", ":"])?);
    }
    let (start, nothing) = (median(starts), median(nothing));
    println!(
        "start (`--version`, median of {}): {start:.1?}; a shell that does nothing: {nothing:.1?}",
        arguments.starts
    );
    let peak = quiet_watch(&binary, Duration::from_secs(arguments.seconds))?;
    println!(
        "quiet `watch`, most memory held over {} s: {:.1} MiB",
        arguments.seconds,
        peak as f64 / 1024.0
    );
    Ok(())
}

fn start(program: &Path, arguments: &[&str]) -> Answer<Duration> {
    let began = Instant::now();
    let status = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()?;
    let took = began.elapsed();
    if !status.success() {
        return Err(format!("{} {arguments:?} ended with {status}", program.display()).into());
    }
    Ok(took)
}

fn median(mut runs: Vec<Duration>) -> Duration {
    runs.sort();
    runs.get(runs.len() / 2).copied().unwrap_or_default()
}

/// Runs `watch` on a new repository with one issue, and returns the most memory that it held, in KiB.
fn quiet_watch(binary: &Path, long: Duration) -> Answer<u64> {
    let folder = tempfile::tempdir()?;
    let repo = folder.path().join("repo");
    std::fs::create_dir(&repo)?;
    std::fs::write(repo.join("a.txt"), "a\n")?;
    let run = |program: &Path, arguments: &[&str]| -> Answer<()> {
        let status = here(program, &repo, folder.path())
            .args(arguments)
            .status()?;
        let failed = || format!("{} {arguments:?} ended with {status}", program.display());
        status
            .success()
            .then_some(())
            .ok_or_else(|| failed().into())
    };
    let git = Path::new("git");
    run(git, &["init", "--quiet", "--initial-branch=main"])?;
    run(git, &["add", "--all"])?;
    run(
        git,
        &[
            "-c",
            "user.name=Mika",
            "-c",
            "user.email=mika@shop.example",
            "commit",
            "--quiet",
            "-m",
            "begin",
        ],
    )?;
    run(
        binary,
        &[
            "init",
            "--tracker",
            "local",
            "--agent",
            "true",
            "--verify",
            "true",
        ],
    )?;
    let mut watch = here(binary, &repo, folder.path()).arg("watch").spawn()?;
    let until = Instant::now() + long;
    let mut peak = 0;
    while Instant::now() < until {
        std::thread::sleep(Duration::from_millis(200));
        peak = peak.max(resident(watch.id())?);
    }
    watch.kill()?;
    watch.wait()?;
    if peak == 0 {
        return Err("`watch` had ended at once".into());
    }
    Ok(peak)
}

fn here(program: &Path, directory: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(directory)
        .env("HOME", home)
        .env("USER", "mika")
        .env_remove("XDG_STATE_HOME")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

/// Returns the resident memory of a process in KiB, as every system's `ps` tells.
fn resident(pid: u32) -> Answer<u64> {
    let output = Command::new("ps")
        .args(["-o", "rss=", "-p", &pid.to_string()])
        .output()?;
    Ok(String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .unwrap_or(0))
}
