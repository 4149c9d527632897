//! What the tracker in memory holds, and the writes on it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::time::Duration;

use sha2::Digest as _;
use sha2::Sha256;

use super::NAME;
use super::Write;
use super::WriteEffect;
use super::WriteFault;
use crate::clock::Timestamp;
use crate::issue::Account;
use crate::issue::Attachment;
use crate::issue::AttachmentId;
use crate::issue::Comment;
use crate::issue::CommentId;
use crate::issue::EventId;
use crate::issue::Issue;
use crate::issue::IssueDraft;
use crate::issue::IssueKey;
use crate::status::Status;
use crate::tracker::IssueName;
use crate::tracker::IssueNames;
use crate::tracker::StatusEvent;
use crate::tracker::StatusEventKind;
use crate::tracker::TrackerError;

#[derive(Debug)]
pub(super) struct State {
    pub(super) statuses: BTreeSet<Status>,
    pub(super) lag: Duration,
    pub(super) reachable: bool,
    pub(super) faults: VecDeque<WriteFault>,
    pub(super) writes: Vec<Write>,
    pub(super) names: IssueNames,
    last_id: u64,
    filed: u64,
    issues: Vec<Record>,
    files: BTreeMap<AttachmentId, (IssueKey, Vec<u8>)>,
    feed: Vec<Seen<IssueKey>>,
}

#[derive(Debug)]
struct Record {
    issue: Issue,
    thread: Vec<Seen<Comment>>,
    events: Vec<StatusEvent>,
}

/// Something that becomes visible when the clock reaches `from`.
#[derive(Debug)]
struct Seen<T> {
    from: Duration,
    what: T,
}

impl State {
    pub(super) fn new() -> Self {
        let other = |name: &str| Status::Other(name.to_owned());
        Self {
            statuses: BTreeSet::from([
                Status::Open,
                Status::SpecReview,
                Status::InProgress,
                other("Resolved"),
                other("Closed"),
            ]),
            lag: Duration::ZERO,
            reachable: true,
            faults: VecDeque::new(),
            writes: Vec::new(),
            names: IssueNames::default(),
            last_id: 0,
            filed: 0,
            issues: Vec::new(),
            files: BTreeMap::new(),
            feed: Vec::new(),
        }
    }

    pub(super) fn known(&self, status: &Status) -> Result<(), TrackerError> {
        if self.statuses.contains(status) {
            return Ok(());
        }
        let known: Vec<_> = self.statuses.iter().map(Status::name).collect();
        Err(TrackerError::UnknownStatus {
            tracker: NAME.to_owned(),
            name: status.name().to_owned(),
            known: known.join(", "),
        })
    }

    pub(super) fn has(&self, name: &IssueName) -> bool {
        let known = match name {
            IssueName::Label(_) => &self.names.labels,
            IssueName::Milestone(_) => &self.names.milestones,
        };
        known.as_ref().is_none_or(|k| k.contains(name.as_str()))
    }

    pub(super) fn push_name(&mut self, name: &IssueName, actor: &Account) {
        let known = match name {
            IssueName::Label(_) => &mut self.names.labels,
            IssueName::Milestone(_) => &mut self.names.milestones,
        };
        if let Some(known) = known {
            known.insert(name.as_str().to_owned());
            self.writes.push(Write {
                actor: actor.clone(),
                issue: IssueKey::new("0").expect("a digit is a key"),
                effect: WriteEffect::Named(name.clone()),
            });
        }
    }

    /// Refuses a draft with a name that is not there.
    pub(super) fn names_known(&self, draft: &IssueDraft) -> Result<(), TrackerError> {
        let labels = draft.labels.iter().cloned().map(IssueName::Label);
        let milestone = draft.milestone.clone().map(IssueName::Milestone);
        if let Some(name) = labels.chain(milestone).find(|name| !self.has(name)) {
            return Err(missing(format!("name `{}`", name.as_str())));
        }
        let kind = |kind: &&String| {
            self.names
                .kinds
                .as_ref()
                .is_some_and(|k| !k.contains(*kind))
        };
        if let Some(kind) = draft.kind.as_ref().filter(kind) {
            return Err(missing(format!("type `{kind}`")));
        }
        let unknown = |p: &&i64| {
            self.names
                .priorities
                .as_ref()
                .is_some_and(|k| !k.contains(*p))
        };
        match draft.priority.as_ref().filter(unknown) {
            Some(priority) => Err(missing(format!("priority `{priority}`"))),
            None => Ok(()),
        }
    }

    pub(super) fn issues(&self) -> impl Iterator<Item = &Issue> {
        self.issues.iter().map(|r| &r.issue)
    }

    pub(super) fn issue(&self, key: &IssueKey) -> Result<&Issue, TrackerError> {
        Ok(&self.record(key)?.issue)
    }

    pub(super) fn events(&self, key: &IssueKey) -> Result<&[StatusEvent], TrackerError> {
        Ok(&self.record(key)?.events)
    }

    pub(super) fn thread(
        &self,
        key: &IssueKey,
        now: Duration,
    ) -> Result<Vec<Comment>, TrackerError> {
        let visible = self.record(key)?.thread.iter().filter(|c| c.from <= now);
        Ok(visible.map(|c| c.what.clone()).collect())
    }

    pub(super) fn file(&self, key: &IssueKey, id: AttachmentId) -> Result<Vec<u8>, TrackerError> {
        self.record(key)?;
        match self.files.get(&id) {
            Some((issue, content)) if issue == key => Ok(content.clone()),
            _ => Err(missing(format!("attachment {id} on issue {key}"))),
        }
    }

    /// Returns the position up to which everything is visible.
    pub(super) fn frontier(&self, now: Duration) -> usize {
        let hidden = self.feed.iter().position(|e| e.from > now);
        hidden.unwrap_or(self.feed.len())
    }

    /// Returns what is visible from a position on, or nothing if there is no such position.
    pub(super) fn changed(&self, since: usize, now: Duration) -> Option<BTreeSet<IssueKey>> {
        let tail = self.feed.get(since..)?;
        let visible = tail.iter().filter(|e| e.from <= now);
        Some(visible.map(|e| e.what.clone()).collect())
    }

    pub(super) fn push_issue(
        &mut self,
        actor: &Account,
        draft: &IssueDraft,
        now: Timestamp,
        at: Duration,
    ) -> IssueKey {
        self.filed += 1;
        let key = IssueKey::new(self.filed.to_string()).expect("digits are a key");
        let mut issue = Issue::new(key.clone(), draft.title.clone(), Status::Open, now);
        issue.body.clone_from(&draft.body);
        issue.author = Some(actor.clone());
        issue.labels.clone_from(&draft.labels);
        issue.milestone.clone_from(&draft.milestone);
        issue.kind.clone_from(&draft.kind);
        issue.priority = draft.priority;
        self.issues.push(Record {
            issue,
            thread: Vec::new(),
            events: Vec::new(),
        });
        self.log(&key, actor, WriteEffect::Created, now, at);
        key
    }

    pub(super) fn push_comment(
        &mut self,
        key: &IssueKey,
        actor: &Account,
        body: &str,
        now: Timestamp,
        at: Duration,
    ) -> Result<Comment, TrackerError> {
        let id = CommentId(self.last_id + 1);
        let from = at.saturating_add(self.lag);
        let comment = Comment::new(id, actor.clone(), body, now);
        self.record_mut(key)?.thread.push(Seen {
            from,
            what: comment.clone(),
        });
        self.last_id = id.0;
        let effect = WriteEffect::Commented {
            id,
            body: body.to_owned(),
        };
        self.log(key, actor, effect, now, from);
        Ok(comment)
    }

    pub(super) fn push_event(
        &mut self,
        key: &IssueKey,
        to: &Status,
        actor: Option<Account>,
        kind: StatusEventKind,
        now: Timestamp,
    ) -> Result<StatusEvent, TrackerError> {
        let id = EventId(self.last_id + 1);
        let record = self.record_mut(key)?;
        let from = std::mem::replace(&mut record.issue.status, to.clone());
        let event = StatusEvent {
            id,
            at: now,
            actor,
            from: Some(from),
            to: to.clone(),
            kind,
            after_comment: record.thread.last().map(|c| c.what.id),
        };
        record.events.push(event.clone());
        self.last_id = id.0;
        Ok(event)
    }

    pub(super) fn move_issue(
        &mut self,
        key: &IssueKey,
        actor: &Account,
        to: &Status,
        now: Timestamp,
        at: Duration,
    ) -> Result<(), TrackerError> {
        let from = self.issue(key)?.status.clone();
        self.push_event(key, to, Some(actor.clone()), StatusEventKind::Move, now)?;
        let to = to.clone();
        self.log(key, actor, WriteEffect::Moved { from, to }, now, at);
        Ok(())
    }

    pub(super) fn push_file(
        &mut self,
        key: &IssueKey,
        actor: &Account,
        name: &str,
        content: &[u8],
        now: Timestamp,
        at: Duration,
    ) -> Result<AttachmentId, TrackerError> {
        let id = AttachmentId(self.last_id + 1);
        self.record_mut(key)?.issue.attachments.push(Attachment {
            id,
            name: name.to_owned(),
            size: u64::try_from(content.len()).ok(),
            author: Some(actor.clone()),
            digest: Some(hex::encode(Sha256::digest(content))),
        });
        self.last_id = id.0;
        self.files.insert(id, (key.clone(), content.to_vec()));
        let name = name.to_owned();
        self.log(key, actor, WriteEffect::Attached { id, name }, now, at);
        Ok(id)
    }

    pub(super) fn edit(
        &mut self,
        key: &IssueKey,
        actor: &Account,
        change: impl FnOnce(&mut Issue),
        now: Timestamp,
        at: Duration,
    ) -> Result<(), TrackerError> {
        let issue = &mut self.record_mut(key)?.issue;
        let (own_key, status) = (issue.key.clone(), issue.status.clone());
        change(issue);
        // An edit is no move: those have a history.
        issue.key = own_key;
        issue.status = status;
        self.log(key, actor, WriteEffect::Edited, now, at);
        Ok(())
    }

    pub(super) fn edit_comment(
        &mut self,
        key: &IssueKey,
        actor: &Account,
        id: CommentId,
        body: &str,
        now: Timestamp,
        at: Duration,
    ) -> Result<(), TrackerError> {
        let thread = &mut self.record_mut(key)?.thread;
        let Some(comment) = thread.iter_mut().find(|c| c.what.id == id) else {
            return Err(missing(format!("comment {id} on issue {key}")));
        };
        body.clone_into(&mut comment.what.body);
        comment.what.edited = Some(now);
        self.log(key, actor, WriteEffect::CommentEdited { id }, now, at);
        Ok(())
    }

    pub(super) fn delete_comment(
        &mut self,
        key: &IssueKey,
        actor: &Account,
        id: CommentId,
        now: Timestamp,
        at: Duration,
    ) -> Result<(), TrackerError> {
        let thread = &mut self.record_mut(key)?.thread;
        let Some(position) = thread.iter().position(|c| c.what.id == id) else {
            return Err(missing(format!("comment {id} on issue {key}")));
        };
        thread.remove(position);
        self.log(key, actor, WriteEffect::CommentDeleted { id }, now, at);
        Ok(())
    }

    pub(super) fn delete_issue(
        &mut self,
        key: &IssueKey,
        actor: &Account,
        now: Timestamp,
        at: Duration,
    ) -> Result<(), TrackerError> {
        self.record(key)?;
        self.issues.retain(|r| r.issue.key != *key);
        self.log(key, actor, WriteEffect::Deleted, now, at);
        Ok(())
    }

    /// Notes that an issue changed; whoever reads the changes sees it from `visible` on.
    pub(super) fn touch(&mut self, key: &IssueKey, now: Timestamp, visible: Duration) {
        if let Ok(record) = self.record_mut(key) {
            record.issue.updated = now;
        }
        self.feed.push(Seen {
            from: visible,
            what: key.clone(),
        });
    }

    fn log(
        &mut self,
        key: &IssueKey,
        actor: &Account,
        effect: WriteEffect,
        now: Timestamp,
        visible: Duration,
    ) {
        self.touch(key, now, visible);
        self.writes.push(Write {
            actor: actor.clone(),
            issue: key.clone(),
            effect,
        });
    }

    fn record(&self, key: &IssueKey) -> Result<&Record, TrackerError> {
        let found = self.issues.iter().find(|r| r.issue.key == *key);
        found.ok_or_else(|| missing(format!("issue {key}")))
    }

    fn record_mut(&mut self, key: &IssueKey) -> Result<&mut Record, TrackerError> {
        let found = self.issues.iter_mut().find(|r| r.issue.key == *key);
        found.ok_or_else(|| missing(format!("issue {key}")))
    }
}

fn missing(what: String) -> TrackerError {
    TrackerError::NotFound {
        tracker: NAME.to_owned(),
        what,
    }
}
