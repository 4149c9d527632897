//! The call that starts a child.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::OnceLock;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use super::error::ProcessError;
use super::error::WrapperError;
use super::leader::Leader;
use super::run::RunningProcess;
use super::spec::ProcessSpec;
use super::spec::RUN_VARIABLE;
use super::sweep::RunMark;
use super::sweep::Sweeper;
use super::wrapper::Wrapper;
use crate::agent::RunId;

pub(super) fn start(spec: ProcessSpec) -> Result<RunningProcess, ProcessError> {
    let name = spec.name();
    check(&spec, &name)?;
    let program = spec.resolve(&spec.program)?;
    if !spec.directory.is_dir() {
        return Err(ProcessError::Directory {
            program: name,
            directory: spec.directory,
        });
    }
    let invocation = invocation(&spec, &name, program)?;
    tracing::debug!(program = ?invocation.program, args = ?invocation.args, directory = ?invocation.directory, run = spec.run.as_ref().map(RunId::as_str), "starting a child");
    let namespaced = invocation.namespaced;
    let command = command(&spec, invocation);
    let started = Instant::now();
    let spawned = if namespaced {
        spawn_on_lasting_thread(command)
    } else {
        spawn_here(command)
    };
    let child = spawned.map_err(|source| ProcessError::Spawn {
        program: name.clone(),
        source,
    })?;
    // Without a run id nobody is looked for, but a namespace takes a moment to die once its parent was killed.
    let sweeper = spec
        .run
        .as_ref()
        .map(|run| Sweeper::new(RunMark::of(run)))
        .or_else(|| namespaced.then(Sweeper::default));
    // What escapes is searched for at once; a program that may is not waited for.
    let gently = (spec.gently && sweeper.is_none()).then_some(spec.grace);
    let leader = Leader::new(child, sweeper, gently);
    Ok(RunningProcess::new(spec, name, leader, started, namespaced))
}

fn check(spec: &ProcessSpec, name: &str) -> Result<(), ProcessError> {
    for (variable, value) in &spec.env {
        let bytes = variable.as_encoded_bytes();
        if bytes.is_empty()
            || bytes.contains(&b'=')
            || bytes.contains(&0)
            || value.as_encoded_bytes().contains(&0)
        {
            return Err(ProcessError::Variable {
                name: variable.to_string_lossy().into_owned(),
            });
        }
    }
    if name.is_empty() {
        return Err(ProcessError::NotFound {
            program: String::new(),
            searched: "an empty name".to_owned(),
        });
    }
    Ok(())
}

/// What is really executed: the program, or the wrapper around it.
struct Invocation {
    program: PathBuf,
    args: Vec<OsString>,
    directory: PathBuf,
    namespaced: bool,
}

fn invocation(
    spec: &ProcessSpec,
    name: &str,
    program: PathBuf,
) -> Result<Invocation, ProcessError> {
    let plain = |program: PathBuf| Invocation {
        program,
        args: spec.args.clone(),
        directory: spec.directory.clone(),
        namespaced: false,
    };
    let Some((wrapper, reach)) = &spec.wrapper else {
        return Ok(plain(program));
    };
    let wrapped = wrapper
        .wrap(reach, &program, &spec.args, &spec.directory)
        .map_err(|source| ProcessError::Wrapper {
            program: name.to_owned(),
            source,
        })?;
    let Some(wrapped) = wrapped else {
        return Ok(plain(program));
    };
    Ok(Invocation {
        program: spec
            .resolve_system(&wrapped.program)
            .map_err(|error| not_installed(wrapper, name, &error))?,
        args: wrapped.args,
        directory: spec.directory.clone(),
        namespaced: wrapped.namespaced,
    })
}

/// The program that is missing is the wrapper, which is another thing to do something about than the child's own.
fn not_installed(wrapper: &Wrapper, name: &str, error: &ProcessError) -> ProcessError {
    let by = wrapper.by().unwrap_or_default().to_owned();
    let source = WrapperError::Unavailable {
        by,
        reason: error.to_string(),
    };
    ProcessError::Wrapper {
        program: name.to_owned(),
        source,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that starts children"
)]
fn command(spec: &ProcessSpec, invocation: Invocation) -> Command {
    use std::os::unix::process::CommandExt as _;
    let mut command = Command::new(invocation.program);
    command
        .args(invocation.args)
        .current_dir(invocation.directory)
        .env_clear()
        .envs(spec.env.iter().map(|(name, value)| (name, value)))
        .stdin(if spec.stdin.is_empty() && !spec.stdin_stays_open {
            Stdio::null()
        } else {
            Stdio::piped()
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    if let Some(id) = &spec.run {
        command.env(RUN_VARIABLE, id.as_str());
    }
    command
}

fn spawn_here(mut command: Command) -> std::io::Result<Child> {
    command.spawn()
}

type Order = (Command, mpsc::SyncSender<std::io::Result<Child>>);

/// Starts a child from a thread that lasts as long as this process.
///
/// bubblewrap's `--die-with-parent` means the parent *thread*: a child started from a thread of a pool that later
/// retires would be killed with it.
fn spawn_on_lasting_thread(command: Command) -> std::io::Result<Child> {
    static SPAWNER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let gone = || std::io::Error::other("the thread that starts confined children is gone");
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, queue) = mpsc::channel::<Order>();
        let serve = move || {
            for (command, answer) in queue {
                // A caller that no longer waits is impossible: it blocks below until it has its answer.
                drop(answer.send(spawn_here(command)));
            }
        };
        // If the thread cannot be had, the queue's end is dropped here and every order fails with a sentence.
        drop(
            thread::Builder::new()
                .name("pipeline-spawner".to_owned())
                .spawn(serve),
        );
        orders
    });
    let (answer, reply) = mpsc::sync_channel(1);
    spawner.send((command, answer)).map_err(|_| gone())?;
    reply.recv().map_err(|_| gone())?
}
