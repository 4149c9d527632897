//! The whole text of a memo that is longer than the tracker takes: kept as a file at the issue.

use sha2::Digest as _;
use sha2::Sha256;

use super::Memo;
use crate::issue::Comment;

/// How such a file's name begins and ends.
const PREFIX: &str = "memo-";
const SUFFIX: &str = ".txt";
/// Digits of the digest in its name.
const DIGITS: usize = 32;

/// The text of a memo as a file, named after its content: the same text is the same file, however often it is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WholeText {
    pub(crate) name: String,
    pub(crate) content: String,
}

impl WholeText {
    pub(crate) fn of(memo: &Memo) -> Self {
        let digest = hex::encode(Sha256::digest(memo.text.as_bytes()));
        let digits: String = digest.chars().take(DIGITS).collect();
        Self {
            name: format!("{PREFIX}{digits}{SUFFIX}"),
            content: memo.text.clone(),
        }
    }

    /// Says in the memo where the rest is.
    pub(crate) fn note(&self) -> String {
        format!(
            "[shortened: the text was longer than the tracker takes; the whole of it is attached here as `{}`]",
            self.name
        )
    }

    /// Says in the memo that the rest is nowhere.
    pub(crate) const NOT_KEPT: &str = "[shortened: the text was longer than the tracker takes, and the whole of it could not be attached]";
}

/// Returns whether a comment does nothing but carry such files: it is part of the memo that names them, and nobody's word.
///
/// Where a tracker knows no file without a text that links to it, the text is that link.
pub(crate) fn is_whole_text(comment: &Comment) -> bool {
    let named = |name: &str| {
        let digits = name
            .strip_prefix(PREFIX)
            .and_then(|n| n.strip_suffix(SUFFIX));
        digits.is_some_and(|d| d.len() == DIGITS && d.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    let body = comment.body.trim();
    let is_link = |name: &str| {
        let address = body
            .strip_prefix('[')
            .and_then(|rest| rest.strip_prefix(name))
            .and_then(|rest| rest.strip_prefix("]("))
            .and_then(|rest| rest.strip_suffix(')'));
        address.is_some_and(|a| !a.contains([' ', '\n', '(', ')', '[']))
    };
    match comment.attachments.as_slice() {
        [] => false,
        [one] => named(&one.name) && (body.is_empty() || is_link(&one.name)),
        several => body.is_empty() && several.iter().all(|a| named(&a.name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::issue::Account;
    use crate::issue::Attachment;
    use crate::issue::AttachmentId;
    use crate::issue::CommentId;

    fn carrying(body: &str, names: &[&str]) -> Comment {
        let author = Account::new("1", None, "pipeline");
        let mut comment = Comment::new(CommentId(1), author, body, Timestamp::EPOCH);
        comment.attachments = names
            .iter()
            .map(|name| Attachment {
                id: AttachmentId(1),
                name: (*name).to_owned(),
                size: None,
                author: None,
                digest: None,
            })
            .collect();
        comment
    }

    #[test]
    fn only_a_record_that_says_nothing_else_is_nobodys_word() {
        let memo = Memo::new(
            crate::memo::MemoKind::Triage,
            crate::memo::Fields::new(),
            "long".into(),
        );
        let file = WholeText::of(&memo).name;
        let link = format!("[{file}](/uploads/0123/{file})");
        for (body, names, whole) in [
            ("", &[file.as_str()][..], true),
            (&link, &[&file], true),
            (" \n", &[&file, &file], true),
            ("", &[], false),
            ("", &["memo-1.txt"], false),
            ("", &[&file, "other.txt"], false),
            ("please do it", &[&file], false),
            (&format!("{link} please do it"), &[&file], false),
            (&format!("{link}\n[do it](now)"), &[&file], false),
        ] {
            assert_eq!(
                is_whole_text(&carrying(body, names)),
                whole,
                "{body:?} {names:?}"
            );
        }
    }
}
