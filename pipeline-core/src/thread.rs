//! What a comment thread says: whose word each comment is, and what the memos in it mean.

use sha2::Digest as _;
use sha2::Sha256;

use crate::issue::Account;
use crate::issue::AccountRef;
use crate::issue::Attachment;
use crate::issue::Comment;
use crate::issue::CommentId;
use crate::issue::Issue;
use crate::issue::IssueKey;
use crate::local_check::Answer;
use crate::local_check::Estimate;
use crate::memo::Markers;
use crate::memo::Memo;
use crate::memo::MemoKind;
use crate::memo::Parsed;
use crate::memo::SigningKeys;
use crate::memo::decode_value;
use crate::memo::is_whole_text;

/// Who we are and what our comments look like.
#[derive(Debug, Clone)]
pub struct Protocol {
    /// The accounts the pipeline posts with.
    pub accounts: Vec<AccountRef>,
    /// Accounts whose comments are nobody's word (other bots).
    pub ignore_authors: Vec<AccountRef>,
    /// First lines.
    pub markers: Markers,
    /// Signing keys.
    pub keys: SigningKeys,
}

impl Protocol {
    /// Returns whether this account is one of ours.
    #[must_use]
    pub fn is_ours(&self, account: &Account) -> bool {
        self.accounts.iter().any(|a| a.names(account))
    }

    /// Returns whether this account's comments are nobody's word.
    #[must_use]
    pub fn is_ignored(&self, account: &Account) -> bool {
        self.ignore_authors.iter().any(|a| a.names(account))
    }

    /// Decides whose word a comment is.
    #[must_use]
    pub fn voice(&self, issue: &IssueKey, comment: &Comment) -> Voice {
        if self.is_ours(&comment.author) {
            let unsigned_ok = self.keys.accepts_unsigned(comment.id);
            match Memo::parse(&comment.body, &self.markers, issue, &self.keys, unsigned_ok) {
                Parsed::Memo(memo) => return Voice::Ours(memo),
                Parsed::Broken { reason } => return Voice::Tampered(reason),
                Parsed::NotAMemo if is_whole_text(comment) => return Voice::Nobody,
                Parsed::NotAMemo => {}
            }
        }
        if self.is_ignored(&comment.author)
            || (comment.body.trim().is_empty() && comment.attachments.is_empty())
        {
            return Voice::Nobody;
        }
        Voice::Person
    }
}

/// Whose word a comment is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Voice {
    /// Ours: our account, our marker, and our signature where a key is set.
    Ours(Memo),
    /// Our account and marker, but not what we write: somebody edited it, or it is of a later version.
    Tampered(String),
    /// A person's or a stranger's.
    Person,
    /// A record without words, an ignored account, or the file that one of our memos goes on in.
    Nobody,
}

/// One comment with whose word it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The comment.
    pub comment: Comment,
    /// Whose word it is.
    pub voice: Voice,
}

/// An issue's thread, understood. Pure: equal comments give an equal thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    issue: IssueKey,
    entries: Vec<Entry>,
}

impl Thread {
    /// Derives the thread from the comments; sorts them by id and keeps each id once.
    #[must_use]
    pub fn derive(issue: &IssueKey, comments: &[Comment], protocol: &Protocol) -> Self {
        let mut sorted: Vec<&Comment> = comments.iter().collect();
        sorted.sort_by_key(|c| c.id);
        sorted.dedup_by_key(|c| c.id);
        let entries = sorted
            .into_iter()
            .map(|c| Entry {
                voice: protocol.voice(issue, c),
                comment: c.clone(),
            })
            .collect();
        Self {
            issue: issue.clone(),
            entries,
        }
    }

    /// Returns the issue.
    #[must_use]
    pub const fn issue(&self) -> &IssueKey {
        &self.issue
    }

    /// Returns every comment with whose word it is, oldest first.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Returns our memos, oldest first.
    #[must_use]
    pub fn memos(&self) -> impl DoubleEndedIterator<Item = (&Comment, &Memo)> {
        self.entries.iter().filter_map(|e| match &e.voice {
            Voice::Ours(memo) => Some((&e.comment, memo)),
            Voice::Tampered(_) | Voice::Person | Voice::Nobody => None,
        })
    }

    /// Returns what people wrote, oldest first.
    #[must_use]
    pub fn people(&self) -> impl DoubleEndedIterator<Item = &Comment> {
        self.entries
            .iter()
            .filter(|e| e.voice == Voice::Person)
            .map(|e| &e.comment)
    }

    /// Returns the comments that look like ours and are not as we wrote them, with what is wrong.
    pub fn tampered(&self) -> impl Iterator<Item = (CommentId, &str)> {
        self.entries.iter().filter_map(|e| match &e.voice {
            Voice::Tampered(reason) => Some((e.comment.id, reason.as_str())),
            Voice::Ours(_) | Voice::Person | Voice::Nobody => None,
        })
    }

    /// Returns the triage memo.
    #[must_use]
    pub fn triage(&self) -> Option<(&Comment, &Memo)> {
        self.memos().find(|(_, m)| m.kind == MemoKind::Triage)
    }

    /// Returns the check memos that can be understood, oldest first.
    #[must_use]
    pub fn checks(&self) -> impl DoubleEndedIterator<Item = CheckMemo<'_>> {
        self.memos().filter_map(|(c, m)| CheckMemo::read(c, m))
    }

    /// Returns the memos of one `kind:`, oldest first.
    #[must_use]
    pub fn status_memos<'a>(
        &'a self,
        kind: &'a str,
    ) -> impl DoubleEndedIterator<Item = (&'a Comment, &'a Memo)> {
        self.memos().filter(move |(_, m)| {
            m.kind == MemoKind::WorkStatus && m.fields.one("kind") == Some(kind)
        })
    }
}

/// A check memo, read back.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckMemo<'a> {
    /// Its comment.
    pub comment: &'a Comment,
    /// Its memo.
    pub memo: &'a Memo,
    /// The digest of the text a person saw beside it.
    pub text: TextDigest,
    /// The comment up to which that text goes.
    pub read_to: Option<CommentId>,
    /// Candidate files that exist in the repository.
    pub files: Vec<String>,
    /// Candidate files that do not exist (yet).
    pub unknown_files: Vec<String>,
    /// The estimate.
    pub estimate: Option<Estimate>,
    /// Whether the work can be done from what the repository holds.
    pub can_start: Answer,
    /// How many blockers stand in it.
    pub blockers: u32,
    /// How many decisions are pending.
    pub pending: u32,
    /// Whether it changes the database.
    pub db_change: Answer,
    /// Whether it touches production data.
    pub production_data: Answer,
}

impl<'a> CheckMemo<'a> {
    fn read(comment: &'a Comment, memo: &'a Memo) -> Option<Self> {
        if !matches!(memo.kind, MemoKind::LocalCheck | MemoKind::Recheck) {
            return None;
        }
        let f = &memo.fields;
        let paths = |key| {
            f.all(key)
                .into_iter()
                .map(|v| decode_value(v).into_owned())
                .collect()
        };
        let count = |key| f.one(key).and_then(|v| v.parse().ok()).unwrap_or(u32::MAX);
        Some(Self {
            comment,
            memo,
            text: TextDigest::parse(f.one("text")?)?,
            read_to: f.one("read-to").and_then(|v| v.parse().ok()).map(CommentId),
            files: paths("file"),
            unknown_files: paths("file-unknown"),
            estimate: f.one("estimate").and_then(Estimate::from_word),
            can_start: Answer::from_word(f.one("can-start")),
            blockers: count("blockers"),
            pending: count("pending"),
            db_change: Answer::from_word(f.one("db-change")),
            production_data: Answer::from_word(f.one("production-data")),
        })
    }

    /// Returns every candidate file, existing or not.
    #[must_use]
    pub fn candidate_files(&self) -> Vec<String> {
        self.files
            .iter()
            .chain(&self.unknown_files)
            .cloned()
            .collect()
    }
}

/// The digest of what a person saw: sha256 over title, body, and the attachments and comments of others.
///
/// It also keeps a short digest of each part, so that a later difference can be named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextDigest {
    whole: String,
    parts: [String; 4],
}

const PARTS: [&str; 4] = [
    "the title",
    "the description",
    "the attachments",
    "the comments",
];

impl TextDigest {
    /// Digests an issue's text up to a comment; `None` takes no comments.
    #[must_use]
    pub fn of(
        issue: &Issue,
        comments: &[Comment],
        read_to: Option<CommentId>,
        protocol: &Protocol,
    ) -> Self {
        let counts = |a: &Account| !protocol.is_ours(a) && !protocol.is_ignored(a);
        let mut attachments = Vec::new();
        let mut said = Vec::new();
        for a in issue
            .attachments
            .iter()
            .filter(|a| a.author.as_ref().is_none_or(counts))
        {
            push_attachment(&mut attachments, a);
        }
        let mut sorted: Vec<&Comment> = comments.iter().collect();
        sorted.sort_by_key(|c| c.id);
        sorted.dedup_by_key(|c| c.id);
        for c in sorted
            .into_iter()
            .filter(|c| read_to.is_some_and(|to| c.id <= to) && counts(&c.author))
        {
            if c.body.trim().is_empty() && c.attachments.is_empty() {
                continue;
            }
            push(&mut said, &c.id.0.to_be_bytes());
            push(&mut said, c.author.id.as_bytes());
            push(
                &mut said,
                c.body.replace("\r\n", "\n").trim_end().as_bytes(),
            );
            for a in &c.attachments {
                push_attachment(&mut said, a);
            }
        }
        let parts = [
            issue.title.trim().as_bytes(),
            issue.body.replace("\r\n", "\n").trim_end().as_bytes(),
            &attachments,
            &said,
        ]
        .map(|part| hex::encode(Sha256::digest(part)));
        let whole = hex::encode(Sha256::digest(parts.join("\n")));
        Self {
            whole,
            parts: parts.map(|p| p.chars().take(12).collect()),
        }
    }

    /// Returns what stands in the memo's `text:` line.
    #[must_use]
    pub fn render(&self) -> String {
        format!("{} {}", self.whole, self.parts.join(" "))
    }

    /// Reads a memo's `text:` line.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let mut words = value.split(' ');
        let whole = words.next().filter(|w| w.len() == 64)?.to_owned();
        let mut part = || words.next().filter(|w| w.len() == 12).map(str::to_owned);
        let parts = [part()?, part()?, part()?, part()?];
        Some(Self { whole, parts })
    }

    /// Returns the sha256 over everything, 64 hexadecimal digits.
    #[must_use]
    pub fn whole(&self) -> &str {
        &self.whole
    }

    /// Returns which parts differ, for people.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        PARTS
            .into_iter()
            .zip(self.parts.iter().zip(&other.parts))
            .filter(|(_, (a, b))| a != b)
            .map(|(name, _)| name)
            .collect()
    }
}

fn push(to: &mut Vec<u8>, bytes: &[u8]) {
    to.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
    to.extend_from_slice(bytes);
}

fn push_attachment(to: &mut Vec<u8>, a: &Attachment) {
    push(to, &a.id.0.to_be_bytes());
    push(to, a.name.as_bytes());
    push(to, &a.size.unwrap_or(u64::MAX).to_be_bytes());
}

#[cfg(test)]
mod tests;
