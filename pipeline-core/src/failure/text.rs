//! Log bytes to text that may be shown: bounded, without control characters, without credentials.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::LazyLock;

use regex::Regex;

/// How long a quoted line may be, in characters.
pub(crate) const QUOTE_CAP: usize = 400;

/// Returns `bytes` as text that is safe in a terminal, a comment and a prompt.
pub(crate) fn quote(bytes: &[u8]) -> String {
    shorten(
        &redact(&visible(&String::from_utf8_lossy(bytes))),
        QUOTE_CAP,
    )
}

/// Cuts `text` to `cap` characters and says so by an ellipsis.
pub(crate) fn shorten(text: &str, cap: usize) -> String {
    match text.char_indices().nth(cap) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", text[..at].trim_end()),
    }
}

/// Spells out what would steer a terminal or turn the reading direction.
fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => out.push_str("    "),
            '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}' => {
                write!(out, "\\u{{{:x}}}", u32::from(c)).expect("writing to a string cannot fail");
            }
            c if c.is_control() => {
                write!(out, "\\x{:02x}", u32::from(c)).expect("writing to a string cannot fail");
            }
            c => out.push(c),
        }
    }
    out
}

/// Blanks what looks like a credential.
///
/// Runners mask the variables they know; this is for those they do not.
pub(crate) fn redact(text: &str) -> Cow<'_, str> {
    static SHAPES: LazyLock<Vec<Regex>> = LazyLock::new(|| {
        [
            // Prefixes that vendors chose so that a leak is recognised.
            r"\b(?:glpat-|glcbt-|gldt-|glrt-|gh[opsur]_|github_pat_|xox[abprs]-|sk-|npm_|pypi-|hf_|AKIA|ASIA|AIza|dop_v1_)[A-Za-z0-9_\-]{8,}",
            r"\beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]*)?",
            r"(?i)(?P<keep>\bauthorization\b[^A-Za-z0-9]{1,4}(?:basic|bearer|token)?\s*)[A-Za-z0-9+/=_.\-]{8,}",
            r"(?i)(?P<keep>\bbearer\s+)[A-Za-z0-9+/=_.\-]{12,}",
            r"(?P<keep>[a-z][a-z0-9+.\-]*://)[^\s/@:]*:[^\s/@]+(?P<end>@)",
            r#"(?i)(?P<keep>[\w.\-]*(?:password|passwd|secret|token|api[_\-]?key|private[_\-]?key)[\w.\-]*(?:=|"\s*:\s*")["']?)[^\s"'&;,]{4,}"#,
        ]
        .into_iter()
        .map(|shape| Regex::new(shape).expect("the shapes are checked by a test"))
        .collect()
    });
    let mut text = Cow::Borrowed(text);
    for shape in SHAPES.iter() {
        if let Cow::Owned(changed) = shape.replace_all(&text, "${keep}[secret]${end}") {
            text = Cow::Owned(changed);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_spelled_out() {
        assert_eq!(quote(b"a\x1b[31mb\x07\tc"), "a\\x1b[31mb\\x07    c");
        assert_eq!(quote("x\u{202e}y".as_bytes()), "x\\u{202e}y");
        assert_eq!(quote(b"\xff\xfe"), "\u{fffd}\u{fffd}");
    }

    #[test]
    fn credentials_are_blanked_and_the_rest_stays() {
        for (raw, shown) in [
            (
                "token glpat-abcdefghijklmnopqrst used",
                "token [secret] used",
            ),
            (
                "fatal: https://oauth2:s3cr3t@git.example/x.git",
                "fatal: https://[secret]@git.example/x.git",
            ),
            (
                "Authorization: Bearer abcdefghijklmnop",
                "Authorization: Bearer [secret]",
            ),
            (
                "DB_PASSWORD=hunter2hunter2 make",
                "DB_PASSWORD=[secret] make",
            ),
            (r#"{"api_key": "abcdefgh"}"#, r#"{"api_key": "[secret]"}"#),
            (
                "SyntaxError: Unexpected token: function",
                "SyntaxError: Unexpected token: function",
            ),
            ("see https://example.com/a@b", "see https://example.com/a@b"),
            ("SLACK xoxb-123456789012-abcdef", "SLACK [secret]"),
        ] {
            assert_eq!(redact(raw), shown);
        }
    }

    #[test]
    fn a_long_line_is_cut_at_a_character() {
        let text = quote("ä".repeat(1000).as_bytes());
        assert_eq!(text.chars().count(), QUOTE_CAP + 1);
    }
}
