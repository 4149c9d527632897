//! The seam, over the wire.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use pipeline_core::clock::Timestamp;
use pipeline_core::issue::Account;
use pipeline_core::issue::AttachmentId;
use pipeline_core::issue::Comment;
use pipeline_core::issue::Issue;
use pipeline_core::issue::IssueDraft;
use pipeline_core::issue::IssueKey;
use pipeline_core::issue::IssueRef;
use pipeline_core::status::Status;
use pipeline_core::status::Transition;
use pipeline_core::tracker::ChangeMark;
use pipeline_core::tracker::Changes;
use pipeline_core::tracker::Dialect;
use pipeline_core::tracker::IssueName;
use pipeline_core::tracker::IssueNames;
use pipeline_core::tracker::IssueQuery;
use pipeline_core::tracker::Reply;
use pipeline_core::tracker::StatusEvent;
use pipeline_core::tracker::Tracker;
use pipeline_core::tracker::TrackerCapabilities;
use pipeline_core::tracker::TrackerError;

use super::GitLabTracker;
use super::NAME;
use super::PAGE;
use super::config::CLOSED;
use super::dialect::GitLabDialect;
use super::history;
use super::paging;
use super::project::Labels;
use super::status::uploads;
use super::wire;
use crate::http::Request;

/// A new note leaves the time of its issue alone for so long after another change, and a minute more for slow clocks.
const THROTTLED: Duration = Duration::from_secs(120);
/// What a mark of ours begins with.
const MARK: &str = "gl1:";
/// Most bytes of an attachment.
const MOST_BYTES: u64 = 64 << 20;

#[async_trait]
impl Tracker for GitLabTracker {
    fn name(&self) -> &str {
        NAME
    }

    fn identity(&self) -> String {
        self.options.identity()
    }

    fn capabilities(&self) -> TrackerCapabilities {
        TrackerCapabilities {
            create_issues: true,
            attachments: true,
            // A note beside a move is a quick action in disguise: GitLab has no request for both.
            comment_with_transition: false,
            forgeable_history: false,
        }
    }

    fn dialect(&self) -> &dyn Dialect {
        &GitLabDialect
    }

    fn settle(&self) -> Duration {
        self.options.settles_in()
    }

    async fn me(&self) -> Result<Reply<Account>, TrackerError> {
        let request = self.of_instance(Request::get("tell whose credential it is"), ["user"]);
        let (user, answer) = self.client.read_json::<wire::User>(&request.await?).await?;
        Ok(answer.reply(user.account()))
    }

    async fn list_issues(&self, query: &IssueQuery) -> Result<Reply<Vec<Issue>>, TrackerError> {
        let labels = self.labels().await?;
        for status in &query.statuses {
            labels.require(status)?;
        }
        let mut wanted: Vec<Option<&Status>> = query.statuses.iter().map(Some).collect();
        wanted.dedup();
        if wanted.is_empty() {
            wanted.push(None);
        }
        let mut found = BTreeMap::new();
        let mut date = None;
        for status in wanted {
            let request = listing(status, &labels, query.updated_since);
            let request = self.of_project(request, ["issues"]).await?;
            let rows = self.issues(request).await?;
            date.get_or_insert(rows.date);
            for row in rows.value {
                found.insert(row.iid, row);
            }
        }
        let mut issues: Vec<Issue> = found
            .into_values()
            .filter_map(|row| row.issue(&labels))
            .collect();
        let asked =
            |issue: &Issue| query.statuses.is_empty() || query.statuses.contains(&issue.status);
        issues.retain(asked);
        // In the order of their numbers before; whoever was imported may be older.
        issues.sort_by_key(|issue| issue.created);
        Ok(Reply::new(issues, date.unwrap_or(labels.date)))
    }

    async fn issue(&self, key: &IssueKey) -> Result<Reply<Issue>, TrackerError> {
        let labels = self.labels().await?;
        let Reply { value, date } = self.row(key).await?;
        let issue = value.issue(&labels).ok_or_else(|| self.senseless(key))?;
        Ok(Reply::new(issue, date))
    }

    async fn comments(&self, key: &IssueKey) -> Result<Reply<Vec<Comment>>, TrackerError> {
        let request = Request::get("read the thread")
            .of(format!("issue {key}"))
            .query("sort", "asc")
            .query("order_by", "created_at")
            .query("activity_filter", "only_comments")
            .query("per_page", PAGE);
        let request = self.of_issue(request, key, ["notes"]).await?;
        let notes = self.all(request, |note: &wire::Note| note.id).await;
        let Reply { value, date } = self.certain(key, notes).await?;
        // Older instances do not know the filter.
        let notes = value.into_iter().filter(|note| !note.system);
        let mut thread: Vec<Comment> = notes.filter_map(wire::Note::comment).collect();
        thread.sort_by_key(|comment| comment.id);
        Ok(Reply::new(thread, date))
    }

    async fn history(&self, key: &IssueKey) -> Result<Reply<Vec<StatusEvent>>, TrackerError> {
        let known = self.labels().await?;
        let events = |what: &'static str| {
            let request = Request::get("read the history").of(format!("issue {key}"));
            self.of_issue(request.query("per_page", PAGE), key, [what])
        };
        let labels = events("resource_label_events").await?;
        let labels = self.all(labels, |event: &wire::LabelEvent| event.id).await;
        let labels = self.certain(key, labels).await?;
        let states = events("resource_state_events").await?;
        let states = self.all(states, |event: &wire::StateEvent| event.id).await;
        let states = self.certain(key, states).await?;
        // After the events, so that no comment from before one of them is missing.
        let thread = if labels.value.is_empty() && states.value.is_empty() {
            Vec::new()
        } else {
            self.comments(key).await?.value
        };
        let moves = history::moves(&labels.value, &states.value, &thread, &known);
        Ok(Reply::new(moves, labels.date))
    }

    async fn changes(&self, since: Option<&ChangeMark>) -> Result<Reply<Changes>, TrackerError> {
        let after = match since.map(read_mark) {
            Some(Some(after)) => after,
            first_or_foreign => {
                let request = Request::get("look for changes").query("per_page", 1);
                let request = self.of_project(request, ["issues"]).await?;
                let answer = self.client.read(&request).await?;
                let changes = Changes {
                    issues: BTreeSet::new(),
                    next: mark_of(answer.date),
                    complete: first_or_foreign.is_none(),
                };
                return Ok(answer.reply(changes));
            }
        };
        let (issues, date) = self.changed_since(after).await?;
        let changes = Changes {
            issues,
            next: mark_of(date),
            // A mark from the future was not given by this server.
            complete: after <= date.plus(THROTTLED),
        };
        Ok(Reply::new(changes, date))
    }

    async fn add_comment(
        &self,
        key: &IssueKey,
        body: &str,
    ) -> Result<Reply<Comment>, TrackerError> {
        self.post_note(key, body).await
    }

    async fn transition(
        &self,
        key: &IssueKey,
        step: &Transition,
        memo: Option<&str>,
    ) -> Result<Reply<Option<Comment>>, TrackerError> {
        if memo.is_some() {
            return Err(TrackerError::Unsupported {
                tracker: NAME.to_owned(),
                operation: "move an issue and comment on it in one request".to_owned(),
            });
        }
        self.move_issue(key, step).await
    }

    async fn attachment(&self, key: &IssueKey, id: AttachmentId) -> Result<Vec<u8>, TrackerError> {
        let issue = self.row(key).await?.value;
        let mut found = uploads(&issue.description.unwrap_or_default());
        if found.iter().all(|path| path.id() != id) {
            let thread = self.comments(key).await?.value;
            found.extend(thread.iter().flat_map(|comment| uploads(&comment.body)));
        }
        let what = format!("attachment {id} of issue {key}");
        let path = found.into_iter().find(|path| path.id() == id);
        let path = path.ok_or_else(|| TrackerError::NotFound {
            tracker: NAME.to_owned(),
            what: what.clone(),
        })?;
        let request = Request::get("fetch a file")
            .of(what)
            .at_most(MOST_BYTES)
            .storage_allowed();
        let request = self.of_project(request, ["uploads".to_owned(), path.secret, path.name]);
        Ok(self.client.read(&request.await?).await?.body)
    }

    async fn attach(
        &self,
        key: &IssueKey,
        name: &str,
        content: &[u8],
    ) -> Result<AttachmentId, TrackerError> {
        self.upload(key, name, content).await
    }

    async fn issue_names(&self) -> Result<Reply<IssueNames>, TrackerError> {
        self.names().await
    }

    async fn provide(&self, name: &IssueName) -> Result<(), TrackerError> {
        self.make(name).await
    }

    async fn create_issue(&self, draft: &IssueDraft) -> Result<IssueRef, TrackerError> {
        self.file(draft).await
    }
}

impl GitLabTracker {
    /// Puts a request's path under an issue.
    pub(super) async fn of_issue<const N: usize>(
        &self,
        request: Request,
        key: &IssueKey,
        rest: [&str; N],
    ) -> Result<Request, TrackerError> {
        number(key)?;
        let path = ["issues", key.as_str()].into_iter().chain(rest);
        self.of_project(request, path).await
    }

    /// Returns one issue as GitLab shows it in lists: with the ids of its labels, which no rename changes.
    pub(super) async fn row(&self, key: &IssueKey) -> Result<Reply<wire::Issue>, TrackerError> {
        let iid = number(key)?;
        let request = Request::get("read the issue")
            .of(format!("issue {key}"))
            .query("iids[]", iid)
            .query("with_labels_details", true)
            .query("scope", "all");
        let request = self.of_project(request, ["issues"]).await?;
        let read = self.client.read_json::<Vec<wire::Issue>>(&request).await;
        let (rows, answer) = read.map_err(|error| match error {
            // That there is no list of issues says nothing about this one.
            TrackerError::NotFound { tracker, .. } => TrackerError::PermissionDenied {
                tracker,
                operation: "see the issues of the project".to_owned(),
            },
            other => other,
        })?;
        match rows.into_iter().find(|row| row.iid == iid) {
            Some(row) => Ok(answer.reply(row)),
            None => Err(missing(key)),
        }
    }

    /// Takes "not found" for what it says only if the issue itself is not there: GitLab says the same where a permission is
    /// missing, and whoever believes it forgets the issue.
    async fn certain<T>(
        &self,
        key: &IssueKey,
        read: Result<T, TrackerError>,
    ) -> Result<T, TrackerError> {
        if let Err(TrackerError::NotFound { .. }) = read {
            self.row(key).await?;
            return Err(TrackerError::PermissionDenied {
                tracker: NAME.to_owned(),
                operation: format!("read all of issue {key}, which it can see"),
            });
        }
        read
    }

    /// Lists issues, by keyset where the instance can.
    async fn issues(&self, request: Request) -> Result<Reply<Vec<wire::Issue>>, TrackerError> {
        let id = |row: &wire::Issue| row.iid;
        let keyset = request.clone().query("pagination", "keyset");
        match self.all(keyset, id).await {
            // An instance before 18.3 pages issues by number only.
            Err(TrackerError::Other { .. }) => self.all(request, id).await,
            other => other,
        }
    }

    /// Returns what changed, by going from the time of one page's last row to the next: whatever changes meanwhile
    /// moves behind it.
    async fn changed_since(
        &self,
        mark: Timestamp,
    ) -> Result<(BTreeSet<IssueKey>, Timestamp), TrackerError> {
        let mut after = mark.minus(THROTTLED.saturating_add(self.settle()));
        let mut page: u64 = 1;
        let mut issues = BTreeSet::new();
        let mut date = None;
        for _ in 0..paging::MOST_PAGES {
            let request = Request::get("look for changes")
                .query("scope", "all")
                .query("state", "all")
                .query("order_by", "updated_at")
                .query("sort", "asc")
                .query("updated_after", after)
                .query("per_page", PAGE)
                .query("page", page);
            let request = self.of_project(request, ["issues"]).await?;
            let (rows, answer) = self.client.read_json::<Vec<wire::Issue>>(&request).await?;
            let date = *date.get_or_insert(answer.date);
            let full = rows.len() >= PAGE as usize;
            issues.extend(rows.iter().filter_map(wire::Issue::key));
            if paging::next(&request, &answer, full, 1).is_none() {
                return Ok((issues, date));
            }
            match rows.iter().filter_map(|row| row.updated_at).max() {
                Some(last) if last > after => (after, page) = (last, 1),
                _ => page = page.saturating_add(1),
            }
        }
        let request = Request::get("look for changes");
        Err(self.client.invalid(&request, "its pages do not end".into()))
    }

    pub(super) fn senseless(&self, key: &IssueKey) -> TrackerError {
        TrackerError::InvalidResponse {
            tracker: NAME.to_owned(),
            operation: format!("read the issue (issue {key})"),
            source: Some("it has no time of its creation".into()),
        }
    }
}

/// Returns the request for the issues that may be in a status, and some others.
fn listing(status: Option<&Status>, labels: &Labels, since: Option<Timestamp>) -> Request {
    let mut request = Request::get("list the issues")
        .query("scope", "all")
        .query("order_by", "created_at")
        .query("sort", "asc")
        .query("with_labels_details", true)
        .query("per_page", PAGE);
    if let Some(since) = since {
        request = request.query("updated_after", since);
    }
    match status {
        None => request.query("state", "all"),
        Some(status) if status.name() == CLOSED => request.query("state", "closed"),
        Some(Status::Open) => {
            // Without the labels of the other statuses; what is let through all the same is sorted out here.
            let others = labels
                .statuses
                .iter()
                .filter(|(s, _, id)| *s != Status::Open && id.is_some());
            let names: Vec<&str> = others.map(|(_, name, _)| name.as_str()).collect();
            request
                .query("state", "opened")
                .query("not[labels]", names.join(","))
        }
        Some(status) => {
            let name = labels.name_of(status).unwrap_or_default();
            request.query("state", "opened").query("labels", name)
        }
    }
}

/// Returns an issue's number; another key is not there.
pub(super) fn number(key: &IssueKey) -> Result<u64, TrackerError> {
    key.as_str().parse().map_err(|_| missing(key))
}

pub(super) fn missing(key: &IssueKey) -> TrackerError {
    TrackerError::NotFound {
        tracker: NAME.to_owned(),
        what: format!("issue {key}"),
    }
}

fn mark_of(date: Timestamp) -> ChangeMark {
    ChangeMark(format!("{MARK}{}", date.as_millis()))
}

fn read_mark(mark: &ChangeMark) -> Option<Timestamp> {
    let digits = mark.0.strip_prefix(MARK)?;
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    let millis: i64 = digits.parse().ok().filter(|_| plain)?;
    Some(Timestamp::from_millis(millis))
}
