//! How GitLab reads text, and how it is kept from acting on it.
//!
//! GitLab runs lines that begin with `/`, notifies whoever is mentioned, and writes into every issue that is referred to.
//! So mentions and references become code, such a line gets a backslash, and so do a tag and the mark of a picture,
//! which then is a link; what opens code without closing it is escaped or closed, or the rest would not be what it seems. Carriage returns and blank space at the end
//! are taken off, since GitLab does it too and the stored text has to equal the sent one.

mod blocks;
mod inline;
mod reference;

use pipeline_core::tracker::Dialect;

use self::blocks::Fence;
use self::blocks::inside;
use self::blocks::plain_prefix;
use self::blocks::split_quote;
use self::inline::Inline;

/// Longest note, in characters.
const LONGEST: usize = 1_000_000;
/// Most passes over a text; two or three are enough.
const MOST_PASSES: usize = 8;

/// GitLab Flavored Markdown.
#[derive(Debug, Clone, Copy, Default)]
pub struct GitLabDialect;

impl Dialect for GitLabDialect {
    fn neutralise(&self, text: &str) -> String {
        // What one pass writes may read differently to the next where marks meet.
        let mut text = pass(text);
        for _ in 0..MOST_PASSES {
            let again = pass(&text);
            if again == text {
                break;
            }
            text = again;
        }
        text
    }

    fn max_chars(&self) -> usize {
        LONGEST
    }

    fn key_prefix(&self) -> &str {
        // Lines of a paragraph stay apart in notes.
        ""
    }
}

fn pass(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    let mut fence: Option<Fence> = None;
    let text = characters(text);
    let text = text.trim_end();
    let mut at_top = true;
    for (n, line) in text.split('\n').enumerate() {
        if n > 0 {
            out.push('\n');
        }
        let line = &plain_prefix(line);
        if let Some(open) = &fence {
            // Else it ends with the quotation it stands in.
            if let Some((quote, rest)) = inside(line, open.depth) {
                out.push_str(quote);
                if open.is_closed_by(rest) {
                    out.push_str(rest);
                    fence = None;
                } else {
                    code_line(rest, &mut out);
                }
                continue;
            }
        }
        let (quote, rest) = split_quote(line);
        let depth = quote.matches('>').count();
        // Three marks alone on a line would open a quotation that ends at the next three, whatever is in between.
        out.push_str(&quote.replace(">>>", "> > >"));
        fence = Fence::opened_by(quote, rest, depth);
        if fence.is_some() {
            out.push_str(rest);
        } else {
            // At the top such a line opens what is not read as text.
            if at_top && ["---", "+++", ";;;"].iter().any(|d| rest.starts_with(d)) {
                out.push('\\');
            }
            plain_line(rest, depth == 0, &mut out);
        }
        at_top = at_top && depth == 0 && (rest.trim().is_empty() || rest.contains("coding:"));
    }
    if let Some(open) = fence
        && open.depth == 0
    {
        out.push('\n');
        out.extend(std::iter::repeat_n(open.mark, open.length));
    }
    out
}

/// Takes carriage returns off and shows other control characters, which would hide something or are refused.
fn characters(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    text.chars()
        .map(|c| match u32::from(c) {
            0x0a | 0x09 => c,
            0x00..=0x1f => char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'),
            0x7f..=0x9f => '\u{fffd}',
            _ => c,
        })
        .collect()
}

/// Keeps a line of code from being taken for a command by a reader who sees the block end elsewhere.
fn code_line(line: &str, out: &mut String) {
    let rest = line.trim_start();
    if is_command(rest) {
        out.push_str(line.strip_suffix(rest).unwrap_or_default());
        out.push('\\');
        out.push_str(rest);
    } else {
        out.push_str(line);
    }
}

fn is_command(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next() == Some('/') && chars.next().is_some_and(char::is_alphanumeric)
}

fn plain_line(line: &str, at_margin: bool, out: &mut String) {
    let rest = line.trim_start();
    let mut line = line;
    if at_margin && is_command(rest) {
        out.push_str(line.strip_suffix(rest).unwrap_or_default());
        out.push_str("\\/");
        line = rest.get(1..).unwrap_or_default();
    }
    Inline::new(line, out).run();
}

#[cfg(test)]
mod tests;
