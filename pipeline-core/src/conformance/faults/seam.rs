//! The seam, with its trouble.

use std::time::Duration;

use async_trait::async_trait;
use tokio::task::yield_now;

use super::FaultyTracker;
use crate::issue::Account;
use crate::issue::AttachmentId;
use crate::issue::Comment;
use crate::issue::Issue;
use crate::issue::IssueDraft;
use crate::issue::IssueKey;

use crate::issue::IssueRef;
use crate::status::Transition;
use crate::tracker::ChangeMark;
use crate::tracker::Changes;
use crate::tracker::Dialect;
use crate::tracker::IssueName;
use crate::tracker::IssueNames;
use crate::tracker::IssueQuery;
use crate::tracker::Reply;
use crate::tracker::StatusEvent;
use crate::tracker::Tracker;
use crate::tracker::TrackerCapabilities;
use crate::tracker::TrackerError;

/// How long after its last possible change in visibility an issue is still reported.
const MARGIN: Duration = Duration::from_secs(900);

#[async_trait]
impl Tracker for FaultyTracker {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn identity(&self) -> String {
        self.inner.identity()
    }

    fn capabilities(&self) -> TrackerCapabilities {
        TrackerCapabilities {
            // A memo and a move in one request would need a fault of its own; apart they have those of both.
            comment_with_transition: false,
            ..self.inner.capabilities()
        }
    }

    fn dialect(&self) -> &dyn Dialect {
        self.inner.dialect()
    }

    fn settle(&self) -> Duration {
        self.inner.settle()
    }

    async fn me(&self) -> Result<Reply<Account>, TrackerError> {
        self.readable("ask for the account").await?;
        self.inner.me().await
    }

    async fn list_issues(&self, query: &IssueQuery) -> Result<Reply<Vec<Issue>>, TrackerError> {
        self.readable("list issues").await?;
        self.inner.list_issues(query).await
    }

    async fn issue(&self, key: &IssueKey) -> Result<Reply<Issue>, TrackerError> {
        self.readable("read an issue").await?;
        self.inner.issue(key).await
    }

    async fn comments(&self, key: &IssueKey) -> Result<Reply<Vec<Comment>>, TrackerError> {
        self.readable("read a thread").await?;
        self.land_one().await?;
        let Reply { value, date } = self.inner.comments(key).await?;
        let mut seen: Vec<Comment> = value
            .into_iter()
            .filter_map(|c| self.seen(c, date))
            .collect();
        self.shuffle(&mut seen);
        Ok(Reply::new(seen, date))
    }

    async fn history(&self, key: &IssueKey) -> Result<Reply<Vec<StatusEvent>>, TrackerError> {
        self.readable("read a history").await?;
        self.inner.history(key).await
    }

    async fn changes(&self, since: Option<&ChangeMark>) -> Result<Reply<Changes>, TrackerError> {
        self.readable("read the changes").await?;
        self.land_one().await?;
        let Reply { mut value, date } = self.inner.changes(since).await?;
        // What is not visible yet is a change once more when it is, and so is what a maintainer does to it.
        let until = date.plus(self.faults.lag).plus(MARGIN);
        let mut state = self.state();
        state.news.retain(|(_, end)| *end >= date);
        state
            .news
            .extend(value.issues.iter().map(|i| (i.clone(), until)));
        value
            .issues
            .extend(state.news.iter().map(|(i, _)| i.clone()));
        Ok(Reply::new(value, date))
    }

    async fn add_comment(
        &self,
        key: &IssueKey,
        body: &str,
    ) -> Result<Reply<Comment>, TrackerError> {
        yield_now().await;
        if self.happens(self.faults.lost_writes) {
            return Err(self.unknown(key));
        }
        if self.happens(self.faults.late_writes) {
            self.state().flying.push((key.clone(), body.to_owned()));
            return Err(self.unknown(key));
        }
        let reply = self.inner.add_comment(key, body).await?;
        if self.happens(self.faults.doubled) {
            self.inner.add_comment(key, body).await?;
        }
        // It has landed, and its answer is still under way.
        yield_now().await;
        if self.happens(self.faults.lost_answers) {
            return Err(self.unknown(key));
        }
        Ok(reply)
    }

    async fn transition(
        &self,
        key: &IssueKey,
        step: &Transition,
        memo: Option<&str>,
    ) -> Result<Reply<Option<Comment>>, TrackerError> {
        if memo.is_some() {
            return Err(TrackerError::Unsupported {
                tracker: self.inner.name().to_owned(),
                operation: "move an issue and comment on it in one request".to_owned(),
            });
        }
        yield_now().await;
        if self.happens(self.faults.lost_writes) {
            return Err(self.unknown(key));
        }
        let reply = self.inner.transition(key, step, None).await?;
        yield_now().await;
        if self.happens(self.faults.lost_answers) {
            return Err(self.unknown(key));
        }
        Ok(reply)
    }

    async fn attachment(&self, key: &IssueKey, id: AttachmentId) -> Result<Vec<u8>, TrackerError> {
        self.readable("fetch an attachment").await?;
        self.inner.attachment(key, id).await
    }

    async fn attach(
        &self,
        key: &IssueKey,
        name: &str,
        content: &[u8],
    ) -> Result<AttachmentId, TrackerError> {
        self.inner.attach(key, name, content).await
    }

    async fn issue_names(&self) -> Result<Reply<IssueNames>, TrackerError> {
        self.readable("read the names").await?;
        self.inner.issue_names().await
    }

    async fn provide(&self, name: &IssueName) -> Result<(), TrackerError> {
        self.inner.provide(name).await
    }

    async fn create_issue(&self, draft: &IssueDraft) -> Result<IssueRef, TrackerError> {
        self.inner.create_issue(draft).await
    }
}
