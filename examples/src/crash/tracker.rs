//! A tracker with a crash point before each write.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pipeline_core::issue::Account;
use pipeline_core::issue::AttachmentId;
use pipeline_core::issue::Comment;
use pipeline_core::issue::Issue;
use pipeline_core::issue::IssueDraft;
use pipeline_core::issue::IssueKey;

use pipeline_core::issue::IssueRef;
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

use super::Points;

/// A tracker with a crash point before each write.
#[derive(Debug)]
pub struct CrashingTracker {
    inner: Arc<dyn Tracker>,
    points: Points,
}

impl CrashingTracker {
    /// Wraps a tracker.
    #[must_use]
    pub const fn new(inner: Arc<dyn Tracker>, points: Points) -> Self {
        Self { inner, points }
    }
}

#[async_trait]
impl Tracker for CrashingTracker {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn identity(&self) -> String {
        self.inner.identity()
    }

    fn capabilities(&self) -> TrackerCapabilities {
        self.inner.capabilities()
    }

    fn dialect(&self) -> &dyn Dialect {
        self.inner.dialect()
    }

    fn settle(&self) -> Duration {
        self.inner.settle()
    }

    async fn me(&self) -> Result<Reply<Account>, TrackerError> {
        self.inner.me().await
    }

    async fn list_issues(&self, query: &IssueQuery) -> Result<Reply<Vec<Issue>>, TrackerError> {
        self.inner.list_issues(query).await
    }

    async fn issue(&self, key: &IssueKey) -> Result<Reply<Issue>, TrackerError> {
        self.inner.issue(key).await
    }

    async fn comments(&self, key: &IssueKey) -> Result<Reply<Vec<Comment>>, TrackerError> {
        self.inner.comments(key).await
    }

    async fn history(&self, key: &IssueKey) -> Result<Reply<Vec<StatusEvent>>, TrackerError> {
        self.inner.history(key).await
    }

    async fn changes(&self, since: Option<&ChangeMark>) -> Result<Reply<Changes>, TrackerError> {
        self.inner.changes(since).await
    }

    async fn add_comment(
        &self,
        key: &IssueKey,
        body: &str,
    ) -> Result<Reply<Comment>, TrackerError> {
        let effect = self.inner.add_comment(key, body);
        self.points.before("comment", effect).await
    }

    async fn transition(
        &self,
        key: &IssueKey,
        step: &Transition,
        memo: Option<&str>,
    ) -> Result<Reply<Option<Comment>>, TrackerError> {
        let effect = self.inner.transition(key, step, memo);
        self.points.before("move", effect).await
    }

    async fn attachment(&self, key: &IssueKey, id: AttachmentId) -> Result<Vec<u8>, TrackerError> {
        self.inner.attachment(key, id).await
    }

    async fn attach(
        &self,
        key: &IssueKey,
        name: &str,
        content: &[u8],
    ) -> Result<AttachmentId, TrackerError> {
        let effect = self.inner.attach(key, name, content);
        self.points.before("attach", effect).await
    }

    async fn issue_names(&self) -> Result<Reply<IssueNames>, TrackerError> {
        self.inner.issue_names().await
    }

    async fn provide(&self, name: &IssueName) -> Result<(), TrackerError> {
        let effect = self.inner.provide(name);
        self.points.before("provide a name", effect).await
    }

    async fn create_issue(&self, draft: &IssueDraft) -> Result<IssueRef, TrackerError> {
        let effect = self.inner.create_issue(draft);
        self.points.before("create issue", effect).await
    }
}
