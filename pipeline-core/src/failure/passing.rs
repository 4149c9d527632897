//! What a log of a run that passed says too.

use std::collections::HashSet;
use std::hash::DefaultHasher;
use std::hash::Hash as _;
use std::hash::Hasher as _;

use super::clean::Cleaner;
use super::ruleset::Compiled;
use super::signature::normalise;

/// How many lines of a passing log are remembered.
const MOST_PASSING_LINES: usize = 100_000;
/// How many bytes of a line count.
const KEPT_BYTES: usize = 1024;

/// Collects the lines of a passing log that some rule would take for a failure.
pub(crate) struct Passing<'a> {
    compiled: &'a Compiled,
    cleaner: Cleaner,
    found: HashSet<u64>,
}

impl<'a> Passing<'a> {
    pub(crate) fn new(compiled: &'a Compiled) -> Self {
        Self {
            compiled,
            cleaner: Cleaner::default(),
            found: HashSet::new(),
        }
    }

    pub(crate) fn line(&mut self, raw: &[u8]) {
        if self.found.len() >= MOST_PASSING_LINES {
            return;
        }
        let (text, _) = self.cleaner.clean(raw);
        let text = text.trim_ascii_end();
        if self.compiled.asks_any(text) {
            self.found.insert(fingerprint(text));
        }
    }

    pub(crate) fn finish(self) -> HashSet<u64> {
        self.found
    }
}

pub(super) fn fingerprint(text: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    normalise(&String::from_utf8_lossy(
        &text[..text.len().min(KEPT_BYTES)],
    ))
    .hash(&mut hasher);
    hasher.finish()
}
