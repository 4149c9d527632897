//! Text from outside, made safe to show.

use std::fmt;
use std::fmt::Write as _;

/// Shows bytes from outside so that nothing in them can act on a terminal or mislead the eye.
///
/// Control characters, bidirectional controls, tag characters, invisible characters and bytes that are
/// not UTF-8 are written as escapes (`\u{202e}`, `\xff`); all else stays as it is.
///
/// # Examples
/// ```
/// use pipeline_core::patch::Escaped;
///
/// assert_eq!(Escaped::new(b"a\x1b[31m").to_string(), "a\\u{1b}[31m");
/// assert_eq!(Escaped::new(b"abcdef").at_most(3).to_string(), "abc…");
/// ```
#[derive(Clone, Copy)]
pub struct Escaped<'a> {
    bytes: &'a [u8],
    at_most: usize,
}

impl<'a> Escaped<'a> {
    /// Wraps bytes without a bound on their length.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at_most: usize::MAX,
        }
    }

    /// Limits what is shown to `characters`, marking the cut with `…`.
    #[must_use]
    pub fn at_most(self, characters: usize) -> Self {
        Self {
            at_most: characters,
            ..self
        }
    }
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.at_most;
        for chunk in self.bytes.utf8_chunks() {
            for character in chunk.valid().chars() {
                if left == 0 {
                    return f.write_char('…');
                }
                left -= 1;
                if is_deceptive(character) {
                    write!(f, "\\u{{{:x}}}", u32::from(character))?;
                } else {
                    f.write_char(character)?;
                }
            }
            for byte in chunk.invalid() {
                if left == 0 {
                    return f.write_char('…');
                }
                left -= 1;
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Says whether a character acts on a terminal, turns the writing direction or cannot be seen.
pub(crate) fn is_deceptive(character: char) -> bool {
    character.is_control() || is_bidi(character) || is_invisible(character) || is_joiner(character)
}

/// Says whether a character changes the direction in which text is shown.
pub(crate) fn is_bidi(character: char) -> bool {
    matches!(character, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Says whether a character has no glyph although it is no control character.
pub(crate) fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{00ad}'
            | '\u{034f}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{2060}'..='\u{2065}'
            | '\u{206a}'..='\u{206f}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{fffe}'
            | '\u{ffff}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Says whether a character joins or parts its neighbours: invisible, yet needed to spell some languages.
pub(crate) fn is_joiner(character: char) -> bool {
    matches!(character, '\u{200c}' | '\u{200d}')
}

#[cfg(test)]
mod tests {
    use super::Escaped;

    #[test]
    fn nothing_deceptive_is_left() {
        let hostile = "a\u{202e}b\u{0}c\u{9b}d\u{e0041}e\u{feff}f\n";
        let shown = Escaped::new(hostile.as_bytes()).to_string();
        assert_eq!(
            shown,
            "a\\u{202e}b\\u{0}c\\u{9b}d\\u{e0041}e\\u{feff}f\\u{a}"
        );
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_numbers() {
        assert_eq!(Escaped::new(b"a\xff\xc3").to_string(), "a\\xff\\xc3");
    }

    #[test]
    fn a_bound_counts_characters() {
        assert_eq!(
            Escaped::new("größe".as_bytes()).at_most(3).to_string(),
            "grö…"
        );
        assert_eq!(Escaped::new(b"abc").at_most(3).to_string(), "abc");
    }
}
