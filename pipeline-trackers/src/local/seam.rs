//! The seam, over the folder.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use pipeline_core::issue::Account;
use pipeline_core::issue::AttachmentId;
use pipeline_core::issue::Comment;
use pipeline_core::issue::CommentId;
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
use pipeline_core::tracker::PlainDialect;
use pipeline_core::tracker::Reply;
use pipeline_core::tracker::StatusEvent;
use pipeline_core::tracker::Tracker;
use pipeline_core::tracker::TrackerCapabilities;
use pipeline_core::tracker::TrackerError;

use super::LocalTracker;
use super::NAME;
use super::blocking;
use super::entry;
use super::error::LocalError;
use super::known;
use super::limits;
use super::moving;
use super::record::Event;
use super::record::Sum;
use super::replica::Replica;

#[async_trait]
impl Tracker for LocalTracker {
    fn name(&self) -> &str {
        NAME
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn capabilities(&self) -> TrackerCapabilities {
        TrackerCapabilities {
            create_issues: true,
            attachments: true,
            comment_with_transition: true,
            forgeable_history: true,
        }
    }

    fn dialect(&self) -> &dyn Dialect {
        &PlainDialect
    }

    fn settle(&self) -> Duration {
        Duration::ZERO
    }

    async fn me(&self) -> Result<Reply<Account>, TrackerError> {
        Ok(Reply::new(self.actor.account(), self.clock.now()))
    }

    async fn list_issues(&self, query: &IssueQuery) -> Result<Reply<Vec<Issue>>, TrackerError> {
        let query = query.clone();
        self.read(move |replica| {
            for status in &query.statuses {
                known(replica, status)?;
            }
            let wanted = |issue: &&Issue| {
                (query.statuses.is_empty() || query.statuses.contains(&issue.status))
                    && query.updated_since.is_none_or(|t| issue.updated >= t)
            };
            let all = replica.entries().map(|e| &e.issue);
            Ok(all.filter(wanted).cloned().collect())
        })
        .await
    }

    async fn issue(&self, key: &IssueKey) -> Result<Reply<Issue>, TrackerError> {
        let key = key.clone();
        self.read(move |replica| Ok(entry(replica, &key)?.issue.clone()))
            .await
    }

    async fn comments(&self, key: &IssueKey) -> Result<Reply<Vec<Comment>>, TrackerError> {
        let key = key.clone();
        self.read(move |replica| Ok(entry(replica, &key)?.thread.clone()))
            .await
    }

    async fn history(&self, key: &IssueKey) -> Result<Reply<Vec<StatusEvent>>, TrackerError> {
        let key = key.clone();
        self.read(move |replica| Ok(entry(replica, &key)?.events.clone()))
            .await
    }

    async fn changes(&self, since: Option<&ChangeMark>) -> Result<Reply<Changes>, TrackerError> {
        let since = since.cloned();
        self.read(move |replica| {
            let found = since.map(|mark| changed(replica, &mark));
            let complete = !matches!(found, Some(None));
            let all = || replica.entries().map(|e| e.issue.key.clone()).collect();
            Ok(Changes {
                issues: match found {
                    None => BTreeSet::new(),
                    Some(found) => found.unwrap_or_else(all),
                },
                next: mark(replica),
                complete,
            })
        })
        .await
    }

    async fn add_comment(
        &self,
        key: &IssueKey,
        body: &str,
    ) -> Result<Reply<Comment>, TrackerError> {
        limits::body("the comment", body)?;
        let (issue, body) = (key.clone(), body.to_owned());
        let author = self.actor.account();
        self.write(move |replica, at| {
            entry(replica, &issue)?;
            let id = CommentId(replica.next_id());
            let comment = Comment::new(id, author, body.clone(), at);
            Ok((Event::Comment { issue, id, body }, comment))
        })
        .await
    }

    async fn transition(
        &self,
        key: &IssueKey,
        step: &Transition,
        memo: Option<&str>,
    ) -> Result<Reply<Option<Comment>>, TrackerError> {
        limits::body("the memo", memo.unwrap_or_default())?;
        let (issue, step, memo) = (key.clone(), step.clone(), memo.map(str::to_owned));
        let author = self.actor.account();
        self.write(move |replica, at| {
            let found = &entry(replica, &issue)?.issue.status;
            if found != step.from() {
                return Err(LocalError::StatusChanged {
                    issue,
                    expected: step.from().clone(),
                    found: found.clone(),
                });
            }
            known(replica, step.to())?;
            let (event, memo) = moving(replica, issue, step.from(), step.to(), memo);
            let comment = memo.map(|m| Comment::new(m.id, author, m.body, at));
            Ok((event, comment))
        })
        .await
    }

    async fn attachment(&self, key: &IssueKey, id: AttachmentId) -> Result<Vec<u8>, TrackerError> {
        let key = key.clone();
        let digest = self.read(move |replica| {
            entry(replica, &key)?;
            let found = replica.attachment(&key, id).and_then(|a| a.digest.clone());
            found.ok_or_else(|| LocalError::Missing(format!("attachment {id} on issue {key}")))
        });
        let digest = digest.await?.value;
        let files = self.folder.files();
        blocking("read", move || files.get(&digest)).await
    }

    async fn attach(
        &self,
        key: &IssueKey,
        name: &str,
        content: &[u8],
    ) -> Result<AttachmentId, TrackerError> {
        limits::file(name, content)?;
        let (issue, name, content) = (key.clone(), name.to_owned(), content.to_vec());
        let files = self.folder.files();
        let attached = self
            .write(move |replica, _| {
                entry(replica, &issue)?;
                let id = AttachmentId(replica.next_id());
                // The file first: a line never names content that is not there.
                let sha256 = files.put(&content)?;
                let size = content.len() as u64;
                let event = Event::Attach {
                    issue,
                    id,
                    name,
                    size,
                    sha256,
                };
                Ok((event, id))
            })
            .await?;
        Ok(attached.value)
    }

    async fn issue_names(&self) -> Result<Reply<IssueNames>, TrackerError> {
        // Every name is plain text here.
        Ok(Reply::new(IssueNames::default(), self.clock.now()))
    }

    async fn provide(&self, name: &IssueName) -> Result<(), TrackerError> {
        Ok(limits::name("a label or milestone", name.as_str())?)
    }

    async fn create_issue(&self, draft: &IssueDraft) -> Result<IssueRef, TrackerError> {
        limits::draft(draft)?;
        let draft = draft.clone();
        let created = self
            .write(move |replica, _| {
                let issue = replica.next_key();
                let key = issue.clone();
                Ok((Event::New { issue, draft }, key))
            })
            .await?;
        Ok(IssueRef {
            key: created.value,
            url: None,
        })
    }
}

fn mark(replica: &Replica) -> ChangeMark {
    ChangeMark(format!("{}-{}", replica.lines(), replica.sum))
}

fn changed(replica: &Replica, since: &ChangeMark) -> Option<BTreeSet<IssueKey>> {
    let (line, sum) = since.0.split_once('-')?;
    replica.changed(line.parse().ok()?, Sum::parse(sum)?)
}
