//! What is kept of a child's output, and how its lines are cut.

use std::borrow::Cow;
use std::fmt;

/// Says how much of an output is kept, which end of it, and how much is too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capture {
    keep: usize,
    side: Side,
    limit: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Head,
    Tail,
}

impl Capture {
    /// Keeps everything up to `bytes`; a child that says more has flooded.
    #[must_use]
    pub const fn all(bytes: usize) -> Self {
        Self {
            keep: bytes,
            side: Side::Head,
            limit: bytes as u64,
        }
    }

    /// Keeps the last `keep` bytes; a child that says more than `limit` bytes in total has flooded.
    #[must_use]
    pub const fn tail(keep: usize, limit: u64) -> Self {
        Self {
            keep,
            side: Side::Tail,
            limit,
        }
    }
}

/// What was kept of one output of a child.
///
/// `Debug` shows sizes only: an output may hold anything.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Captured {
    bytes: Vec<u8>,
    total: u64,
}

impl Captured {
    /// Returns the kept bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the kept bytes as text, each invalid sequence replaced by U+FFFD.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }

    /// Returns how many bytes the child wrote, kept or not.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Returns whether some bytes were not kept.
    #[must_use]
    pub const fn is_truncated(&self) -> bool {
        self.total > self.bytes.len() as u64
    }

    /// Takes the kept bytes.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl fmt::Debug for Captured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Captured")
            .field("kept", &self.bytes.len())
            .field("total", &self.total)
            .finish()
    }
}

/// Collects one output under its [`Capture`].
#[derive(Debug)]
pub(super) struct Collector {
    rule: Capture,
    held: Captured,
}

impl Collector {
    pub(super) fn new(rule: Capture) -> Self {
        Self {
            rule,
            held: Captured::default(),
        }
    }

    /// Takes the next chunk and returns whether the output is still within its limit.
    pub(super) fn take(&mut self, chunk: &[u8]) -> bool {
        self.held.total = self.held.total.saturating_add(chunk.len() as u64);
        match self.rule.side {
            Side::Head => {
                let room = self.rule.keep.saturating_sub(self.held.bytes.len());
                self.held.bytes.extend_from_slice(at_most(chunk, room));
            }
            Side::Tail => {
                self.held.bytes.extend_from_slice(chunk);
                // Twice the size before cutting, so that the bytes are moved once per `keep` bytes and not per chunk.
                if self.held.bytes.len() > self.rule.keep.saturating_mul(2) {
                    self.cut();
                }
            }
        }
        self.held.total <= self.rule.limit
    }

    fn cut(&mut self) {
        let excess = self.held.bytes.len().saturating_sub(self.rule.keep);
        self.held.bytes.drain(..excess);
    }

    pub(super) fn finish(mut self) -> Captured {
        self.cut();
        self.held
    }
}

fn at_most(bytes: &[u8], room: usize) -> &[u8] {
    bytes.get(..room).unwrap_or(bytes)
}

/// What the reader of a child's lines wants next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Goes on.
    Continue,
    /// Ends the child; the run's ending is [`Ending::Stopped`](super::Ending::Stopped).
    Stop,
}

/// One line of a child's standard output, without its line end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StdoutLine<'a> {
    /// A whole line; the last one may lack its line end.
    Whole(&'a [u8]),
    /// The beginning of a line that was longer than the cap; the rest of it was dropped.
    Oversized(&'a [u8]),
}

/// Cuts chunks into lines, none longer than its cap.
#[derive(Debug)]
pub(super) struct LineCutter {
    cap: usize,
    line: Vec<u8>,
    oversized: bool,
}

impl LineCutter {
    pub(super) const fn new(cap: usize) -> Self {
        Self {
            cap,
            line: Vec::new(),
            oversized: false,
        }
    }

    pub(super) fn feed(
        &mut self,
        chunk: &[u8],
        on_line: &mut dyn FnMut(StdoutLine<'_>) -> Flow,
    ) -> Flow {
        for part in chunk.split_inclusive(|byte| *byte == b'\n') {
            let (body, ended) = match part.split_last() {
                Some((b'\n', body)) => (body, true),
                _ => (part, false),
            };
            let room = self.cap.saturating_sub(self.line.len());
            self.oversized |= body.len() > room;
            self.line.extend_from_slice(at_most(body, room));
            if ended && self.emit(on_line) == Flow::Stop {
                return Flow::Stop;
            }
        }
        Flow::Continue
    }

    /// Hands on a last line without line end.
    pub(super) fn finish(&mut self, on_line: &mut dyn FnMut(StdoutLine<'_>) -> Flow) -> Flow {
        if self.line.is_empty() && !self.oversized {
            Flow::Continue
        } else {
            self.emit(on_line)
        }
    }

    fn emit(&mut self, on_line: &mut dyn FnMut(StdoutLine<'_>) -> Flow) -> Flow {
        let flow = if self.oversized {
            on_line(StdoutLine::Oversized(&self.line))
        } else {
            on_line(StdoutLine::Whole(
                self.line.strip_suffix(b"\r").unwrap_or(&self.line),
            ))
        };
        self.line.clear();
        self.oversized = false;
        flow
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn collect(rule: Capture, chunks: &[Vec<u8>]) -> (Captured, bool) {
        let mut collector = Collector::new(rule);
        let mut within = true;
        for chunk in chunks {
            within = collector.take(chunk);
        }
        (collector.finish(), within)
    }

    fn lines_of(cap: usize, chunks: &[Vec<u8>]) -> Vec<(Vec<u8>, bool)> {
        let mut lines = Vec::new();
        let mut cutter = LineCutter::new(cap);
        let mut keep = |line: StdoutLine<'_>| {
            lines.push(match line {
                StdoutLine::Whole(bytes) => (bytes.to_vec(), false),
                StdoutLine::Oversized(bytes) => (bytes.to_vec(), true),
            });
            Flow::Continue
        };
        for chunk in chunks {
            cutter.feed(chunk, &mut keep);
        }
        cutter.finish(&mut keep);
        lines
    }

    proptest! {
        #[test]
        fn head_and_tail_are_the_two_ends_of_what_was_said(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20),
            keep in 0usize..60,
        ) {
            let said = chunks.concat();
            let (head, within) = collect(Capture::all(keep), &chunks);
            prop_assert_eq!(head.bytes(), &said[..keep.min(said.len())]);
            prop_assert_eq!(within, said.len() <= keep);
            let (tail, _) = collect(Capture::tail(keep, 1000), &chunks);
            prop_assert_eq!(tail.bytes(), &said[said.len().saturating_sub(keep)..]);
            prop_assert_eq!(tail.total(), said.len() as u64);
            prop_assert_eq!(tail.is_truncated(), said.len() > keep);
        }

        #[test]
        fn lines_do_not_depend_on_how_the_bytes_arrived(
            bytes in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'a'), any::<u8>()], 0..200),
            cuts in prop::collection::vec(1usize..30, 1..30),
            cap in 0usize..20,
        ) {
            let mut rest = bytes.as_slice();
            let mut chunks = Vec::new();
            for cut in cuts {
                let (chunk, after) = rest.split_at(cut.min(rest.len()));
                chunks.push(chunk.to_vec());
                rest = after;
            }
            chunks.push(rest.to_vec());
            let lines = lines_of(cap, &chunks);
            prop_assert_eq!(&lines, &lines_of(cap, std::slice::from_ref(&bytes)));
            let ends = bytes.iter().filter(|byte| **byte == b'\n').count();
            let unended = bytes.last().is_some_and(|byte| *byte != b'\n');
            prop_assert_eq!(lines.len(), ends + usize::from(unended));
            for (line, _) in &lines {
                prop_assert!(line.len() <= cap && !line.contains(&b'\n'));
            }
        }
    }

    #[test]
    fn a_long_line_is_marked_and_the_next_one_is_whole_again() {
        let lines = lines_of(4, &[b"abc\r\nabcdef\n\nxy".to_vec()]);
        assert_eq!(
            lines,
            [
                (b"abc".to_vec(), false),
                (b"abcd".to_vec(), true),
                (Vec::new(), false),
                (b"xy".to_vec(), false)
            ]
        );
    }

    #[test]
    fn debug_shows_no_output() {
        let (captured, _) = collect(Capture::all(10), &[b"hunter2".to_vec()]);
        assert_eq!(format!("{captured:?}"), "Captured { kept: 7, total: 7 }");
    }
}
