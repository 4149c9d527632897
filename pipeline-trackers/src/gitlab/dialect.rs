//! How GitLab reads text, and how it is kept from acting on it.
//!
//! GitLab runs lines that begin with `/`, notifies whoever is mentioned, and writes into every issue that is referred to.
//! So mentions and references become code, such a line gets a backslash, and so does a tag; what opens code without
//! closing it is escaped or closed, or the rest would not be what it seems. Carriage returns and blank space at the end
//! are taken off, since GitLab does it too and the stored text has to equal the sent one.

use pipeline_core::tracker::Dialect;

/// Longest note, in characters.
const LONGEST: usize = 1_000_000;

/// GitLab Flavored Markdown.
#[derive(Debug, Clone, Copy, Default)]
pub struct GitLabDialect;

impl Dialect for GitLabDialect {
    fn neutralise(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len() + text.len() / 8);
        let mut fence: Option<Fence> = None;
        let text = characters(text);
        let text = text.trim_end();
        for (n, line) in text.split('\n').enumerate() {
            if n > 0 {
                out.push('\n');
            }
            let (quote, rest) = split_quote(line);
            let depth = quote.matches('>').count();
            if fence.as_ref().is_some_and(|f| f.depth != depth) {
                fence = None;
            }
            out.push_str(quote);
            match &fence {
                Some(open) if open.is_closed_by(rest) => {
                    out.push_str(rest);
                    fence = None;
                }
                Some(_) => code_line(rest, &mut out),
                None => {
                    fence = Fence::opened_by(rest, depth);
                    if fence.is_some() {
                        out.push_str(rest);
                    } else {
                        plain_line(rest, depth == 0, &mut out);
                    }
                }
            }
        }
        if let Some(open) = fence
            && open.depth == 0
        {
            out.push('\n');
            out.extend(std::iter::repeat_n(open.mark, open.length));
        }
        out
    }

    fn max_chars(&self) -> usize {
        LONGEST
    }

    fn key_prefix(&self) -> &str {
        // Lines of a paragraph stay apart in notes.
        ""
    }
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

/// Splits a line into the marks of a quotation and what is quoted.
fn split_quote(line: &str) -> (&str, &str) {
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

/// A block of code that is open.
struct Fence {
    mark: char,
    length: usize,
    depth: usize,
}

impl Fence {
    fn opened_by(line: &str, depth: usize) -> Option<Self> {
        let (indent, rest) = indented(line);
        let mark = rest.chars().next().filter(|c| matches!(c, '`' | '~'))?;
        let length = rest.chars().take_while(|c| *c == mark).count();
        let info = rest.get(length..).unwrap_or_default();
        // Nothing may stand behind that something could be made of.
        let harmless = info
            .trim()
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_+.".contains(c));
        (indent <= 3 && length >= 3 && harmless).then_some(Self {
            mark,
            length,
            depth,
        })
    }

    fn is_closed_by(&self, line: &str) -> bool {
        let (indent, rest) = indented(line);
        let rest = rest.trim_end();
        indent <= 3 && rest.chars().all(|c| c == self.mark) && rest.chars().count() >= self.length
    }
}

fn indented(line: &str) -> (usize, &str) {
    let rest = line.trim_start_matches(' ');
    (line.len() - rest.len(), rest)
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
    Inline {
        out,
        rest: line,
        backslashes: 0,
        before: None,
    }
    .run();
}

/// Goes through the text of one line.
struct Inline<'a> {
    out: &'a mut String,
    rest: &'a str,
    /// How many backslashes stand right before.
    backslashes: usize,
    before: Option<char>,
}

impl Inline<'_> {
    fn run(mut self) {
        while let Some(c) = self.rest.chars().next() {
            match c {
                '`' => self.backtick(),
                '<' if self.is_bare() && opens_tag(self.rest) => {
                    self.out.push('\\');
                    self.take(1);
                }
                _ => match reference(self.rest, self.before) {
                    Some(length) => self.code(length),
                    None => self.take(c.len_utf8()),
                },
            }
        }
    }

    const fn is_bare(&self) -> bool {
        self.backslashes.is_multiple_of(2)
    }

    /// Copies what comes next as it is.
    fn take(&mut self, length: usize) {
        let (now, rest) = self
            .rest
            .split_at_checked(length)
            .unwrap_or((self.rest, ""));
        for c in now.chars() {
            self.backslashes = if c == '\\' { self.backslashes + 1 } else { 0 };
            self.before = Some(c);
        }
        self.out.push_str(now);
        self.rest = rest;
    }

    /// Copies code that ends on this line; what would open code and not close it is escaped.
    fn backtick(&mut self) {
        let run = self.rest.chars().take_while(|c| *c == '`').count();
        if !self.is_bare() {
            self.take(1);
            return;
        }
        match closing(self.rest, run) {
            Some(end) => self.take(end),
            None => {
                for _ in 0..run {
                    self.out.push('\\');
                    self.take(1);
                }
            }
        }
    }

    /// Makes what comes next code.
    fn code(&mut self, length: usize) {
        // An odd backslash would escape the mark that opens the code.
        if !self.is_bare() {
            self.out.push('\\');
        }
        if self.before == Some('`') {
            self.out.push(' ');
        }
        let (now, rest) = self
            .rest
            .split_at_checked(length)
            .unwrap_or((self.rest, ""));
        self.out.push('`');
        self.out.push_str(now);
        self.out.push('`');
        if rest.starts_with('`') {
            self.out.push(' ');
            self.before = Some(' ');
        } else {
            self.before = Some('`');
        }
        self.backslashes = 0;
        self.rest = rest;
    }
}

/// Returns where code ends that is opened by so many backticks at the beginning.
fn closing(text: &str, run: usize) -> Option<usize> {
    let mut at = run;
    while let Some(found) = text.get(at..)?.find('`') {
        at += found;
        let length = text.get(at..)?.chars().take_while(|c| *c == '`').count();
        at += length;
        if length == run {
            return Some(at);
        }
    }
    None
}

fn opens_tag(text: &str) -> bool {
    let next = text.chars().nth(1);
    next.is_some_and(|c| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?'))
}

/// Returns how long the mention, reference or address is that begins here, if one does.
fn reference(text: &str, before: Option<char>) -> Option<usize> {
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let mut chars = text.chars();
    let sigil = chars.next()?;
    let next = chars.next();
    let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':');
    let digit = next.is_some_and(|c| c.is_ascii_digit());
    let letter = next.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let refers = match sigil {
        '@' => letter && !in_word,
        '#' | '!' | '$' | '&' => digit,
        '~' | '%' => letter || next == Some('"'),
        '^' => text.starts_with("^alert#"),
        '[' => return bracketed(text),
        'h' if !in_word => return address(text),
        _ => false,
    };
    if !refers {
        return None;
    }
    if next == Some('"') {
        let end = text.get(2..)?.find('"')? + 3;
        let quoted = text.get(..end)?;
        return (!quoted.contains('`')).then_some(end);
    }
    let rest = text.get(1..)?;
    let rest = if sigil == '^' {
        rest.replacen('#', ":", 1)
    } else {
        rest.to_owned()
    };
    let length: usize = rest
        .chars()
        .take_while(|c| word(*c))
        .map(char::len_utf8)
        .sum();
    // What ends a sentence is not part of the name.
    let name = rest.get(..length)?.trim_end_matches(['.', ':', '/', '-']);
    Some(1 + name.len())
}

/// Returns the length of `[issue:12]` and its like.
fn bracketed(text: &str) -> Option<usize> {
    let end = text.find(']')?;
    let inside = text.get(1..end)?;
    let (kind, id) = inside.split_once(':')?;
    let known = !kind.is_empty()
        && kind.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        && !id.is_empty()
        && !id.starts_with(' ')
        && !inside.contains('`');
    known.then_some(end + 1)
}

/// Returns the length of an address that refers to an issue or the like of some project.
fn address(text: &str) -> Option<usize> {
    if !text.starts_with("http://") && !text.starts_with("https://") {
        return None;
    }
    let ends = |c: char| c.is_whitespace() || matches!(c, '`' | '<' | '>' | '"' | ')' | ']');
    let length = text.find(ends).unwrap_or(text.len());
    let address = text.get(..length)?;
    let refers = [
        "/issues/",
        "/work_items/",
        "/merge_requests/",
        "/epics/",
        "/commit/",
        "/snippets/",
        "/milestones/",
    ];
    refers
        .iter()
        .any(|part| address.contains(part))
        .then_some(length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn said(text: &str) -> String {
        GitLabDialect.neutralise(text)
    }

    #[test]
    fn commands_mentions_and_references_are_shown_and_do_nothing() {
        for (text, expected) in [
            ("/close", "\\/close"),
            ("  /label ~bug", "  \\/label `~bug`"),
            (
                "@alice, @all. #12 !3 ~bug %2 &4 $5",
                "`@alice`, `@all`. `#12` `!3` `~bug` `%2` `&4` `$5`",
            ),
            ("closes group/sub#12", "closes group/sub`#12`"),
            ("me@example.com", "me@example.com"),
            ("~\"to do\" x", "`~\"to do\"` x"),
            (
                "<b>x</b> <!-- y --> a < b",
                "\\<b>x\\</b> \\<!-- y --> a < b",
            ),
            (
                "[vulnerability:1] [x](y) [ ] [x]",
                "`[vulnerability:1]` [x](y) [ ] [x]",
            ),
            (
                "see https://git.example/a/-/issues/3.",
                "see `https://git.example/a/-/issues/3.`",
            ),
            ("see https://example.com/a", "see https://example.com/a"),
            ("`@alice` is code", "`@alice` is code"),
            ("a ` b @alice", "a \\` b `@alice`"),
            ("\\@alice", "\\\\`@alice`"),
            ("`x`@alice`y`", "`x` `@alice` `y`"),
            ("# Heading\n- [ ] 100 %", "# Heading\n- [ ] 100 %"),
            (
                "```rust\nlet x = \"@a\";\n```\n@b",
                "```rust\nlet x = \"@a\";\n```\n`@b`",
            ),
            ("a fence:\n```\n/close", "a fence:\n```\n\\/close\n```"),
            ("> ```\n> @a\nout @b", "> ```\n> @a\nout `@b`"),
            ("> /close", "> /close"),
            ("nul\u{0} bell\u{7}\r\nend \n\n", "nul␀ bell␇\nend"),
        ] {
            assert_eq!(said(text), expected, "{text:?}");
        }
    }

    /// Text in which everything stands that means something.
    fn dangerous() -> impl Strategy<Value = String> {
        let parts = prop::sample::select(vec![
            "`",
            "``",
            "```",
            "~~~",
            "\n",
            "\n",
            "> ",
            ">",
            " ",
            "    ",
            "\\",
            "/close",
            "/",
            "@alice",
            "@",
            "#12",
            "~bug",
            "~\"",
            "\"",
            "<b>",
            "</",
            "<!--",
            "[issue:1]",
            "]",
            "https://x/-/issues/1",
            "word",
            "é",
            "%1",
            "^alert#1",
            "\r",
            "\u{7}",
            "1",
            ".",
        ]);
        prop::collection::vec(parts, 0..24).prop_map(|parts| parts.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn once_is_enough(text in dangerous()) {
            let once = said(&text);
            prop_assert_eq!(said(&once), once);
        }

        #[test]
        fn no_line_is_a_command_and_nothing_is_lost_at_the_end(text in dangerous()) {
            let out = said(&text);
            prop_assert!(!out.contains('\r'));
            prop_assert_eq!(out.trim_end(), out.as_str());
            for line in out.lines() {
                prop_assert!(!is_command(line.trim_start()), "{:?} in {:?}", line, out);
            }
        }
    }
}
