//! One line of the log: what it says, and the checksum that ties it to the line before.

use std::fmt;
use std::io;

use pipeline_core::clock::Timestamp;
use pipeline_core::issue::AttachmentId;
use pipeline_core::issue::CommentId;
use pipeline_core::issue::EventId;
use pipeline_core::issue::IssueDraft;
use pipeline_core::issue::IssueKey;
use pipeline_core::status::Status;
use serde::Deserialize;
use serde::Serialize;
use serde_json::ser::Formatter;
use sha2::Digest as _;
use sha2::Sha256;

use super::actor::Actor;
use super::edit::IssueEdit;
use super::statuses::LocalStatuses;

/// The version of the line format, written in the first line.
pub(super) const FORMAT: u32 = 1;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) seq: u64,
    pub(super) at: Timestamp,
    pub(super) by: Actor,
    #[serde(flatten)]
    pub(super) event: Event,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub(super) enum Event {
    Init {
        format: u32,
        tracker: String,
        statuses: LocalStatuses,
    },
    Statuses {
        statuses: LocalStatuses,
    },
    New {
        issue: IssueKey,
        #[serde(flatten)]
        draft: IssueDraft,
    },
    Comment {
        issue: IssueKey,
        id: CommentId,
        body: String,
    },
    Move {
        issue: IssueKey,
        id: EventId,
        from: Status,
        to: Status,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        memo: Option<Memo>,
    },
    Attach {
        issue: IssueKey,
        id: AttachmentId,
        name: String,
        size: u64,
        sha256: String,
    },
    Edit {
        issue: IssueKey,
        #[serde(flatten)]
        edit: IssueEdit,
    },
    EditComment {
        issue: IssueKey,
        id: CommentId,
        body: String,
    },
    DeleteComment {
        issue: IssueKey,
        id: CommentId,
    },
    DeleteIssue {
        issue: IssueKey,
    },
}

/// The comment a move carries; one line, so that neither is ever there without the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Memo {
    pub(super) id: CommentId,
    pub(super) body: String,
}

impl Event {
    pub(super) const fn issue(&self) -> Option<&IssueKey> {
        match self {
            Self::Init { .. } | Self::Statuses { .. } => None,
            Self::New { issue, .. }
            | Self::Comment { issue, .. }
            | Self::Move { issue, .. }
            | Self::Attach { issue, .. }
            | Self::Edit { issue, .. }
            | Self::EditComment { issue, .. }
            | Self::DeleteComment { issue, .. }
            | Self::DeleteIssue { issue } => Some(issue),
        }
    }
}

/// The checksum of a line and of all lines before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sum(u64);

impl Sum {
    pub(super) const START: Self = Self(0);

    fn next(self, content: &[u8]) -> Self {
        let digest = Sha256::new()
            .chain_update(self.0.to_be_bytes())
            .chain_update(content)
            .finalize();
        let head = digest.first_chunk().expect("a sha256 has 32 bytes");
        Self(u64::from_be_bytes(*head))
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let plain = text.len() == 16 && text.bytes().all(|b| b"0123456789abcdef".contains(&b));
        plain.then(|| u64::from_str_radix(text, 16).ok().map(Self))?
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

const OPEN: &str = ",\"sum\":\"";
const CLOSE: &str = "\"}";

/// Returns how a line with this checksum ends, line feed included.
pub(super) fn ending(sum: Sum) -> String {
    format!("{OPEN}{sum}{CLOSE}\n")
}

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadLine {
    #[error("it does not end in a checksum")]
    NoSum,
    #[error("its checksum is not that of its text and of the lines before it")]
    WrongSum,
    #[error("it cannot be read ({0}), perhaps because a newer version wrote it")]
    Unknown(serde_json::Error),
}

/// Renders a record as a line, line feed included.
pub(super) fn encode(record: &Record, before: Sum) -> (Vec<u8>, Sum) {
    let mut line = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut line, Readable);
    record
        .serialize(&mut serializer)
        .expect("a record has text keys, and memory takes every byte");
    // The closing brace comes after the checksum.
    line.pop();
    let sum = before.next(&line);
    line.extend_from_slice(ending(sum).as_bytes());
    (line, sum)
}

/// Reads a line without its line feed.
pub(super) fn decode(line: &[u8], before: Sum) -> Result<(Record, Sum), BadLine> {
    let split = line
        .len()
        .checked_sub(OPEN.len() + 16 + CLOSE.len())
        .ok_or(BadLine::NoSum)?;
    let (content, end) = line.split_at_checked(split).ok_or(BadLine::NoSum)?;
    let sum = std::str::from_utf8(end)
        .ok()
        .and_then(|end| end.strip_prefix(OPEN)?.strip_suffix(CLOSE))
        .and_then(Sum::parse)
        .ok_or(BadLine::NoSum)?;
    if sum != before.next(content) {
        return Err(BadLine::WrongSum);
    }
    let mut json = content.to_vec();
    json.push(b'}');
    let record = serde_json::from_slice(&json).map_err(BadLine::Unknown)?;
    Ok((record, sum))
}

/// Returns the length of the record that `bytes` begins with, if there is one.
pub(super) fn leading(bytes: &[u8], before: Sum) -> Option<usize> {
    // Inside a text the quotes are escaped, so the first hit is the ending or there is none.
    let at = bytes
        .windows(OPEN.len())
        .position(|w| w == OPEN.as_bytes())?;
    let len = at + OPEN.len() + 16 + CLOSE.len();
    decode(bytes.get(..len)?, before).is_ok().then_some(len)
}

/// Keeps a log that somebody shows on a terminal from steering it or turning its text around.
struct Readable;

impl Formatter for Readable {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut plain = 0;
        for (at, c) in fragment.char_indices().filter(|(_, c)| is_deceptive(*c)) {
            writer.write_all(fragment.as_bytes().get(plain..at).unwrap_or_default())?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            plain = at + c.len_utf8();
        }
        writer.write_all(fragment.as_bytes().get(plain..).unwrap_or_default())
    }
}

const fn is_deceptive(c: char) -> bool {
    matches!(
        c,
        '\u{7f}'..='\u{9f}'
            | '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn comment(body: &str) -> Record {
        Record {
            seq: 7,
            at: Timestamp::from_millis(1_500),
            by: Actor::person("alice").unwrap(),
            event: Event::Comment {
                issue: IssueKey::new("3").unwrap(),
                id: CommentId(5),
                body: body.to_owned(),
            },
        }
    }

    #[test]
    fn a_line_reads_like_a_sentence() {
        let (line, _) = encode(&comment("見ました。\nOK \u{202e}\u{9b}"), Sum::START);
        insta::assert_snapshot!(String::from_utf8(line).unwrap(), @r#"{"seq":7,"at":"1970-01-01T00:00:01.500Z","by":"person:alice","do":"comment","issue":"3","id":5,"body":"見ました。\nOK \u202e\u009b","sum":"9c127b92d80e9a84"}"#);
    }

    #[test]
    fn a_changed_byte_never_passes() {
        let (line, _) = encode(&comment("x"), Sum::START);
        let line = line.strip_suffix(b"\n").unwrap();
        for at in 0..line.len() {
            let mut bad = line.to_vec();
            bad[at] ^= 1;
            assert!(decode(&bad, Sum::START).is_err(), "byte {at}");
        }
        assert!(matches!(decode(line, Sum(1)), Err(BadLine::WrongSum)));
    }

    proptest! {
        #[test]
        fn any_text_survives(body in "\\PC*|[\\x00-\\x{2fff}\\x{1f300}-\\x{1ffff}\\x{e0000}-\\x{e007f}]*") {
            let record = comment(&body);
            let (line, sum) = encode(&record, Sum(9));
            prop_assert_eq!(line.iter().filter(|b| **b == b'\n').count(), 1);
            prop_assert_eq!(line.last(), Some(&b'\n'));
            let (back, again) = decode(&line[..line.len() - 1], Sum(9)).unwrap();
            prop_assert_eq!(back, record);
            prop_assert_eq!(again, sum);
            prop_assert_eq!(leading(&line, Sum(9)), Some(line.len() - 1));
        }

        #[test]
        fn no_bytes_make_it_panic(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(decode(&line, Sum::START).is_err());
            prop_assert_eq!(leading(&line, Sum::START), None);
        }
    }
}
