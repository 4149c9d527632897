//! What sessions have used so far: a resumed one counts on, and only the difference is the run's.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use pipeline_core::agent::Usage;
use serde::Deserialize;
use serde::Serialize;

const FILE: &str = "session-totals.json";

/// What a session has used, as far as its program counts it up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Used {
    pub(crate) input_tokens: u64,
    pub(crate) output_tokens: u64,
    pub(crate) cost_micros: u64,
}

/// The totals of the sessions in one home.
#[derive(Debug)]
pub(crate) struct Totals {
    file: PathBuf,
    known: BTreeMap<String, Used>,
}

impl Totals {
    /// Reads them; what cannot be read counts as nothing used, which never makes a run look cheaper than it was.
    pub(crate) fn of(home: &Path) -> Self {
        let file = home.join(FILE);
        let known = fs::read(&file)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        Self { file, known }
    }

    /// Returns what a session had used.
    pub(crate) fn before(&self, session: Option<&str>) -> Used {
        session
            .and_then(|session| self.known.get(session))
            .copied()
            .unwrap_or_default()
    }

    /// Writes down what a session has used since.
    ///
    /// # Errors
    /// What the operating system says.
    pub(crate) fn add(&mut self, session: &str, usage: &Usage) -> io::Result<()> {
        let used = self.known.entry(session.to_owned()).or_default();
        used.input_tokens = used.input_tokens.saturating_add(usage.input_tokens);
        used.output_tokens = used.output_tokens.saturating_add(usage.output_tokens);
        used.cost_micros = used
            .cost_micros
            .saturating_add(usage.cost_micros.unwrap_or(0));
        let next = self.file.with_extension("new");
        fs::write(&next, serde_json::to_vec(&self.known)?)?;
        fs::rename(&next, &self.file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_count_up_and_damage_counts_as_nothing() {
        let home = tempfile::tempdir().unwrap();
        let usage = Usage {
            input_tokens: 10,
            output_tokens: 2,
            cost_micros: Some(5),
            millis: 0,
        };
        let mut totals = Totals::of(home.path());
        totals.add("a", &usage).unwrap();
        Totals::of(home.path()).add("a", &usage).unwrap();
        let read = Totals::of(home.path());
        assert_eq!(read.before(Some("a")).input_tokens, 20);
        assert_eq!(read.before(Some("a")).cost_micros, 10);
        assert_eq!(read.before(Some("b")), Used::default());
        assert_eq!(read.before(None), Used::default());
        fs::write(home.path().join(FILE), "{").unwrap();
        assert_eq!(Totals::of(home.path()).before(Some("a")), Used::default());
    }
}
