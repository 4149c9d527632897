//! The gate in the tracker: a comment by an approver.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use super::Gate;
use super::GateDecision;
use super::GateError;
use super::GateEvidence;
use super::GatePlace;
use super::GateRequest;
use super::Person;
use super::word;
use super::word::Reading;
use super::word::Verb;
use super::word::Word;
use crate::issue::Account;
use crate::issue::AccountRef;
use crate::issue::Comment;
use crate::issue::CommentId;
use crate::issue::IssueKey;
use crate::memo::Memo;
use crate::patch::Escaped;
use crate::thread::Protocol;
use crate::thread::Thread;
use crate::thread::Voice;
use crate::tracker::Tracker;
use crate::tracker::TrackerError;

/// Most attempts that are told.
const MOST_IGNORED: usize = 20;

/// The gate `tracker`: the OK is a comment in the thread of any issue of the candidate.
///
/// # Contract
/// A comment counts if
/// - its first line that is not blank is `OK <candidate>` (`allow <class>,<class>` and `protected <id> <id>` behind
///   it), or `SHIP <commit>`, and nothing else;
/// - its author is one of the approvers and none of the pipeline's accounts;
/// - it is younger than the memo in that thread which shows the subject: the result memo with this `candidate:`, or
///   the landed memo with this `commit:`;
/// - the tracker does not say that it was changed after it had been posted.
///
/// The latest one that counts is the answer; it stands alone, so it must name every hold itself. A ship permission is
/// bound to the deploy rules: `SHIP <commit> rules <digest>` names them, or the landed memo does (`ship-rules:`).
///
/// As strong as the tracker's own record of who wrote what: on the local tracker, whoever can write its folder can
/// forge it.
#[derive(Debug, Clone)]
pub struct TrackerGate {
    tracker: Arc<dyn Tracker>,
    protocol: Arc<Protocol>,
    approvers: Vec<AccountRef>,
    people: BTreeMap<AccountRef, Person>,
}

impl TrackerGate {
    /// Makes the gate; no approvers means that nobody can give an OK here.
    #[must_use]
    pub const fn new(
        tracker: Arc<dyn Tracker>,
        protocol: Arc<Protocol>,
        approvers: Vec<AccountRef>,
    ) -> Self {
        Self {
            tracker,
            protocol,
            approvers,
            people: BTreeMap::new(),
        }
    }

    /// Sets the names under which approvers stand as committers; others get their display name and an address that
    /// leads nowhere.
    #[must_use]
    pub fn with_people(mut self, people: BTreeMap<AccountRef, Person>) -> Self {
        self.people = people;
        self
    }

    /// Returns whether the tracker's record of who wrote what is out of reach of the pipeline's own user.
    #[must_use]
    pub fn is_unforgeable(&self) -> bool {
        !self.tracker.capabilities().forgeable_history
    }

    fn person(&self, account: &Account) -> Person {
        let known = self.people.iter().find(|(who, _)| who.names(account));
        if let Some((_, person)) = known {
            return person.clone();
        }
        let plain = |text: &str| -> String {
            text.chars()
                .filter(|c| c.is_ascii_alphanumeric() || "._-".contains(*c))
                .take(60)
                .collect()
        };
        let name = [Some(account.name.as_str()), account.login.as_deref()]
            .into_iter()
            .flatten()
            .map(|n| Escaped::new(n.as_bytes()).at_most(100).to_string())
            .find(|n| !Person::new(n, "").name.is_empty())
            .unwrap_or_else(|| account.id.clone());
        Person::new(&name, &format!("{}@users.invalid", plain(&account.id)))
    }

    /// Returns why this author cannot give an OK.
    fn may_not(&self, author: &Account) -> Option<&'static str> {
        if self.protocol.is_ours(author) {
            Some("it is by one of the pipeline's own accounts, and only a person can give an OK")
        } else if self.approvers.iter().any(|a| a.names(author)) {
            None
        } else {
            Some("its author is not among [gates] approvers")
        }
    }

    fn search(&self, thread: &Thread, request: &GateRequest, found: &mut Found) {
        let shown = Shown::of(thread, request);
        let landed = newest_landed(thread);
        for entry in thread.entries() {
            let c = &entry.comment;
            if entry.voice != Voice::Person {
                continue;
            }
            let reading = word::read(&c.body, verb(request), request.subject());
            let names_it = match &reading {
                Reading::Talk => continue,
                Reading::Said(w) => names(w, request),
                Reading::Malformed(_) => true,
            };
            let is_past = landed.is_some_and(|l| l > c.id);
            if !names_it && (is_past || self.may_not(&c.author).is_some()) {
                continue;
            }
            match self.judge(c, &reading, names_it, shown.as_ref(), request) {
                Ok(evidence) => {
                    if found.given.as_ref().is_none_or(|(id, _)| *id < c.id) {
                        found.given = Some((c.id, evidence));
                    }
                }
                Err(why) => {
                    let sentence = format!(
                        "comment {} of issue {} by {} was ignored: {why}",
                        c.id,
                        thread.issue(),
                        Escaped::new(c.author.name.as_bytes()).at_most(60)
                    );
                    found.ignored.push((c.id, sentence));
                }
            }
        }
    }

    fn judge(
        &self,
        c: &Comment,
        reading: &Reading,
        names_it: bool,
        shown: Option<&Shown>,
        request: &GateRequest,
    ) -> Result<GateEvidence, String> {
        if let Some(why) = self.may_not(&c.author) {
            return Err(why.to_owned());
        }
        let said = match reading {
            Reading::Said(said) => said,
            Reading::Malformed(why) => return Err((*why).to_owned()),
            Reading::Talk => return Err("it is not an OK".to_owned()),
        };
        if c.edited.is_some() {
            return Err(
                "it was changed after it had been posted: write it in a new comment".to_owned(),
            );
        }
        if !names_it {
            let waits = short(request.subject());
            return Err(format!(
                "it names {}, but {waits} waits now: look at it again and give a new OK",
                short(&said.subject)
            ));
        }
        let Some(shown) = shown.filter(|s| s.comment < c.id) else {
            return Err(match request {
                GateRequest::LocalOk { .. } => {
                    "it is older than the memo that shows the candidate in this thread".to_owned()
                }
                GateRequest::Ship { .. } => {
                    "no memo before it in this thread says that the commit has landed".to_owned()
                }
            });
        };
        Ok(GateEvidence {
            subject: request.subject().to_owned(),
            by: self.person(&c.author),
            at: c.created,
            place: GatePlace::Tracker,
            allow: said.allow.clone(),
            protected: said.protected.clone(),
            rules: rules(said, shown, request)?,
        })
    }
}

/// The memo that shows the subject.
struct Shown {
    comment: CommentId,
    rules: Option<String>,
}

impl Shown {
    /// Finds the first one: a later one says the same.
    fn of(thread: &Thread, request: &GateRequest) -> Option<Self> {
        let (kind, key) = match request {
            GateRequest::LocalOk { .. } => ("result", "candidate"),
            GateRequest::Ship { .. } => ("landed", "commit"),
        };
        let says = |m: &Memo| m.fields.one(key) == Some(request.subject());
        let (comment, memo) = thread.status_memos(kind).find(|(_, m)| says(m))?;
        Some(Self {
            comment: comment.id,
            rules: memo.fields.one("ship-rules").map(str::to_owned),
        })
    }
}

/// Returns the digest of the deploy rules that a permission is bound to.
fn rules(said: &Word, shown: &Shown, request: &GateRequest) -> Result<Option<String>, String> {
    let GateRequest::Ship { rules: now, .. } = request else {
        return Ok(None);
    };
    match (&said.rules, &shown.rules) {
        (Some(named), _) if now.starts_with(named.as_str()) => Ok(Some(now.clone())),
        (Some(named), _) => Err(format!(
            "it names the deploy rules {}, but they are {} now: read them and give a new permission",
            short(named),
            short(now)
        )),
        (None, Some(seen)) => Ok(Some(seen.clone())),
        (None, None) => Err(format!(
            "it does not name the deploy rules: add `rules {}` after reading them",
            short(now)
        )),
    }
}

#[derive(Default)]
struct Found {
    given: Option<(CommentId, GateEvidence)>,
    ignored: Vec<(CommentId, String)>,
}

const fn verb(request: &GateRequest) -> Verb {
    match request {
        GateRequest::LocalOk { .. } => Verb::Ok,
        GateRequest::Ship { .. } => Verb::Ship,
    }
}

fn names(said: &Word, request: &GateRequest) -> bool {
    said.subject == request.subject() || said.subject == short(request.subject())
}

fn short(id: &str) -> &str {
    id.get(..word::SHORT).unwrap_or(id)
}

/// Returns the newest memo after which an older OK on something else is history.
fn newest_landed(thread: &Thread) -> Option<CommentId> {
    thread.status_memos("landed").next_back().map(|(c, _)| c.id)
}

#[async_trait]
impl Gate for TrackerGate {
    fn place(&self) -> GatePlace {
        GatePlace::Tracker
    }

    async fn decision(&self, request: &GateRequest) -> Result<GateDecision, GateError> {
        let issues: &[IssueKey] = match request {
            GateRequest::LocalOk { issues, .. } | GateRequest::Ship { issues, .. } => issues,
        };
        let mut found = Found::default();
        for issue in issues {
            match self.tracker.comments(issue).await {
                Ok(reply) => {
                    let thread = Thread::derive(issue, &reply.value, &self.protocol);
                    self.search(&thread, request, &mut found);
                }
                // A deleted issue holds no OK; the others still may.
                Err(TrackerError::NotFound { .. }) => {}
                Err(e) => {
                    return Err(GateError::Unreadable {
                        place: format!("the thread of {issue}"),
                        source: Some(e.into()),
                    });
                }
            }
        }
        if let Some((_, evidence)) = found.given {
            return Ok(GateDecision::Given(evidence));
        }
        found.ignored.sort();
        let skipped = found.ignored.len().saturating_sub(MOST_IGNORED);
        Ok(GateDecision::Pending {
            how: self.how(request),
            // The newest ones are what somebody waits for an answer to.
            ignored: found
                .ignored
                .into_iter()
                .skip(skipped)
                .map(|(_, sentence)| sentence)
                .collect(),
        })
    }
}

impl TrackerGate {
    fn how(&self, request: &GateRequest) -> String {
        if self.approvers.is_empty() {
            return "nobody can give an OK in a comment, because [gates] approvers is empty"
                .to_owned();
        }
        let (line, where_) = match request {
            GateRequest::LocalOk { candidate, issues } => {
                (format!("OK {}", candidate.short()), threads(issues))
            }
            GateRequest::Ship {
                commit,
                rules,
                issues,
            } => (word::ship_comment(commit, rules), threads(issues)),
        };
        format!("write `{line}` as an approver in a comment of {where_}")
    }
}

fn threads(issues: &[IssueKey]) -> String {
    let names: Vec<&str> = issues.iter().map(IssueKey::as_str).collect();
    format!("issue {}", names.join(" or "))
}

#[cfg(test)]
mod tests;
