//! The lock memos, read and written.

use std::time::Duration;

use crate::agent::RunId;
use crate::clock::Timestamp;
use crate::conflict::ConflictKey;
use crate::conflict::ResourceSet;
use crate::conflict::Scope;
use crate::issue::Comment;
use crate::issue::CommentId;
use crate::issue::EventId;
use crate::issue::IssueKey;
use crate::memo::Fields;
use crate::memo::Memo;
use crate::memo::MemoKind;
use crate::memo::decode_value;
use crate::memo::encode_value;
use crate::protected::Hold;
use crate::workspace::BaseRevision;
use crate::workspace::CommitId;
use crate::workspace::PatchId;
use crate::workspace::Target;

/// Most `files:` lines of a claim; what exceeds them is counted in one more line.
const MOST_FILES: usize = 200;
/// Most lines of a claim that is carried by the release that tells of its loss.
const MOST_CARRIED: usize = 1_000;
/// Most `hold:` lines of a submission.
const MOST_HOLDS: usize = 50;

/// A work-start lock as it is posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The run it is for.
    pub run: RunId,
    /// The approving start event.
    pub round: EventId,
    /// Counts for people only.
    pub attempt: u32,
    /// How long it holds without a beat.
    pub lease: Duration,
    /// Where the work starts.
    pub base: BaseRevision,
    /// What it holds.
    pub resources: ResourceSet,
    /// Digest of the conflict rules the keys were derived by.
    pub rules: String,
    /// The declared files.
    pub files: Vec<String>,
    /// The worker slot and agent, for people.
    pub agent: String,
    /// The workspace, for people.
    pub workdir: String,
    /// The integrator's name and the id of the (machine, repository) that keeps the patch.
    pub integrator: Integrator,
    /// For a claim made anew for a patch that was submitted under an expired one: no run follows.
    pub patch: Option<PatchId>,
}

/// Who integrates what comes out of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Integrator {
    /// The configured name (`main-codex`).
    pub name: String,
    /// The id of the (machine, repository) that keeps the patch.
    pub id: String,
}

/// Who says that a claim is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ender {
    /// The integrator.
    Integrator,
    /// The run that holds the claim.
    Run(RunId),
    /// Somebody else: another pipeline, or a person through it.
    Other,
}

/// What a lock memo says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockKind {
    /// Work is about to start.
    Claim(Box<Claim>),
    /// The holder is alive.
    Beat {
        /// The claim.
        claim: CommentId,
        /// The lease from now on.
        lease: Duration,
    },
    /// The patch is handed over.
    Submit {
        /// The claim.
        claim: CommentId,
        /// The patch.
        patch: PatchId,
        /// What commands of the run hold it, besides what stands in the patch itself.
        holds: Vec<Hold>,
    },
    /// The round's patch is in the target.
    Landed {
        /// The claim.
        claim: CommentId,
        /// Its round.
        round: EventId,
        /// The commit.
        commit: Option<CommitId>,
    },
    /// The integrator gave the patch back.
    Refused {
        /// The claim.
        claim: CommentId,
        /// In one word.
        reason: String,
        /// Who says so.
        by: Ender,
    },
    /// The claim is given up.
    Release {
        /// The claim.
        claim: CommentId,
        /// In one word.
        reason: String,
        /// Who says so.
        by: Ender,
    },
}

impl LockKind {
    /// Returns the claim it speaks of; `None` for a claim itself.
    #[must_use]
    pub const fn claim(&self) -> Option<CommentId> {
        match self {
            Self::Claim(_) => None,
            Self::Beat { claim, .. }
            | Self::Submit { claim, .. }
            | Self::Landed { claim, .. }
            | Self::Refused { claim, .. }
            | Self::Release { claim, .. } => Some(*claim),
        }
    }

    /// Returns the word for journal and log.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Claim(_) => "claim",
            Self::Beat { .. } => "beat",
            Self::Submit { .. } => "submit",
            Self::Landed { .. } => "landed",
            Self::Refused { .. } => "refused",
            Self::Release { .. } => "release",
        }
    }
}

/// One lock memo with where and when it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockMemo {
    /// The issue.
    pub issue: IssueKey,
    /// Its comment.
    pub id: CommentId,
    /// The server's time.
    pub time: Timestamp,
    /// Equal only between re-posts of this memo.
    pub nonce: String,
    /// What it says.
    pub kind: LockKind,
}

impl LockMemo {
    /// Reads a lock memo from one of our memos; `None` if it is another kind of memo.
    ///
    /// # Errors
    /// What is missing or malformed: the issue is then tampered.
    pub fn read(issue: &IssueKey, comment: &Comment, memo: &Memo) -> Result<Option<Self>, String> {
        let f = Reader {
            fields: &memo.fields,
        };
        let kind = match memo.kind {
            MemoKind::WorkStart => LockKind::Claim(Box::new(f.claim(issue)?)),
            MemoKind::WorkDone => LockKind::Submit {
                claim: f.reference()?,
                patch: f.parsed("patch", PatchId::new)?,
                holds: f.holds()?,
            },
            MemoKind::WorkStatus => match f.text("kind")? {
                "beat" => LockKind::Beat {
                    claim: f.reference()?,
                    lease: f.lease()?,
                },
                "landed" => LockKind::Landed {
                    claim: f.reference()?,
                    round: EventId(f.number("round")?),
                    commit: memo
                        .fields
                        .one("commit")
                        .and_then(|c| CommitId::new(c).ok()),
                },
                "refused" => LockKind::Refused {
                    claim: f.reference()?,
                    reason: f.text("reason")?.to_owned(),
                    by: f.ender()?,
                },
                "release" => LockKind::Release {
                    claim: f.reference()?,
                    reason: f.text("reason")?.to_owned(),
                    by: f.ender()?,
                },
                _ => return Ok(None),
            },
            MemoKind::Triage | MemoKind::LocalCheck | MemoKind::Recheck => return Ok(None),
        };
        let nonce = f.text("nonce")?.to_owned();
        if nonce.len() != 32 || !nonce.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err("`nonce` is not 32 hexadecimal digits".into());
        }
        Ok(Some(Self {
            issue: issue.clone(),
            id: comment.id,
            time: comment.created,
            nonce,
            kind,
        }))
    }

    /// Returns the memo to post.
    #[must_use]
    pub fn memo(issue: &IssueKey, nonce: &str, kind: &LockKind, text: String) -> Memo {
        let f = Fields::new();
        let (memo_kind, fields) = match kind {
            LockKind::Claim(claim) => (MemoKind::WorkStart, claim_fields(issue, claim)),
            LockKind::Submit {
                claim,
                patch,
                holds,
            } => {
                let mut f = f
                    .with("issue", issue.as_str())
                    .with("result", "patch submitted")
                    .with("ref", claim.to_string())
                    .with("patch", patch.as_str());
                for hold in holds.iter().take(MOST_HOLDS) {
                    let json = serde_json::json!(hold).to_string();
                    f.push("hold", encode_value(&json));
                }
                (MemoKind::WorkDone, f)
            }
            LockKind::Beat { claim, lease } => (
                MemoKind::WorkStatus,
                f.with("kind", "beat")
                    .with("ref", claim.to_string())
                    .with("lease-s", lease.as_secs().to_string()),
            ),
            LockKind::Landed {
                claim,
                round,
                commit,
            } => {
                let mut f = f
                    .with("kind", "landed")
                    .with("ref", claim.to_string())
                    .with("round", round.to_string());
                if let Some(commit) = commit {
                    f.push("commit", commit.as_str());
                }
                (MemoKind::WorkStatus, f)
            }
            LockKind::Refused { claim, reason, by } | LockKind::Release { claim, reason, by } => {
                let mut f = f
                    .with("kind", kind.word())
                    .with("ref", claim.to_string())
                    .with("reason", reason);
                match by {
                    Ender::Integrator => f.push("by", "integrator"),
                    Ender::Run(run) => f.push("run", run.as_str()),
                    Ender::Other => f.push("by", "other"),
                }
                (MemoKind::WorkStatus, f)
            }
        };
        Memo::new(memo_kind, fields.with("nonce", nonce), text)
    }
}

/// Adds to a release the claim it is about, whose comment is gone: its time and its text, line by line.
///
/// A text that would be too long is left out; then only those who read the claim itself know what it held.
pub(super) fn carry(fields: &mut Fields, claim: &Comment) {
    let lines: Vec<&str> = claim.body.split('\n').collect();
    if lines.len() > MOST_CARRIED {
        return;
    }
    fields.push("claim-time", claim.created.to_string());
    for line in lines {
        fields.push("claim-text", encode_value(line.trim_end_matches('\r')));
    }
}

/// Returns the comment that a release carries, as it was when it was last seen; `None` if it carries none.
///
/// # Errors
/// What is malformed: the issue is then tampered.
pub(crate) fn carried(memo: &Memo, by: &Comment) -> Result<Option<Comment>, String> {
    let f = Reader {
        fields: &memo.fields,
    };
    if memo.kind != MemoKind::WorkStatus
        || memo.fields.one("kind") != Some("release")
        || memo.fields.one("claim-time").is_none()
    {
        return Ok(None);
    }
    let id = f.reference()?;
    if id >= by.id {
        return Err("it carries a claim that is younger than itself".into());
    }
    let created = f.text("claim-time")?;
    let created = Timestamp::parse(created).ok_or("`claim-time` is malformed")?;
    let body: Vec<String> = memo
        .fields
        .all("claim-text")
        .into_iter()
        .map(|line| decode_value(line).into_owned())
        .collect();
    Ok(Some(Comment::new(
        id,
        by.author.clone(),
        body.join("\n"),
        created,
    )))
}

fn claim_fields(issue: &IssueKey, c: &Claim) -> Fields {
    let target = encode_value(c.base.target.as_str());
    let mut f = Fields::new()
        .with("issue", issue.as_str())
        .with("agent", encode_value(&c.agent))
        .with("base", format!("{target} @ {}", c.base.commit.short()))
        .with("workdir", encode_value(&c.workdir));
    for file in c.files.iter().take(MOST_FILES) {
        f.push("files", encode_value(file));
    }
    if c.files.len() > MOST_FILES {
        f.push("files-more", (c.files.len() - MOST_FILES).to_string());
    }
    f.push(
        "integrator",
        format!(
            "{} ({})",
            encode_value(&c.integrator.name),
            encode_value(&c.integrator.id)
        ),
    );
    f.push("run", c.run.as_str());
    f.push("round", c.round.to_string());
    f.push("attempt", c.attempt.to_string());
    f.push("lease-s", c.lease.as_secs().to_string());
    f.push("repo", encode_value(&c.resources.scope().repo));
    f.push("target", target);
    f.push("base-commit", c.base.commit.as_str());
    f.push("rules", &c.rules);
    for line in c.resources.lines() {
        f.push("res", line);
    }
    if let Some(patch) = &c.patch {
        f.push("patch", patch.as_str());
    }
    f
}

struct Reader<'a> {
    fields: &'a Fields,
}

impl Reader<'_> {
    fn text(&self, key: &str) -> Result<&str, String> {
        self.fields
            .one(key)
            .ok_or_else(|| format!("it has not exactly one `{key}:` line"))
    }

    fn number(&self, key: &str) -> Result<u64, String> {
        self.text(key)?
            .parse()
            .map_err(|_| format!("`{key}` is not a number"))
    }

    fn parsed<T, E>(&self, key: &str, read: impl Fn(String) -> Result<T, E>) -> Result<T, String> {
        read(self.text(key)?.to_owned()).map_err(|_| format!("`{key}` is malformed"))
    }

    fn decoded(&self, key: &str) -> Result<String, String> {
        Ok(decode_value(self.text(key)?).into_owned())
    }

    fn reference(&self) -> Result<CommentId, String> {
        self.number("ref").map(CommentId)
    }

    fn holds(&self) -> Result<Vec<Hold>, String> {
        let read = |line| {
            serde_json::from_str(&decode_value(line))
                .map_err(|_| "a `hold:` line is malformed".into())
        };
        self.fields.all("hold").into_iter().map(read).collect()
    }

    fn lease(&self) -> Result<Duration, String> {
        // Eight days are above everything we write; more would be a lock without an end.
        let secs = self.number("lease-s")?;
        if secs <= 8 * 86_400 {
            Ok(Duration::from_secs(secs))
        } else {
            Err("`lease-s` is over eight days".into())
        }
    }

    fn ender(&self) -> Result<Ender, String> {
        if let Some(run) = self.fields.one("run") {
            return RunId::new(run)
                .map(Ender::Run)
                .map_err(|_| "`run` is malformed".into());
        }
        Ok(match self.text("by")? {
            "integrator" => Ender::Integrator,
            _ => Ender::Other,
        })
    }

    fn claim(&self, issue: &IssueKey) -> Result<Claim, String> {
        if self.text("issue")? != issue.as_str() {
            return Err("it was copied from another issue".into());
        }
        let target = Target::new(self.decoded("target")?).map_err(|_| "`target` is malformed")?;
        let scope = Scope::new(self.decoded("repo")?, target.as_str());
        let keys = self
            .fields
            .all("res")
            .into_iter()
            .map(|line| {
                line.parse::<ConflictKey>()
                    .map_err(|_| "a `res:` line is malformed")
            })
            .collect::<Result<Vec<_>, _>>()?;
        let integrator = self.text("integrator")?;
        let (name, id) = integrator
            .strip_suffix(')')
            .and_then(|s| s.split_once(" ("))
            .ok_or("`integrator` is not `name (id)`")?;
        let patch = match self.fields.one("patch") {
            Some(_) => Some(self.parsed("patch", PatchId::new)?),
            None => None,
        };
        Ok(Claim {
            run: self.parsed("run", RunId::new)?,
            round: EventId(self.number("round")?),
            attempt: u32::try_from(self.number("attempt")?).unwrap_or(u32::MAX),
            lease: self.lease()?,
            base: BaseRevision {
                target,
                commit: self.parsed("base-commit", CommitId::new)?,
            },
            resources: ResourceSet::posted(scope, keys),
            rules: self.text("rules")?.to_owned(),
            files: self
                .fields
                .all("files")
                .into_iter()
                .map(|f| decode_value(f).into_owned())
                .collect(),
            agent: self.decoded("agent")?,
            workdir: self.decoded("workdir")?,
            integrator: Integrator {
                name: decode_value(name).into_owned(),
                id: decode_value(id).into_owned(),
            },
            patch,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests;
