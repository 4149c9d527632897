//! Path patterns with captures.

use std::fmt;

use regex::Regex;

/// The longest pattern, in bytes.
const MAX_PATTERN_BYTES: usize = 512;

/// A pattern over paths.
///
/// | written | matches |
/// |---|---|
/// | `*` | anything inside one segment |
/// | `**` | as a whole segment: any number of segments, also none; at the end: everything below |
/// | `?` | one character inside a segment |
/// | `{name}` | at least one character of a segment, captured |
/// | `{name**}` | at least one character, over segments, captured |
/// | `{ts,tsx}` | one of the texts |
/// | `\x` | the character `x` itself |
///
/// Everything else stands for itself, `[` and `(` too (they are common in file names). Case is ignored,
/// since it is to the file systems that many people work on.
///
/// # Examples
/// ```
/// use pipeline_core::conflict::Pattern;
///
/// let pattern = Pattern::parse("app/**/{api}Controller.{php,php8}")?;
/// assert!(pattern.is_match("app/Http/Controllers/PointsController.php"));
/// assert!(!pattern.is_match("app/Http/Points.php"));
/// # Ok::<(), pipeline_core::conflict::PatternError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    regex: Regex,
    captures: Vec<String>,
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// There is nothing in it.
    #[error("the pattern is empty")]
    Empty,
    /// It is longer than 512 bytes, or too big once compiled.
    #[error("the pattern is too long")]
    TooLong,
    /// It starts with `/` or contains `..`: paths are relative to the root of the repository.
    #[error(
        "the pattern must be relative to the root of the repository, without a leading `/` and without `..`"
    )]
    NotRelative,
    /// A `{` has no `}`, or nothing between them.
    #[error("a `{{` in the pattern is not closed or empty; write `\\{{` for the character itself")]
    Braces,
    /// A capture has a name that is no word, or the name of an earlier one.
    #[error("the capture `{{{0}}}` is no lower-case word, or stands twice in the pattern")]
    Capture(String),
    /// Two captures, or a capture and a `*`, follow each other without anything between them.
    #[error("the capture `{{{0}}}` has no end: put a fixed character between it and what follows")]
    Ambiguous(String),
    /// One of several texts holds a star or a capture.
    #[error(
        "`{{{0}}}` lists fixed texts, so it may hold no `*`, `?` or `{{`: write a pattern for each"
    )]
    Alternative(String),
    /// `**` is not a whole segment.
    #[error("`**` must be a whole segment, as in `app/**/x`")]
    DoubleStar,
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// Says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let (source, captures) = translate(text)?;
        let regex = regex::RegexBuilder::new(&source)
            .case_insensitive(true)
            .size_limit(1 << 20)
            .build()
            .map_err(|_too_big| PatternError::TooLong)?;
        Ok(Self {
            text: text.to_owned(),
            regex,
            captures,
        })
    }

    /// Returns whether a path, in its readable form, matches.
    #[must_use]
    pub fn is_match(&self, path: &str) -> bool {
        self.regex.is_match(path)
    }

    /// Returns the names of the captures in the order of their appearance.
    #[must_use]
    pub fn captures(&self) -> &[String] {
        &self.captures
    }

    /// Returns the captured texts, or nothing if the path does not match.
    pub(crate) fn capture<'p>(&self, path: &'p str) -> Option<Vec<(&str, &'p str)>> {
        let found = self.regex.captures(path)?;
        Some(
            self.captures
                .iter()
                .filter_map(|name| Some((name.as_str(), found.name(name)?.as_str())))
                .collect(),
        )
    }

    /// Returns the regular expression it was translated to.
    pub(crate) fn as_regex(&self) -> &str {
        self.regex.as_str()
    }

    /// Returns the pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Translates a pattern into an anchored regular expression.
fn translate(text: &str) -> Result<(String, Vec<String>), PatternError> {
    if text.is_empty() {
        return Err(PatternError::Empty);
    }
    if text.len() > MAX_PATTERN_BYTES {
        return Err(PatternError::TooLong);
    }
    if text.starts_with('/') || text.split('/').any(|segment| segment == "..") {
        return Err(PatternError::NotRelative);
    }
    let mut out = String::from("^");
    let mut captures = Vec::new();
    let segments: Vec<&str> = split_segments(text);
    let last = segments.len() - 1;
    for (at, segment) in segments.iter().enumerate() {
        match (*segment, at == last) {
            ("**", true) => out.push_str(".+"),
            ("**", false) => out.push_str("(?:[^/]+/)*"),
            // A pattern that ends in `/` means everything below.
            ("", true) => out.push_str(".+"),
            (segment, is_last) => {
                translate_segment(segment, &mut out, &mut captures)?;
                if !is_last {
                    out.push('/');
                }
            }
        }
    }
    out.push('$');
    Ok((out, captures))
}

/// Splits at `/`, but not inside braces.
fn split_segments(text: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    text.split(|c| {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == '/' && depth == 0
    })
    .collect()
}

fn translate_segment(
    segment: &str,
    out: &mut String,
    captures: &mut Vec<String>,
) -> Result<(), PatternError> {
    let mut chars = segment.chars().peekable();
    // The capture that was just written, while nothing fixed has followed it.
    let mut open: Option<String> = None;
    while let Some(c) = chars.next() {
        match c {
            '*' => {
                if chars.peek() == Some(&'*') {
                    return Err(PatternError::DoubleStar);
                }
                if let Some(name) = open {
                    return Err(PatternError::Ambiguous(name));
                }
                out.push_str("[^/]*");
            }
            '?' => out.push_str("[^/]"),
            '{' => {
                let mut inner = String::new();
                loop {
                    match chars.next() {
                        Some('}') => break,
                        Some(c) => inner.push(c),
                        None => return Err(PatternError::Braces),
                    }
                }
                if inner.is_empty() {
                    return Err(PatternError::Braces);
                }
                if inner.contains(',') {
                    if inner.contains(['*', '?', '{']) {
                        return Err(PatternError::Alternative(inner));
                    }
                    let texts: Vec<String> = inner.split(',').map(regex::escape).collect();
                    out.push_str(&format!("(?:{})", texts.join("|")));
                    open = None;
                    continue;
                }
                if let Some(name) = open {
                    return Err(PatternError::Ambiguous(name));
                }
                let (name, body) = match inner.strip_suffix("**") {
                    Some(name) => (name, ".+?"),
                    None => (inner.as_str(), "[^/]+?"),
                };
                let is_word = name.starts_with(|c: char| c.is_ascii_lowercase())
                    && name
                        .chars()
                        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
                if !is_word || captures.iter().any(|known| known == name) {
                    return Err(PatternError::Capture(inner));
                }
                out.push_str(&format!("(?P<{name}>{body})"));
                captures.push(name.to_owned());
                open = Some(inner);
                continue;
            }
            '}' => return Err(PatternError::Braces),
            '\\' => {
                let c = chars.next().unwrap_or('\\');
                out.push_str(&regex::escape(&c.to_string()));
            }
            c => out.push_str(&regex::escape(&c.to_string())),
        }
        open = None;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        Pattern::parse(pattern)
            .expect("the pattern is good")
            .is_match(path)
    }

    #[test]
    fn stars_stay_in_their_segment() {
        assert!(matches("src/*.rs", "src/a.rs"));
        assert!(!matches("src/*.rs", "src/b/a.rs"));
        assert!(matches("src/**/*.rs", "src/a.rs"));
        assert!(matches("src/**/*.rs", "src/b/c/a.rs"));
        assert!(matches("**/Cargo.lock", "Cargo.lock"));
        assert!(matches("docs/**", "docs/a/b.md"));
        assert!(!matches("docs/**", "docs"));
        assert!(!matches("docs/**", "mydocs/a"));
        assert!(matches("a?c", "abc"));
        assert!(!matches("a?c", "a/c"));
    }

    #[test]
    fn brackets_and_dots_are_letters_and_case_is_ignored() {
        assert!(matches(
            "app/[slug]/(group)/page.tsx",
            "app/[slug]/(group)/page.tsx"
        ));
        assert!(!matches("a.rs", "abrs"));
        assert!(matches("README.md", "readme.MD"));
        assert!(matches("x.{ts,tsx}", "x.tsx"));
        assert!(matches("a\\*b", "a*b"));
        assert!(!matches("a\\*b", "axb"));
    }

    #[test]
    fn captures_give_the_named_texts() {
        let pattern =
            Pattern::parse("app/{group}/{api}Controller.php").expect("the pattern is good");
        assert_eq!(pattern.captures(), ["group", "api"]);
        assert_eq!(
            pattern.capture("app/Http/PointsController.php"),
            Some(vec![("group", "Http"), ("api", "Points")])
        );
        let deep = Pattern::parse("pages/{screen**}.vue").expect("the pattern is good");
        assert_eq!(
            deep.capture("pages/users/edit.vue"),
            Some(vec![("screen", "users/edit")])
        );
    }

    #[test]
    fn bad_patterns_say_what_is_wrong() {
        for (pattern, error) in [
            ("", PatternError::Empty),
            ("/abs", PatternError::NotRelative),
            ("a/../b", PatternError::NotRelative),
            ("a{", PatternError::Braces),
            ("a}", PatternError::Braces),
            ("a{}", PatternError::Braces),
            ("{Api}", PatternError::Capture("Api".to_owned())),
            ("{a}/{a}", PatternError::Capture("a".to_owned())),
            ("{a}{b}", PatternError::Ambiguous("a".to_owned())),
            ("{a}*", PatternError::Ambiguous("a".to_owned())),
            ("a**/b", PatternError::DoubleStar),
            ("{a*,b}", PatternError::Alternative("a*,b".to_owned())),
        ] {
            assert_eq!(
                Pattern::parse(pattern).map(|_| ()),
                Err(error),
                "{pattern:?}"
            );
        }
    }
}
