//! What people do, past the API.

use pipeline_core::issue::CommentId;
use pipeline_core::issue::IssueKey;
use serde_json::Value;
use serde_json::json;

use super::FakeBacklog;
use super::PROJECT;
use super::state::Doing;
use super::state::State;
use super::state::change;

/// There is no such thing in the fake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the fake has no {0}")]
#[non_exhaustive]
pub struct NotThere(pub String);

fn key(number: u64) -> Result<IssueKey, NotThere> {
    IssueKey::new(format!("{PROJECT}-{number}")).map_err(|_| NotThere(format!("issue {number}")))
}

fn number(key: &IssueKey) -> Result<u64, NotThere> {
    let found = key
        .as_str()
        .rsplit_once('-')
        .and_then(|(_, n)| n.parse().ok());
    found.ok_or_else(|| NotThere(format!("issue {key}")))
}

fn status(state: &State, name: &str) -> Result<u64, NotThere> {
    let found = state.statuses.iter().find(|s| s.name == name);
    found
        .map(|s| s.id)
        .ok_or_else(|| NotThere(format!("status {name}")))
}

impl FakeBacklog {
    fn doing(&self, by: u64) -> Doing {
        let now = self.clock.now();
        Doing { by, now }
    }

    /// Files an issue.
    ///
    /// # Errors
    /// Never, in practice: the key of a new issue is one.
    pub fn file_issue(&self, by: u64, title: &str, body: &str) -> Result<IssueKey, NotThere> {
        key(self.lock().file(title, body, self.doing(by)))
    }

    /// Puts an issue into a category, as its only one.
    ///
    /// # Errors
    /// [`NotThere`].
    pub fn categorise(&self, issue: &IssueKey, category: &str) -> Result<(), NotThere> {
        let mut state = self.lock();
        let found = state.categories.iter().find(|c| c.name == category);
        let id = found
            .map(|c| c.id)
            .ok_or_else(|| NotThere(format!("category {category}")))?;
        let row = state.issues.get_mut(&number(issue)?);
        row.ok_or_else(|| NotThere(format!("issue {issue}")))?
            .categories = vec![id];
        Ok(())
    }

    /// Comments on an issue.
    ///
    /// # Errors
    /// [`NotThere`].
    pub fn comment(&self, by: u64, issue: &IssueKey, body: &str) -> Result<CommentId, NotThere> {
        let posted = self.lock().comment(number(issue)?, body, self.doing(by));
        posted
            .map(CommentId)
            .ok_or_else(|| NotThere(format!("issue {issue}")))
    }

    /// Moves an issue to a status of this name, with words in the same record or none.
    ///
    /// # Errors
    /// [`NotThere`].
    pub fn move_to(
        &self,
        by: u64,
        issue: &IssueKey,
        name: &str,
        words: &str,
    ) -> Result<(), NotThere> {
        let mut state = self.lock();
        let to = status(&state, name)?;
        state.change_status(number(issue)?, to, words, Vec::new(), self.doing(by));
        Ok(())
    }

    /// Moves issues in one stroke; the records of the single issues may be left out.
    ///
    /// # Errors
    /// [`NotThere`].
    pub fn move_all(
        &self,
        by: u64,
        issues: &[IssueKey],
        name: &str,
        with_records: bool,
    ) -> Result<(), NotThere> {
        let mut state = self.lock();
        let doing = self.doing(by);
        let to = status(&state, name)?;
        let mut links = Vec::new();
        for issue in issues {
            links.push(stroke(&mut state, number(issue)?, to, with_records, doing));
        }
        let content = json!({
            "tx_id": 1, "comment": {"content": ""}, "link": links,
            "changes": [{"field": "status", "new_value": to.to_string(), "type": "standard"}],
        });
        state.activity(14, content, doing);
        Ok(())
    }

    /// Gives a status another name.
    ///
    /// # Errors
    /// [`NotThere`].
    pub fn rename_status(&self, from: &str, to: &str) -> Result<(), NotThere> {
        let mut state = self.lock();
        let found = state.statuses.iter_mut().find(|s| s.name == from);
        to.clone_into(
            &mut found
                .ok_or_else(|| NotThere(format!("status {from}")))?
                .name,
        );
        Ok(())
    }

    /// Adds a status.
    pub fn add_status(&self, name: &str) {
        let mut state = self.lock();
        let id = state.other_id();
        state.statuses.push(super::state::Named::new(id, name));
    }

    /// Deletes a status; its issues go to another one.
    ///
    /// # Errors
    /// [`NotThere`].
    pub fn delete_status(&self, by: u64, name: &str, substitute: &str) -> Result<(), NotThere> {
        let mut state = self.lock();
        let doing = self.doing(by);
        let (from, to) = (status(&state, name)?, status(&state, substitute)?);
        let moved = state.issues.values().filter(|i| i.status == from);
        let moved: Vec<u64> = moved.map(|i| i.number).collect();
        let links: Vec<_> = moved
            .into_iter()
            .map(|n| stroke(&mut state, n, to, true, doing))
            .collect();
        state.statuses.retain(|s| s.id != from);
        let content = json!({
            "deletedStatus": {"name": name}, "link": links,
            "change": {"field": "status", "new_value": to.to_string(), "type": "standard"},
        });
        state.activity(34, content, doing);
        Ok(())
    }

    /// Changes a custom field that somebody called `status`.
    ///
    /// # Errors
    /// [`NotThere`].
    pub fn change_custom_status(
        &self,
        by: u64,
        issue: &IssueKey,
        value: &str,
    ) -> Result<(), NotThere> {
        let mut state = self.lock();
        let doing = self.doing(by);
        let number = number(issue)?;
        let mut entry = change("status", value, "");
        if let Some(attribute) = entry.get_mut("attributeInfo") {
            *attribute = json!({"id": 7, "typeId": "1"});
        }
        let id = state.record(number, "", vec![entry], doing);
        let told =
            [json!({"field": "status", "new_value": value, "old_value": "", "type": "custom"})];
        let content = state.told(number, id.map(|id| (id, "")), &told);
        state.touch(number, doing);
        state.activity(2, content.unwrap_or_default(), doing);
        Ok(())
    }

    /// Changes the description of an issue.
    ///
    /// # Errors
    /// [`NotThere`].
    pub fn edit_body(&self, by: u64, issue: &IssueKey, body: &str) -> Result<(), NotThere> {
        let mut state = self.lock();
        let doing = self.doing(by);
        let number = number(issue)?;
        let row = state
            .issues
            .get_mut(&number)
            .ok_or_else(|| NotThere(format!("issue {issue}")))?;
        let old = std::mem::replace(&mut row.description, body.to_owned());
        let id = state.record(number, "", vec![change("description", body, &old)], doing);
        let told = [
            json!({"field": "description", "new_value": body, "old_value": old, "type": "standard"}),
        ];
        let content = state.told(number, id.map(|id| (id, "")), &told);
        state.touch(number, doing);
        state.activity(2, content.unwrap_or_default(), doing);
        Ok(())
    }

    /// Changes the text of a comment; no activity tells of it.
    ///
    /// # Errors
    /// [`NotThere`].
    pub fn edit_comment(
        &self,
        issue: &IssueKey,
        id: CommentId,
        body: &str,
    ) -> Result<(), NotThere> {
        let now = self.doing(super::ALICE).stamp();
        let mut state = self.lock();
        let thread = state.issues.get_mut(&number(issue)?).map(|i| &mut i.thread);
        let record = thread.and_then(|t| t.iter_mut().find(|r| r.id == id.0));
        let record = record.ok_or_else(|| NotThere(format!("comment {id}")))?;
        body.clone_into(&mut record.content);
        record.updated = now;
        Ok(())
    }

    /// Deletes a comment; no activity tells of it.
    ///
    /// # Errors
    /// [`NotThere`].
    pub fn delete_comment(&self, issue: &IssueKey, id: CommentId) -> Result<(), NotThere> {
        let mut state = self.lock();
        let thread = state.issues.get_mut(&number(issue)?).map(|i| &mut i.thread);
        let thread = thread.ok_or_else(|| NotThere(format!("issue {issue}")))?;
        let before = thread.len();
        thread.retain(|r| r.id != id.0);
        if thread.len() == before {
            return Err(NotThere(format!("comment {id}")));
        }
        Ok(())
    }

    /// Returns the bodies of an issue's comments with their authors, oldest first, whether lists show them yet or not.
    #[must_use]
    pub fn said(&self, issue: &IssueKey) -> Vec<(u64, String)> {
        let state = self.lock();
        let row = number(issue).ok().and_then(|n| state.issues.get(&n));
        let records = row
            .iter()
            .flat_map(|i| &i.thread)
            .filter(|r| !r.content.is_empty());
        records.map(|r| (r.by, r.content.clone())).collect()
    }

    /// Returns the id of the newest comment that holds a text.
    #[must_use]
    pub fn comment_with(&self, issue: &IssueKey, part: &str) -> Option<CommentId> {
        let state = self.lock();
        let thread = &state.issues.get(&number(issue).ok()?)?.thread;
        let found = thread.iter().rfind(|r| r.content.contains(part))?;
        Some(CommentId(found.id))
    }

    /// Returns the name of an issue's status.
    #[must_use]
    pub fn status_of(&self, issue: &IssueKey) -> Option<String> {
        let state = self.lock();
        let row = number(issue).ok().and_then(|n| state.issues.get(&n))?;
        Some(state.status_name(row.status))
    }

    /// Returns every issue with its title, oldest first.
    #[must_use]
    pub fn issues(&self) -> Vec<(IssueKey, String)> {
        let state = self.lock();
        let all = state.issues.values();
        all.filter_map(|i| Some((key(i.number).ok()?, i.summary.clone())))
            .collect()
    }
}

/// Moves one issue of many, and returns what the activity says of it.
fn stroke(state: &mut State, number: u64, to: u64, with_record: bool, doing: Doing) -> Value {
    let from = state.issues.get(&number).map_or(0, |i| i.status);
    let entry = change("status", &state.status_name(to), &state.status_name(from));
    let record = with_record
        .then(|| state.record(number, "", vec![entry], doing))
        .flatten();
    state.touch(number, doing);
    let issue = state.issues.get_mut(&number);
    let (id, title) = issue.map_or((0, String::new()), |issue| {
        issue.status = to;
        (issue.id, issue.summary.clone())
    });
    let comment = record.map(|id| json!({"id": id, "content": ""}));
    json!({"id": id, "key_id": number, "title": title, "comment": comment})
}
