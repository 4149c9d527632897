//! How often a reading stage failed on the same text, so that it does not fail every quarter of an hour for ever.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;

use serde::Deserialize;
use serde::Serialize;

use crate::event::Stage;
use crate::issue::IssueKey;

/// Counts failing answers per stage, issue and text.
#[derive(Debug)]
pub struct Failures {
    path: Option<PathBuf>,
    counts: Mutex<BTreeMap<String, Count>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Count {
    text: String,
    failures: u32,
    last: String,
}

impl Failures {
    /// Counts as long as the process lives.
    #[must_use]
    pub fn in_memory() -> Self {
        Self {
            path: None,
            counts: Mutex::default(),
        }
    }

    /// Counts in a file; one that cannot be read begins anew, which costs a few agent runs at most.
    #[must_use]
    pub fn open(path: &Path) -> Self {
        let counts = fs::read(path)
            .ok()
            .and_then(|b| serde_json::from_slice(&b).ok())
            .unwrap_or_default();
        Self {
            path: Some(path.to_owned()),
            counts: Mutex::new(counts),
        }
    }

    /// Returns how often it failed on this text, with what it said last.
    #[must_use]
    pub fn on(&self, stage: Stage, issue: &IssueKey, text: &str) -> Option<(u32, String)> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.get(&key(stage, issue)).filter(|c| c.text == text)?;
        Some((count.failures, count.last.clone()))
    }

    pub(crate) fn add(&self, stage: Stage, issue: &IssueKey, text: &str, why: &str) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(key(stage, issue)).or_insert_with(|| Count {
            text: text.to_owned(),
            failures: 0,
            last: String::new(),
        });
        if count.text != text {
            count.text = text.to_owned();
            count.failures = 0;
        }
        count.failures += 1;
        count.last = why.chars().take(500).collect();
        self.save(&counts);
    }

    pub(crate) fn clear(&self, stage: Stage, issue: &IssueKey) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.remove(&key(stage, issue)).is_some() {
            self.save(&counts);
        }
    }

    fn save(&self, counts: &BTreeMap<String, Count>) {
        let Some(path) = &self.path else { return };
        let put = || -> std::io::Result<()> {
            let temp = path.with_extension("new");
            let mut file = fs::File::create(&temp)?;
            serde_json::to_writer(&mut file, counts)?;
            file.flush()?;
            fs::rename(&temp, path)
        };
        if let Err(error) = put() {
            tracing::warn!(path = %path.display(), %error, "failing answers cannot be counted");
        }
    }
}

fn key(stage: Stage, issue: &IssueKey) -> String {
    format!("{}:{issue}", stage.name())
}
