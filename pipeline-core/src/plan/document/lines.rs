//! Where lines begin and end: after LF, CRLF or a lone CR, as CommonMark counts.

use std::ops::Range;

#[derive(Debug)]
pub(super) struct Lines {
    starts: Vec<usize>,
    len: usize,
}

impl Lines {
    pub(super) fn new(text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut starts = vec![0];
        for at in memchr::memchr2_iter(b'\n', b'\r', bytes) {
            let crlf = bytes.get(at) == Some(&b'\r') && bytes.get(at + 1) == Some(&b'\n');
            if !crlf {
                starts.push(at + 1);
            }
        }
        Self {
            starts,
            len: bytes.len(),
        }
    }

    /// Returns the line, from 1, that a byte is in.
    pub(super) fn number(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at)
    }

    /// Returns the bytes of a line, its end included.
    pub(super) fn range(&self, number: usize) -> Option<Range<usize>> {
        let start = *self.starts.get(number.checked_sub(1)?)?;
        let end = self.starts.get(number).copied().unwrap_or(self.len);
        Some(start..end)
    }

    pub(super) fn text<'t>(&self, text: &'t str, number: usize) -> Option<&'t str> {
        let line = text.get(self.range(number)?)?;
        Some(line.trim_end_matches(['\n', '\r']))
    }
}
