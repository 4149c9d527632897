//! What the instance holds.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::time::Duration;

use pipeline_core::clock::Timestamp;
use serde_json::Value;
use serde_json::json;

use super::FakeGitLab;
use super::GitLabSwitches;

/// A new note leaves the time of its issue alone for so long after another change.
const THROTTLE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct State {
    pub(super) root: Vec<String>,
    pub(super) path: Vec<String>,
    pub(super) former: Vec<Vec<String>>,
    pub(super) project: u64,
    pub(super) switches: GitLabSwitches,
    pub(super) users: BTreeMap<String, u64>,
    pub(super) labels: BTreeMap<u64, String>,
    pub(super) milestones: BTreeMap<u64, String>,
    pub(super) issues: BTreeMap<u64, Issue>,
    pub(super) uploads: BTreeMap<(String, String), Vec<u8>>,
    pub(super) hidden: BTreeSet<u64>,
    pub(super) requests: VecDeque<Timestamp>,
    pub(super) notes: VecDeque<Timestamp>,
    pub(super) latest: Timestamp,
    pub(super) next: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Issue {
    pub(super) id: u64,
    pub(super) iid: u64,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) closed: bool,
    pub(super) labels: BTreeSet<u64>,
    pub(super) author: String,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) milestone: Option<u64>,
    pub(super) kind: String,
    pub(super) confidential: bool,
    pub(super) notes: Vec<Note>,
    pub(super) label_events: Vec<LabelEvent>,
    pub(super) state_events: Vec<StateEvent>,
}

#[derive(Debug, Clone)]
pub(super) struct Note {
    pub(super) id: u64,
    pub(super) body: String,
    pub(super) author: String,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) system: bool,
    pub(super) internal: bool,
}

#[derive(Debug, Clone)]
pub(super) struct LabelEvent {
    pub(super) id: u64,
    pub(super) user: Option<String>,
    pub(super) at: Timestamp,
    pub(super) label: u64,
    pub(super) added: bool,
}

#[derive(Debug, Clone)]
pub(super) struct StateEvent {
    pub(super) id: u64,
    pub(super) user: String,
    pub(super) at: Timestamp,
    pub(super) closed: bool,
}

impl State {
    pub(super) fn new(path: &[&str], root: &[&str]) -> Self {
        let own = |parts: &[&str]| parts.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let mut state = Self {
            root: own(root),
            path: own(path),
            former: Vec::new(),
            project: 4711,
            switches: GitLabSwitches::default(),
            users: BTreeMap::new(),
            labels: BTreeMap::new(),
            milestones: BTreeMap::new(),
            issues: BTreeMap::new(),
            uploads: BTreeMap::new(),
            hidden: BTreeSet::new(),
            requests: VecDeque::new(),
            notes: VecDeque::new(),
            latest: Timestamp::EPOCH,
            next: 1000,
        };
        state.user(FakeGitLab::BOT);
        for label in FakeGitLab::STATUSES.into_iter().chain([FakeGitLab::LABEL]) {
            state.label(label);
        }
        state
    }

    /// Returns a number nobody has: one sequence for everything.
    pub(super) fn id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(super) fn user(&mut self, login: &str) -> u64 {
        if let Some(id) = self.users.get(login) {
            return *id;
        }
        let id = self.id();
        self.users.insert(login.to_owned(), id);
        id
    }

    pub(super) fn label_named(&self, name: &str) -> Option<u64> {
        let found = self.labels.iter().find(|(_, known)| *known == name);
        found.map(|(id, _)| *id)
    }

    /// Returns the label of this name, made where it is missing, as GitLab does without a word.
    pub(super) fn label(&mut self, name: &str) -> u64 {
        if let Some(id) = self.label_named(name) {
            return id;
        }
        let id = self.id();
        self.labels.insert(id, name.to_owned());
        id
    }

    pub(super) fn file(
        &mut self,
        login: &str,
        title: &str,
        description: &str,
        now: Timestamp,
    ) -> u64 {
        self.user(login);
        let iid = self.issues.keys().next_back().map_or(1, |last| last + 1);
        let issue = Issue {
            id: self.id(),
            iid,
            title: title.to_owned(),
            description: description.to_owned(),
            closed: false,
            labels: BTreeSet::new(),
            author: login.to_owned(),
            created: now,
            updated: now,
            milestone: None,
            kind: "issue".to_owned(),
            confidential: false,
            notes: Vec::new(),
            label_events: Vec::new(),
            state_events: Vec::new(),
        };
        self.issues.insert(iid, issue);
        iid
    }

    /// Adds and takes away labels in one request: the events get one time and, as there, those of added ones first.
    pub(super) fn relabel(
        &mut self,
        login: &str,
        iid: u64,
        add: &[u64],
        remove: &[u64],
        now: Timestamp,
    ) {
        self.user(login);
        let mut events = Vec::new();
        for (labels, added) in [(add, true), (remove, false)] {
            for label in labels {
                let id = self.id();
                let Some(issue) = self.issues.get_mut(&iid) else {
                    continue;
                };
                let changed = if added {
                    issue.labels.insert(*label)
                } else {
                    issue.labels.remove(label)
                };
                if changed {
                    events.push(LabelEvent {
                        id,
                        user: Some(login.to_owned()),
                        at: now,
                        label: *label,
                        added,
                    });
                }
            }
        }
        if let Some(issue) = self.issues.get_mut(&iid).filter(|_| !events.is_empty()) {
            issue.label_events.extend(events);
            issue.updated = now;
        }
    }

    pub(super) fn close(&mut self, login: &str, iid: u64, closed: bool, now: Timestamp) {
        self.user(login);
        let id = self.id();
        if let Some(issue) = self.issues.get_mut(&iid).filter(|i| i.closed != closed) {
            issue.closed = closed;
            issue.updated = now;
            issue.state_events.push(StateEvent {
                id,
                user: login.to_owned(),
                at: now,
                closed,
            });
        }
    }

    pub(super) fn note(
        &mut self,
        login: &str,
        iid: u64,
        body: &str,
        system: bool,
        now: Timestamp,
    ) -> Option<&mut Note> {
        self.user(login);
        let id = self.id();
        let issue = self.issues.get_mut(&iid)?;
        if now.since(issue.updated) > THROTTLE {
            issue.updated = now;
        }
        issue.notes.push(Note {
            id,
            body: body.to_owned(),
            author: login.to_owned(),
            created: now,
            updated: now,
            system,
            internal: false,
        });
        issue.notes.last_mut()
    }

    pub(super) fn user_json(&self, login: &str) -> Value {
        match self.users.get(login) {
            Some(id) => json!({
                "id": id, "username": login, "name": format!("The {login}"), "state": "active",
                "avatar_url": null, "web_url": format!("https://gitlab.example/{login}"), "locked": false,
            }),
            // An account that is gone.
            None => Value::Null,
        }
    }

    pub(super) fn issue_json(&self, issue: &Issue, details: bool) -> Value {
        let labels = issue.labels.iter().filter_map(|id| {
            let name = self.labels.get(id)?;
            Some(if details {
                self.label_json(*id)
            } else {
                Value::from(name.as_str())
            })
        });
        let milestone = issue.milestone.and_then(|id| Some(json!({
            "id": id, "iid": 1, "project_id": self.project, "title": self.milestones.get(&id)?, "state": "active",
        })));
        let path = self.path.join("/");
        json!({
            "id": issue.id, "iid": issue.iid, "project_id": self.project, "title": issue.title,
            "description": issue.description, "state": if issue.closed { "closed" } else { "opened" },
            "created_at": issue.created, "updated_at": issue.updated, "closed_at": null, "closed_by": null,
            "labels": labels.collect::<Vec<_>>(), "milestone": milestone, "assignees": [], "assignee": null,
            "author": self.user_json(&issue.author), "type": issue.kind.to_uppercase(), "issue_type": issue.kind,
            "user_notes_count": issue.notes.iter().filter(|n| !n.system).count(),
            "confidential": issue.confidential, "discussion_locked": null,
            "web_url": format!("https://gitlab.example/{path}/-/issues/{}", issue.iid),
            "references": { "short": format!("#{}", issue.iid) }, "moved_to_id": null, "weight": null,
        })
    }

    pub(super) fn label_json(&self, id: u64) -> Value {
        json!({
            "id": id, "name": self.labels.get(&id), "color": "#34495E", "text_color": "#FFFFFF", "description": "",
        })
    }

    pub(super) fn note_json(&self, issue: &Issue, note: &Note) -> Value {
        json!({
            "id": note.id, "type": null, "body": note.body, "attachment": null,
            "author": self.user_json(&note.author), "created_at": note.created, "updated_at": note.updated,
            "system": note.system, "noteable_id": issue.id, "noteable_type": "Issue", "noteable_iid": issue.iid,
            "project_id": self.project, "resolvable": false, "confidential": note.internal,
            "internal": note.internal, "imported": false, "imported_from": "none", "commands_changes": {},
        })
    }

    pub(super) fn label_event_json(&self, issue: &Issue, event: &LabelEvent) -> Value {
        let user = event.user.as_deref().map(|login| self.user_json(login));
        let label = self
            .labels
            .contains_key(&event.label)
            .then(|| self.label_json(event.label));
        json!({
            "id": event.id, "user": user, "created_at": event.at, "resource_type": "Issue",
            "resource_id": issue.id, "label": label, "action": if event.added { "add" } else { "remove" },
        })
    }

    pub(super) fn state_event_json(&self, issue: &Issue, event: &StateEvent) -> Value {
        json!({
            "id": event.id, "user": self.user_json(&event.user), "created_at": event.at,
            "resource_type": "Issue", "resource_id": issue.id,
            "state": if event.closed { "closed" } else { "reopened" },
        })
    }
}
