//! The first lines of our comments.

use serde::Deserialize;
use serde::Serialize;

/// What a memo is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MemoKind {
    /// How the agent understood the issue.
    Triage,
    /// The first digest of the repository.
    LocalCheck,
    /// A later digest, after a person wrote or the text changed.
    Recheck,
    /// A claim: the work-start lock.
    WorkStart,
    /// A submitted patch.
    WorkDone,
    /// Everything else the protocol says; its `kind:` line tells what.
    WorkStatus,
}

impl MemoKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Triage,
        Self::LocalCheck,
        Self::Recheck,
        Self::WorkStart,
        Self::WorkDone,
        Self::WorkStatus,
    ];
}

/// The first line of each kind of memo; configurable, so that a team can have them in its language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Markers {
    /// See [`MemoKind::Triage`].
    pub triage: String,
    /// See [`MemoKind::LocalCheck`].
    pub local_check: String,
    /// See [`MemoKind::Recheck`].
    pub recheck: String,
    /// See [`MemoKind::WorkStart`].
    pub work_start: String,
    /// See [`MemoKind::WorkDone`].
    pub work_done: String,
    /// See [`MemoKind::WorkStatus`].
    pub work_status: String,
}

impl Default for Markers {
    fn default() -> Self {
        Self {
            triage: "Note: this is an automated AI assessment. Please point out any misreadings."
                .into(),
            local_check: "Note: AI local-check memo. Implementation has not started.".into(),
            recheck: "Note: AI local re-check memo. Implementation has not started.".into(),
            work_start: "Note: AI work-start memo.".into(),
            work_done: "Note: AI work-done memo.".into(),
            work_status: "Note: AI work-status memo.".into(),
        }
    }
}

impl Markers {
    /// Returns the marker of a kind.
    #[must_use]
    pub fn of(&self, kind: MemoKind) -> &str {
        match kind {
            MemoKind::Triage => &self.triage,
            MemoKind::LocalCheck => &self.local_check,
            MemoKind::Recheck => &self.recheck,
            MemoKind::WorkStart => &self.work_start,
            MemoKind::WorkDone => &self.work_done,
            MemoKind::WorkStatus => &self.work_status,
        }
    }

    /// Returns the kind whose marker this line is; the comparison is exact but for spaces at the end.
    #[must_use]
    pub fn kind_of(&self, line: &str) -> Option<MemoKind> {
        let line = line.trim_end();
        MemoKind::ALL.into_iter().find(|k| self.of(*k) == line)
    }

    /// Checks that the markers can be told apart.
    ///
    /// # Errors
    /// The sentence that says what is wrong.
    pub fn check(&self) -> Result<(), String> {
        for (i, kind) in MemoKind::ALL.into_iter().enumerate() {
            let marker = self.of(kind);
            if marker.trim() != marker || marker.len() < 5 || marker.contains(['\n', '\r']) {
                return Err(format!(
                    "marker `{marker}` must be one line of at least five characters without outer spaces"
                ));
            }
            if MemoKind::ALL
                .into_iter()
                .skip(i + 1)
                .any(|other| self.of(other) == marker)
            {
                return Err(format!("marker `{marker}` stands for two kinds of memo"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_can_be_told_apart() {
        assert_eq!(Markers::default().check(), Ok(()));
        let twice = Markers {
            recheck: Markers::default().local_check,
            ..Markers::default()
        };
        assert!(twice.check().is_err());
    }

    #[test]
    fn only_the_whole_line_is_a_marker() {
        let m = Markers::default();
        assert_eq!(
            m.kind_of("Note: AI work-start memo.  "),
            Some(MemoKind::WorkStart)
        );
        assert_eq!(m.kind_of("> Note: AI work-start memo."), None);
        assert_eq!(m.kind_of("Note: AI work-start memo. x"), None);
    }
}
