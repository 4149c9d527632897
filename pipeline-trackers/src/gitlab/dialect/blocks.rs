//! What a line belongs to: quotations and blocks of code.

/// Splits a line into the marks of a quotation and what is quoted.
pub(super) fn split_quote(line: &str) -> (&str, &str) {
    let mut at = 0;
    let mut spaces = 0;
    for (i, c) in line.char_indices() {
        match c {
            '>' => {
                at = i + 1;
                spaces = 0;
            }
            ' ' if spaces < if at == 0 { 3 } else { 4 } => spaces += 1,
            _ => break,
        }
    }
    // One space behind the mark belongs to it.
    if at > 0 && line.get(at..).is_some_and(|rest| rest.starts_with(' ')) {
        at += 1;
    }
    line.split_at_checked(at).unwrap_or((line, ""))
}

/// Puts spaces in place of tabs between the marks of a quotation, as far as they reach, so that all count the same columns.
pub(super) fn plain_prefix(line: &str) -> String {
    let rest = line.trim_start_matches([' ', '\t', '>']);
    let prefix = line.strip_suffix(rest).unwrap_or_default();
    if !(prefix.contains('>') && prefix.contains('\t')) {
        return line.to_owned();
    }
    let mut plain = String::with_capacity(line.len() + 8);
    for c in prefix.chars() {
        if c == '\t' {
            let wide = 4 - plain.len() % 4;
            plain.extend(std::iter::repeat_n(' ', wide));
        } else {
            plain.push(c);
        }
    }
    plain + rest
}

/// Splits off so many marks of quotation; `None` if the line is not that deep.
pub(super) fn inside(line: &str, depth: usize) -> Option<(&str, &str)> {
    let mut rest = line;
    for _ in 0..depth {
        let (indent, marked) = indented(rest);
        if indent > 3 {
            return None;
        }
        rest = marked.strip_prefix('>')?;
        rest = rest.strip_prefix(' ').unwrap_or(rest);
    }
    line.split_at_checked(line.len() - rest.len())
}

/// A block of code that is open.
pub(super) struct Fence {
    pub(super) mark: char,
    pub(super) length: usize,
    pub(super) depth: usize,
}

impl Fence {
    /// A block opens at the margin only: an indented one may belong to an item of a list, and would end with it.
    pub(super) fn opened_by(quote: &str, rest: &str, depth: usize) -> Option<Self> {
        let at_margin = !quote.starts_with(' ') && !quote.contains("  ") && !quote.contains(">>>");
        let mark = rest.chars().next().filter(|c| matches!(c, '`' | '~'))?;
        let length = rest.chars().take_while(|c| *c == mark).count();
        let info = rest.get(length..).unwrap_or_default();
        // Nothing may stand behind that something could be made of.
        let harmless = info
            .trim()
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_+.".contains(c));
        (at_margin && length >= 3 && harmless).then_some(Self {
            mark,
            length,
            depth,
        })
    }

    pub(super) fn is_closed_by(&self, line: &str) -> bool {
        let (indent, rest) = indented(line);
        let rest = rest.trim_end_matches([' ', '\t']);
        indent <= 3 && rest.chars().all(|c| c == self.mark) && rest.chars().count() >= self.length
    }
}

fn indented(line: &str) -> (usize, &str) {
    let rest = line.trim_start_matches(' ');
    (line.len() - rest.len(), rest)
}
