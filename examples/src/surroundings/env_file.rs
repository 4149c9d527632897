//! `--env-file`: names and values, one per line, read as data and never as a shell script.

use std::path::Path;
use std::path::PathBuf;

/// Why an env file could not be read. No value is ever repeated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvFileError {
    /// The file cannot be read.
    #[error("the env file {} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A line is not `NAME=value`.
    #[error("the env file {} is not usable: line {line}: {what}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
    },
}

pub(super) fn read(path: &Path) -> Result<Vec<(String, String)>, EnvFileError> {
    let text = std::fs::read_to_string(path).map_err(|source| EnvFileError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    parse(&text).map_err(|(line, what)| EnvFileError::Invalid {
        path: path.to_owned(),
        line,
        what,
    })
}

fn parse(text: &str) -> Result<Vec<(String, String)>, (usize, &'static str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut found = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        found.push(assignment(line).map_err(|what| (i + 1, what))?);
    }
    Ok(found)
}

fn assignment(line: &str) -> Result<(String, String), &'static str> {
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, value) = line.split_once('=').ok_or("expected NAME=value")?;
    let name = name.trim_end();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.bytes().all(plain)
    {
        return Err("before the `=` stands a name of letters, digits and `_`");
    }
    Ok((name.to_owned(), unquote(value.trim())?))
}

fn unquote(value: &str) -> Result<String, &'static str> {
    let open = value.chars().next();
    let Some(quote @ ('"' | '\'')) = open else {
        // A comment after an unquoted value needs a space before it, so that `a#b` stays a value.
        let value = value.split(" #").next().unwrap_or_default().trim_end();
        return Ok(value.to_owned());
    };
    let mut out = String::new();
    let mut chars = value.chars().skip(1);
    loop {
        match chars.next() {
            None => return Err("the quote is not closed on this line"),
            Some(c) if c == quote => break,
            Some('\\') if quote == '"' => match chars.next() {
                Some('n') => out.push('\n'),
                Some(c @ ('"' | '\\' | '$' | '`')) => out.push(c),
                Some(c) => out.extend(['\\', c]),
                None => return Err("the quote is not closed on this line"),
            },
            Some(c) => out.push(c),
        }
    }
    let rest: String = chars.collect();
    let rest = rest.trim_start();
    if rest.is_empty() || rest.starts_with('#') {
        Ok(out)
    } else {
        Err("nothing but a comment may follow the closing quote")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_common_spellings() {
        let text = "\u{feff}# comment\r\n\nA=1\nexport B = two words # note\nC='$HOME # kept'\nD=\"a\\nb \\\"q\\\" \\$\" # x\nE=\nF=a#b\n";
        let found = parse(text).expect("usable");
        let found: Vec<(&str, &str)> = found
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                ("A", "1"),
                ("B", "two words"),
                ("C", "$HOME # kept"),
                ("D", "a\nb \"q\" $"),
                ("E", ""),
                ("F", "a#b"),
            ]
        );
    }

    #[test]
    fn nothing_is_run_or_expanded() {
        let found = parse("A=$(touch /tmp/x)\nB=`id`\nC=$HOME\n").expect("usable");
        assert_eq!(found[0].1, "$(touch /tmp/x)");
        assert_eq!(found[2].1, "$HOME");
    }

    #[test]
    fn what_is_wrong_is_told_by_line_and_without_the_value() {
        for (text, line) in [
            ("A=1\nglpat-canary\n", 2),
            ("1A=x", 1),
            ("A='canary", 1),
            ("A=\"x\" canary", 1),
        ] {
            let (at, what) = parse(text).expect_err(text);
            assert_eq!(at, line, "{text}");
            assert!(!what.contains("canary"));
        }
    }
}
