//! The refs on the remote: read, and moved only from what was read.

use pipeline_core::issue::CommentId;
use pipeline_core::workspace::Target;
use sha2::Digest as _;
use sha2::Sha256;

use super::memos::Entry;
use crate::error::GitError;
use crate::git::GitCommand;
use crate::integrator::PushOptions;
use crate::object::Entry as TreeEntry;
use crate::object::Mode;
use crate::object::NewCommit;
use crate::object::Objects;
use crate::object::Signature;
use crate::object::Tree;
use crate::oid::Kind;
use crate::oid::Oid;
use crate::repository::Repository;
use crate::worktrees;

/// Where the boards are, on the remote and, as last fetched, here.
const REFS: &str = "refs/agents/locks/";
/// The file that says which target a board is of.
const TARGET: &str = "target";
/// The file with the number of the next memo.
const NEXT: &str = "next";
/// The bits of a memo's number that tell targets apart.
const TARGET_BITS: u32 = 20;

/// The boards of one remote.
#[derive(Debug)]
pub(super) struct Board {
    repository: Repository,
    remote: String,
    options: PushOptions,
}

/// One target's board as it was read.
#[derive(Debug, Clone)]
pub(super) struct Read {
    pub(super) target: Target,
    pub(super) entries: Vec<Entry>,
    pub(super) next: u64,
    tip: Option<Oid>,
}

/// What a push came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pushed {
    Moved,
    /// The ref was not what was read.
    Raced,
}

impl Board {
    pub(super) fn new(repository: &Repository, remote: &str, options: PushOptions) -> Self {
        Self {
            repository: repository.clone(),
            remote: remote.to_owned(),
            options,
        }
    }

    /// Returns a memo's number: it rises with each memo of a target, and no two targets share one.
    pub(super) fn number(&self, target: &Target, n: u64) -> CommentId {
        let digest = Sha256::digest(target.as_str());
        let low = digest
            .iter()
            .take(3)
            .fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
        CommentId((n << TARGET_BITS) | (low >> (24 - TARGET_BITS)))
    }

    fn ref_of(target: &Target) -> String {
        format!("{REFS}{}", hex::encode(Sha256::digest(target.as_str())))
    }

    /// Returns this target's board among those read, or an empty one.
    pub(super) fn of(&self, target: &Target, boards: Vec<Read>) -> Read {
        boards
            .into_iter()
            .find(|b| b.target == *target)
            .unwrap_or_else(|| Read {
                target: target.clone(),
                entries: Vec::new(),
                next: 1,
                tip: None,
            })
    }

    fn command(&self) -> GitCommand {
        self.options.command(&self.repository)
    }

    /// Fetches every board and reads it.
    pub(super) async fn read_all(&self) -> Result<Vec<Read>, GitError> {
        let listed = self
            .command()
            .args(["ls-remote", "--refs", "--", &self.remote])
            .args([format!("{REFS}*")])
            .run()
            .await?;
        let tips: Vec<Oid> = listed
            .split(|b| *b == b'\n')
            .filter(|line| !line.is_empty())
            .filter_map(|line| Oid::from_hex(line.split(|b| *b == b'\t').next()?))
            .collect();
        if tips.is_empty() {
            return Ok(Vec::new());
        }
        let fetch = self
            .command()
            .args([
                "fetch",
                "--quiet",
                "--no-tags",
                "--no-write-fetch-head",
                "--no-recurse-submodules",
                "--prune",
                "--",
                &self.remote,
            ])
            .args([format!("+{REFS}*:{REFS}*")]);
        // It looks where the branches are checked out, too.
        let fetched = worktrees::read_by(&self.repository, fetch).await;
        let objects = Objects::open(&self.repository)?;
        if let Err(error) = fetched {
            // Where several fetch at once, all but one cannot move the refs here. What they brought is what counts.
            for tip in &tips {
                if objects.find(tip).await?.is_none() {
                    return Err(error);
                }
            }
        }
        let mut boards = Vec::with_capacity(tips.len());
        for tip in tips {
            // One that was moved between the list and the fetch is read by whoever loses the race because of it.
            if objects.find(&tip).await?.is_some() {
                boards.push(self.read(&objects, tip).await?);
            }
        }
        Ok(boards)
    }

    async fn read(&self, objects: &Objects, tip: Oid) -> Result<Read, GitError> {
        let unexpected = |what| GitError::Unexpected {
            command: "fetch".to_owned(),
            what,
        };
        let root = objects.commit(&tip).await?.tree;
        let tree = objects.tree(&root).await?;
        let (mut entries, mut target, mut next) = (Vec::new(), None, None);
        for file in tree.entries() {
            let content = objects.blob(&file.oid).await?;
            match file.name.as_slice() {
                b"target" => {
                    let name = String::from_utf8_lossy(&content).trim().to_owned();
                    target = Target::new(name).ok();
                }
                b"next" => next = String::from_utf8_lossy(&content).trim().parse().ok(),
                _ => {
                    let entry = serde_json::from_slice(&content);
                    entries.push(entry.map_err(|_| unexpected("a lock that cannot be read"))?);
                }
            }
        }
        entries.sort_by_key(|e: &Entry| e.id);
        Ok(Read {
            target: target.ok_or_else(|| unexpected("locks that name no target"))?,
            next: next.ok_or_else(|| unexpected("locks without a number"))?,
            entries,
            tip: Some(tip),
        })
    }

    /// Puts these memos on the board, if it still is what was read.
    pub(super) async fn push(
        &self,
        target: &Target,
        read: &Read,
        next: u64,
        entries: &[Entry],
    ) -> Result<Pushed, GitError> {
        let objects = Objects::open(&self.repository)?;
        let mut tree = Tree::default();
        let mut put = |name: String, content: Vec<u8>| -> Result<(), GitError> {
            tree.set(TreeEntry {
                mode: Mode::FILE,
                name: name.into_bytes(),
                oid: objects.write(Kind::Blob, content)?,
            });
            Ok(())
        };
        put(TARGET.to_owned(), target.as_str().as_bytes().to_vec())?;
        put(NEXT.to_owned(), next.to_string().into_bytes())?;
        for entry in entries {
            let json = serde_json::to_vec(entry).expect("an entry is plain data");
            put(format!("{:020}", entry.id.0), json)?;
        }
        let who = Signature::pipeline();
        // Without a parent: what is over has no history that anybody would have to fetch.
        let commit = NewCommit {
            tree: objects.write_tree(tree)?,
            parents: &[],
            author: &who,
            committer: &who,
            message: "Work-start locks\n",
        };
        let commit = objects.write(Kind::Commit, commit.encode())?;
        objects.keep().await?;
        let name = Self::ref_of(target);
        let expected = read.tip.map_or_else(String::new, |tip| tip.hex());
        let pushed = self
            .command()
            .config(format!("remote.{}.mirror=false", self.remote))
            .args(["push", "--porcelain", "--no-verify"])
            .args([format!("--force-with-lease={name}:{expected}")])
            .args(["--", &self.remote])
            .args([format!("{commit}:{name}")])
            .output_cap(1 << 20)
            .finish()
            .await?;
        if pushed.code == Some(0) {
            return Ok(Pushed::Moved);
        }
        let said = String::from_utf8_lossy(&pushed.stdout).into_owned();
        // The lease did not hold here, or the remote was moved between the check and the write there.
        let raced = said.lines().any(|line| {
            line.starts_with('!')
                && [
                    "stale info",
                    "fetch first",
                    "cannot lock ref",
                    "failed to update ref",
                    "already exists",
                ]
                .iter()
                .any(|reason| line.contains(reason))
        });
        if raced {
            return Ok(Pushed::Raced);
        }
        Err(pushed.failure("push --force-with-lease"))
    }
}
