//! The roadmap as a document: what stands in it, and the two changes we make to it.

mod edit;
mod lines;
mod links;
mod outline;
mod syntax;

use std::ops::Range;

use serde::Serialize;

pub use self::edit::Edit;
pub use self::edit::EditError;
pub use self::edit::NewLink;
use self::lines::Lines;
pub use self::links::IssueLink;
pub use self::syntax::InvalidSyntax;
pub use self::syntax::PlanSyntax;

/// A Markdown roadmap that keeps every byte it was made from.
///
/// # Guarantees
/// `PlanDocument::parse(t).as_str() == t` for every text. An [edit](Self::edit) changes the lines of the items it names and no
/// others, and is refused where a renderer would then see anything else change.
///
/// # Examples
/// ```
/// use pipeline_core::plan::PlanDocument;
///
/// let plan = PlanDocument::parse("# Plan\n\n## Phase 1: Login\n\n- [ ] Form\n- [x] Page ([#9](https://g.example/-/issues/9))\n");
/// let [form, page] = plan.items() else { panic!("two items") };
/// assert_eq!((form.text.as_str(), form.line), ("Form", 5));
/// assert_eq!(page.link.as_ref().map(|l| l.key.as_str()), Some("9"));
/// assert_eq!(plan.phases()[0].number, Some(1));
/// ```
#[derive(Debug, Clone)]
pub struct PlanDocument {
    text: String,
    syntax: PlanSyntax,
    phases: Vec<Phase>,
    items: Vec<PlanItem>,
    tasks: Vec<Task>,
    definition_of_done: Option<String>,
}

/// A part of the roadmap with its own label and milestone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Phase {
    /// The heading's text, on one line.
    pub heading: String,
    /// The number in it (`Phase 2: API` → 2).
    pub number: Option<u32>,
    /// The heading without its number and what introduces it (`API`).
    pub title: String,
    /// The heading's line, from 1.
    pub line: usize,
    /// The Markdown of its "definition of done" sections.
    pub definition_of_done: Option<String>,
}

/// One checklist item that stands for an issue: the outermost task, with everything below it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlanItem {
    /// Its line, from 1.
    pub line: usize,
    /// Whether it is ticked.
    pub checked: bool,
    /// Its first paragraph as plain text on one line, without the link to its issue.
    pub text: String,
    /// The link to its issue.
    pub link: Option<IssueLink>,
    /// The Markdown below its first paragraph: nested items, paragraphs, code.
    pub details: String,
    /// The headings between its phase and it, and the list items around it, outermost first.
    pub context: Vec<String>,
    /// Its phase, as a place in [`PlanDocument::phases`].
    pub phase: Option<usize>,
    /// How many items with the same text stand before it in the same phase.
    pub occurrence: usize,
    /// The box, in bytes of the document.
    #[serde(skip)]
    marker: Range<usize>,
    /// The first paragraph behind the box, in bytes of the document.
    #[serde(skip)]
    paragraph: Range<usize>,
}

/// One box a renderer shows, nested ones included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its line, from 1.
    pub line: usize,
    /// Whether it is ticked.
    pub checked: bool,
    /// Its first paragraph as plain text.
    pub text: String,
}

impl PlanDocument {
    /// Reads a document by the default syntax. Every text is a document.
    #[must_use]
    pub fn parse(text: impl Into<String>) -> Self {
        Self::parse_with(text, &PlanSyntax::default())
    }

    /// Reads a document by a team's own syntax.
    #[must_use]
    pub fn parse_with(text: impl Into<String>, syntax: &PlanSyntax) -> Self {
        let text = text.into();
        let outline = outline::read(&text, syntax);
        Self {
            phases: outline.phases,
            items: outline.items,
            tasks: outline.tasks,
            definition_of_done: outline.definition_of_done,
            syntax: syntax.clone(),
            text,
        }
    }

    /// Returns the text, byte for byte as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the phases that hold items, in their order.
    #[must_use]
    pub fn phases(&self) -> &[Phase] {
        &self.phases
    }

    /// Returns the items, in their order.
    #[must_use]
    pub fn items(&self) -> &[PlanItem] {
        &self.items
    }

    /// Returns every box a renderer shows, in their order.
    #[must_use]
    pub fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    /// Returns the Markdown of the "definition of done" sections that are about the whole document.
    #[must_use]
    pub fn definition_of_done(&self) -> Option<&str> {
        self.definition_of_done.as_deref()
    }

    /// Returns the phase of an item.
    #[must_use]
    pub fn phase_of(&self, item: &PlanItem) -> Option<&Phase> {
        item.phase.and_then(|at| self.phases.get(at))
    }

    /// Returns the place of the phase a person means by its number, its place from 1 where no phase has a number, or its
    /// title.
    #[must_use]
    pub fn phase_named(&self, name: &str) -> Option<usize> {
        let wanted = name.trim();
        if let Ok(number) = wanted.parse::<u32>() {
            if self.phases.iter().any(|p| p.number.is_some()) {
                return self.phases.iter().position(|p| p.number == Some(number));
            }
            let at = usize::try_from(number).ok()?.checked_sub(1)?;
            return (at < self.phases.len()).then_some(at);
        }
        let same = |text: &str| text.to_lowercase() == wanted.to_lowercase();
        let phases = &self.phases;
        let whole = phases.iter().position(|p| same(&p.heading));
        whole.or_else(|| phases.iter().position(|p| same(&p.title)))
    }

    /// Returns a line (from 1) without its end.
    #[must_use]
    pub fn line(&self, number: usize) -> Option<&str> {
        let lines = Lines::new(&self.text);
        lines.text(&self.text, number)
    }
}

#[cfg(test)]
mod tests;
