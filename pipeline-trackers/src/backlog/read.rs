//! Reading: whole lists, and nothing that is cut taken for whole.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use pipeline_core::clock::Timestamp;
use pipeline_core::issue::Issue;
use pipeline_core::issue::IssueKey;
use pipeline_core::tracker::ChangeMark;
use pipeline_core::tracker::Changes;
use pipeline_core::tracker::IssueQuery;
use pipeline_core::tracker::Reply;
use pipeline_core::tracker::StatusEvent;
use pipeline_core::tracker::TrackerError;
use serde::de::DeserializeOwned;

use super::BacklogTracker;
use super::feed::Mark;
use super::feed::Reading;
use super::history;
use super::service::READ;
use super::service::SEARCH;
use super::statuses::Resolved;
use super::wire;
use crate::http::Request;

/// Rows of the first page of the feed: most polls find nothing new on it.
const FIRST_LOOK: usize = 20;
/// Most pages of the feed between two marks; past it everything is read again.
const MOST_FEED_PAGES: usize = 100;
/// Most activities that are read back, in all, for the sake of moves long past.
const DEEPEST: usize = 5_000;
/// Times a list is read anew because it moved while it was read.
const MOST_LISTINGS: usize = 5;
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The activities that can tell of a status: updates, comments, bulk updates, deleted statuses.
const STATUS_KINDS: [u64; 4] = [2, 3, 14, 34];

impl BacklogTracker {
    pub(super) fn get(operation: &'static str) -> Request {
        Request::get(operation).category(READ)
    }

    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        request: Request,
    ) -> Result<Reply<T>, TrackerError> {
        let (value, answer) = self.shared.client.read_json(&request).await?;
        Ok(answer.reply(value))
    }

    /// Returns the key if it is one of this project's.
    pub(super) fn own<'k>(&self, key: &'k IssueKey) -> Result<&'k str, TrackerError> {
        let number = key.as_str().strip_prefix(self.project());
        let number = number.and_then(|rest| rest.strip_prefix('-'));
        if number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())) {
            return Ok(key.as_str());
        }
        Err(TrackerError::NotFound {
            tracker: super::NAME.to_owned(),
            what: format!("issue {key} in project {}", self.project()),
        })
    }

    pub(super) async fn read_me(&self) -> Result<Reply<wire::User>, TrackerError> {
        self.read(Self::get("ask for the account").at(["users", "myself"]))
            .await
    }

    pub(super) async fn read_project(&self) -> Result<Arc<wire::Project>, TrackerError> {
        if let Some(project) = self.state().project.clone() {
            return Ok(project);
        }
        let request = Self::get("read the project")
            .at(["projects", self.project()])
            .of(format!("project {}", self.project()));
        let project: wire::Project = self.read(request).await?.value;
        let project = Arc::new(project);
        self.state().project = Some(Arc::clone(&project));
        Ok(project)
    }

    /// Reads the project's statuses, whatever is known of them.
    pub(super) async fn read_statuses(&self) -> Result<Arc<Resolved>, TrackerError> {
        let request = Self::get("read the project's statuses")
            .at(["projects", self.project(), "statuses"])
            .of(format!("project {}", self.project()));
        let found: Vec<wire::Status> = self.read(request).await?.value;
        let resolved = Arc::new(Resolved::new(&self.shared.options.statuses, &found));
        self.state().statuses = Some(Arc::clone(&resolved));
        Ok(resolved)
    }

    /// Returns the statuses as they were last read.
    pub(super) async fn statuses(&self) -> Result<Arc<Resolved>, TrackerError> {
        let known = self.state().statuses.clone();
        match known {
            Some(known) => Ok(known),
            None => self.read_statuses().await,
        }
    }

    /// Returns the statuses, read again if one of these is none of them.
    async fn statuses_for<'i>(
        &self,
        seen: impl Iterator<Item = &'i wire::Status>,
    ) -> Result<Arc<Resolved>, TrackerError> {
        let known = self.statuses().await?;
        let mut seen = seen;
        if seen.all(|s| known.by_id(s.id).is_some()) {
            return Ok(known);
        }
        self.read_statuses().await
    }

    pub(super) async fn read_wire_issue(
        &self,
        key: &IssueKey,
    ) -> Result<Reply<wire::Issue>, TrackerError> {
        let request = Self::get("read an issue")
            .at(["issues", self.own(key)?])
            .of(format!("issue {key}"));
        let reply: Reply<wire::Issue> = self.read(request.clone()).await?;
        if reply.value.issue_key != key.as_str() {
            let error = "it answered with another issue".into();
            return Err(self.shared.client.invalid(&request, error));
        }
        Ok(reply)
    }

    pub(super) async fn read_issue(&self, key: &IssueKey) -> Result<Reply<Issue>, TrackerError> {
        let reply = self.read_wire_issue(key).await?;
        let statuses = self
            .statuses_for(std::iter::once(&reply.value.status))
            .await?;
        let issue = self.issue_of(reply.value, key.clone(), &statuses);
        Ok(Reply::new(issue, reply.date))
    }

    pub(super) fn issue_of(&self, wire: wire::Issue, key: IssueKey, statuses: &Resolved) -> Issue {
        let categories = wire.category.iter().map(|c| c.name.clone());
        let milestones = wire.milestone.iter().map(|m| m.name.clone());
        let status = statuses.by_id(wire.status.id).cloned();
        Issue {
            url: Some(self.address().issue(key.as_str())),
            key,
            title: wire.summary,
            body: wire.description,
            status: status.unwrap_or_else(|| Resolved::stranger(&wire.status.name)),
            author: wire.created_user.as_ref().map(wire::User::account),
            labels: categories.chain(milestones).collect(),
            milestone: wire.milestone.first().map(|m| m.name.clone()),
            kind: wire.issue_type.map(|t| t.name),
            assignee: wire.assignee.as_ref().map(wire::User::account),
            priority: wire.priority.and_then(|p| i64::try_from(p.id).ok()),
            created: wire.created,
            updated: wire.updated.unwrap_or(wire.created),
            attachments: wire
                .attachments
                .iter()
                .map(wire::Attachment::attachment)
                .collect(),
        }
    }

    /// Reads a whole thread, oldest first.
    ///
    /// Whether a boundary is part of a page is disputed, so the last id is asked for again and what is known dropped; the
    /// next id could belong to somebody else's comment.
    pub(super) async fn read_thread(
        &self,
        key: &IssueKey,
    ) -> Result<Reply<Vec<wire::Comment>>, TrackerError> {
        let rows = self.shared.options.page;
        let mut all: BTreeMap<u64, wire::Comment> = BTreeMap::new();
        let mut date = None;
        loop {
            let mut request = Self::get("read a thread")
                .at(["issues", self.own(key)?, "comments"])
                .query("order", "asc")
                .query("count", rows)
                .of(format!("issue {key}"));
            if let Some(last) = all.keys().next_back() {
                request = request.query("minId", last);
            }
            let page: Reply<Vec<wire::Comment>> = self.read(request.clone()).await?;
            let date = *date.get_or_insert(page.date);
            let (full, before) = (page.value.len() >= rows, all.len());
            for comment in page.value {
                all.entry(comment.id).or_insert(comment);
            }
            if !full {
                return Ok(Reply::new(all.into_values().collect(), date));
            }
            if all.len() == before {
                let error = "a full page of a thread held nothing new".into();
                return Err(self.shared.client.invalid(&request, error));
            }
        }
    }

    pub(super) async fn read_history(
        &self,
        key: &IssueKey,
    ) -> Result<Reply<Vec<StatusEvent>>, TrackerError> {
        // The thread first: what the feed tells after it can only add.
        let thread = self.read_thread(key).await?;
        let number = key.as_str().rsplit_once('-');
        let number: u64 = number.and_then(|(_, n)| n.parse().ok()).unwrap_or(0);
        if let Some(last) = history::latest(&thread.value) {
            self.confirm(number, last).await?;
        }
        let statuses = self.statuses().await?;
        let evidence = self.state().evidences.of(number);
        let events = history::history(&thread.value, &evidence, &statuses);
        Ok(Reply::new(events, thread.date))
    }

    /// Reads the feed back to a record, unless it is known that far.
    async fn confirm(&self, number: u64, record: &wire::Comment) -> Result<(), TrackerError> {
        let newest = {
            let evidences = &self.state().evidences;
            if evidences.reaches_record(number, record.id) {
                return Ok(());
            }
            evidences.newest()
        };
        let enough = |r: &Reading, _| {
            let connected = newest > 0 && r.reaches(newest);
            connected || r.holds(record.id) || r.reaches_before(record.created)
        };
        let top = self.read_feed(None, &STATUS_KINDS, FIRST_LOOK, enough);
        let top = top.await?.value;
        self.state().evidences.take(&top);
        loop {
            let from = {
                let evidences = &self.state().evidences;
                let reaches = evidences.reaches_record(number, record.id)
                    || evidences.reaches(record.created);
                if reaches || evidences.depth() >= DEEPEST {
                    return Ok(());
                }
                evidences.back_to.map(|(id, _)| id)
            };
            let rows = self.shared.options.page;
            let one = |_: &Reading, _| true;
            let below = self.read_feed(from, &STATUS_KINDS, rows, one).await?.value;
            self.state().evidences.extend(&below);
        }
    }

    /// Reads the feed from an end backwards until it is enough.
    async fn read_feed(
        &self,
        from: Option<u64>,
        kinds: &[u64],
        first: usize,
        enough: impl Fn(&Reading, Timestamp) -> bool,
    ) -> Result<Reply<Reading>, TrackerError> {
        let mut reading = Reading::default();
        let mut date = None;
        let most = self.shared.options.page;
        let mut rows = first.min(most);
        for _ in 0..MOST_FEED_PAGES {
            let mut request = Self::get("read the activity feed")
                .at(["projects", self.project(), "activities"])
                .query("order", "desc")
                .query("count", rows)
                .of(format!("project {}", self.project()));
            for kind in kinds {
                request = request.query("activityTypeId[]", kind);
            }
            if let Some(lowest) = reading.lowest().or(from) {
                request = request.query("maxId", lowest);
            }
            let page: Reply<Vec<wire::Activity>> = self.read(request.clone()).await?;
            let date = *date.get_or_insert(page.date);
            let full = page.value.len() >= rows;
            if !reading.take(page.value, full) {
                let error = "a full page of the feed held nothing new".into();
                return Err(self.shared.client.invalid(&request, error));
            }
            if enough(&reading, date) {
                break;
            }
            rows = most;
        }
        let date = date.unwrap_or(Timestamp::EPOCH);
        Ok(Reply::new(reading, date))
    }

    pub(super) async fn read_changes(
        &self,
        since: Option<&ChangeMark>,
    ) -> Result<Reply<Changes>, TrackerError> {
        let mark = since.map(|mark| Mark::parse(mark, self.project()));
        let foreign = matches!(mark, Some(None));
        let mark = mark.flatten();
        let settle = self.settle_time();
        let enough = |r: &Reading, date: Timestamp| match &mark {
            Some(mark) => r.reaches(mark.upto),
            // As far back as something may still come to light below what is there.
            None => settle.is_zero() || r.reaches_before(date.minus(settle)),
        };
        let reading = self.read_feed(None, &[], FIRST_LOOK, enough).await?;
        self.state().evidences.take(&reading.value);
        let date = reading.date;
        let mut changes = reading
            .value
            .changes(mark.as_ref(), self.project(), date, settle);
        changes.complete &= !foreign;
        Ok(Reply::new(changes, date))
    }

    pub(super) async fn read_issues(
        &self,
        query: &IssueQuery,
    ) -> Result<Reply<Vec<Issue>>, TrackerError> {
        // A status that was deleted and made anew has another id, and a list by the old one would be empty.
        let statuses = if query.statuses.is_empty() {
            self.statuses().await?
        } else {
            self.read_statuses().await?
        };
        let ids: Result<Vec<u64>, _> = query.statuses.iter().map(|s| statuses.id_of(s)).collect();
        let ids = ids?;
        let project = self.read_project().await?.id;
        let mut request = Request::get("list issues")
            .category(SEARCH)
            .at(["issues"])
            .of(format!("project {}", self.project()))
            .query("projectId[]", project);
        for id in &ids {
            request = request.query("statusId[]", id);
        }
        let (since, talked) = match query.updated_since {
            None => (None, BTreeSet::new()),
            // Stamps have no fraction of a second.
            Some(since) => match self.talked_about(since.minus(SECOND)).await? {
                Some(talked) => (Some(since), talked),
                // The feed is too long to be read back that far: everything may have changed.
                None => (None, BTreeSet::new()),
            },
        };
        let mut listing = request.clone();
        if let Some(since) = since {
            // A day, in a zone nobody tells: one earlier is early enough everywhere.
            listing = listing.query("updatedSince", day(since.minus(DAY)));
        }
        let Reply { value: found, date } = self.read_pages(&listing).await?;
        let mut found: BTreeMap<u64, wire::Issue> = found.into_iter().map(|i| (i.id, i)).collect();
        let missing: Vec<u64> = talked
            .iter()
            .copied()
            .filter(|id| !found.contains_key(id))
            .collect();
        for some in missing.chunks(self.shared.options.page) {
            let mut request = request.clone();
            for id in some {
                request = request.query("id[]", id);
            }
            let more = self.read_pages(&request).await?.value;
            found.extend(more.into_iter().map(|i| (i.id, i)));
        }
        let seen = found.values().map(|i| &i.status);
        let statuses = self.statuses_for(seen).await?;
        let mut issues = Vec::new();
        for wire in found.into_values() {
            let Ok(key) = IssueKey::new(wire.issue_key.clone()) else {
                let error = "an issue's key is none".into();
                return Err(self.shared.client.invalid(&request, error));
            };
            let wanted = |issue: &Issue| {
                let fresh = since.is_none_or(|since| issue.updated >= since.minus(SECOND));
                fresh || talked.contains(&wire.id)
            };
            let issue = self.issue_of(wire.clone(), key, &statuses);
            if wanted(&issue) {
                issues.push(issue);
            }
        }
        issues.sort_by_key(|i| (i.created, number_of(&i.key)));
        Ok(Reply::new(issues, date))
    }

    /// Returns the ids of the issues the feed names since a time; `None` if it does not reach back so far.
    async fn talked_about(&self, since: Timestamp) -> Result<Option<BTreeSet<u64>>, TrackerError> {
        let rows = self.shared.options.page;
        let enough = |r: &Reading, _| r.reaches_before(since);
        let reading = self.read_feed(None, &[], rows, enough).await?.value;
        if !reading.reaches_before(since) {
            return Ok(None);
        }
        self.state().evidences.take(&reading);
        let recent = reading.activities().filter(|a| a.created >= since);
        let named = recent.flat_map(wire::Activity::touched);
        Ok(Some(named.filter_map(|t| t.id).collect()))
    }

    /// Reads every page of a list of issues.
    ///
    /// The service has no cursor: between two pages a row may leave the list and everything behind it move up. So each page
    /// begins with the last row of the one before; if that row is not where it was, the list is read anew.
    async fn read_pages(&self, request: &Request) -> Result<Reply<Vec<wire::Issue>>, TrackerError> {
        let rows = self.shared.options.page;
        'listing: for _ in 0..MOST_LISTINGS {
            let mut all: Vec<wire::Issue> = Vec::new();
            let mut offset = 0;
            let mut date = None;
            loop {
                let request = request
                    .clone()
                    .query("sort", "created")
                    .query("order", "asc")
                    .query("count", rows)
                    .query("offset", offset);
                let page: Reply<Vec<wire::Issue>> = self.read(request).await?;
                let date = *date.get_or_insert(page.date);
                let full = page.value.len() >= rows;
                let first = page.value.first().map(|i| i.id);
                let moved = all.last().is_some_and(|last| first != Some(last.id));
                if moved {
                    continue 'listing;
                }
                offset += page.value.len().saturating_sub(1);
                let known = usize::from(!all.is_empty());
                all.extend(page.value.into_iter().skip(known));
                if !full {
                    return Ok(Reply::new(all, date));
                }
            }
        }
        Err(TrackerError::Unavailable {
            tracker: super::NAME.to_owned(),
            operation: "list issues".to_owned(),
            source: Some("the list did not keep still while it was read".into()),
        })
    }
}

/// Returns the date of a time, as the service takes it.
fn day(time: Timestamp) -> String {
    time.to_string().chars().take(10).collect()
}

fn number_of(key: &IssueKey) -> u64 {
    let number = key.as_str().rsplit_once('-');
    number.and_then(|(_, n)| n.parse().ok()).unwrap_or(0)
}
