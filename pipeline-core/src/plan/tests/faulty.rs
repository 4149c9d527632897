//! A world in which everything may fail, or the process die, at any single step.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::issue::*;
use crate::journal::Entry;
use crate::journal::Journal;
use crate::journal::JournalError;
use crate::journal::MemoryJournal;
use crate::journal::Record;
use crate::memory::MemoryTracker;
use crate::plan::FilesError;
use crate::plan::PlanFiles;
use crate::plan::Replaced;
use crate::status::Transition;
use crate::tracker::*;

/// Dies at one step; a step lies before and after each effect.
#[derive(Debug, Default)]
pub(super) struct Fuse {
    passed: AtomicUsize,
    dies_at: Option<usize>,
}

impl Fuse {
    pub(super) fn at(step: usize) -> Arc<Self> {
        Arc::new(Self {
            passed: AtomicUsize::new(0),
            dies_at: Some(step),
        })
    }

    fn step(&self) {
        let passed = self.passed.fetch_add(1, Ordering::SeqCst);
        assert_ne!(Some(passed), self.dies_at, "killed");
    }
}

/// What happens to one call of `create_issue`.
#[derive(Debug, Clone)]
pub(super) enum Trouble {
    /// The issue is made and the reply lost.
    Landed,
    /// The request is lost.
    Lost,
    /// Asked to come back.
    Later(Duration),
    /// Refused.
    Denied,
}

#[derive(Debug)]
pub(super) struct Faulty {
    pub(super) inner: MemoryTracker,
    pub(super) fuse: Arc<Fuse>,
    /// By the number of the creation, from 0.
    pub(super) trouble: Mutex<BTreeMap<usize, Trouble>>,
    pub(super) creations: AtomicUsize,
    pub(super) reads: AtomicUsize,
    pub(super) provides: AtomicUsize,
}

impl Faulty {
    pub(super) fn over(inner: &MemoryTracker, fuse: &Arc<Fuse>) -> Self {
        Self {
            inner: inner.clone(),
            fuse: Arc::clone(fuse),
            trouble: Mutex::default(),
            creations: AtomicUsize::new(0),
            reads: AtomicUsize::new(0),
            provides: AtomicUsize::new(0),
        }
    }

    fn read(&self) {
        self.reads.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn writes(&self) -> usize {
        self.creations.load(Ordering::SeqCst) + self.provides.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Tracker for Faulty {
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
        self.read();
        self.inner.me().await
    }
    async fn list_issues(&self, query: &IssueQuery) -> Result<Reply<Vec<Issue>>, TrackerError> {
        self.read();
        let mut all = self.inner.list_issues(query).await?;
        for issue in &mut all.value {
            issue.url = Some(format!("https://g.example/a/b/-/issues/{}", issue.key));
        }
        Ok(all)
    }
    async fn issue(&self, key: &IssueKey) -> Result<Reply<Issue>, TrackerError> {
        self.read();
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
    async fn add_comment(&self, k: &IssueKey, body: &str) -> Result<Reply<Comment>, TrackerError> {
        self.inner.add_comment(k, body).await
    }
    async fn transition(
        &self,
        key: &IssueKey,
        step: &Transition,
        memo: Option<&str>,
    ) -> Result<Reply<Option<Comment>>, TrackerError> {
        self.inner.transition(key, step, memo).await
    }
    async fn attachment(&self, key: &IssueKey, id: AttachmentId) -> Result<Vec<u8>, TrackerError> {
        self.inner.attachment(key, id).await
    }
    async fn attach(&self, k: &IssueKey, n: &str, c: &[u8]) -> Result<AttachmentId, TrackerError> {
        self.inner.attach(k, n, c).await
    }
    async fn issue_names(&self) -> Result<Reply<IssueNames>, TrackerError> {
        self.read();
        self.inner.issue_names().await
    }
    async fn provide(&self, name: &IssueName) -> Result<(), TrackerError> {
        self.fuse.step();
        self.provides.fetch_add(1, Ordering::SeqCst);
        let done = self.inner.provide(name).await;
        self.fuse.step();
        done
    }
    async fn create_issue(&self, draft: &IssueDraft) -> Result<IssueRef, TrackerError> {
        self.fuse.step();
        let at = self.creations.fetch_add(1, Ordering::SeqCst);
        let trouble = self.trouble.lock().unwrap().get(&at).cloned();
        let unknown = || TrackerError::OutcomeUnknown {
            tracker: "faulty".into(),
            issue: "a new issue".into(),
            source: None,
        };
        let made = match trouble {
            None => self.inner.create_issue(draft).await,
            Some(Trouble::Landed) => self
                .inner
                .create_issue(draft)
                .await
                .and_then(|_| Err(unknown())),
            Some(Trouble::Lost) => Err(unknown()),
            Some(Trouble::Later(wait)) => Err(TrackerError::RateLimited {
                tracker: "faulty".into(),
                retry_after: Some(wait),
            }),
            Some(Trouble::Denied) => Err(TrackerError::PermissionDenied {
                tracker: "faulty".into(),
                operation: "create issues".into(),
            }),
        };
        self.fuse.step();
        made.map(|made| IssueRef {
            url: Some(format!("https://g.example/a/b/-/issues/{}", made.key)),
            key: made.key,
        })
    }
}

/// A journal that dies before or after each record.
#[derive(Debug)]
pub(super) struct FaultyJournal {
    pub(super) inner: Arc<MemoryJournal>,
    pub(super) fuse: Arc<Fuse>,
}

impl Journal for FaultyJournal {
    fn append(&self, at: Timestamp, record: &Record) -> Result<u64, JournalError> {
        self.fuse.step();
        let done = self.inner.append(at, record);
        self.fuse.step();
        done
    }
    fn entries(&self) -> Result<Vec<Entry>, JournalError> {
        self.inner.entries()
    }
}

type OnReplace = Box<dyn FnMut(&mut String) + Send>;

/// Files in memory; a person may change one right before it is replaced.
#[derive(Default)]
pub(super) struct Files {
    pub(super) texts: Mutex<BTreeMap<String, String>>,
    pub(super) read_only: bool,
    pub(super) writes: AtomicUsize,
    pub(super) before_replace: Mutex<Option<OnReplace>>,
    pub(super) fuse: Mutex<Arc<Fuse>>,
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Files")
    }
}

impl Files {
    pub(super) fn with(texts: &[(&str, &str)]) -> Self {
        let files = Self::default();
        for (path, text) in texts {
            files.set(path, text);
        }
        files
    }

    pub(super) fn set(&self, path: &str, text: &str) {
        self.texts
            .lock()
            .unwrap()
            .insert(path.to_owned(), text.to_owned());
    }

    pub(super) fn get(&self, path: &str) -> String {
        self.texts.lock().unwrap()[path].clone()
    }
}

impl PlanFiles for Files {
    fn read(&self, path: &str) -> Result<String, FilesError> {
        let found = self.texts.lock().unwrap().get(path).cloned();
        found.ok_or_else(|| FilesError::Io {
            path: path.into(),
            operation: "read",
            source: std::io::ErrorKind::NotFound.into(),
        })
    }
    fn exists(&self, path: &str) -> bool {
        self.texts.lock().unwrap().contains_key(path)
    }
    fn writable(&self, path: &str) -> Result<(), FilesError> {
        if self.read_only {
            return Err(FilesError::ReadOnly { path: path.into() });
        }
        Ok(())
    }
    fn replace(&self, path: &str, before: &str, after: &str) -> Result<Replaced, FilesError> {
        let fuse = Arc::clone(&self.fuse.lock().unwrap());
        fuse.step();
        if let Some(mut change) = self.before_replace.lock().unwrap().take() {
            let mut texts = self.texts.lock().unwrap();
            change(texts.get_mut(path).expect("the file is there"));
        }
        if self.get(path) != before {
            return Ok(Replaced::ChangedMeanwhile);
        }
        self.set(path, after);
        self.writes.fetch_add(1, Ordering::SeqCst);
        fuse.step();
        Ok(Replaced::Yes)
    }
}
