//! Path patterns with captures.

use std::fmt;
use std::sync::Arc;
use std::sync::OnceLock;

use regex::bytes::Regex;

/// The longest pattern, in bytes.
const MAX_PATTERN_BYTES: usize = 512;
/// The most memory one compiled pattern may take, in bytes.
const SIZE_LIMIT: usize = 1 << 20;

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
    /// The regular expression it was translated to.
    source: String,
    /// Compiled when it is first asked: most patterns are only ever searched for as one of a set.
    regex: Arc<OnceLock<Option<Regex>>>,
    captures: Vec<String>,
    pieces: Vec<Piece>,
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// There is nothing in it.
    #[error("the pattern is empty")]
    Empty,
    /// It is longer than 512 bytes.
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
        let pieces = pieces(text)?;
        let source = regex_of(&pieces);
        let captures = pieces.iter().filter_map(|piece| match piece {
            Piece::Capture { name, .. } => Some(name.clone()),
            _ => None,
        });
        Ok(Self {
            text: text.to_owned(),
            source,
            regex: Arc::default(),
            captures: captures.collect(),
            pieces,
        })
    }

    /// Returns whether a path, in its readable form, matches.
    #[must_use]
    pub fn is_match(&self, path: &str) -> bool {
        self.regex()
            .is_some_and(|regex| regex.is_match(path.as_bytes()))
    }

    /// Returns the names of the captures in the order of their appearance.
    #[must_use]
    pub fn captures(&self) -> &[String] {
        &self.captures
    }

    /// Returns the captured texts, or nothing if the path does not match.
    pub(crate) fn capture<'p>(&self, path: &'p str) -> Option<Vec<(&str, &'p str)>> {
        let found = self.regex()?.captures(path.as_bytes())?;
        // A capture begins with a whole character, and so does what follows it.
        Some(
            self.captures
                .iter()
                .filter_map(|name| Some((name.as_str(), path.get(found.name(name)?.range())?)))
                .collect(),
        )
    }

    /// Returns paths that match, at least one for each choice that the pattern offers.
    pub(crate) fn examples(&self) -> Vec<String> {
        let choices: Vec<Vec<String>> = self.pieces.iter().map(examples_of).collect();
        let with = |changed: usize, to: usize| -> String {
            let pick = |(at, texts): (usize, &Vec<String>)| {
                texts
                    .get(if at == changed { to } else { 0 })
                    .cloned()
                    .unwrap_or_default()
            };
            choices.iter().enumerate().map(pick).collect()
        };
        let mut examples: Vec<String> = vec![with(usize::MAX, 0)];
        for (at, texts) in choices.iter().enumerate() {
            examples.extend((1..texts.len()).map(|to| with(at, to)));
        }
        examples
    }

    /// Returns whether two captures share a segment, so that a path may be split in several ways.
    pub(crate) fn splits_freely(&self) -> bool {
        let mut open = false;
        self.pieces.iter().any(|piece| match piece {
            Piece::Capture { .. } => std::mem::replace(&mut open, true),
            Piece::Text(text) if text.contains('/') => {
                open = false;
                false
            }
            Piece::Folders | Piece::Below => {
                open = false;
                false
            }
            Piece::Text(_) | Piece::Star | Piece::Any | Piece::OneOf(_) => false,
        })
    }

    /// Returns the regular expression it was translated to, which is one over bytes.
    pub(crate) fn as_regex(&self) -> &str {
        &self.source
    }

    /// Returns the compiled expression. There always is one: what 512 bytes can be translated to stays far below the
    /// limit of the compiler, which a test shows.
    fn regex(&self) -> Option<&Regex> {
        let compile = || {
            regex::bytes::RegexBuilder::new(&self.source)
                .case_insensitive(true)
                .size_limit(SIZE_LIMIT)
                .build()
                .ok()
        };
        self.regex.get_or_init(compile).as_ref()
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

/// A piece of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// A text that stands for itself, slashes included.
    Text(String),
    /// Anything inside a segment.
    Star,
    /// One character inside a segment.
    Any,
    /// Any number of whole segments, also none, with the slash after each.
    Folders,
    /// At least one character, over segments.
    Below,
    /// One of several texts.
    OneOf(Vec<String>),
    /// A capture, within a segment or over several.
    Capture { name: String, deep: bool },
}

/// Splits a pattern into its pieces.
fn pieces(text: &str) -> Result<Vec<Piece>, PatternError> {
    if text.is_empty() {
        return Err(PatternError::Empty);
    }
    if text.len() > MAX_PATTERN_BYTES {
        return Err(PatternError::TooLong);
    }
    if text.starts_with('/') || text.split('/').any(|segment| segment == "..") {
        return Err(PatternError::NotRelative);
    }
    let mut out = Vec::new();
    let segments = split_segments(text);
    for (at, segment) in segments.iter().enumerate() {
        match (*segment, at + 1 == segments.len()) {
            // A pattern that ends in `/` means everything below.
            ("**" | "", true) => out.push(Piece::Below),
            ("**", false) => out.push(Piece::Folders),
            (segment, is_last) => {
                read_segment(segment, &mut out)?;
                if !is_last {
                    out.push(Piece::Text("/".to_owned()));
                }
            }
        }
    }
    Ok(out)
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

fn read_segment(segment: &str, out: &mut Vec<Piece>) -> Result<(), PatternError> {
    let mut chars = segment.chars().peekable();
    while let Some(c) = chars.next() {
        let piece = match c {
            '*' if chars.peek() == Some(&'*') => return Err(PatternError::DoubleStar),
            '*' => Piece::Star,
            '?' => Piece::Any,
            '{' => {
                let mut inner = String::new();
                loop {
                    match chars.next() {
                        Some('}') => break,
                        Some(c) => inner.push(c),
                        None => return Err(PatternError::Braces),
                    }
                }
                read_braces(inner, out)?
            }
            '}' => return Err(PatternError::Braces),
            '\\' => Piece::Text(chars.next().unwrap_or('\\').to_string()),
            c => Piece::Text(c.to_string()),
        };
        if let (Some(Piece::Capture { name, .. }), Piece::Star | Piece::Capture { .. }) =
            (out.last(), &piece)
        {
            return Err(PatternError::Ambiguous(name.clone()));
        }
        out.push(piece);
    }
    Ok(())
}

/// Reads what stands between braces: several texts, or a capture.
fn read_braces(inner: String, before: &[Piece]) -> Result<Piece, PatternError> {
    if inner.is_empty() {
        return Err(PatternError::Braces);
    }
    if inner.contains(',') {
        if inner.contains(['*', '?', '{']) {
            return Err(PatternError::Alternative(inner));
        }
        return Ok(Piece::OneOf(inner.split(',').map(str::to_owned).collect()));
    }
    let (name, deep) = inner
        .strip_suffix("**")
        .map_or((inner.as_str(), false), |name| (name, true));
    let is_word = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    let stands_before =
        |piece: &Piece| matches!(piece, Piece::Capture { name: known, .. } if known == name);
    if !is_word || before.iter().any(stands_before) {
        return Err(PatternError::Capture(inner));
    }
    Ok(Piece::Capture {
        name: name.to_owned(),
        deep,
    })
}

/// Writes the pieces as an anchored regular expression over bytes.
///
/// Whatever spans several characters is told byte by byte: the ranges of all Unicode, once per star, would make the
/// rules of one repository cost several megabytes. No star and no capture begins inside a character, so that none ends in
/// one either.
fn regex_of(pieces: &[Piece]) -> String {
    let mut out = String::from("^");
    for piece in pieces {
        match piece {
            Piece::Text(text) => out.push_str(&regex::escape(text)),
            Piece::Star => out.push_str(r"(?:(?-u:[^/\x80-\xBF])(?-u:[^/])*)?"),
            Piece::Any => out.push_str("[^/]"),
            Piece::Folders => out.push_str("(?:(?-u:[^/])+/)*"),
            Piece::Below => out.push_str("(?-u:.)+"),
            Piece::OneOf(texts) => {
                let texts: Vec<String> = texts.iter().map(|text| regex::escape(text)).collect();
                out.push_str(&format!("(?:{})", texts.join("|")));
            }
            Piece::Capture { name, deep } => {
                let text = if *deep {
                    r"(?-u:[^\n\x80-\xBF])(?-u:.)*?"
                } else {
                    r"(?-u:[^/\x80-\xBF])(?-u:[^/])*?"
                };
                out.push_str(&format!("(?P<{name}>{text})"));
            }
        }
    }
    out.push('$');
    out
}

/// Returns what may stand for a piece in an example; the texts are such as nobody writes into a pattern.
fn examples_of(piece: &Piece) -> Vec<String> {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    match piece {
        Piece::Text(text) => vec![text.clone()],
        Piece::Star => texts(&["zqj", ""]),
        Piece::Any => texts(&["z"]),
        Piece::Folders => texts(&["zqa/zqb/", ""]),
        Piece::Below => texts(&["zqc/zqd.zqe", "zqd"]),
        Piece::OneOf(all) => all.clone(),
        Piece::Capture { deep: false, .. } => texts(&["Zqfzqg"]),
        Piece::Capture { deep: true, .. } => texts(&["zqh/zqi", "zqh"]),
    }
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
    fn characters_beyond_ascii_stay_whole() {
        assert!(matches("a?c", "aéc"));
        assert!(!matches("a?c", "aééc"));
        assert!(matches("見積/*.md", "見積/一覧.md"));
        assert!(matches("ÄRGER/x", "ärger/x"));
        let pattern = Pattern::parse("{group}一/{name}é.md").expect("the pattern is good");
        assert_eq!(
            pattern.capture("一二一/éèé.md"),
            Some(vec![("group", "一二"), ("name", "éè")])
        );
        for (pattern, path, name) in [
            ("*{name}.rs", "aéü.rs", "ü"),
            ("*{name}.rs", "é.rs", "é"),
            ("{name}{a,}*", "éa", "é"),
            ("*?{name**}.rs", "éüö.rs", "ö"),
            ("*{name**}.rs", "é/ü.rs", "/ü"),
        ] {
            let pattern = Pattern::parse(pattern).expect("the pattern is good");
            assert_eq!(
                pattern.capture(path),
                Some(vec![("name", name)]),
                "{pattern} on {path}"
            );
        }
    }

    #[test]
    fn the_longest_patterns_compile() {
        let filled = |piece: &str| piece.repeat(MAX_PATTERN_BYTES / piece.len());
        let captures: String = (0..50).map(|n| format!("{{k{n}**}}s/")).collect();
        for pattern in ["s", "?", "a*", "**/", "k?", "ǆ", "{s,k}", "ΐ"]
            .map(filled)
            .into_iter()
            .chain([captures])
        {
            let parsed = Pattern::parse(&pattern).expect("the pattern is good");
            assert!(parsed.regex().is_some(), "{pattern}");
        }
    }

    #[test]
    fn examples_match_their_pattern_in_every_choice() {
        for text in [
            "a/**/b.{rs,toml}",
            "**/x",
            "d/**",
            "d/",
            "a?c*",
            "{k}/x",
            "{k**}/x-{l}",
            "\\*/{a,}b",
        ] {
            let pattern = Pattern::parse(text).expect("the pattern is good");
            let examples = pattern.examples();
            assert!(
                examples.iter().all(|example| pattern.is_match(example)),
                "{text}: {examples:?}"
            );
        }
        let pattern = Pattern::parse("a/**/b.{rs,toml}").expect("the pattern is good");
        assert_eq!(
            pattern.examples(),
            ["a/zqa/zqb/b.rs", "a/b.rs", "a/zqa/zqb/b.toml"]
        );
    }

    #[test]
    fn two_captures_in_a_segment_split_freely() {
        let free = |text: &str| {
            Pattern::parse(text)
                .expect("the pattern is good")
                .splits_freely()
        };
        assert!(free("{a}-{b}.rs"));
        assert!(!free("{a}/{b}.rs"));
        assert!(!free("{a}/**/{b}.rs"));
        assert!(!free("x-{b}.rs"));
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
