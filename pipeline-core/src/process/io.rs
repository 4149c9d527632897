//! The three pipes of a child.

use std::io;

use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::process::ChildStderr;
use tokio::process::ChildStdin;
use tokio::process::ChildStdout;
use tokio::sync::mpsc;

use super::capture::Captured;
use super::capture::Collector;
use super::capture::Flow;
use super::capture::LineCutter;
use super::capture::StdoutLine;
use super::leader::Leader;
use super::report::Ending;
use super::report::Stream;
use super::spec::ProcessSpec;

const CHUNK: usize = 32 << 10;

pub(super) struct Lines<'a> {
    pub(super) cutter: LineCutter,
    pub(super) on_line: &'a mut (dyn FnMut(StdoutLine<'_>) -> Flow + Send),
}

pub(super) enum IoEvent {
    Said,
    Flooded(Stream),
    Stop,
    Quiet,
}

pub(super) struct Io<'a> {
    stdin: Option<Input>,
    stdout: Output<ChildStdout>,
    stderr: Output<ChildStderr>,
    lines: Option<Lines<'a>>,
}

impl<'a> Io<'a> {
    pub(super) fn new(
        leader: &mut Leader,
        spec: &mut ProcessSpec,
        feed: Option<mpsc::Receiver<Vec<u8>>>,
        lines: Option<Lines<'a>>,
    ) -> io::Result<Self> {
        let (stdin, stdout, stderr) = leader.pipes();
        let stdin = stdin.map(ChildStdin::from_std).transpose()?;
        Ok(Self {
            stdin: stdin.map(|pipe| Input {
                pipe,
                pending: std::mem::take(&mut spec.stdin),
                written: 0,
                feed,
            }),
            stdout: Output::new(
                stdout.map(ChildStdout::from_std).transpose()?,
                Collector::new(spec.stdout),
            ),
            stderr: Output::new(
                stderr.map(ChildStderr::from_std).transpose()?,
                Collector::new(spec.stderr),
            ),
            lines,
        })
    }

    pub(super) fn close_stdin(&mut self) {
        self.stdin = None;
    }

    pub(super) const fn is_open(&self) -> bool {
        self.stdout.pipe.is_some() || self.stderr.pipe.is_some()
    }

    /// Moves bytes in one direction. Never completes once everything is closed.
    ///
    /// # Cancel safety
    /// Nothing is lost: each branch is a single read or write.
    pub(super) async fn next(&mut self) -> IoEvent {
        let Self {
            stdin,
            stdout,
            stderr,
            lines,
        } = self;
        tokio::select! {
            within = stdout.read() => match within {
                Some(within) => {
                    let flow = lines.as_mut().map_or(Flow::Continue, |lines| lines.cutter.feed(&stdout.chunk, lines.on_line));
                    if flow == Flow::Stop {
                        *lines = None;
                    }
                    said(within, flow, Stream::Stdout)
                }
                None => IoEvent::Quiet,
            },
            within = stderr.read() => within.map_or(IoEvent::Quiet, |within| said(within, Flow::Continue, Stream::Stderr)),
            open = write(stdin) => {
                if !open {
                    *stdin = None;
                }
                IoEvent::Quiet
            }
        }
    }

    pub(super) fn finish(self, ending: &mut Ending) -> (Captured, Captured) {
        if let Some(mut lines) = self.lines
            && lines.cutter.finish(lines.on_line) == Flow::Stop
            && *ending == Ending::Exited
        {
            *ending = Ending::Stopped;
        }
        (self.stdout.kept.finish(), self.stderr.kept.finish())
    }
}

const fn said(within: bool, flow: Flow, stream: Stream) -> IoEvent {
    match (within, flow) {
        (_, Flow::Stop) => IoEvent::Stop,
        (false, Flow::Continue) => IoEvent::Flooded(stream),
        (true, Flow::Continue) => IoEvent::Said,
    }
}

struct Output<P> {
    pipe: Option<P>,
    kept: Collector,
    chunk: Vec<u8>,
}

impl<P: AsyncRead + Unpin> Output<P> {
    const fn new(pipe: Option<P>, kept: Collector) -> Self {
        Self {
            pipe,
            kept,
            chunk: Vec::new(),
        }
    }

    /// Reads one chunk; answers whether the output is within its limit, or nothing at its end.
    async fn read(&mut self) -> Option<bool> {
        let Some(pipe) = &mut self.pipe else {
            return std::future::pending().await;
        };
        self.chunk.clear();
        self.chunk.reserve(CHUNK);
        match pipe.read_buf(&mut self.chunk).await {
            Ok(read) if read > 0 => Some(self.kept.take(&self.chunk)),
            // A pipe cannot fail to be read but by being over.
            Ok(_) | Err(_) => {
                self.pipe = None;
                None
            }
        }
    }
}

struct Input {
    pipe: ChildStdin,
    pending: Vec<u8>,
    written: usize,
    feed: Option<mpsc::Receiver<Vec<u8>>>,
}

/// Writes one piece of input; answers whether there is more to come.
async fn write(input: &mut Option<Input>) -> bool {
    let Some(input) = input else {
        return std::future::pending().await;
    };
    let rest = input.pending.get(input.written..).unwrap_or_default();
    if !rest.is_empty() {
        // A child that does not read its input is no failure of the run: what it says and leaves decides.
        return match input.pipe.write(rest).await {
            Ok(written) if written > 0 => {
                input.written += written;
                true
            }
            Ok(_) | Err(_) => false,
        };
    }
    let Some(feed) = &mut input.feed else {
        return false;
    };
    let Some(next) = feed.recv().await else {
        return false;
    };
    input.pending = next;
    input.written = 0;
    true
}
