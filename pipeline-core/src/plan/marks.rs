//! The lines at the end of an issue's text that tie it to its item.

use super::fingerprint::Fingerprint;

/// What stands before the way back to the plan.
pub(super) const FROM: &str = "Made from the plan:";
/// What stands before the item's fingerprint.
pub(super) const ITEM: &str = "plan-item:";
/// What stands before the plan's path.
pub(super) const FILE: &str = "plan-file:";

/// What an issue says about the item it was made from.
///
/// # Examples
/// ```
/// use pipeline_core::plan::{Fingerprint, Origin};
///
/// let item = Fingerprint::of("plan.md", None, "Log in", 0);
/// let text = format!("Words.\n\nplan-file: plan.md\nplan-item: {item}");
/// assert_eq!(Origin::in_text(&text).unwrap().fingerprint, item);
/// assert_eq!(Origin::in_text(&Origin::unmarked(&text)), None);
/// assert_eq!(Origin::marks(&text), Some(text.strip_prefix("Words.\n\n").unwrap()));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The item.
    pub fingerprint: Fingerprint,
    /// Its file.
    pub file: String,
}

impl Origin {
    /// Reads the machine's lines at the end of an issue's text.
    #[must_use]
    pub fn in_text(text: &str) -> Option<Self> {
        let mut fingerprint = None;
        let mut file = None;
        // Ours stand last, so that nothing quoted above them can speak for them.
        for line in text.lines().rev() {
            if let Some(value) = value(line, ITEM) {
                fingerprint = fingerprint.or_else(|| Fingerprint::parse(value));
            } else if let Some(value) = value(line, FILE) {
                file = file.or_else(|| Some(value.to_owned()));
            }
        }
        Some(Self {
            fingerprint: fingerprint?,
            file: file?,
        })
    }

    /// Returns the end of an issue's text that holds the way back to the plan and the machine's lines.
    #[must_use]
    pub fn marks(text: &str) -> Option<&str> {
        let mut at = None;
        let mut end = text.len();
        for line in text.lines().rev() {
            // Lines are parts of the text, so that where one begins is told by where the last one ended.
            let start = text.get(..end)?.rfind(line)?;
            end = start;
            if line.starts_with(FROM) {
                return text.get(start..);
            }
            if at.is_none() && value(line, FILE).is_some() {
                at = Some(start);
            }
        }
        text.get(at?..)
    }

    /// Returns a text without lines that would speak for an item.
    #[must_use]
    pub fn unmarked(text: &str) -> String {
        let lines = text.lines();
        let kept: Vec<&str> = lines
            .filter(|line| value(line, ITEM).is_none() && value(line, FILE).is_none())
            .collect();
        kept.join("\n")
    }
}

fn value<'l>(line: &'l str, name: &str) -> Option<&'l str> {
    let line = line.trim();
    let line = line.strip_prefix("- ").unwrap_or(line);
    line.strip_prefix(name).map(str::trim)
}
