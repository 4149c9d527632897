//! The tracker conformance suite on the local tracker.

use std::sync::Arc;

use async_trait::async_trait;
use pipeline_core::BoxError;
use pipeline_core::conformance::tracker::TrackerHarness;
use pipeline_core::issue::Account;
use pipeline_core::issue::CommentId;
use pipeline_core::issue::IssueDraft;
use pipeline_core::issue::IssueKey;
use pipeline_core::secret::Secret;
use pipeline_core::status::Status;
use pipeline_core::tracker::Tracker;
use pipeline_trackers::local::Actor;
use pipeline_trackers::local::IssueEdit;
use pipeline_trackers::local::LocalStatuses;
use pipeline_trackers::local::LocalTracker;
use tempfile::TempDir;

/// The person has opened the folder on her own, as the command line does, and shares nothing with the pipeline.
struct LocalHarness {
    _scratch: TempDir,
    pipeline: LocalTracker,
    alice: LocalTracker,
}

#[async_trait]
impl TrackerHarness for LocalHarness {
    async fn fresh() -> Result<Self, BoxError> {
        let scratch = tempfile::tempdir()?;
        let dir = scratch.path().join("tracker");
        LocalTracker::init(&dir, &LocalStatuses::default())?;
        Ok(Self {
            pipeline: LocalTracker::open(&dir, Actor::pipeline())?,
            alice: LocalTracker::open(&dir, Actor::person("alice")?)?,
            _scratch: scratch,
        })
    }

    fn tracker(&self) -> Arc<dyn Tracker> {
        Arc::new(self.pipeline.clone())
    }

    async fn human(&self) -> Result<Account, BoxError> {
        Ok(self.alice.actor().account())
    }

    fn page(&self) -> usize {
        1
    }

    fn label(&self) -> Option<String> {
        Some("bug".to_owned())
    }

    async fn settle(&self) {}

    async fn new_issue_by_human(&self, title: &str, body: &str) -> Result<IssueKey, BoxError> {
        let draft = IssueDraft {
            title: title.to_owned(),
            body: body.to_owned(),
            ..IssueDraft::default()
        };
        Ok(self.alice.create_issue(&draft).await?.key)
    }

    async fn comment_by_human(&self, key: &IssueKey, body: &str) -> Result<CommentId, BoxError> {
        Ok(self.alice.add_comment(key, body).await?.value.id)
    }

    async fn move_by_human(&self, key: &IssueKey, to: &Status) -> Result<(), BoxError> {
        Ok(self.alice.move_to(key, to).await?)
    }

    async fn edit_body_by_human(&self, key: &IssueKey, body: &str) -> Result<(), BoxError> {
        let edit = IssueEdit::new().body(body);
        Ok(self.alice.edit(key, edit).await?)
    }

    async fn edit_comment_by_human(
        &self,
        key: &IssueKey,
        id: CommentId,
        body: &str,
    ) -> Result<(), BoxError> {
        Ok(self.alice.edit_comment(key, id, body).await?)
    }

    async fn delete_comment_by_human(&self, key: &IssueKey, id: CommentId) -> Result<(), BoxError> {
        Ok(self.alice.delete_comment(key, id).await?)
    }

    fn missing_issue(&self) -> IssueKey {
        IssueKey::new("4711").expect("digits are a key")
    }

    async fn in_trouble(&self, _canary: &Secret) -> Result<Vec<Arc<dyn Tracker>>, BoxError> {
        // A folder has no credential.
        Ok(Vec::new())
    }
}

mod suite {
    pipeline_core::tracker_conformance!(super::LocalHarness);
}
