//! Seeing a child to its end.

use std::io;
use std::pin::pin;
use std::time::Duration;
use std::time::Instant;

use tokio::signal::unix::Signal as SignalStream;
use tokio::signal::unix::SignalKind;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio::time::timeout;

use super::capture::Flow;
use super::capture::LineCutter;
use super::capture::StdoutLine;
use super::conversation::Conversation;
use super::error::ProcessError;
use super::identity::ProcessIdentity;
use super::io::Io;
use super::io::IoEvent;
use super::io::Lines;
use super::leader::Leader;
use super::report::Ending;
use super::report::Exit;
use super::report::ProcessReport;
use super::spec::ProcessSpec;
use crate::agent::RunId;

/// How long a killed child may take to leave before it is reported as it is.
const KILL_CEILING: Duration = Duration::from_secs(5);
/// How long an output may be silent after the child's end while a process that could not be found still holds it.
const DRAIN_QUIET: Duration = Duration::from_millis(250);
const DRAIN_CEILING: Duration = Duration::from_secs(2);

/// A child that was started. Dropping it ends its whole process tree before the drop returns.
#[derive(Debug)]
#[must_use = "dropping a running process ends it"]
pub struct RunningProcess {
    spec: ProcessSpec,
    name: String,
    leader: Leader,
    started: Instant,
    /// Whether the kernel ends everything inside with the child, so that nothing can have escaped.
    namespaced: bool,
    feed: Option<mpsc::Receiver<Vec<u8>>>,
}

impl RunningProcess {
    pub(super) const fn new(
        spec: ProcessSpec,
        name: String,
        leader: Leader,
        started: Instant,
        namespaced: bool,
    ) -> Self {
        Self {
            spec,
            name,
            leader,
            started,
            namespaced,
            feed: None,
        }
    }

    /// Returns the child's identity, by which it can be found and ended after a restart.
    ///
    /// # Errors
    /// Fails if the table of processes cannot be read.
    pub fn identity(&self) -> Result<ProcessIdentity, ProcessError> {
        self.leader
            .identity()
            .map_err(|source| ProcessError::Table { source })
    }

    /// Sees the child to its end: feeds it, collects what it says, and ends it at a limit or when `cancel` completes.
    ///
    /// Whatever ended it, its group was killed and its escaped processes were swept when this returns.
    ///
    /// # Errors
    /// Fails only if the operating system does not say how the child fares; the tree was ended then.
    ///
    /// # Cancel safety
    /// Dropping the future ends the whole process tree before the drop returns.
    ///
    /// # Panics
    /// Panics outside of a tokio runtime with I/O and time enabled.
    pub async fn finish(
        self,
        cancel: impl Future<Output = ()> + Send,
    ) -> Result<ProcessReport, ProcessError> {
        self.drive(cancel, None).await
    }

    /// As [`finish`](Self::finish), and hands every line of standard output to `on_line` as it comes.
    ///
    /// A line longer than `line_cap` bytes arrives as [`StdoutLine::Oversized`]. The reader runs between two reads: it
    /// must not block.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    ///
    /// # Cancel safety
    /// As [`finish`](Self::finish).
    ///
    /// # Panics
    /// As [`finish`](Self::finish).
    pub async fn finish_lines(
        self,
        cancel: impl Future<Output = ()> + Send,
        line_cap: usize,
        on_line: &mut (dyn FnMut(StdoutLine<'_>) -> Flow + Send),
    ) -> Result<ProcessReport, ProcessError> {
        self.drive(
            cancel,
            Some(Lines {
                cutter: LineCutter::new(line_cap),
                on_line,
            }),
        )
        .await
    }

    /// Keeps standard input open and writes to it whatever `input` yields, until `input` is closed.
    ///
    /// For programs that are talked with; only for a spec with [`ProcessSpec::keep_stdin_open`].
    pub fn feed(mut self, input: mpsc::Receiver<Vec<u8>>) -> Self {
        self.feed = Some(input);
        self
    }

    /// Talks with the child instead of seeing it to its end; each request may take as long as the deadline.
    ///
    /// # Errors
    /// Fails if the operating system does not hand over its pipes.
    ///
    /// # Panics
    /// Panics outside of a tokio runtime with I/O enabled.
    pub(super) fn converse(self) -> Result<Conversation, ProcessError> {
        Conversation::new(self.leader, self.name, self.spec.deadline)
    }

    async fn drive(
        self,
        cancel: impl Future<Output = ()> + Send,
        lines: Option<Lines<'_>>,
    ) -> Result<ProcessReport, ProcessError> {
        let Self {
            mut spec,
            name,
            mut leader,
            started,
            namespaced,
            feed,
        } = self;
        let watch = |source| ProcessError::Watch {
            program: name.clone(),
            source,
        };
        // Before the first look at the child, so that no notice can fall between the two.
        let mut signals = tokio::signal::unix::signal(SignalKind::child()).map_err(watch)?;
        let mut io = Io::new(&mut leader, &mut spec, feed, lines).map_err(watch)?;

        let mut ending = running(&spec, &leader, &mut signals, &mut io, cancel)
            .await
            .map_err(watch)?;
        if ending != Ending::Exited {
            leader.ask_to_end();
            drop(timeout(spec.grace, until_exit(&leader, &mut signals, &mut io)).await);
        }
        leader.remember_family();
        leader.kill();
        drop(timeout(KILL_CEILING, until_exit(&leader, &mut signals, &mut io)).await);
        let (escaped, left_behind) = match leader.sweeper() {
            Some(sweeper) => {
                sweeper.sweep().await;
                (
                    if namespaced { 0 } else { sweeper.ended() },
                    sweeper.remaining(),
                )
            }
            None => (0, 0),
        };
        let exit = leader.reap().map_err(watch)?;
        drain(&mut io, &mut ending).await;
        let (stdout, stderr) = io.finish(&mut ending);
        let report = ProcessReport {
            ending,
            exit,
            stdout,
            stderr,
            duration: started.elapsed(),
            escaped,
            left_behind,
        };
        if exit == Exit::Unknown || left_behind > 0 {
            tracing::warn!(
                program = name,
                run = spec.run.as_ref().map(RunId::as_str),
                left_behind,
                "a child's process tree could not be ended in time"
            );
        }
        tracing::debug!(program = name, run = spec.run.as_ref().map(RunId::as_str), ?ending, ?exit, escaped, duration = ?report.duration, "a child ended");
        Ok(report)
    }
}

/// Runs until the child exits or something says it must end.
async fn running(
    spec: &ProcessSpec,
    leader: &Leader,
    signals: &mut SignalStream,
    io: &mut Io<'_>,
    cancel: impl Future<Output = ()> + Send,
) -> io::Result<Ending> {
    let mut cancel = pin!(cancel);
    let mut deadline = pin!(sleep(spec.deadline));
    let mut stall = pin!(sleep(spec.stall.unwrap_or(Duration::MAX)));
    loop {
        // Limits first: a child that never stops talking must not outshout them.
        let event = tokio::select! {
            biased;
            () = &mut cancel => return Ok(Ending::Cancelled),
            () = &mut deadline => return Ok(Ending::Deadline),
            () = &mut stall, if spec.stall.is_some() => return Ok(Ending::Stalled),
            exited = leader.exited(signals) => return exited.map(|()| Ending::Exited),
            event = io.next() => event,
        };
        match event {
            IoEvent::Said => {
                if let Some(time) = spec.stall {
                    stall.as_mut().reset(tokio::time::Instant::now() + time);
                }
            }
            IoEvent::Flooded(stream) => return Ok(Ending::Flooded(stream)),
            IoEvent::Stop => return Ok(Ending::Stopped),
            IoEvent::Quiet => {}
        }
    }
}

/// Waits for the child's exit while its outputs are read, since a child that ends may have last words that fill a pipe.
async fn until_exit(leader: &Leader, signals: &mut SignalStream, io: &mut Io<'_>) {
    loop {
        tokio::select! {
            biased;
            _ = leader.exited(signals) => return,
            _ = io.next() => {}
        }
    }
}

/// Reads what is still in the pipes. They end by themselves unless a process that could not be found holds them.
async fn drain(io: &mut Io<'_>, ending: &mut Ending) {
    io.close_stdin();
    let drained = async {
        while io.is_open() {
            let Ok(event) = timeout(DRAIN_QUIET, io.next()).await else {
                return;
            };
            match event {
                // What a child says must not depend on whether it was faster than we were.
                IoEvent::Flooded(stream) if *ending == Ending::Exited => {
                    *ending = Ending::Flooded(stream);
                }
                IoEvent::Stop if *ending == Ending::Exited => *ending = Ending::Stopped,
                IoEvent::Flooded(_) | IoEvent::Stop | IoEvent::Said | IoEvent::Quiet => {}
            }
        }
    };
    drop(timeout(DRAIN_CEILING, drained).await);
}
