//! Untrusted text on its way to a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Returns text that cannot move the cursor, recolour the screen or reorder what is read.
///
/// Control characters but line feed and tab, bidirectional controls and tag characters are shown as escapes.
///
/// # Examples
/// ```
/// use pipeline_examples::terminal::escape;
/// assert_eq!(escape("plain\ttext\n"), "plain\ttext\n");
/// assert_eq!(escape("\x1b[31mred"), "\\u{1b}[31mred");
/// ```
#[must_use]
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hostile) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hostile(c) {
            write!(out, "\\u{{{:x}}}", u32::from(c)).expect("writing to a string cannot fail");
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Returns escaped text on one line, for a place in a table or a sentence.
#[must_use]
pub fn escape_line(text: &str) -> String {
    escape(text).replace(['\n', '\t'], " ")
}

fn is_hostile(c: char) -> bool {
    let control = c.is_control() && c != '\n' && c != '\t';
    let bidi = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}');
    let tag = matches!(c, '\u{e0000}'..='\u{e007f}');
    // Line and paragraph separators break lines in some terminals and pagers only.
    control || bidi || tag || matches!(c, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_shown_instead() {
        for (text, shown) in [
            ("a\x1b]0;title\x07b", "a\\u{1b}]0;title\\u{7}b"),
            ("a\rb", "a\\u{d}b"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("\u{202e}txt.exe", "\\u{202e}txt.exe"),
            ("\u{2066}x\u{2069}", "\\u{2066}x\\u{2069}"),
            ("\u{e0041}", "\\u{e0041}"),
        ] {
            assert_eq!(escape(text), shown);
            assert_eq!(escape(shown), shown, "idempotent");
        }
    }

    #[test]
    fn ordinary_text_is_left_alone() {
        for text in ["", "日本語 ünïcödé 🚀\n\tx", "C:\\u{41}"] {
            assert!(matches!(escape(text), Cow::Borrowed(_)), "{text}");
        }
        assert_eq!(escape_line("a\nb\tc"), "a b c");
    }
}
