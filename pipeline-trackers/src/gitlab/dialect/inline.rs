//! What stands within a line: code, tags, links, pictures.

use super::reference::reference;

/// Goes through the text of one line.
pub(super) struct Inline<'a> {
    out: &'a mut String,
    rest: &'a str,
    /// How many backslashes stand right before.
    backslashes: usize,
    before: Option<char>,
}

impl<'a> Inline<'a> {
    pub(super) const fn new(line: &'a str, out: &'a mut String) -> Self {
        Self {
            out,
            rest: line,
            backslashes: 0,
            before: None,
        }
    }

    pub(super) fn run(mut self) {
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
                // A picture is fetched by whoever reads, from wherever it says; as a link it waits for a click.
                '!' if self.is_bare() && self.rest.starts_with("![") => self.escaped(1),
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
