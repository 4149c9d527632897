//! What people do on the instance, past the API's token.

use pipeline_core::clock::Timestamp;
use pipeline_core::issue::Account;

use super::FakeGitLab;
use super::text;

/// What people do, and what a test looks at. Logins are made as they are named.
impl FakeGitLab {
    /// Returns somebody's account.
    #[must_use]
    pub fn account(&self, login: &str) -> Account {
        let id = self.lock().user(login);
        Account::new(
            id.to_string(),
            Some(login.to_owned()),
            format!("The {login}"),
        )
    }

    /// Files an issue.
    pub fn file(&self, login: &str, title: &str, description: &str) -> u64 {
        self.act(|state, now| state.file(login, title, &text::extract(description).0, now))
    }

    /// Comments on an issue.
    pub fn comment(&self, login: &str, iid: u64, body: &str) -> Option<u64> {
        self.act(|state, now| Some(state.note(login, iid, body, false, now)?.id))
    }

    /// Adds and takes away labels in one go; a name that does not exist is made.
    pub fn relabel(&self, login: &str, iid: u64, add: &[&str], remove: &[&str]) {
        self.act(|state, now| {
            let add: Vec<u64> = add.iter().map(|name| state.label(name)).collect();
            let remove: Vec<u64> = remove.iter().filter_map(|n| state.label_named(n)).collect();
            state.relabel(login, iid, &add, &remove, now);
        });
    }

    /// Gives an issue this one status label in place of any other; `None` leaves it without.
    pub fn set_status(&self, login: &str, iid: u64, label: Option<&str>) {
        self.act(|state, now| {
            let status = |name: &String| Self::STATUSES.contains(&name.as_str());
            let all: Vec<u64> = state
                .labels
                .iter()
                .filter(|(_, n)| status(n))
                .map(|(id, _)| *id)
                .collect();
            let add: Vec<u64> = label.map(|name| state.label(name)).into_iter().collect();
            let remove: Vec<u64> = all.into_iter().filter(|id| !add.contains(id)).collect();
            state.close(login, iid, false, now);
            state.relabel(login, iid, &add, &remove, now);
        });
    }

    /// Closes or reopens an issue.
    pub fn close(&self, login: &str, iid: u64, closed: bool) {
        self.act(|state, now| state.close(login, iid, closed, now));
    }

    /// Changes an issue's description, which leaves a note of the system.
    pub fn edit_description(&self, login: &str, iid: u64, text: &str) {
        self.act(|state, now| {
            if let Some(issue) = state.issues.get_mut(&iid) {
                text.clone_into(&mut issue.description);
                issue.updated = now;
            }
            state.note(login, iid, "changed the description", true, now);
        });
    }

    /// Changes somebody's note, as a maintainer may. Nothing tells who did it, and the issue's time stays.
    pub fn edit_note(&self, iid: u64, note: u64, body: &str) {
        self.act(|state, now| {
            let found = state
                .issues
                .get_mut(&iid)
                .and_then(|i| i.notes.iter_mut().find(|n| n.id == note));
            if let Some(found) = found {
                body.clone_into(&mut found.body);
                found.updated = now;
            }
        });
    }

    /// Deletes somebody's note, as a maintainer may.
    pub fn delete_note(&self, iid: u64, note: u64) {
        self.act(|state, _| {
            if let Some(issue) = state.issues.get_mut(&iid) {
                issue.notes.retain(|n| n.id != note);
            }
        });
    }

    /// Renames a label, which rewrites what history seems to say.
    pub fn rename_label(&self, from: &str, to: &str) {
        self.act(|state, _| {
            if let Some(id) = state.label_named(from) {
                state.labels.insert(id, to.to_owned());
            }
        });
    }

    /// Deletes a label, which leaves its events without it.
    pub fn delete_label(&self, name: &str) {
        self.act(|state, _| {
            if let Some(id) = state.label_named(name) {
                state.labels.remove(&id);
                for issue in state.issues.values_mut() {
                    issue.labels.remove(&id);
                }
            }
        });
    }

    /// Deletes an account, which leaves its events without it.
    pub fn delete_account(&self, login: &str) {
        self.act(|state, _| {
            state.users.remove(login);
        });
    }

    /// Hides an issue from the pipeline's account, as a confidential one is; or shows it again.
    pub fn hide(&self, iid: u64, hidden: bool) {
        self.act(|state, _| {
            if hidden {
                state.hidden.insert(iid);
            } else {
                state.hidden.remove(&iid);
            }
        });
    }

    /// Moves the project to another path; the old one redirects.
    pub fn move_project(&self, path: &[&str]) {
        self.act(|state, _| {
            let to = path.iter().map(|s| (*s).to_owned()).collect();
            let from = std::mem::replace(&mut state.path, to);
            state.former.push(from);
        });
    }

    /// Makes a milestone.
    pub fn add_milestone(&self, title: &str) {
        self.act(|state, _| {
            let id = state.id();
            state.milestones.insert(id, title.to_owned());
        });
    }

    /// Returns the notes people see: who wrote each, and its text.
    #[must_use]
    pub fn notes(&self, iid: u64) -> Vec<(String, String)> {
        let state = self.lock();
        let notes = state
            .issues
            .get(&iid)
            .map(|i| i.notes.as_slice())
            .unwrap_or_default();
        let people = notes.iter().filter(|n| !n.system);
        people.map(|n| (n.author.clone(), n.body.clone())).collect()
    }

    /// Returns the id of the newest note that holds a text.
    #[must_use]
    pub fn note_with(&self, iid: u64, part: &str) -> Option<u64> {
        let state = self.lock();
        let notes = &state.issues.get(&iid)?.notes;
        let found = notes.iter().rfind(|n| !n.system && n.body.contains(part))?;
        Some(found.id)
    }

    /// Returns the names of an issue's labels.
    #[must_use]
    pub fn labels(&self, iid: u64) -> Vec<String> {
        let state = self.lock();
        let Some(issue) = state.issues.get(&iid) else {
            return Vec::new();
        };
        issue
            .labels
            .iter()
            .filter_map(|id| state.labels.get(id).cloned())
            .collect()
    }

    /// Returns the names of the project's labels.
    #[must_use]
    pub fn label_names(&self) -> Vec<String> {
        self.lock().labels.values().cloned().collect()
    }

    /// Returns the numbers of all issues.
    #[must_use]
    pub fn issues(&self) -> Vec<u64> {
        self.lock().issues.keys().copied().collect()
    }

    /// Returns the titles of all issues.
    #[must_use]
    pub fn titles(&self) -> Vec<String> {
        self.lock()
            .issues
            .values()
            .map(|issue| issue.title.clone())
            .collect()
    }

    fn act<T>(&self, change: impl FnOnce(&mut super::State, Timestamp) -> T) -> T {
        let mut state = self.lock();
        let now = self.stamp(&mut state);
        change(&mut state, now)
    }
}
