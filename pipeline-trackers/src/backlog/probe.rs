//! What `doctor` asks.

use async_trait::async_trait;
use pipeline_core::tracker::TrackerError;

use super::BacklogTracker;
use crate::finding::Finding;
use crate::finding::Probe;

#[async_trait]
impl Probe for BacklogTracker {
    async fn probe(&self) -> Result<Vec<Finding>, TrackerError> {
        let mut findings = Vec::new();
        if self.may_change_issues().await? == Some(false) {
            findings.push(Finding::new(
                "the account's role lets it comment and never move an issue",
                "give the pipeline's account the role member (classic plan: normal user)",
            ));
        }
        let (found, configured) = (self.text_mode().await?, self.shared.options.text);
        if found != configured {
            findings.push(Finding::new(
                format!(
                    "the project shows texts as {}, and the pipeline writes {}",
                    found.name(),
                    configured.name()
                ),
                format!("[tracker.backlog] text = \"{}\"", found.name()),
            ));
        }
        if self.read_project().await?.archived == serde_json::Value::Bool(true) {
            findings.push(Finding::new(
                "the project is archived and takes no changes",
                "unarchive it, or name another one in [tracker] project",
            ));
        }
        Ok(findings)
    }
}
