//! A program's own words, as people may read them.

/// How much of a program's own words goes into a message for people.
const BRIEF: usize = 500;

/// Returns text as one short line without control characters, for a sentence that people read.
pub(crate) fn brief(text: &str) -> String {
    let line: String = text
        .chars()
        .map(|char| if char.is_control() { ' ' } else { char })
        .collect();
    let mut words: String = line.trim().chars().take(BRIEF).collect();
    if words.len() < line.trim().len() {
        words.push('…');
    }
    words
}

/// Returns the end of a longer text.
pub(crate) fn last_words(text: &str) -> String {
    const MOST: usize = 4096;
    let text = text.trim();
    let mut start = text.len().saturating_sub(MOST);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text.get(start..).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn briefs_are_short_lines(text in any::<String>()) {
            let brief = brief(&text);
            prop_assert!(brief.chars().count() <= BRIEF + 1 && !brief.chars().any(char::is_control));
        }

        #[test]
        fn last_words_are_the_end(text in "\\PC{0,3000}") {
            let last = last_words(&text);
            prop_assert!(last.len() <= 4096 && text.trim().ends_with(&last));
        }
    }
}
