//! The seam, as the pipeline sees it.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;

use super::MemoryTracker;
use super::NAME;
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

#[async_trait]
impl Tracker for MemoryTracker {
    fn name(&self) -> &str {
        NAME
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn capabilities(&self) -> TrackerCapabilities {
        self.capabilities
    }

    fn dialect(&self) -> &dyn Dialect {
        &*self.dialect
    }

    fn settle(&self) -> Duration {
        self.settle
    }

    async fn me(&self) -> Result<Reply<Account>, TrackerError> {
        drop(self.reachable("ask for the account")?);
        Ok(self.reply(self.me.clone()))
    }

    async fn list_issues(&self, query: &IssueQuery) -> Result<Reply<Vec<Issue>>, TrackerError> {
        let state = self.reachable("list issues")?;
        for status in &query.statuses {
            state.known(status)?;
        }
        let wanted = |issue: &Issue| {
            (query.statuses.is_empty() || query.statuses.contains(&issue.status))
                && query.updated_since.is_none_or(|t| issue.updated >= t)
        };
        let found = state.issues().filter(|i| wanted(i)).cloned().collect();
        Ok(self.reply(found))
    }

    async fn issue(&self, key: &IssueKey) -> Result<Reply<Issue>, TrackerError> {
        let issue = self.reachable("read an issue")?.issue(key)?.clone();
        Ok(self.reply(issue))
    }

    async fn comments(&self, key: &IssueKey) -> Result<Reply<Vec<Comment>>, TrackerError> {
        let now = self.clock.elapsed();
        let thread = self.reachable("read a thread")?.thread(key, now)?;
        Ok(self.reply(thread))
    }

    async fn history(&self, key: &IssueKey) -> Result<Reply<Vec<StatusEvent>>, TrackerError> {
        let events = self.reachable("read a history")?.events(key)?.to_vec();
        Ok(self.reply(events))
    }

    async fn changes(&self, since: Option<&ChangeMark>) -> Result<Reply<Changes>, TrackerError> {
        let now = self.clock.elapsed();
        let state = self.reachable("read the changes")?;
        let next = ChangeMark(state.frontier(now).to_string());
        let changes = match since.map(|m| m.0.parse().ok().and_then(|n| state.changed(n, now))) {
            None => Changes {
                issues: BTreeSet::new(),
                next,
                complete: true,
            },
            Some(Some(issues)) => Changes {
                issues,
                next,
                complete: true,
            },
            Some(None) => Changes {
                issues: state.issues().map(|i| i.key.clone()).collect(),
                next,
                complete: false,
            },
        };
        Ok(self.reply(changes))
    }

    async fn add_comment(
        &self,
        key: &IssueKey,
        body: &str,
    ) -> Result<Reply<Comment>, TrackerError> {
        let (now, at) = (self.clock.now(), self.clock.elapsed());
        let comment = self.write("post a comment", key.as_str(), |s| {
            s.push_comment(key, &self.me, body, now, at)
        })?;
        Ok(Reply::new(comment, now))
    }

    async fn transition(
        &self,
        key: &IssueKey,
        step: &Transition,
        memo: Option<&str>,
    ) -> Result<Reply<Option<Comment>>, TrackerError> {
        self.supports(
            memo.is_none() || self.capabilities.comment_with_transition,
            "move an issue and comment on it in one request",
        )?;
        let (now, at) = (self.clock.now(), self.clock.elapsed());
        let comment = self.write("move an issue", key.as_str(), |s| {
            let found = &s.issue(key)?.status;
            if found != step.from() {
                return Err(TrackerError::StatusChanged {
                    issue: key.clone(),
                    expected: step.from().clone(),
                    found: found.clone(),
                });
            }
            s.known(step.to())?;
            // The memo first, so that it stands right before the move it explains.
            let comment = memo
                .map(|body| s.push_comment(key, &self.me, body, now, at))
                .transpose()?;
            s.move_issue(key, &self.me, step.to(), now, at)?;
            Ok(comment)
        })?;
        Ok(Reply::new(comment, now))
    }

    async fn attachment(&self, key: &IssueKey, id: AttachmentId) -> Result<Vec<u8>, TrackerError> {
        self.supports(self.capabilities.attachments, "fetch attachments")?;
        self.reachable("fetch an attachment")?.file(key, id)
    }

    async fn attach(
        &self,
        key: &IssueKey,
        name: &str,
        content: &[u8],
    ) -> Result<AttachmentId, TrackerError> {
        self.supports(self.capabilities.attachments, "attach files")?;
        let (now, at) = (self.clock.now(), self.clock.elapsed());
        self.write("attach a file", key.as_str(), |s| {
            s.push_file(key, &self.me, name, content, now, at)
        })
    }

    async fn issue_names(&self) -> Result<Reply<IssueNames>, TrackerError> {
        self.supports(self.capabilities.create_issues, "create issues")?;
        let names = self.reachable("read the names")?.names.clone();
        Ok(self.reply(names))
    }

    async fn provide(&self, name: &IssueName) -> Result<(), TrackerError> {
        self.supports(self.capabilities.create_issues, "create issues")?;
        if self.reachable("look for a name")?.has(name) {
            return Ok(());
        }
        self.write("make a name", name.as_str(), |s| {
            s.push_name(name, &self.me);
            Ok(())
        })
    }

    async fn create_issue(&self, draft: &IssueDraft) -> Result<IssueRef, TrackerError> {
        self.supports(self.capabilities.create_issues, "create issues")?;
        let (now, at) = (self.clock.now(), self.clock.elapsed());
        let key = self.write("create an issue", "a new issue", |s| {
            s.names_known(draft)?;
            Ok(s.push_issue(&self.me, draft, now, at))
        })?;
        Ok(IssueRef { key, url: None })
    }
}
