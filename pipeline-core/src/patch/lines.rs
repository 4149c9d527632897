//! A cursor over the lines of a patch.

use super::refusal::PatchRefusal;

/// Walks over lines that all end in `\n`, counting them.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    bytes: &'a [u8],
    /// Where the next line starts.
    at: usize,
    /// Where the next line ends, without its `\n`; `None` at the end.
    end: Option<usize>,
    number: u64,
}

impl<'a> Lines<'a> {
    /// Starts at the first line.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let mut lines = Self {
            bytes,
            at: 0,
            end: None,
            number: 0,
        };
        lines.find_end();
        lines
    }

    /// Returns the next line without moving.
    pub(super) fn peek(&self) -> Option<&'a [u8]> {
        self.bytes.get(self.at..self.end?)
    }

    /// Returns the next line and moves past it.
    pub(super) fn next(&mut self) -> Option<&'a [u8]> {
        let line = self.peek()?;
        self.at = self.end? + 1;
        self.number += 1;
        self.find_end();
        Some(line)
    }

    /// Moves past the next line if it starts so, and returns what follows.
    pub(super) fn take(&mut self, prefix: &[u8]) -> Option<&'a [u8]> {
        let rest = self.peek()?.strip_prefix(prefix)?;
        self.next();
        Some(rest)
    }

    /// Returns the offset of the next line.
    pub(super) fn offset(&self) -> usize {
        self.at
    }

    /// Returns the bytes from an earlier offset up to the next line.
    pub(super) fn since(&self, offset: usize) -> &'a [u8] {
        self.bytes.get(offset..self.at).unwrap_or_default()
    }

    /// Says whether bytes are left that are no line, because no `\n` ends them.
    pub(super) fn is_cut(&self) -> bool {
        self.end.is_none() && self.at < self.bytes.len()
    }

    /// Returns the number of the line last moved past, counted from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Builds the refusal for the line last moved past.
    pub(super) fn malformed(&self, problem: &'static str) -> PatchRefusal {
        PatchRefusal::Malformed {
            line: self.number,
            problem,
        }
    }

    /// Builds the refusal for the line that comes next.
    pub(super) fn malformed_next(&self, problem: &'static str) -> PatchRefusal {
        PatchRefusal::Malformed {
            line: self.number + 1,
            problem,
        }
    }

    fn find_end(&mut self) {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        self.end = memchr::memchr(b'\n', rest).map(|length| self.at + length);
    }
}
