//! How Backlog treats text, in its two modes.

use std::borrow::Cow;
use std::ops::Range;

use pipeline_core::tracker::Dialect;

/// Most characters of a comment.
pub(super) const MAX_COMMENT: usize = 50_000;
/// Most characters of a description.
pub(super) const MAX_DESCRIPTION: usize = 100_000;
/// Most characters of a title.
pub(super) const MAX_SUMMARY: usize = 255;

/// The markup a project's texts are shown in (`textFormattingRule`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TextMode {
    /// Markdown, what new projects have.
    #[default]
    Markdown,
    /// The service's own older notation, which it calls `backlog`.
    Classic,
}

impl TextMode {
    /// Returns the service's own word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Markdown => "markdown",
            Self::Classic => "backlog",
        }
    }
}

impl Dialect for TextMode {
    fn neutralise(&self, text: &str) -> String {
        let text = text.replace("\r\n", "\n");
        let lines = text.split('\n');
        let mut code = Code::default();
        let shown = |line: &str| -> String { line.chars().map(storable).collect() };
        let lines = lines.map(shown).map(|line| match self {
            Self::Markdown => markdown(&line, &code.of(&line)),
            Self::Classic => classic(&line),
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    fn max_chars(&self) -> usize {
        MAX_COMMENT
    }

    fn key_prefix(&self) -> &str {
        match self {
            // Without it Markdown runs the lines together.
            Self::Markdown => "- ",
            Self::Classic => "",
        }
    }
}

/// Returns text as one line that can be stored, for titles.
pub(super) fn plain_line(text: &str) -> String {
    let line = text.replace(['\r', '\n', '\t'], " ");
    let shown: String = line.chars().map(storable).collect();
    shown.trim().to_owned()
}

/// Returns a character as it can be stored: what the service refuses, and what nobody would see, by its number.
fn storable(c: char) -> Cow<'static, str> {
    let refused = c > '\u{FFFD}' || (c.is_control() && c != '\t');
    // Overrides of the direction make a text look like another one.
    let turning = matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    if refused || turning {
        return format!("[U+{:04X}]", u32::from(c)).into();
    }
    c.to_string().into()
}

/// Follows the code of a text, and calls nothing code of which a renderer could think otherwise.
#[derive(Debug, Default)]
struct Code {
    /// The open fence: its character, its length, and how deep in quotes it stands.
    fence: Option<(char, usize, usize)>,
    /// A span may have been opened on an earlier line of this paragraph.
    open: bool,
    /// A renderer may think that a fence has ended here, or not: from then on nothing is code for certain.
    lost: bool,
}

impl Code {
    /// Returns the byte ranges of a line that are code for certain.
    fn of(&mut self, line: &str) -> Vec<Range<usize>> {
        if self.lost {
            return Vec::new();
        }
        let (depth, bare) = unquoted(line);
        let begins = |c: char| run_of(bare, c);
        // A fence ends with the quote it stands in.
        if let Some((c, length, at)) = self.fence {
            let marks = bare.trim_start();
            let closes =
                run_of(marks, c) >= length && marks.trim_start_matches(c).trim().is_empty();
            if depth >= at {
                if depth == at && closes {
                    self.fence = None;
                    // Only at the margin all agree that it does.
                    self.lost = marks.len() < bare.len();
                }
                return std::iter::once(0..line.len()).collect();
            }
            let loose = line.trim_start_matches([' ', '\t', '>']);
            let loose = line.len() - loose.len();
            if line
                .get(..loose)
                .is_some_and(|marks| marks.matches('>').count() >= at)
            {
                self.lost = true;
                return Vec::new();
            }
        }
        self.fence = ['`', '~']
            .map(|c| (c, begins(c), depth))
            .into_iter()
            .find(|(c, length, _)| *length >= 3 && !bare.trim_start_matches(*c).contains('`'));
        if self.fence.is_some() || bare.trim().is_empty() {
            self.open = false;
            return Vec::new();
        }
        let (spans, unmatched) = spans(line);
        // The address of a link binds before code does.
        let links = ["](", "][", "[["].iter().any(|mark| line.contains(mark));
        let certain = !self.open && !links && !line.contains("\\`");
        self.open |= unmatched || !certain;
        if certain { spans } else { Vec::new() }
    }
}

fn run_of(text: &str, mark: char) -> usize {
    text.chars().take_while(|c| *c == mark).count()
}

/// Returns how deep in quotes a line stands, and the line without them.
fn unquoted(line: &str) -> (usize, &str) {
    let (mut depth, mut bare) = (0, line);
    while let Some(rest) = bare.strip_prefix('>') {
        depth += 1;
        bare = rest.strip_prefix(' ').unwrap_or(rest);
    }
    (depth, bare)
}

/// Escapes what Markdown would hide or fetch: tags, HTML comments, images.
fn markdown(line: &str, code: &[Range<usize>]) -> String {
    escaped(line, |at, rest| {
        let tag = rest.strip_prefix('<').is_some_and(|rest| {
            rest.starts_with(|c: char| c.is_ascii_alphabetic() || "/!?".contains(c))
        });
        (tag || rest.starts_with("![")) && !code.iter().any(|range| range.contains(&at))
    })
}

/// Escapes what the older notation would format, hide or fetch.
fn classic(line: &str) -> String {
    const MARKUP: &[&str] = &[
        "''",
        "%%",
        "[[",
        "&br;",
        "{code",
        "{/code}",
        "{quote}",
        "{/quote}",
        "{color",
        "{/color}",
        "#image(",
        "#thumbnail(",
        "#attach(",
        "#rev(",
        "#contents",
    ];
    escaped(line, |at, rest| {
        (at == 0 && rest.starts_with('*')) || MARKUP.iter().any(|m| rest.starts_with(m))
    })
}

/// Puts a backslash before every place that `bites`, unless one stands there already.
fn escaped(line: &str, bites: impl Fn(usize, &str) -> bool) -> String {
    let mut out = String::with_capacity(line.len());
    let mut backslashes = 0usize;
    for (at, c) in line.char_indices() {
        let rest = line.get(at..).unwrap_or_default();
        if backslashes.is_multiple_of(2) && bites(at, rest) {
            out.push('\\');
        }
        backslashes = if c == '\\' { backslashes + 1 } else { 0 };
        out.push(c);
    }
    out
}

/// Returns the byte ranges of code spans that begin and end on this line, and whether a run of backticks is left over.
fn spans(line: &str) -> (Vec<Range<usize>>, bool) {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (at, _) in line.match_indices('`') {
        match runs.last_mut() {
            Some((start, length)) if *start + *length == at => *length += 1,
            _ => runs.push((at, 1)),
        }
    }
    let (mut spans, mut unmatched) = (Vec::new(), false);
    let mut rest = runs.as_slice();
    while let Some(((start, length), later)) = rest.split_first() {
        let closing = later.iter().enumerate().find(|(_, (_, l))| l == length);
        if let Some((nth, (end, _))) = closing {
            spans.push(*start..*end);
            rest = later.get(nth + 1..).unwrap_or_default();
        } else {
            unmatched = true;
            rest = later;
        }
    }
    (spans, unmatched)
}

#[cfg(test)]
mod tests;
