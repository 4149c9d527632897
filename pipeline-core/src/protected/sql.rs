//! SQL statements, found in text of any kind and brought into a normal form.

/// How a text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// The text is SQL.
    Sql,
    /// The text is a program; statements stand in its string literals and here-documents.
    Code,
}

/// A statement in normal form: key words and names in upper case as they stand, comments gone, literals `?`,
/// one space between tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) text: String,
    pub(super) start: usize,
    pub(super) end: usize,
}

const MAX_TEXT: usize = 4096;

/// Finds the statements that may change something. Linear in the length of the text.
pub(super) fn statements(text: &str, mode: Mode) -> Vec<Statement> {
    let mut finder = Finder {
        bytes: text.as_bytes(),
        mode,
        found: Vec::new(),
        current: None,
    };
    finder.run();
    finder.found
}

#[derive(Debug)]
struct Open {
    statement: Statement,
    /// The quote that the program's string literal began with, if the statement stands in one.
    quote: Option<&'static [u8]>,
    first: String,
    tokens: usize,
}

#[derive(Debug)]
struct Finder<'t> {
    bytes: &'t [u8],
    mode: Mode,
    found: Vec<Statement>,
    current: Option<Open>,
}

const TRIPLE_DOUBLE: &[u8] = b"\"\"\"";
const TRIPLE_SINGLE: &[u8] = b"'''";

impl Finder<'_> {
    fn run(&mut self) {
        let mut at = 0;
        while let Some(byte) = self.bytes.get(at).copied() {
            if self.closes_literal(&mut at) {
                continue;
            }
            let rest = self.bytes.get(at..).unwrap_or_default();
            match byte {
                b';' => {
                    at += 1;
                    self.close(at);
                }
                b'-' if rest.starts_with(b"--") && self.reads_sql() => at += line_length(rest),
                b'#' if self.mode == Mode::Sql && self.at_line_start(at) => at += line_length(rest),
                // MySQL runs what stands in `/*! … */`, so only its frame is skipped.
                b'/' if rest.starts_with(b"/*!") && self.reads_sql() => at += 3,
                b'/' if rest.starts_with(b"/*") && self.reads_sql() => {
                    at += memchr::memmem::find(rest, b"*/").map_or(rest.len(), |end| end + 2);
                }
                b'\'' | b'"' | b'`' if self.reads_sql() => self.literal(&mut at, byte),
                _ if is_word(byte) => {
                    let length = rest.iter().take_while(|byte| is_word(**byte)).count();
                    let word = String::from_utf8_lossy(rest.get(..length).unwrap_or_default());
                    self.word(&word, at, at + length);
                    at += length;
                }
                _ if byte.is_ascii_whitespace() => at += 1,
                _ => {
                    let symbol = char::from(byte);
                    if byte.is_ascii() {
                        self.token(symbol.encode_utf8(&mut [0; 4]), at + 1);
                    }
                    at += 1;
                }
            }
        }
        self.close(self.bytes.len());
    }

    /// Says whether the tokens at hand are SQL rather than the program around it.
    fn reads_sql(&self) -> bool {
        self.mode == Mode::Sql || self.current.is_some()
    }

    /// Ends the statement at the end of the literal it stands in, unless the program appends another literal.
    fn closes_literal(&mut self, at: &mut usize) -> bool {
        let Some(quote) = self.current.as_ref().and_then(|open| open.quote) else {
            return false;
        };
        let rest = self.bytes.get(*at..).unwrap_or_default();
        if rest.first() == Some(&b'\\') {
            // An escaped quote inside the literal, `\"users\"`, is a quote of the statement.
            *at += 1;
            if rest
                .get(1)
                .is_some_and(|byte| matches!(byte, b'"' | b'\'' | b'\\' | b'n' | b't'))
            {
                *at += 1;
            }
            return true;
        }
        if !rest.starts_with(quote) {
            return false;
        }
        let after = *at + quote.len();
        let tail = self.bytes.get(after..).unwrap_or_default();
        let glue = tail
            .iter()
            .take(200)
            .take_while(|byte| {
                byte.is_ascii_whitespace() || matches!(byte, b'+' | b'.' | b'&' | b'\\' | b'|')
            })
            .count();
        *at = after;
        let next = tail.get(glue..).unwrap_or_default();
        let prefix = usize::from(matches!(
            next.first(),
            Some(b'f' | b'r' | b'b' | b'$' | b'@')
        ));
        if next
            .get(prefix..)
            .is_some_and(|next| next.starts_with(quote))
        {
            *at = after + glue + prefix + quote.len();
            return true;
        }
        self.close(after);
        true
    }

    fn literal(&mut self, at: &mut usize, quote: u8) {
        let start = *at;
        *at += 1;
        let body = *at;
        while let Some(byte) = self.bytes.get(*at).copied() {
            *at += 1;
            if byte == b'\\' && quote == b'\'' {
                *at += 1;
            } else if byte == quote {
                if self.bytes.get(*at) != Some(&quote) {
                    break;
                }
                *at += 1;
            }
        }
        *at = (*at).min(self.bytes.len());
        let inside = self
            .bytes
            .get(body..at.saturating_sub(1))
            .unwrap_or_default();
        if quote == b'\'' {
            self.token("?", *at);
            // `EXECUTE 'DROP TABLE x'`: a literal may be a statement of its own.
            let inside = String::from_utf8_lossy(inside);
            if let Some(statement) = whole_statement(inside.trim_start()) {
                let text = statement.chars().take(MAX_TEXT).collect();
                self.found.push(Statement {
                    text,
                    start,
                    end: *at,
                });
            }
        } else {
            let name = String::from_utf8_lossy(inside).to_uppercase();
            self.token(&name.replace(char::is_whitespace, "_"), *at);
        }
    }

    fn word(&mut self, word: &str, start: usize, end: usize) {
        let upper = word.to_ascii_uppercase();
        if is_verb(&upper) && self.may_start(start, word) {
            self.close(start);
            self.current = Some(Open {
                statement: Statement {
                    text: upper.clone(),
                    start,
                    end,
                },
                quote: self.quote_before(start),
                first: upper,
                tokens: 1,
            });
            return;
        }
        self.token(&upper, end);
    }

    fn token(&mut self, token: &str, end: usize) {
        let Some(open) = &mut self.current else {
            return;
        };
        open.tokens += 1;
        open.statement.end = end;
        if open.statement.text.len() < MAX_TEXT || token == "WHERE" {
            open.statement.text.push(' ');
            open.statement.text.push_str(token);
        }
        // What cannot become a statement any more is dropped, so that it swallows no real one.
        if open.tokens == 2 && !follows(&open.first, token) {
            self.current = None;
        }
    }

    fn close(&mut self, end: usize) {
        if let Some(mut open) = self.current.take()
            && open.tokens > 1
        {
            open.statement.end = end.max(open.statement.end);
            self.found.push(open.statement);
        }
    }

    /// Says whether a verb at this place may begin a statement.
    fn may_start(&self, at: usize, word: &str) -> bool {
        let before = self.bytes.get(..at).unwrap_or_default();
        let blank = before
            .iter()
            .rev()
            .take(400)
            .take_while(|byte| byte.is_ascii_whitespace());
        let gap = blank.count();
        let before = before.get(..at - gap).unwrap_or_default();
        let new_line = self
            .bytes
            .get(at - gap..at)
            .is_some_and(|gap| gap.contains(&b'\n'));
        let Some(previous) = before.last().copied() else {
            return self.mode == Mode::Sql || word.bytes().all(|byte| byte.is_ascii_uppercase());
        };
        match self.mode {
            Mode::Sql => {
                let length = before
                    .iter()
                    .rev()
                    .take(16)
                    .take_while(|byte| is_word(**byte))
                    .count();
                let last = before.get(before.len() - length..).unwrap_or_default();
                let last = String::from_utf8_lossy(last).to_ascii_uppercase();
                let introduces = matches!(
                    last.as_str(),
                    "BEGIN"
                        | "THEN"
                        | "ELSE"
                        | "AS"
                        | "DO"
                        | "LOOP"
                        | "ANALYZE"
                        | "EXPLAIN"
                        | "VERBOSE"
                        | "NOT"
                );
                let continues = matches!(
                    last.as_str(),
                    "ON" | "FOR" | "KEY" | "OR" | "BEFORE" | "AFTER"
                );
                let is_conflict = last == "DO" && word.eq_ignore_ascii_case("update");
                let digits = before
                    .iter()
                    .rev()
                    .take(8)
                    .take_while(|byte| byte.is_ascii_digit());
                let digits = digits.count();
                let in_hint = before
                    .get(..before.len() - digits)
                    .is_some_and(|b| b.ends_with(b"/*!"));
                let opens = in_hint
                    || matches!(
                        previous,
                        b';' | b')' | b'(' | b'$' | b'{' | b'/' | b'\'' | b'"' | b'!'
                    );
                !is_conflict && (opens || introduces || (new_line && !continues))
            }
            Mode::Code => {
                let upper = word.bytes().all(|byte| byte.is_ascii_uppercase());
                // `Delete from list` with one capital is a sentence for people.
                let even = upper || word.bytes().all(|byte| byte.is_ascii_lowercase());
                let in_literal = even && matches!(previous, b'"' | b'\'' | b'`' | b';');
                (in_literal && self.current.is_none()) || (new_line && upper)
            }
        }
    }

    fn quote_before(&self, at: usize) -> Option<&'static [u8]> {
        if self.mode == Mode::Sql {
            return None;
        }
        let before = self.bytes.get(..at).unwrap_or_default();
        let gap = before
            .iter()
            .rev()
            .take(400)
            .take_while(|byte| byte.is_ascii_whitespace())
            .count();
        let before = before.get(..at - gap).unwrap_or_default();
        [TRIPLE_DOUBLE, TRIPLE_SINGLE, b"\"", b"'", b"`"]
            .into_iter()
            .find(|quote| before.ends_with(quote))
    }

    fn at_line_start(&self, at: usize) -> bool {
        let before = self.bytes.get(..at).unwrap_or_default();
        before
            .iter()
            .rev()
            .find(|byte| !matches!(byte, b' ' | b'\t'))
            .is_none_or(|byte| *byte == b'\n')
    }
}

/// Reads a literal that is a statement as a whole.
fn whole_statement(text: &str) -> Option<String> {
    let verb_length = text.bytes().take_while(u8::is_ascii_alphabetic).count();
    if !is_verb(&text.get(..verb_length)?.to_ascii_uppercase()) {
        return None;
    }
    let mut inner = Finder {
        bytes: text.as_bytes(),
        mode: Mode::Sql,
        found: Vec::new(),
        current: None,
    };
    inner.run();
    inner
        .found
        .into_iter()
        .next()
        .map(|statement| statement.text)
}

fn is_word(byte: u8) -> bool {
    byte == b'_' || byte >= 0x80 || byte.is_ascii_alphanumeric()
}

fn line_length(rest: &[u8]) -> usize {
    memchr::memchr(b'\n', rest).unwrap_or(rest.len())
}

fn is_verb(word: &str) -> bool {
    matches!(
        word,
        "DROP"
            | "TRUNCATE"
            | "DELETE"
            | "UPDATE"
            | "ALTER"
            | "INSERT"
            | "REPLACE"
            | "MERGE"
            | "CREATE"
            | "GRANT"
            | "REVOKE"
            | "RENAME"
            | "LOAD"
            | "COPY"
    )
}

/// Says whether a word may follow a verb, so that prose is not taken for SQL.
fn follows(verb: &str, next: &str) -> bool {
    const OBJECTS: [&str; 27] = [
        "TABLE",
        "DATABASE",
        "SCHEMA",
        "INDEX",
        "VIEW",
        "MATERIALIZED",
        "COLUMN",
        "TRIGGER",
        "FUNCTION",
        "PROCEDURE",
        "SEQUENCE",
        "TYPE",
        "ROLE",
        "USER",
        "OWNED",
        "TABLESPACE",
        "KEYSPACE",
        "PARTITION",
        "TEMPORARY",
        "TEMP",
        "UNIQUE",
        "OR",
        "EXTENSION",
        "FOREIGN",
        "CONSTRAINT",
        "POLICY",
        "DOMAIN",
    ];
    let is_name = next.chars().next().is_some_and(|c| {
        c.is_alphanumeric() || matches!(c, '_' | '$' | '{' | ':' | '#' | '%' | '[' | '?')
    });
    match verb {
        "DROP" | "ALTER" | "CREATE" | "RENAME" => OBJECTS.contains(&next),
        "INSERT" | "REPLACE" | "MERGE" => matches!(next, "INTO" | "OR" | "IGNORE" | "LOW_PRIORITY"),
        "DELETE" => next == "FROM" || next == "QUICK" || next == "IGNORE" || next == "LOW_PRIORITY",
        "LOAD" => next == "DATA",
        _ => is_name,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Mode;
    use super::statements;

    fn texts(text: &str, mode: Mode) -> Vec<String> {
        statements(text, mode)
            .into_iter()
            .map(|statement| statement.text)
            .collect()
    }

    #[test]
    fn statements_are_brought_into_one_form() {
        let sql = "-- never DROP TABLE a\n/* DELETE FROM b */ drop  table\n if exists `c d`;\n\
            DELETE FROM x WHERE id = 'it''s';\nUPDATE \"t\" SET a = 1 -- all\n;/*!40000 ALTER TABLE e DROP f */;\n\
            BEGIN DELETE FROM g; END;\nEXECUTE 'TRUNCATE TABLE h';";
        assert_eq!(
            texts(sql, Mode::Sql),
            [
                "DROP TABLE IF EXISTS C_D",
                "DELETE FROM X WHERE ID = ?",
                "UPDATE T SET A = 1",
                "ALTER TABLE E DROP F * /",
                "DELETE FROM G",
                "TRUNCATE TABLE H",
            ]
        );
    }

    #[test]
    fn clauses_are_no_statements() {
        for sql in [
            "CREATE TABLE a (b INT REFERENCES c ON DELETE CASCADE ON UPDATE SET NULL)",
            "INSERT INTO a VALUES (1) ON CONFLICT (id) DO UPDATE SET b = 1",
            "CREATE TRIGGER t BEFORE DELETE ON a",
        ] {
            assert_eq!(texts(sql, Mode::Sql).len(), 1, "{sql}");
        }
    }

    #[test]
    fn in_programs_a_statement_begins_a_literal() {
        for (code, expected) in [
            (r#"db.run("DELETE FROM users");"#, vec!["DELETE FROM USERS"]),
            (
                r#"db.run("delete from users " + "where id = ?");"#,
                vec!["DELETE FROM USERS WHERE ID = ?"],
            ),
            ("x = \"\"\"\n  DROP TABLE a\n\"\"\"", vec!["DROP TABLE A"]),
            (
                "psql <<EOF\nTRUNCATE TABLE a;\nEOF",
                vec!["TRUNCATE TABLE A"],
            ),
            (
                r#"q("UPDATE \"users\" SET a = 1")"#,
                vec!["UPDATE USERS SET A = 1"],
            ),
            (r#"log("we never DROP TABLE users here")"#, vec![]),
            ("// Update users when the set changes", vec![]),
            ("Delete from the list what is old", vec![]),
            ("update(users, set)", vec![]),
            ("self.drop(table)", vec![]),
        ] {
            assert_eq!(texts(code, Mode::Code), expected, "{code}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in "(DELETE FROM |DROP TABLE |UPDATE |WHERE |[;'\"`\\\\/*-]|\n|--|[a-z ]{0,4}|\u{fc}){0,40}") {
            for mode in [Mode::Sql, Mode::Code] {
                for statement in statements(&text, mode) {
                    prop_assert!(statement.start <= statement.end && statement.end <= text.len());
                }
            }
        }
    }
}
