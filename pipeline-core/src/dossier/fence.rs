//! Blocks of untrusted text.

use std::fmt::Write as _;

use super::visible::without_nonce;

/// Writes blocks that no text inside them can end: each line of it begins with `|`, and only we know the nonce.
pub(super) struct Fences<'a> {
    nonce: &'a str,
    pub(super) out: String,
}

impl<'a> Fences<'a> {
    pub(super) const fn new(nonce: &'a str) -> Self {
        Self {
            nonce,
            out: String::new(),
        }
    }

    /// `title` is ours; `lead` and `text` are not.
    pub(super) fn block(&mut self, title: &str, lead: &[(&str, &str)], text: &str) {
        let nonce = self.nonce;
        let _ = writeln!(self.out, "<<< {nonce} {title}");
        for (name, value) in lead {
            self.line(&format!("{name}: {value}"));
        }
        if !lead.is_empty() {
            self.line("");
        }
        let clean = without_nonce(text, nonce);
        for line in clean.split('\n') {
            self.line(line);
        }
        let _ = writeln!(self.out, ">>> {nonce}");
    }

    pub(super) fn note(&mut self, sentence: &str) {
        let _ = writeln!(self.out, "({sentence})");
    }

    fn line(&mut self, line: &str) {
        if line.is_empty() {
            self.out.push_str("|\n");
        } else {
            let _ = writeln!(self.out, "| {line}");
        }
    }
}
