//! An adapter that breaks one rule.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;

use crate::issue::Account;
use crate::issue::AttachmentId;
use crate::issue::Comment;
use crate::issue::CommentId;
use crate::issue::Issue;
use crate::issue::IssueDraft;
use crate::issue::IssueKey;
use crate::issue::IssueRef;
use crate::memory::MemoryTracker;
use crate::status::Status;
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

macro_rules! lies {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum Lie { $($(#[$doc])* $name),* }

        impl Lie {
            pub(super) const ALL: &[Self] = &[$(Self::$name),*];
        }
    };
}

lies! {
    BeginsWithEverything,
    CachesThreads,
    ChangesItsIdentity,
    ClaimsEveryMove,
    CountsPerIssue,
    CutsFiles,
    CutsLongBodies,
    DeclaresNothing,
    DropsTheMemo,
    DropsTheMilestone,
    FindsNothing,
    ForgetsLabels,
    ForgetsTheMark,
    GuessesTheComment,
    HidesWhatMoved,
    IgnoresTheQuery,
    IsEverybody,
    KnowsEveryStatus,
    ListsTheFirstPage,
    LosesEveryThird,
    MakesUpFiles,
    MovesAnyway,
    MovesTwice,
    NeutralisesAgain,
    PostsBeforeItLooks,
    ReadsTheFirstPage,
    RepeatsRows,
    ReversesHistory,
    ReversesLists,
    ReversesThreads,
    Shouts,
    SkipsChanges,
    SkipsComments,
    TrimsBodies,
    TrimsTitles,
    TurnsTheClockBack,
}

/// The tracker in memory behind an adapter that lies in one way and is honest otherwise.
#[derive(Debug)]
pub(super) struct Liar {
    inner: MemoryTracker,
    lie: Lie,
    calls: AtomicU64,
    cache: Mutex<Vec<Comment>>,
}

/// Marks its text anew each time, or shouts it.
#[derive(Debug)]
struct Wordy;

#[derive(Debug)]
struct Loud;

impl Dialect for Wordy {
    fn neutralise(&self, text: &str) -> String {
        text.replace('@', "\\@")
    }
    fn max_chars(&self) -> usize {
        1000
    }
    fn key_prefix(&self) -> &str {
        ""
    }
}

impl Dialect for Loud {
    fn neutralise(&self, text: &str) -> String {
        text.to_uppercase()
    }
    fn max_chars(&self) -> usize {
        1000
    }
    fn key_prefix(&self) -> &str {
        ""
    }
}

impl Liar {
    pub(super) fn new(inner: MemoryTracker, lie: Lie) -> Self {
        Self {
            inner,
            lie,
            calls: AtomicU64::new(0),
            cache: Mutex::new(Vec::new()),
        }
    }

    fn call(&self) -> u64 {
        self.calls.fetch_add(1, Ordering::Relaxed)
    }

    fn dated<T>(&self, mut reply: Reply<T>) -> Reply<T> {
        if self.lie == Lie::TurnsTheClockBack {
            reply.date = reply.date.minus(Duration::from_secs(self.call()));
        }
        reply
    }
}

#[async_trait]
impl Tracker for Liar {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn identity(&self) -> String {
        match self.lie {
            Lie::ChangesItsIdentity => format!("liar:{}", self.call()),
            _ => self.inner.identity(),
        }
    }

    fn capabilities(&self) -> TrackerCapabilities {
        match self.lie {
            Lie::DeclaresNothing => TrackerCapabilities::default(),
            _ => self.inner.capabilities(),
        }
    }

    fn dialect(&self) -> &dyn Dialect {
        match self.lie {
            Lie::NeutralisesAgain => &Wordy,
            Lie::Shouts => &Loud,
            _ => self.inner.dialect(),
        }
    }

    fn settle(&self) -> Duration {
        self.inner.settle()
    }

    async fn me(&self) -> Result<Reply<Account>, TrackerError> {
        let mut me = self.inner.me().await?;
        if self.lie == Lie::IsEverybody {
            me.value = self.inner.as_person("alice").account().clone();
        }
        Ok(self.dated(me))
    }

    async fn list_issues(&self, query: &IssueQuery) -> Result<Reply<Vec<Issue>>, TrackerError> {
        let mut query = query.clone();
        match self.lie {
            Lie::KnowsEveryStatus => query.statuses.retain(|s| !matches!(s, Status::Other(_))),
            Lie::IgnoresTheQuery => query.statuses.clear(),
            _ => {}
        }
        let mut reply = self.inner.list_issues(&query).await?;
        match self.lie {
            Lie::ListsTheFirstPage => reply.value.truncate(1),
            Lie::HidesWhatMoved if query.statuses.is_empty() => {
                reply.value.retain(|i| i.status == Status::Open);
            }
            Lie::ReversesLists => reply.value.reverse(),
            Lie::RepeatsRows => reply.value.extend_from_within(..1),
            _ => {}
        }
        Ok(self.dated(reply))
    }

    async fn issue(&self, key: &IssueKey) -> Result<Reply<Issue>, TrackerError> {
        let mut reply = self
            .inner
            .issue(key)
            .await
            .map_err(|error| match self.lie {
                Lie::FindsNothing => TrackerError::Unavailable {
                    tracker: "liar".to_owned(),
                    operation: "read".to_owned(),
                    source: None,
                },
                _ => error,
            })?;
        match self.lie {
            Lie::TrimsTitles => reply.value.title.truncate(3),
            Lie::ForgetsLabels => reply.value.labels.clear(),
            Lie::DropsTheMilestone => reply.value.milestone = None,
            _ => {}
        }
        Ok(self.dated(reply))
    }

    async fn comments(&self, key: &IssueKey) -> Result<Reply<Vec<Comment>>, TrackerError> {
        let mut reply = self.inner.comments(key).await?;
        match self.lie {
            Lie::ReversesThreads => reply.value.reverse(),
            Lie::ReadsTheFirstPage => reply.value.truncate(2),
            Lie::CachesThreads => {
                let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
                reply.value.clone_from(&cache);
            }
            _ => {}
        }
        Ok(self.dated(reply))
    }

    async fn history(&self, key: &IssueKey) -> Result<Reply<Vec<StatusEvent>>, TrackerError> {
        let mut reply = self.inner.history(key).await?;
        match self.lie {
            Lie::ReversesHistory => reply.value.reverse(),
            Lie::ClaimsEveryMove => {
                let me = self.inner.me().await?.value;
                for event in &mut reply.value {
                    event.actor = Some(me.clone());
                }
            }
            Lie::GuessesTheComment => {
                let thread = self.inner.comments(key).await?.value;
                for event in &mut reply.value {
                    event.after_comment = thread.last().map(|c| c.id);
                }
            }
            _ => {}
        }
        Ok(self.dated(reply))
    }

    async fn changes(&self, since: Option<&ChangeMark>) -> Result<Reply<Changes>, TrackerError> {
        let mut reply = self.inner.changes(since).await?;
        match self.lie {
            Lie::BeginsWithEverything => {
                let all = self.inner.list_issues(&IssueQuery::default()).await?.value;
                reply.value.issues.extend(all.into_iter().map(|i| i.key));
            }
            Lie::ForgetsTheMark => {
                reply = self.inner.changes(None).await?;
            }
            Lie::SkipsChanges => {
                reply.value.issues.pop_last();
            }
            Lie::SkipsComments => {
                // What a tracker does whose `updated` does not move with a comment.
                let all = self.inner.list_issues(&IssueQuery::default()).await?.value;
                let commented =
                    |key: &IssueKey| all.iter().any(|i| i.key == *key && i.body.len() > 7);
                reply.value.issues.retain(|key| !commented(key));
            }
            _ => {}
        }
        Ok(self.dated(reply))
    }

    async fn add_comment(
        &self,
        key: &IssueKey,
        body: &str,
    ) -> Result<Reply<Comment>, TrackerError> {
        let stored = match self.lie {
            Lie::TrimsBodies => body.trim_end().to_owned(),
            Lie::CutsLongBodies => body.chars().take(1000).collect(),
            _ => body.to_owned(),
        };
        let lost = self.lie == Lie::LosesEveryThird && self.call() % 3 == 2;
        let mut reply = self.inner.add_comment(key, &stored).await?;
        if lost {
            let alice = self.inner.as_person("alice");
            alice.delete_comment(key, reply.value.id)?;
        }
        if self.lie == Lie::CountsPerIssue {
            reply.value.id = CommentId(self.inner.comments(key).await?.value.len() as u64);
        }
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.push(reply.value.clone());
        Ok(self.dated(reply))
    }

    async fn transition(
        &self,
        key: &IssueKey,
        step: &Transition,
        memo: Option<&str>,
    ) -> Result<Reply<Option<Comment>>, TrackerError> {
        let memo = match self.lie {
            Lie::DropsTheMemo => None,
            _ => memo,
        };
        match self.lie {
            Lie::MovesAnyway => {
                let to = step.to().clone();
                self.inner.as_person("pipeline").move_to(key, &to)?;
                let reply = self.inner.me().await?;
                return Ok(Reply::new(None, reply.date));
            }
            Lie::PostsBeforeItLooks => {
                if let Some(memo) = memo {
                    self.inner.add_comment(key, memo).await?;
                }
            }
            Lie::MovesTwice => {
                let alice = self.inner.as_person("pipeline");
                alice.move_to(key, step.to())?;
                alice.move_to(key, step.from())?;
            }
            _ => {}
        }
        let reply = self.inner.transition(key, step, memo).await?;
        Ok(self.dated(reply))
    }

    async fn attachment(&self, key: &IssueKey, id: AttachmentId) -> Result<Vec<u8>, TrackerError> {
        match (self.lie, self.inner.attachment(key, id).await) {
            (Lie::MakesUpFiles, Err(_)) => Ok(Vec::new()),
            (Lie::CutsFiles, Ok(content)) => Ok(content.into_iter().skip(1).collect()),
            (_, answer) => answer,
        }
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
        self.inner.issue_names().await
    }

    async fn provide(&self, name: &IssueName) -> Result<(), TrackerError> {
        self.inner.provide(name).await
    }

    async fn create_issue(&self, draft: &IssueDraft) -> Result<IssueRef, TrackerError> {
        self.inner.create_issue(draft).await
    }
}
