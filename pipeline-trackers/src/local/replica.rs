//! What the log says, as far as this process has read it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use pipeline_core::issue::Attachment;
use pipeline_core::issue::AttachmentId;
use pipeline_core::issue::Comment;
use pipeline_core::issue::CommentId;
use pipeline_core::issue::EventId;
use pipeline_core::issue::Issue;
use pipeline_core::issue::IssueKey;
use pipeline_core::status::Status;
use pipeline_core::tracker::StatusEvent;
use pipeline_core::tracker::StatusEventKind;

use super::record::Event;
use super::record::FORMAT;
use super::record::Record;
use super::record::Sum;
use super::statuses::LocalStatuses;

#[derive(Debug)]
pub(super) struct Replica {
    /// How far the log was read, in bytes.
    pub(super) offset: u64,
    /// The checksum of the last line read.
    pub(super) sum: Sum,
    identity: Option<String>,
    statuses: LocalStatuses,
    /// Comments, status events and attachments draw from one sequence: one ordering domain.
    last_id: u64,
    filed: u64,
    issues: BTreeMap<u64, Entry>,
    /// One entry per line: its checksum, and the issue it changed.
    feed: Vec<(Sum, Option<IssueKey>)>,
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) issue: Issue,
    pub(super) thread: Vec<Comment>,
    pub(super) events: Vec<StatusEvent>,
}

impl Replica {
    pub(super) fn new() -> Self {
        Self {
            offset: 0,
            sum: Sum::START,
            identity: None,
            statuses: LocalStatuses::default(),
            last_id: 0,
            filed: 0,
            issues: BTreeMap::new(),
            feed: Vec::new(),
        }
    }

    pub(super) fn lines(&self) -> u64 {
        self.feed.len() as u64
    }

    pub(super) fn identity(&self) -> Option<&str> {
        self.identity.as_deref()
    }

    pub(super) const fn statuses(&self) -> &LocalStatuses {
        &self.statuses
    }

    pub(super) const fn next_id(&self) -> u64 {
        self.last_id + 1
    }

    pub(super) fn next_key(&self) -> IssueKey {
        IssueKey::new((self.filed + 1).to_string()).expect("digits are a key")
    }

    pub(super) fn entry(&self, key: &IssueKey) -> Option<&Entry> {
        self.issues.get(&number(key)?)
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.issues.values()
    }

    pub(super) fn comment(&self, key: &IssueKey, id: CommentId) -> Option<&Comment> {
        let thread = &self.entry(key)?.thread;
        let at = thread.binary_search_by_key(&id, |c| c.id).ok()?;
        thread.get(at)
    }

    pub(super) fn attachment(&self, key: &IssueKey, id: AttachmentId) -> Option<&Attachment> {
        let mut all = self.entry(key)?.issue.attachments.iter();
        all.find(|a| a.id == id)
    }

    /// Returns the issues changed after a line, or nothing if the log has no such line.
    pub(super) fn changed(&self, line: u64, sum: Sum) -> Option<BTreeSet<IssueKey>> {
        let line = usize::try_from(line).ok()?;
        let (found, _) = self.feed.get(line.checked_sub(1)?)?;
        let tail = self.feed.get(line..)?;
        (*found == sum).then(|| tail.iter().filter_map(|(_, key)| key.clone()).collect())
    }

    /// Tells whether a record follows from what stands before it.
    pub(super) fn check(&self, record: &Record) -> Result<(), &'static str> {
        if record.seq != self.lines() + 1 {
            return Err("its number does not follow the line before");
        }
        if (record.seq == 1) != matches!(record.event, Event::Init { .. }) {
            return Err("a log begins with one `init` line and has no other");
        }
        let next = self.next_id();
        let entry = |key| {
            self.entry(key)
                .ok_or("it is about an issue that is not there")
        };
        let known = |status| {
            let known = self.statuses.name_of(status).is_some();
            known.then_some(()).ok_or("it names an unknown status")
        };
        let id = |found: u64, expected: u64| {
            let equal = found == expected;
            equal.then_some(()).ok_or("its id is not the next one")
        };
        match &record.event {
            Event::Init { format, .. } if *format != FORMAT => {
                Err("another version of the tracker made it")
            }
            Event::Init { .. } => Ok(()),
            Event::Statuses { statuses } => {
                let mut all = self.entries();
                let kept = all.all(|e| statuses.name_of(&e.issue.status).is_some());
                kept.then_some(())
                    .ok_or("it drops a status that an issue is in")
            }
            Event::New { issue, .. } => {
                let expected = *issue == self.next_key();
                expected.then_some(()).ok_or("its key is not the next one")
            }
            Event::Comment {
                issue, id: found, ..
            } => {
                entry(issue)?;
                id(found.0, next)
            }
            Event::Move {
                issue,
                id: found,
                from,
                to,
                memo,
            } => {
                if entry(issue)?.issue.status != *from {
                    return Err("it moves the issue from where it is not");
                }
                known(to)?;
                match memo {
                    None => id(found.0, next),
                    Some(memo) => id(memo.id.0, next).and_then(|()| id(found.0, next + 1)),
                }
            }
            Event::Attach {
                issue, id: found, ..
            } => {
                entry(issue)?;
                id(found.0, next)
            }
            Event::Edit { issue, .. } | Event::DeleteIssue { issue } => entry(issue).map(drop),
            Event::EditComment { issue, id, .. } | Event::DeleteComment { issue, id } => {
                let found = self.comment(issue, *id);
                found
                    .map(drop)
                    .ok_or("it is about a comment that is not there")
            }
        }
    }

    /// Takes in a record that [`check`](Self::check) let pass.
    pub(super) fn apply(&mut self, record: Record, length: u64, sum: Sum) {
        self.offset += length;
        self.sum = sum;
        self.feed.push((sum, record.event.issue().cloned()));
        let (at, by) = (record.at, record.by.account());
        if let Some(entry) = record.event.issue().and_then(|key| self.entry_mut(key)) {
            entry.issue.updated = at;
        }
        match record.event {
            Event::Init {
                tracker, statuses, ..
            } => {
                self.identity = Some(tracker);
                self.statuses = statuses;
            }
            Event::Statuses { statuses } => self.statuses = statuses,
            Event::New { issue: key, draft } => {
                let mut issue = Issue::new(key, draft.title, Status::Open, at);
                issue.body = draft.body;
                issue.author = Some(by);
                issue.labels = draft.labels;
                issue.milestone = draft.milestone;
                issue.kind = draft.kind;
                issue.priority = draft.priority;
                self.filed += 1;
                self.issues.insert(
                    self.filed,
                    Entry {
                        issue,
                        thread: Vec::new(),
                        events: Vec::new(),
                    },
                );
            }
            Event::Comment { issue, id, body } => {
                self.push_comment(&issue, Comment::new(id, by, body, at));
            }
            Event::Move {
                issue,
                id,
                from,
                to,
                memo,
            } => {
                if let Some(memo) = memo {
                    self.push_comment(&issue, Comment::new(memo.id, by.clone(), memo.body, at));
                }
                self.push_event(&issue, id, |after_comment| StatusEvent {
                    id,
                    at,
                    actor: Some(by),
                    from: Some(from),
                    to,
                    kind: StatusEventKind::Move,
                    after_comment,
                });
            }
            Event::Attach {
                issue,
                id,
                name,
                size,
                sha256,
            } => {
                self.last_id = id.0;
                if let Some(entry) = self.entry_mut(&issue) {
                    entry.issue.attachments.push(Attachment {
                        id,
                        name,
                        size: Some(size),
                        author: Some(by),
                        digest: Some(sha256),
                    });
                }
            }
            Event::Edit { issue, edit } => {
                if let Some(entry) = self.entry_mut(&issue) {
                    edit.apply(&mut entry.issue);
                }
            }
            Event::EditComment { issue, id, body } => {
                let entry = self.entry_mut(&issue);
                let mut thread = entry.into_iter().flat_map(|e| &mut e.thread);
                if let Some(comment) = thread.find(|c| c.id == id) {
                    comment.body = body;
                    comment.edited = Some(at);
                }
            }
            Event::DeleteComment { issue, id } => {
                if let Some(entry) = self.entry_mut(&issue) {
                    entry.thread.retain(|c| c.id != id);
                }
            }
            Event::DeleteIssue { issue } => {
                number(&issue).and_then(|n| self.issues.remove(&n));
            }
        }
    }

    fn push_comment(&mut self, key: &IssueKey, comment: Comment) {
        self.last_id = comment.id.0;
        if let Some(entry) = self.entry_mut(key) {
            entry.thread.push(comment);
        }
    }

    fn push_event(
        &mut self,
        key: &IssueKey,
        id: EventId,
        make: impl FnOnce(Option<CommentId>) -> StatusEvent,
    ) {
        self.last_id = id.0;
        if let Some(entry) = self.entry_mut(key) {
            let event = make(entry.thread.last().map(|c| c.id));
            entry.issue.status = event.to.clone();
            entry.events.push(event);
        }
    }

    fn entry_mut(&mut self, key: &IssueKey) -> Option<&mut Entry> {
        self.issues.get_mut(&number(key)?)
    }
}

fn number(key: &IssueKey) -> Option<u64> {
    let number: u64 = key.as_str().parse().ok()?;
    // `07` and `+7` are not the issue `7`.
    (number.to_string() == key.as_str()).then_some(number)
}
