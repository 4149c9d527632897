//! The seam.

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

use super::BacklogTracker;
use super::NAME;
use super::wire;

#[async_trait]
impl Tracker for BacklogTracker {
    fn name(&self) -> &str {
        NAME
    }

    fn identity(&self) -> String {
        self.address().identity()
    }

    fn capabilities(&self) -> TrackerCapabilities {
        TrackerCapabilities {
            create_issues: true,
            attachments: true,
            comment_with_transition: true,
            forgeable_history: false,
        }
    }

    fn dialect(&self) -> &dyn Dialect {
        &self.shared.options.text
    }

    fn settle(&self) -> Duration {
        self.settle_time()
    }

    async fn me(&self) -> Result<Reply<Account>, TrackerError> {
        let me = self.read_me().await?;
        Ok(Reply::new(me.value.account(), me.date))
    }

    async fn list_issues(&self, query: &IssueQuery) -> Result<Reply<Vec<Issue>>, TrackerError> {
        self.read_issues(query).await
    }

    async fn issue(&self, key: &IssueKey) -> Result<Reply<Issue>, TrackerError> {
        self.read_issue(key).await
    }

    async fn comments(&self, key: &IssueKey) -> Result<Reply<Vec<Comment>>, TrackerError> {
        let thread = self.read_thread(key).await?;
        let comments = thread.value.iter().map(wire::Comment::comment).collect();
        Ok(Reply::new(comments, thread.date))
    }

    async fn history(&self, key: &IssueKey) -> Result<Reply<Vec<StatusEvent>>, TrackerError> {
        self.read_history(key).await
    }

    async fn changes(&self, since: Option<&ChangeMark>) -> Result<Reply<Changes>, TrackerError> {
        self.read_changes(since).await
    }

    async fn add_comment(
        &self,
        key: &IssueKey,
        body: &str,
    ) -> Result<Reply<Comment>, TrackerError> {
        self.comment(key, body).await
    }

    async fn transition(
        &self,
        key: &IssueKey,
        step: &Transition,
        memo: Option<&str>,
    ) -> Result<Reply<Option<Comment>>, TrackerError> {
        self.make_move(key, step, memo).await
    }

    async fn attachment(&self, key: &IssueKey, id: AttachmentId) -> Result<Vec<u8>, TrackerError> {
        self.fetch_file(key, id).await
    }

    async fn attach(
        &self,
        key: &IssueKey,
        name: &str,
        content: &[u8],
    ) -> Result<AttachmentId, TrackerError> {
        self.attach_file(key, name, content).await
    }

    async fn issue_names(&self) -> Result<Reply<IssueNames>, TrackerError> {
        self.names().await
    }

    async fn provide(&self, name: &IssueName) -> Result<(), TrackerError> {
        self.provide_name(name).await
    }

    async fn create_issue(&self, draft: &IssueDraft) -> Result<IssueRef, TrackerError> {
        self.create(draft).await
    }
}
