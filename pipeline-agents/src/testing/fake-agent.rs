//! The program behind the tests: a command agent that behaves as its only argument, a `Behaviour` in JSON, says.
//!
//! With the arguments of `codex` or `claude` it speaks as they do, and behaves as the variable [`BEHAVIOUR`] says.

#[path = "spoken.rs"]
mod spoken;

use std::fs::File;
use std::io;
use std::io::Read as _;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::process::Stdio;

use pipeline_core::conformance::agent::Behaviour;
use serde_json::Value;
use serde_json::json;

/// Names the variable with the behaviour, where the arguments are a known program's.
const BEHAVIOUR: &str = "FAKE_BEHAVIOUR";
/// The argument by which this program starts itself as the process that escapes.
const ESCAPE: &str = "escape";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let done = match args
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        [ESCAPE, generation, file] => escape(generation, Path::new(file)),
        ["--version"] => say(b"99.0.0 (fake)\n").map(|()| ExitCode::SUCCESS),
        ["sandbox", ..] => say(b"confined\n").map(|()| ExitCode::SUCCESS),
        ["app-server", "--help"] => Ok(ExitCode::SUCCESS),
        ["app-server", ..] => spoken::as_app_server(&args),
        ["exec", ..] => spoken::as_exec(&args),
        ["-p", ..] => spoken::as_claude(&args),
        [behaviour] => behave(behaviour),
        _ => Err(io::Error::other("usage: fake-agent BEHAVIOUR")),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            // The reader of a flood goes away in the middle of a word; that is no error of this program's.
            drop(writeln!(io::stderr(), "fake-agent: {error}"));
            ExitCode::from(70)
        }
    }
}

fn behave(behaviour: &str) -> io::Result<ExitCode> {
    let behaviour: Behaviour = serde_json::from_str(behaviour)?;
    let mut task = String::new();
    io::stdin().read_to_string(&mut task)?;
    let task: Value = serde_json::from_str(&task)?;
    if task.get("v") != Some(&json!(1)) {
        return Err(io::Error::other("the task has another version"));
    }
    act(behaviour, &OwnProtocol)
}

/// How a program says what it has to say.
trait Voice {
    /// Says half of a message.
    fn garble(&self) -> io::Result<()>;
    /// Says bytes that are no text where the answer should stand.
    fn mojibake(&self) -> io::Result<()>;
    /// Says a line of progress.
    fn tell(&self, line: &str) -> io::Result<()>;
    /// Says what was asked for.
    fn answer(&self, value: &Value) -> io::Result<()>;
    /// Returns whether files may be written.
    fn may_write(&self) -> bool;
}

struct OwnProtocol;

impl Voice for OwnProtocol {
    fn garble(&self) -> io::Result<()> {
        say(b"{\"v\":1,\"outcome\":\"comple")
    }

    fn mojibake(&self) -> io::Result<()> {
        say(b"{\"v\":1,\"outcome\":\"completed\",\"message\":\"\xff\xfe\"}")
    }

    fn tell(&self, line: &str) -> io::Result<()> {
        say(format!("{line}\n").as_bytes())
    }

    fn answer(&self, value: &Value) -> io::Result<()> {
        answer(value)
    }

    // Whoever holds it in is tried by its trying.
    fn may_write(&self) -> bool {
        true
    }
}

fn act(behaviour: Behaviour, voice: &dyn Voice) -> io::Result<ExitCode> {
    let empty = || voice.answer(&json!({}));
    match behaviour {
        Behaviour::Answer(value) => voice.answer(&value)?,
        Behaviour::Garble => voice.garble()?,
        Behaviour::Mojibake => voice.mojibake()?,
        Behaviour::SayNothing => {}
        Behaviour::Tell(line) => {
            voice.tell(&line)?;
            empty()?;
        }
        Behaviour::Write { .. } if !voice.may_write() => empty()?,
        Behaviour::Write { path, text } => {
            let path = Path::new(&path);
            // Where it must not write it goes on, as a model would.
            drop(
                path.parent()
                    .map_or(Ok(()), std::fs::create_dir_all)
                    .and_then(|()| std::fs::write(path, text)),
            );
            empty()?;
        }
        Behaviour::NameEnvironment => {
            let names: Vec<String> = variables().into_iter().map(|(name, _)| name).collect();
            voice.answer(&json!({ "names": names }))?;
        }
        Behaviour::SpillEnvironment => {
            for (name, value) in variables() {
                writeln!(io::stderr(), "{name}={value}")?;
            }
            return Ok(ExitCode::FAILURE);
        }
        Behaviour::Flood => loop {
            say(&[b'x'; 4096])?;
        },
        Behaviour::Hang => hang()?,
        Behaviour::Escape {
            file,
            hang: then_hang,
        } => {
            // The first generation ends at once, so that the second one is nobody's child.
            start_self("first", &file)?.wait()?;
            while !std::fs::read(&file).is_ok_and(|bytes| bytes.ends_with(b"\n")) {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            if then_hang {
                hang()?;
            }
            empty()?;
        }
        Behaviour::Crash { code, words } => {
            writeln!(io::stderr(), "{words}")?;
            return Ok(u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from));
        }
        other => return Err(io::Error::other(format!("unknown behaviour {other:?}"))),
    }
    Ok(ExitCode::SUCCESS)
}

fn variables() -> Vec<(String, String)> {
    let text = |bytes: std::ffi::OsString| bytes.to_string_lossy().into_owned();
    std::env::vars_os()
        .map(|(name, value)| (text(name), text(value)))
        .collect()
}

fn answer(value: &Value) -> io::Result<()> {
    say(json!({ "v": 1, "outcome": "completed", "answer": value })
        .to_string()
        .as_bytes())
}

fn say(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

/// Sits there for ever and takes no request to end.
fn hang() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut requests =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        while requests.recv().await.is_some() {}
        std::future::pending().await
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "an escape that the pipeline knows of would be none"
)]
fn start_self(generation: &str, file: &Path) -> io::Result<std::process::Child> {
    std::process::Command::new(std::env::current_exe()?)
        .args([ESCAPE, generation])
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

fn escape(generation: &str, file: &Path) -> io::Result<ExitCode> {
    if generation == "first" {
        // Never waited for: it is meant to be an orphan.
        drop(start_self("second", file)?);
        return Ok(ExitCode::SUCCESS);
    }
    rustix::process::setsid()?;
    let mut held = File::create(file)?;
    held.lock()?;
    writeln!(held, "escaped as {}", std::process::id())?;
    hang()?;
    Ok(ExitCode::SUCCESS)
}
