//! What the fake holds.

use std::collections::BTreeMap;
use std::time::Duration;

use pipeline_core::clock::Timestamp;
use pipeline_core::secret::Secret;
use serde_json::Value;
use serde_json::json;

use super::KEY;
use super::Oddities;

/// The pair of tokens that counts.
#[derive(Debug)]
pub(super) struct OAuth {
    pub(super) access: Secret,
    pub(super) refresh: Secret,
    pub(super) ends: Timestamp,
    pub(super) lives: Duration,
    /// How many requests a token is good for, and how many are left of this one.
    pub(super) requests: Option<(u64, u64)>,
    pub(super) renewed: u64,
}

#[derive(Debug, Clone)]
pub(super) struct User {
    pub(super) id: u64,
    pub(super) login: String,
    pub(super) name: String,
    pub(super) role: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Named {
    pub(super) id: u64,
    pub(super) name: String,
}

impl Named {
    pub(super) fn new(id: u64, name: &str) -> Self {
        let name = name.to_owned();
        Self { id, name }
    }
}

#[derive(Debug, Clone)]
pub(super) struct File {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) content: Vec<u8>,
    pub(super) by: u64,
    pub(super) created: Timestamp,
}

/// A comment or a change: one record.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) id: u64,
    pub(super) content: String,
    pub(super) changes: Vec<Value>,
    pub(super) by: u64,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) visible: Timestamp,
}

#[derive(Debug, Clone)]
pub(super) struct Issue {
    pub(super) id: u64,
    pub(super) number: u64,
    pub(super) summary: String,
    pub(super) description: String,
    pub(super) status: u64,
    pub(super) kind: u64,
    pub(super) priority: u64,
    pub(super) categories: Vec<u64>,
    pub(super) milestones: Vec<u64>,
    pub(super) created: Timestamp,
    pub(super) created_by: u64,
    pub(super) updated: Timestamp,
    pub(super) updated_by: u64,
    pub(super) visible: Timestamp,
    pub(super) files: Vec<File>,
    pub(super) thread: Vec<Record>,
}

#[derive(Debug, Clone)]
pub(super) struct Activity {
    pub(super) id: u64,
    pub(super) kind: u64,
    pub(super) content: Value,
    pub(super) by: u64,
    pub(super) created: Timestamp,
    pub(super) visible: Timestamp,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) key: Secret,
    pub(super) oauth: Option<OAuth>,
    pub(super) oddities: Oddities,
    pub(super) text_formatting: String,
    pub(super) users: Vec<User>,
    pub(super) statuses: Vec<Named>,
    pub(super) kinds: Vec<Named>,
    pub(super) categories: Vec<Named>,
    pub(super) milestones: Vec<Named>,
    pub(super) priorities: Vec<Named>,
    pub(super) issues: BTreeMap<u64, Issue>,
    pub(super) uploads: Vec<File>,
    pub(super) feed: Vec<Activity>,
    next_record: u64,
    next_activity: u64,
    next_other: u64,
    /// Requests of each kind since a minute began.
    pub(super) counted: BTreeMap<&'static str, (Timestamp, u64)>,
}

/// Who does something, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Doing {
    pub(super) by: u64,
    pub(super) now: Timestamp,
}

impl Doing {
    /// Returns the time as the service stamps it: without fractions.
    pub(super) const fn stamp(self) -> Timestamp {
        Timestamp::from_millis(self.now.as_secs() * 1000)
    }
}

impl State {
    pub(super) fn new() -> Self {
        let user = |id, login: &str, name: &str, role| User {
            id,
            login: login.to_owned(),
            name: name.to_owned(),
            role,
        };
        Self {
            key: Secret::new(KEY),
            oauth: None,
            oddities: Oddities::default(),
            text_formatting: "markdown".to_owned(),
            users: vec![
                user(super::BOT, "pipeline-bot", "Pipeline", 2),
                user(super::ALICE, "alice", "アリス", 1),
                user(super::BOB, "bob", "Bob", 2),
            ],
            statuses: vec![
                Named::new(1, "Open"),
                Named::new(2, "In Progress"),
                Named::new(3, "Resolved"),
                Named::new(4, "Closed"),
                Named::new(90_001, "Spec/log review"),
            ],
            kinds: vec![Named::new(501, "Task"), Named::new(502, "Bug")],
            categories: vec![Named::new(601, "web"), Named::new(602, "バッチ")],
            milestones: vec![Named::new(701, "v1"), Named::new(702, "v2")],
            priorities: vec![
                Named::new(2, "High"),
                Named::new(3, "Normal"),
                Named::new(4, "Low"),
            ],
            issues: BTreeMap::new(),
            uploads: Vec::new(),
            feed: Vec::new(),
            // Ids are larger than 32 bits hold, and those of records and activities rise by themselves.
            next_record: 5_000_000_000,
            next_activity: 900_000,
            next_other: 1_102_837_675,
            counted: BTreeMap::new(),
        }
    }

    pub(super) fn other_id(&mut self) -> u64 {
        self.next_other += 1;
        self.next_other
    }

    /// Returns when something written now is first seen: by chance, within the lag.
    pub(super) fn visible(&self, id: u64, now: Timestamp) -> Timestamp {
        let lag = u64::try_from(self.oddities.lag.as_millis()).unwrap_or(0);
        // A fixed scramble of the id, so that runs repeat.
        let chance = id.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(17);
        now.plus(Duration::from_millis(chance % (lag + 1)))
    }

    pub(super) fn record(
        &mut self,
        number: u64,
        content: &str,
        changes: Vec<Value>,
        doing: Doing,
    ) -> Option<u64> {
        // Other projects of the space write too.
        self.next_record += 1 + self.next_record % 3;
        let id = self.next_record;
        let visible = self.visible(id, doing.now);
        let issue = self.issues.get_mut(&number)?;
        issue.thread.push(Record {
            id,
            content: content.to_owned(),
            changes,
            by: doing.by,
            created: doing.stamp(),
            updated: doing.stamp(),
            visible,
        });
        Some(id)
    }

    pub(super) fn activity(&mut self, kind: u64, content: Value, doing: Doing) {
        self.next_activity += 1 + self.next_activity % 2;
        let id = self.next_activity;
        let visible = self.visible(id, doing.now);
        self.feed.push(Activity {
            id,
            kind,
            content,
            by: doing.by,
            created: doing.stamp(),
            visible,
        });
    }

    pub(super) fn touch(&mut self, number: u64, doing: Doing) {
        if let Some(issue) = self.issues.get_mut(&number) {
            issue.updated = doing.stamp();
            issue.updated_by = doing.by;
        }
    }

    pub(super) fn status_name(&self, id: u64) -> String {
        let found = self.statuses.iter().find(|s| s.id == id);
        found.map(|s| s.name.clone()).unwrap_or_default()
    }

    /// Comments without changing anything else.
    pub(super) fn comment(&mut self, number: u64, content: &str, doing: Doing) -> Option<u64> {
        let id = self.record(number, content, Vec::new(), doing)?;
        let told = self.told(number, Some((id, content)), &[])?;
        self.activity(3, told, doing);
        Some(id)
    }

    /// Returns the content of an activity about one issue.
    pub(super) fn told(
        &self,
        number: u64,
        comment: Option<(u64, &str)>,
        changes: &[Value],
    ) -> Option<Value> {
        let issue = self.issues.get(&number)?;
        Some(json!({
            "id": issue.id,
            "key_id": issue.number,
            "summary": issue.summary,
            "description": issue.description,
            "comment": comment.map(|(id, content)| json!({"id": id, "content": content})),
            "changes": changes,
            "attachments": [],
            "shared_files": [],
        }))
    }

    /// Moves an issue, with words or without, as one record.
    pub(super) fn change_status(
        &mut self,
        number: u64,
        to: u64,
        words: &str,
        more: Vec<Value>,
        doing: Doing,
    ) -> Option<u64> {
        let from = self.issues.get(&number)?.status;
        let mut changes = more;
        let mut told = Vec::new();
        if from != to {
            changes.push(change(
                "status",
                &self.status_name(to),
                &self.status_name(from),
            ));
            told.push(json!({"field": "status", "new_value": to.to_string(), "old_value": from.to_string(), "type": "standard"}));
        }
        if let Some(issue) = self.issues.get_mut(&number) {
            issue.status = to;
        }
        self.touch(number, doing);
        if changes.is_empty() && words.is_empty() {
            return None;
        }
        let id = self.record(number, words, changes, doing)?;
        let kind = if words.is_empty() { 2 } else { 3 };
        let told = self.told(number, Some((id, words)), &told)?;
        self.activity(kind, told, doing);
        Some(id)
    }

    pub(super) fn file(&mut self, summary: &str, description: &str, doing: Doing) -> u64 {
        let number = self.issues.keys().next_back().map_or(1, |n| n + 1);
        let id = self.other_id();
        let visible = self.visible(id, doing.now);
        let issue = Issue {
            id,
            number,
            summary: summary.to_owned(),
            description: description.to_owned(),
            status: self.statuses.first().map_or(1, |s| s.id),
            kind: self.kinds.first().map_or(0, |k| k.id),
            priority: 3,
            categories: Vec::new(),
            milestones: Vec::new(),
            created: doing.stamp(),
            created_by: doing.by,
            updated: doing.stamp(),
            updated_by: doing.by,
            visible,
            files: Vec::new(),
            thread: Vec::new(),
        };
        self.issues.insert(number, issue);
        let content =
            json!({"id": id, "key_id": number, "summary": summary, "description": description});
        self.activity(1, content, doing);
        number
    }
}

/// Returns one entry of a change log, by names.
pub(super) fn change(field: &str, new: &str, old: &str) -> Value {
    json!({
        "field": field, "newValue": new, "originalValue": old,
        "attachmentInfo": null, "attributeInfo": null, "notificationInfo": null,
    })
}
