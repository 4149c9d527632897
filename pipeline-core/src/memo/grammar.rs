//! Parse and render.

use super::Fields;
use super::Markers;
use super::MemoKind;
use super::fields::is_key;
use super::sign::SigningKeys;
use crate::issue::IssueKey;
use crate::tracker::Dialect;

/// The version of the grammar; stands in every memo.
pub(crate) const VERSION: &str = "1";

/// One structured comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memo {
    /// What it is.
    pub kind: MemoKind,
    /// Its lines, `v` and `sig` left out: they are added and checked here.
    pub fields: Fields,
    /// People's text below the lines.
    pub text: String,
}

/// What a comment's body is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed {
    /// Its first line is none of our markers.
    NotAMemo,
    /// A memo.
    Memo(Memo),
    /// Our marker, but what follows is not a memo, or is not signed as it must be.
    Broken {
        /// What is wrong.
        reason: String,
    },
}

impl Memo {
    /// Makes a memo.
    #[must_use]
    pub const fn new(kind: MemoKind, fields: Fields, text: String) -> Self {
        Self { kind, fields, text }
    }

    /// Returns the memo as it can be sent: text made harmless by the tracker's dialect, and short enough.
    ///
    /// Idempotent, and `parse(render(neutralise(m))) == neutralise(m)`.
    #[must_use]
    pub fn neutralise(&self, dialect: &dyn Dialect, markers: &Markers) -> Self {
        self.neutralise_telling(dialect, markers, SHORTENED)
    }

    /// Like [`neutralise`](Self::neutralise); where the text is too long, `note` stands at its end and says where the
    /// whole is.
    pub(crate) fn neutralise_telling(
        &self,
        dialect: &dyn Dialect,
        markers: &Markers,
        note: &str,
    ) -> Self {
        let mut text = self.harmless(dialect);
        let room = self.room(dialect, markers);
        let note = format!("\n\n{}", tidy(&dialect.neutralise(note)));
        let mut keep = room.saturating_sub(note.chars().count());
        while text.chars().count() > room && text != tidy(&note) {
            let cut: String = text.chars().take(keep).collect();
            let harmless = dialect.neutralise(&tidy(&cut));
            // Cutting may open something that the dialect then closes, so the result can be longer than the cut.
            text = tidy(&format!("{}{note}", tidy(&harmless)));
            keep = keep.saturating_sub(text.chars().count().saturating_sub(room));
        }
        Self {
            kind: self.kind,
            fields: self.fields.clone(),
            text,
        }
    }

    /// Returns whether the whole text can be sent.
    pub(crate) fn fits(&self, dialect: &dyn Dialect, markers: &Markers) -> bool {
        self.harmless(dialect).chars().count() <= self.room(dialect, markers)
    }

    fn harmless(&self, dialect: &dyn Dialect) -> String {
        tidy(&dialect.neutralise(&tidy(&self.text)))
    }

    /// Returns how many characters the text may have.
    fn room(&self, dialect: &dyn Dialect, markers: &Markers) -> usize {
        let head = self.head(markers, dialect.key_prefix()).chars().count() + SIGNATURE_ROOM;
        dialect.max_chars().saturating_sub(head)
    }

    /// Returns the body of the comment, signed if there is a key.
    #[must_use]
    pub fn render(
        &self,
        markers: &Markers,
        dialect: &dyn Dialect,
        issue: &IssueKey,
        keys: &SigningKeys,
    ) -> String {
        let prefix = dialect.key_prefix();
        let mut out = self.head(markers, prefix);
        if let Some(sig) = keys.sign(issue, &self.canonical()) {
            out.push_str(prefix);
            out.push_str("sig: ");
            out.push_str(&sig);
            out.push('\n');
        }
        if self.text.is_empty() {
            out.pop();
        } else {
            out.push('\n');
            out.push_str(&self.text);
        }
        out
    }

    fn head(&self, markers: &Markers, prefix: &str) -> String {
        let mut out = format!("{}\n{prefix}v: {VERSION}\n", markers.of(self.kind));
        for (key, value) in self.fields.iter() {
            out.push_str(prefix);
            out.push_str(key);
            out.push(':');
            if !value.is_empty() {
                out.push(' ');
                out.push_str(value);
            }
            out.push('\n');
        }
        out
    }

    /// Returns what is signed: independent of markers, key prefix and order of different keys.
    fn canonical(&self) -> String {
        let mut lines: Vec<(&str, &str)> = self.fields.iter().collect();
        lines.sort_by_key(|(k, _)| *k);
        let mut out = format!("{:?}\nv: {VERSION}\n", self.kind);
        for (k, v) in lines {
            out.push_str(k);
            out.push_str(": ");
            out.push_str(v);
            out.push('\n');
        }
        out.push('\n');
        out.push_str(&self.text);
        out
    }

    /// Reads a comment's body. Never fails: what is broken is a value.
    ///
    /// `unsigned_ok` accepts a memo without signature although there is a key (older than `signed_since`).
    #[must_use]
    pub fn parse(
        body: &str,
        markers: &Markers,
        issue: &IssueKey,
        keys: &SigningKeys,
        unsigned_ok: bool,
    ) -> Parsed {
        let body = body.replace("\r\n", "\n");
        let mut lines = body.split('\n');
        let Some(kind) = lines.next().and_then(|l| markers.kind_of(l)) else {
            return Parsed::NotAMemo;
        };
        match read(kind, lines) {
            Ok((memo, sig)) => {
                match keys.check(issue, &memo.canonical(), sig.as_deref(), unsigned_ok) {
                    Ok(()) => Parsed::Memo(memo),
                    Err(reason) => Parsed::Broken { reason },
                }
            }
            Err(reason) => Parsed::Broken { reason },
        }
    }
}

const SHORTENED: &str = "[shortened: the text was longer than the tracker takes]";
/// Room for a `sig:` line: key id, 64 digits, prefix.
const SIGNATURE_ROOM: usize = 150;
const MOST_LINES: usize = 2_000;

fn read<'a>(
    kind: MemoKind,
    lines: impl Iterator<Item = &'a str>,
) -> Result<(Memo, Option<String>), String> {
    let mut fields = Fields::new();
    let (mut version, mut sig) = (None, None);
    let mut text = String::new();
    let mut in_text = false;
    for (n, line) in lines.enumerate() {
        if in_text {
            text.push_str(line);
            text.push('\n');
            continue;
        }
        let line = line.trim_end();
        if line.is_empty() {
            in_text = true;
            continue;
        }
        if n >= MOST_LINES {
            return Err("it has too many lines".into());
        }
        let bare = line.strip_prefix("- ").unwrap_or(line);
        let Some((key, value)) = bare.split_once(':').filter(|(k, _)| is_key(k)) else {
            return Err(format!("line {} is not `key: value`", n + 2));
        };
        let value = value.trim();
        if !value.bytes().all(|b| (b' '..=b'~').contains(&b)) {
            return Err(format!("the value of `{key}` is not plain ASCII"));
        }
        let slot = match key {
            "v" => &mut version,
            "sig" => &mut sig,
            _ => {
                fields.push(key, value);
                continue;
            }
        };
        if slot.replace(value.to_owned()).is_some() {
            return Err(format!("`{key}` stands twice"));
        }
    }
    match version.as_deref() {
        Some(VERSION) => Ok((
            Memo {
                kind,
                fields,
                text: tidy(&text),
            },
            sig,
        )),
        Some(other) => Err(format!("version {other} is not known")),
        None => Err("it has no `v:` line".into()),
    }
}

/// Returns text with LF line ends, without blank lines at either end and without spaces at the end.
fn tidy(text: &str) -> String {
    text.replace("\r\n", "\n")
        .replace('\r', "\n")
        .trim_start_matches('\n')
        .trim_end()
        .to_owned()
}

/// Quotes what an agent or a stranger wrote, line by line, so that no line of it begins anything.
///
/// # Examples
/// ```
/// assert_eq!(pipeline_core::memo::quote("/close\n\nnow"), "> /close\n>\n> now");
/// ```
#[must_use]
pub fn quote(text: &str) -> String {
    tidy(text)
        .split('\n')
        .map(|l| {
            if l.trim().is_empty() {
                ">".to_owned()
            } else {
                format!("> {l}")
            }
        })
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests;
