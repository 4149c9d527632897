//! How GitLab reads text, and how it is kept from acting on it.
//!
//! GitLab runs lines that begin with `/`, notifies whoever is mentioned, and writes into every issue that is referred to.
//! So mentions and references become code, such a line gets a backslash, and so does a tag; what opens code without
//! closing it is escaped or closed, or the rest would not be what it seems. Carriage returns and blank space at the end
//! are taken off, since GitLab does it too and the stored text has to equal the sent one.

use pipeline_core::tracker::Dialect;

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

/// Puts spaces in place of tabs between the marks of a quotation, as far as they reach, so that all count the same columns.
fn plain_prefix(line: &str) -> String {
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
fn inside(line: &str, depth: usize) -> Option<(&str, &str)> {
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
struct Fence {
    mark: char,
    length: usize,
    depth: usize,
}

impl Fence {
    /// A block opens at the margin only: an indented one may belong to an item of a list, and would end with it.
    fn opened_by(quote: &str, rest: &str, depth: usize) -> Option<Self> {
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

    fn is_closed_by(&self, line: &str) -> bool {
        let (indent, rest) = indented(line);
        let rest = rest.trim_end_matches([' ', '\t']);
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
                    self.escaped(1);
                }
                '&' if self.is_bare() && opens_entity(self.rest) => self.escaped(1),
                // Mathematics, whose marks bind as those of code do.
                '$' if self.is_bare()
                    && !self.rest.chars().nth(1).is_some_and(|c| c.is_ascii_digit()) =>
                {
                    self.escaped(1);
                }
                '[' if self.is_bare() && self.rest.starts_with("[[") => self.escaped(1),
                ']' if self.is_bare() && hides_code(self.rest) => self.escaped(1),
                '~' | '>' if self.is_bare() && run_of(self.rest, c) >= 3 => self.run_of_marks(c),
                _ => match reference(self.rest, self.before) {
                    Some(length) => self.code(length),
                    None => self.take(c.len_utf8()),
                },
            }
        }
    }

    /// Copies so many characters of one byte, each with a backslash.
    fn escaped(&mut self, count: usize) {
        for _ in 0..count {
            self.out.push('\\');
            self.take(1);
        }
    }

    /// Escapes what would open a block behind the mark of a list; the last may begin the name of a label.
    fn run_of_marks(&mut self, mark: char) {
        let run = run_of(self.rest, mark);
        let behind = self.rest.chars().nth(run);
        let named =
            mark == '~' && behind.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '"'));
        self.escaped(if named { run - 1 } else { run });
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
            None => self.escaped(run),
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

fn run_of(text: &str, mark: char) -> usize {
    text.chars().take_while(|c| *c == mark).count()
}

/// Returns whether a character is written by its name or number here: what comes out may begin a mention.
fn opens_entity(text: &str) -> bool {
    let rest = text.get(1..).unwrap_or_default();
    let rest = rest.strip_prefix('#').unwrap_or(rest);
    let length = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
    length > 0 && rest.get(length..).is_some_and(|r| r.starts_with(';'))
}

/// Returns whether the address or the title of a link that begins with this `](` or `][` holds a backtick, which is then
/// none of code; so may one that does not end on this line.
fn hides_code(text: &str) -> bool {
    let until = |text: &str, end: char| text.find(end);
    let within = match text.get(1..2) {
        Some("[") => until(text.get(2..).unwrap_or_default(), ']'),
        Some("(") => {
            let inner = text.get(2..).unwrap_or_default();
            let mut depth = 0_usize;
            let mut quoted: Option<char> = None;
            let mut before = ' ';
            let end = inner.find(|c: char| {
                let escaped = before == '\\';
                let opens = before.is_whitespace();
                before = if escaped && c == '\\' { ' ' } else { c };
                match (quoted, c) {
                    _ if escaped => {}
                    (Some(end), _) if c == end => quoted = None,
                    (Some(_), _) => {}
                    (None, '"' | '\'') if opens => quoted = Some(c),
                    (None, '<') => quoted = Some('>'),
                    (None, '(') => depth += 1,
                    (None, ')') if depth == 0 => return true,
                    (None, ')') => depth -= 1,
                    _ => {}
                }
                false
            });
            // What is odd in between ends for others at the first parenthesis that closes.
            end.filter(|_| quoted.is_none())
        }
        _ => return false,
    };
    let inner = text.get(2..).unwrap_or_default();
    within.is_none_or(|end| inner.get(..end).is_none_or(|inner| inner.contains('`')))
}

/// Returns how long the mention, reference or address is that begins here, if one does.
fn reference(text: &str, before: Option<char>) -> Option<usize> {
    // What GitLab calls a word is ASCII: a mention right behind other letters is one.
    let in_word = before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    let mut chars = text.chars();
    let sigil = chars.next()?;
    let next = chars.next();
    let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':');
    let digit = next.is_some_and(|c| c.is_ascii_digit());
    let letter = next.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let refers = match sigil {
        // What is escaped is part of the name that comes out.
        '@' if !in_word && next == Some('\\') => return Some(1),
        '@' => {
            (letter || next == Some('.') && chars.next().is_some_and(char::is_alphanumeric))
                && !in_word
        }
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
            ("担当@alice", "担当`@alice`"),
            ("é@alice @.bob @\\_eve", "é`@alice` `@.bob` `@`\\_eve"),
            (
                "&commat;alice &#x40;bob & c;",
                "\\&commat;alice \\&#x40;bob & c;",
            ),
            // A mark within a block of code does not end it.
            ("```\n> x\n```\n@a", "```\n> x\n```\n`@a`"),
            ("> ```\n> > x\n> ```\n> @a", "> ```\n> > x\n> ```\n> `@a`"),
            ("> ```\n> \t```\n> @a", "> ```\n>   ```\n> `@a`"),
            ("```\n```\u{a0}\n```\n@a", "```\n```\u{a0}\n```\n`@a`"),
            // Nor is what another reader takes for one left to be one.
            ("~~~ a b\n~~~\n@a\n~~~", "\\~\\~\\~ a b\n~~~\n@a\n~~~"),
            ("- ~~~\n  ~~~\n@a", "- \\~\\~\\~\n  \\~\\~\\~\n`@a`"),
            ("- a\n  ```\n@a", "- a\n  \\`\\`\\`\n`@a`"),
            ("- a\n  > ```\n> @a", "- a\n  > \\`\\`\\`\n> `@a`"),
            (">>>\n```\n>>>\n```\n@a", "> > >\n```\n>>>\n```\n`@a`"),
            ("- >>>", "- \\>\\>\\>"),
            ("---\n```\n---\n```\n@a", "\\---\n```\n---\n```\n`@a`"),
            // What binds before the marks of code do.
            ("[a](b`c) @a `d", "[a\\](b`c) @a `d"),
            ("[a](b \"`\") @a `d", "[a\\](b \"`\") @a `d"),
            ("[a](\nb`c) @a", "[a\\](\nb\\`c) `@a`"),
            ("[[a`]] @a `b", "\\[[a`]] @a `b"),
            ("$a`$ @a `b$", "\\$a`$ @a `b\\$"),
            (
                "[x](https://example.com/a_(b) \"t\") y",
                "[x](https://example.com/a_(b) \"t\") y",
            ),
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
            "~~~",
            ">>>",
            "$",
            "[[",
            "](",
            ")",
            "&commat;",
            "- ",
            "\t",
            "---\n",
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

        /// The judge is an independent reader of Markdown.
        #[test]
        fn nobody_is_mentioned(text in dangerous(), quoted in any::<bool>()) {
            let text = if quoted { pipeline_core::memo::quote(&text) } else { text };
            let out = said(&text);
            let events = pulldown_cmark::TextMergeStream::new(pulldown_cmark::Parser::new(&out));
            let mut code = false;
            for event in events {
                match event {
                    pulldown_cmark::Event::Start(pulldown_cmark::Tag::CodeBlock(_)) => code = true,
                    pulldown_cmark::Event::End(pulldown_cmark::TagEnd::CodeBlock) => code = false,
                    pulldown_cmark::Event::Text(shown) if !code => {
                        let mentions = shown.match_indices("@alice").any(|(at, _)| {
                            let before = shown[..at].chars().next_back();
                            !before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
                        });
                        prop_assert!(!mentions, "{:?} in {:?} of {:?}", shown, out, text);
                    }
                    pulldown_cmark::Event::Html(html) | pulldown_cmark::Event::InlineHtml(html) => {
                        prop_assert!(false, "{:?} in {:?}", html, out);
                    }
                    _ => {}
                }
            }
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
