//! Commit objects: written as git writes them, and the parts of one that the pipeline reads.

use crate::oid::Oid;

/// Who, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signature {
    pub(crate) name: String,
    pub(crate) email: String,
    /// Seconds since 1970, UTC.
    pub(crate) seconds: i64,
}

impl Signature {
    /// Returns the pipeline itself, at the beginning of time.
    pub(crate) fn pipeline() -> Self {
        Self {
            name: "issue pipeline".to_owned(),
            email: "issue-pipeline@localhost".to_owned(),
            seconds: 0,
        }
    }

    /// Returns the line body as a commit holds it, always in UTC.
    ///
    /// Characters that would end the field are dropped, as git itself drops them.
    pub(crate) fn line(&self) -> String {
        let name = clean(&self.name);
        let email = clean(&self.email);
        format!("{name} <{email}> {} +0000", self.seconds)
    }
}

fn clean(field: &str) -> String {
    let kept: String = field
        .chars()
        .filter(|c| !matches!(c, '<' | '>') && !c.is_control())
        .collect();
    kept.trim_matches(|c: char| c.is_whitespace() || ".,:;\"\\'".contains(c))
        .to_owned()
}

/// A commit that is about to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewCommit<'a> {
    pub(crate) tree: Oid,
    pub(crate) parents: &'a [Oid],
    pub(crate) author: &'a Signature,
    pub(crate) committer: &'a Signature,
    /// UTF-8; ends in exactly one newline once written.
    pub(crate) message: &'a str,
}

impl NewCommit<'_> {
    /// Returns the content of the commit object.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let message = self.message.trim_end_matches('\n').replace('\0', "");
        let parents: String = self
            .parents
            .iter()
            .map(|parent| format!("parent {parent}\n"))
            .collect();
        format!(
            "tree {}\n{parents}author {}\ncommitter {}\n\n{message}\n",
            self.tree,
            self.author.line(),
            self.committer.line(),
        )
        .into_bytes()
    }
}

/// A commit read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) tree: Oid,
    pub(crate) parents: Vec<Oid>,
    /// The body of the `author` line.
    pub(crate) author: Vec<u8>,
    /// The body of the `committer` line.
    pub(crate) committer: Vec<u8>,
    pub(crate) message: Vec<u8>,
}

/// A commit object that does not parse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the commit object is cut short or malformed")]
pub(crate) struct BadCommit;

impl Commit {
    /// Parses the content of a commit object.
    ///
    /// # Errors
    /// Fails when a mandatory header is missing or malformed.
    pub(crate) fn parse(content: &[u8]) -> Result<Self, BadCommit> {
        let (mut tree, mut parents, mut author, mut committer) = (None, Vec::new(), None, None);
        let mut rest = content;
        loop {
            let end = rest.iter().position(|b| *b == b'\n').ok_or(BadCommit)?;
            let (line, tail) = rest.split_at(end);
            rest = tail.get(1..).ok_or(BadCommit)?;
            if line.is_empty() {
                break;
            }
            if let Some(hex) = line.strip_prefix(b"tree ") {
                tree = Some(Oid::from_hex(hex).ok_or(BadCommit)?);
            } else if let Some(hex) = line.strip_prefix(b"parent ") {
                parents.push(Oid::from_hex(hex).ok_or(BadCommit)?);
            } else if let Some(who) = line.strip_prefix(b"author ") {
                author = Some(who.to_vec());
            } else if let Some(who) = line.strip_prefix(b"committer ") {
                committer = Some(who.to_vec());
            }
        }
        Ok(Self {
            tree: tree.ok_or(BadCommit)?,
            parents,
            author: author.ok_or(BadCommit)?,
            committer: committer.ok_or(BadCommit)?,
            message: rest.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oid::Kind;
    use crate::oid::ObjectFormat;

    fn oid(byte: u8) -> Oid {
        Oid::from_bytes(&[byte; 20]).expect("twenty bytes")
    }

    fn who(name: &str) -> Signature {
        Signature {
            name: name.to_owned(),
            email: "a@example.org".to_owned(),
            seconds: 1_700_000_000,
        }
    }

    #[test]
    fn a_commit_reads_back() {
        let author = who("Ada <x>\nLovelace.");
        let commit = NewCommit {
            tree: oid(1),
            parents: &[oid(2)],
            author: &author,
            committer: &author,
            message: "日本語\n\nbody\n\n\n",
        };
        let bytes = commit.encode();
        insta::assert_snapshot!(String::from_utf8_lossy(&bytes), @r"
        tree 0101010101010101010101010101010101010101
        parent 0202020202020202020202020202020202020202
        author Ada xLovelace <a@example.org> 1700000000 +0000
        committer Ada xLovelace <a@example.org> 1700000000 +0000

        日本語

        body
        ");
        let read = Commit::parse(&bytes).expect("parses");
        assert_eq!(read.tree, oid(1));
        assert_eq!(read.parents, [oid(2)]);
        assert_eq!(read.message, "日本語\n\nbody\n".as_bytes());
        assert!(ObjectFormat::Sha1.name_of(Kind::Commit, &bytes).is_ok());
    }

    #[test]
    fn a_cut_commit_is_refused() {
        let author = who("A");
        let bytes = NewCommit {
            tree: oid(1),
            parents: &[oid(2)],
            author: &author,
            committer: &author,
            message: "m",
        }
        .encode();
        for cut in 0..bytes.len() - 2 {
            assert_eq!(Commit::parse(&bytes[..cut]), Err(BadCommit), "{cut}");
        }
    }
}
