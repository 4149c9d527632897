//! The two changes we make to a roadmap: a link at the end of an item's line, and a tick in its box.

use std::collections::BTreeSet;

use super::PlanDocument;
use super::lines::Lines;
use crate::issue::IssueKey;

/// A link to write behind an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLink {
    /// The issue.
    pub key: IssueKey,
    /// Where it leads.
    pub url: String,
}

impl NewLink {
    /// Returns the Markdown: `([#9](https://…))`.
    #[must_use]
    pub fn markdown(&self) -> String {
        let key = self.key.as_str();
        let sign = if key.bytes().all(|b| b.is_ascii_digit()) {
            "#"
        } else {
            ""
        };
        // A key may hold `_` and `.`, which mean nothing inside of a link's text unless they stand in pairs.
        let key = key.replace('_', "\\_");
        format!("([{sign}{key}]({}))", destination(&self.url))
    }
}

/// Returns an address as it may stand between the parentheses of a link.
fn destination(url: &str) -> String {
    let mut safe = String::with_capacity(url.len());
    for c in url.chars() {
        match c {
            ' ' | '<' | '>' | '\\' | '`' | '|' => safe.push_str(&format!("%{:02X}", u32::from(c))),
            c if c.is_control() => {}
            c => safe.push(c),
        }
    }
    if safe.contains(['(', ')']) {
        format!("<{safe}>")
    } else {
        safe
    }
}

/// One change to one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Appends the link to its issue.
    Link {
        /// The item, as a place in [`PlanDocument::items`].
        item: usize,
        /// The link.
        link: NewLink,
    },
    /// Ticks its box.
    Tick {
        /// The item, as a place in [`PlanDocument::items`].
        item: usize,
    },
}

impl Edit {
    const fn item(&self) -> usize {
        match self {
            Self::Link { item, .. } | Self::Tick { item } => *item,
        }
    }
}

/// Why an item was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// There is no such item.
    #[error("the plan has no item {0}")]
    NoItem(usize),
    /// It already has a link.
    #[error("line {line} already links to {key}")]
    Linked {
        /// The item's line.
        line: usize,
        /// What it links to.
        key: IssueKey,
    },
    /// Wherever the link is put, a renderer would show something else than the item and its link.
    #[error("line {line} has no place for a link that leaves the rest as it is: write it by hand")]
    NoPlace {
        /// The item's line.
        line: usize,
    },
}

impl PlanDocument {
    /// Makes changes and returns the changed document; each changes one line of its item.
    ///
    /// # Errors
    /// [`EditError`]; nothing is changed then.
    pub fn edit(&self, edits: &[Edit]) -> Result<Self, EditError> {
        for edit in edits {
            let item = self
                .items
                .get(edit.item())
                .ok_or(EditError::NoItem(edit.item()))?;
            if let (Edit::Link { .. }, Some(link)) = (edit, &item.link) {
                return Err(EditError::Linked {
                    line: item.line,
                    key: link.key.clone(),
                });
            }
        }
        if edits.is_empty() {
            return Ok(self.clone());
        }
        if let Some(done) = self.tried(edits, 0) {
            return Ok(done);
        }
        // One of them does not fit where links usually go: find out which, one at a time.
        let mut so_far = self.clone();
        for edit in edits {
            let one = std::slice::from_ref(edit);
            let done = (0..PLACES).find_map(|place| so_far.tried(one, place));
            so_far = done.ok_or_else(|| EditError::NoPlace {
                line: self.items.get(edit.item()).map_or(0, |i| i.line),
            })?;
        }
        Ok(so_far)
    }

    /// Makes the changes and looks at the result as a renderer would; `None` if anything else changed with them.
    fn tried(&self, edits: &[Edit], place: usize) -> Option<Self> {
        let mut insertions = Vec::new();
        for edit in edits {
            let item = self.items.get(edit.item())?;
            match edit {
                Edit::Link { link, .. } => {
                    let at = self.place(edit.item(), place)?;
                    insertions.push((at..at, format!(" {}", link.markdown())));
                }
                Edit::Tick { .. } if item.checked => {}
                Edit::Tick { .. } => {
                    let inner = item.marker.start + 1..item.marker.end.checked_sub(1)?;
                    insertions.push((inner, "x".to_owned()));
                }
            }
        }
        insertions.sort_by_key(|(range, _)| range.start);
        let mut text = String::with_capacity(self.text.len() + insertions.len() * 64);
        let mut from = 0;
        for (range, new) in &insertions {
            text.push_str(self.text.get(from..range.start)?);
            text.push_str(new);
            from = range.end;
        }
        text.push_str(self.text.get(from..)?);
        let changed = Self::parse_with(text, &self.syntax);
        self.differs_only_by(&changed, edits).then_some(changed)
    }

    fn differs_only_by(&self, changed: &Self, edits: &[Edit]) -> bool {
        if changed.items.len() != self.items.len()
            || changed.tasks.len() != self.tasks.len()
            || changed.phases != self.phases
            || changed.definition_of_done != self.definition_of_done
        {
            return false;
        }
        let ticked: BTreeSet<usize> = edits
            .iter()
            .filter(|e| matches!(e, Edit::Tick { .. }))
            .map(Edit::item)
            .collect();
        let pairs = self.items.iter().zip(&changed.items).enumerate();
        let mut others = pairs.map(|(at, (before, after))| {
            let linked = edits.iter().find_map(|edit| match edit {
                Edit::Link { item, link } if *item == at => Some(link),
                _ => None,
            });
            let link_fits = match linked {
                Some(link) => after.link.as_ref().is_some_and(|l| l.key == link.key),
                None => after.link == before.link,
            };
            link_fits
                && after.checked == (before.checked || ticked.contains(&at))
                && (after.line, &after.text, &after.details)
                    == (before.line, &before.text, &before.details)
                && (after.phase, &after.context) == (before.phase, &before.context)
        });
        others.all(|same| same)
    }

    /// Returns where a link may go: at the end of the item's own line, else of the last line of its first paragraph, else
    /// right behind its last word.
    fn place(&self, item: usize, place: usize) -> Option<usize> {
        let item = self.items.get(item)?;
        let end = match place {
            0 => {
                let lines = Lines::new(&self.text);
                let line = lines.range(item.line)?;
                line.end
                    .min(item.paragraph.end.max(item.marker.end))
                    .max(first_line_end(&self.text, &line))
            }
            1 => {
                let lines = Lines::new(&self.text);
                let last = lines.number(item.paragraph.end.saturating_sub(1).max(item.marker.end));
                lines.range(last)?.end
            }
            _ => item.paragraph.end,
        };
        let before = self.text.get(..end)?.trim_end_matches(['\n', '\r']);
        let kept = before.trim_end_matches([' ', '\t']);
        // A backslash at the end of a line breaks it, and stays at the end.
        let slashes = kept.len() - kept.trim_end_matches('\\').len();
        let kept = if slashes % 2 == 1 {
            kept.len() - 1
        } else {
            kept.len()
        };
        let kept = self.text.get(..kept)?.trim_end_matches([' ', '\t']).len();
        (kept >= item.marker.end).then_some(kept)
    }
}

const PLACES: usize = 3;

fn first_line_end(text: &str, line: &std::ops::Range<usize>) -> usize {
    let whole = text.get(line.clone()).unwrap_or_default();
    line.start + whole.trim_end_matches(['\n', '\r']).len()
}
