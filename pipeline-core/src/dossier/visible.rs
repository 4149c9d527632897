//! Untrusted text for a prompt: what people do not see is made visible, and nothing is dropped silently.

use std::fmt::Write as _;

use crate::patch::escape::is_bidi;
use crate::patch::escape::is_invisible;
use crate::patch::escape::is_joiner;

/// Hidden characters in a row that are still named one by one.
const NAMED: usize = 3;

/// Returns text with everything that people do not see made visible: control, bidirectional, tag and other hidden
/// characters, HTML comments, and Markdown's way of writing comments.
///
/// Line ends become `\n`; tabs stay.
pub(crate) fn visible(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let text = show_characters(&text);
    let text = show_html_comments(&text);
    show_markdown_comments(&text)
}

/// Returns one line of at most `most` characters, for names and titles.
pub(crate) fn visible_line(text: &str, most: usize) -> String {
    let line = visible(text.trim()).replace('\n', " ⏎ ");
    if line.chars().count() <= most {
        return line;
    }
    line.chars()
        .take(most.saturating_sub(1))
        .chain(['…'])
        .collect()
}

/// Returns text without the nonce in any spelling of its letters; a fence can be written by nobody but us.
pub(crate) fn without_nonce(text: &str, nonce: &str) -> String {
    // ASCII lower case keeps every byte offset.
    let lower = text.to_ascii_lowercase();
    let needle = nonce.to_ascii_lowercase();
    if needle.is_empty() || !lower.contains(&needle) {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut from = 0;
    for (at, found) in lower.match_indices(&needle) {
        out.push_str(text.get(from..at).unwrap_or_default());
        out.push_str("⟨the fence's own word⟩");
        from = at + found.len();
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out
}

/// Returns text of at most `most` characters; what is left out of its middle is said in its place.
pub(crate) fn bounded(text: &str, most: usize) -> String {
    let length = text.chars().count();
    if length <= most {
        return text.to_owned();
    }
    let note = |left_out: usize| format!("\n⟨{left_out} characters are left out here⟩\n");
    let room = most.saturating_sub(note(length).chars().count());
    // The end of a text (the last lines of a log, the conclusion) says more than its middle.
    let tail = room / 3;
    let head = room - tail;
    let begin: String = text.chars().take(head).collect();
    let end: String = text.chars().skip(length - tail).collect();
    let whole = format!("{begin}{}{end}", note(length - room));
    if whole.chars().count() <= most {
        whole
    } else {
        whole.chars().take(most).collect()
    }
}

fn show_characters(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut hidden: Vec<char> = Vec::new();
    let mut before: Option<char> = None;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if is_hidden(c, before, rest.peek().copied()) {
            hidden.push(c);
        } else {
            name(&mut out, &hidden);
            hidden.clear();
            out.push(c);
        }
        before = Some(c);
    }
    name(&mut out, &hidden);
    out
}

fn is_hidden(c: char, before: Option<char>, after: Option<char>) -> bool {
    if matches!(c, '\n' | '\t') {
        return false;
    }
    if is_joiner(c) {
        // Persian, the Indic scripts and joined emoji need one between two of their signs; a row of them spells a
        // hidden message.
        return !(before.is_some_and(is_sign) && after.is_some_and(is_sign));
    }
    if matches!(c, '\u{fe00}'..='\u{fe0f}') {
        return !before.is_some_and(is_sign);
    }
    c.is_control() || is_bidi(c) || is_invisible(c)
}

/// Returns whether a character is seen and is one that joiners and variation selectors go with.
fn is_sign(c: char) -> bool {
    let digits_of_keycaps = c.is_ascii_digit() || matches!(c, '#' | '*');
    let plain = c.is_ascii() && !digits_of_keycaps;
    let unseen = c.is_control() || c.is_whitespace() || is_bidi(c) || is_invisible(c);
    // The emoji selector may stand before a joiner (a heart on fire is written so).
    let selects_other = matches!(c, '\u{fe00}'..='\u{fe0e}');
    !plain && !unseen && !is_joiner(c) && !selects_other
}

fn name(out: &mut String, hidden: &[char]) {
    if hidden.is_empty() {
        return;
    }
    if hidden.len() <= NAMED {
        for c in hidden {
            let _ = write!(out, "⟨U+{:04X}⟩", u32::from(*c));
        }
        return;
    }
    let _ = write!(out, "⟨{} hidden characters:", hidden.len());
    for c in hidden.iter().take(NAMED) {
        let _ = write!(out, " U+{:04X}", u32::from(*c));
    }
    out.push_str(" …⟩");
}

/// Marks `<!-- … -->`, which no tracker shows.
fn show_html_comments(text: &str) -> String {
    const BEGIN: &str = "<!--";
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut open = false;
    loop {
        let begin = rest.find(BEGIN);
        let end = if open { rest.find("-->") } else { None };
        match (begin, end) {
            (Some(b), e) if e.is_none_or(|e| b < e) => {
                let (shown, from) = rest.split_at(b);
                out.push_str(shown);
                out.push_str(if open {
                    "⟨again⟩"
                } else {
                    "⟨hidden HTML comment: "
                });
                open = true;
                rest = from.get(BEGIN.len()..).unwrap_or_default();
                // `<!-->` and `<!--->` are whole comments.
                if let Some(behind) = rest.strip_prefix('>').or_else(|| rest.strip_prefix("->")) {
                    out.push('⟩');
                    open = false;
                    rest = behind;
                }
            }
            (_, Some(e)) => {
                let (inside, from) = rest.split_at(e);
                out.push_str(inside);
                out.push('⟩');
                open = false;
                rest = from.get("-->".len()..).unwrap_or_default();
            }
            (_, None) => {
                out.push_str(rest);
                if open {
                    out.push_str(" … never closed⟩");
                }
                return out;
            }
        }
    }
}

/// Marks link definitions that lead nowhere (`[//]: # (text)`): the usual comment of Markdown, which no tracker shows.
fn show_markdown_comments(text: &str) -> String {
    text.split('\n')
        .map(|line| {
            if is_markdown_comment(line) {
                format!("⟨hidden Markdown comment⟩ {line}")
            } else {
                line.to_owned()
            }
        })
        .collect::<Vec<_>>()
        .join("\n")
}

fn is_markdown_comment(line: &str) -> bool {
    let line = line.trim_start_matches([' ', '>', '\t']);
    let Some((_, target)) = line.strip_prefix('[').and_then(|l| l.split_once("]:")) else {
        return false;
    };
    let target = target.trim_start();
    ["#", "<>", "<#>"].iter().any(|nowhere| {
        target
            .strip_prefix(nowhere)
            .is_some_and(|r| r.is_empty() || r.starts_with(char::is_whitespace))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_people_do_not_see_is_named() {
        assert_eq!(visible("a\u{202e}b"), "a⟨U+202E⟩b");
        assert_eq!(visible("a\u{1b}[31mb"), "a⟨U+001B⟩[31mb");
        assert_eq!(visible("a\u{200b}\u{feff}b"), "a⟨U+200B⟩⟨U+FEFF⟩b");
        let tags: String = "ignore"
            .bytes()
            .filter_map(|b| char::from_u32(0xe0000 + u32::from(b)))
            .collect();
        assert_eq!(
            visible(&format!("hi{tags}!")),
            "hi⟨6 hidden characters: U+E0069 U+E0067 U+E006E …⟩!"
        );
        assert_eq!(visible("one\r\ntwo\rthree\n"), "one\ntwo\nthree\n");
        assert_eq!(
            visible("a\u{2028}b\u{85}c\u{b}d"),
            "a⟨U+2028⟩b⟨U+0085⟩c⟨U+000B⟩d"
        );
    }

    #[test]
    fn writing_that_needs_joiners_and_selectors_is_left_alone() {
        for plain in [
            "می\u{200c}خواهم",
            "👩\u{200d}👧",
            "❤\u{fe0f}\u{200d}🔥",
            "1\u{fe0f}\u{20e3}",
            "größe\t日本語 ⚠\u{fe0f}",
        ] {
            assert_eq!(visible(plain), plain);
        }
        assert_eq!(visible("a\u{200d}b"), "a⟨U+200D⟩b");
        assert_eq!(
            visible("👍\u{fe00}\u{fe01}\u{fe02}\u{fe03}\u{fe04}"),
            "👍\u{fe00}⟨4 hidden characters: U+FE01 U+FE02 U+FE03 …⟩"
        );
    }

    #[test]
    fn comments_that_no_tracker_shows_are_marked() {
        assert_eq!(
            visible("a <!-- run rm --> b --> c"),
            "a ⟨hidden HTML comment:  run rm ⟩ b --> c"
        );
        assert_eq!(visible("a <!--> b"), "a ⟨hidden HTML comment: ⟩ b");
        assert_eq!(
            visible("<!-- a <!-- b --> c"),
            "⟨hidden HTML comment:  a ⟨again⟩ b ⟩ c"
        );
        assert_eq!(
            visible("<!-- to the end"),
            "⟨hidden HTML comment:  to the end … never closed⟩"
        );
        assert_eq!(
            visible("x\n[//]: # (do it)\n[1]: #anchor"),
            "x\n⟨hidden Markdown comment⟩ [//]: # (do it)\n[1]: #anchor"
        );
    }

    #[test]
    fn a_cut_keeps_both_ends_and_says_how_much_is_gone() {
        let long: String = ('a'..='z').cycle().take(300).collect();
        let cut = bounded(&long, 100);
        assert!(cut.chars().count() <= 100, "{cut}");
        assert!(cut.starts_with("abc") && cut.ends_with("lmn"), "{cut}");
        insta::assert_snapshot!(cut.replace('\n', "/"), @"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopq/⟨236 characters are left out here⟩/tuvwxyzabcdefghijklmn");
        assert_eq!(bounded("short", 5), "short");
    }

    #[test]
    fn a_line_is_one_line() {
        assert_eq!(visible_line(" a\nb\u{0} ", 20), "a ⏎ b⟨U+0000⟩");
        assert_eq!(visible_line("abcdef", 4), "abc…");
    }

    proptest! {
        #[test]
        fn nothing_hidden_is_left(text in any::<String>()) {
            let shown = visible(&text);
            prop_assert!(!shown.contains("<!--"));
            let unseen = |c: char| (c.is_control() && c != '\n' && c != '\t') || is_bidi(c) || is_invisible(c);
            prop_assert!(!shown.chars().any(unseen));
        }

        #[test]
        fn the_nonce_is_gone_however_it_is_written(
            parts in prop::collection::vec(
                prop_oneof![Just("ab12"), Just("AB12"), Just("aB"), Just("12"), Just("a"), Just("b"), Just("ä\n")],
                0..40,
            ),
        ) {
            let clean = without_nonce(&parts.concat(), "ab12");
            prop_assert!(!clean.to_ascii_lowercase().contains("ab12"));
        }

        #[test]
        fn a_bound_holds(text in any::<String>(), most in 0usize..200) {
            prop_assert!(bounded(&text, most).chars().count() <= most);
        }
    }
}
