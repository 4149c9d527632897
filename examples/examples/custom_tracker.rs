//! A tracker of one's own: another one whose every write is written down first, for the auditors.
//!
//! `cargo run -p pipeline-examples --example custom_tracker`
//!
//! A tracker from nothing, with the suite it passes, is in `docs/writing-a-tracker.md`.

use std::error::Error;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use pipeline_core::issue::*;
use pipeline_core::status::Transition;
use pipeline_core::tracker::*;

type Answer<T> = Result<T, TrackerError>;

/// Another tracker, and where its writes are written down.
pub struct Audited {
    inner: Arc<dyn Tracker>,
    log: Mutex<Box<dyn Write + Send>>,
}

impl Audited {
    /// Writes every write to `inner` into `log` before it is sent.
    pub fn new(inner: Arc<dyn Tracker>, log: impl Write + Send + 'static) -> Self {
        let log = Mutex::new(Box::new(log) as _);
        Self { inner, log }
    }

    /// What cannot be written down does not happen.
    fn note(&self, operation: &str, on: &str) -> Answer<()> {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let written = writeln!(log, "{operation} {on}").and_then(|()| log.flush());
        written.map_err(|error| TrackerError::Other {
            tracker: self.name().to_owned(),
            operation: format!("write down: {operation} {on}"),
            source: Some(error.into()),
        })
    }
}

impl std::fmt::Debug for Audited {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Audited").field(&self.inner).finish()
    }
}

#[async_trait]
impl Tracker for Audited {
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
    async fn me(&self) -> Answer<Reply<Account>> {
        self.inner.me().await
    }
    async fn list_issues(&self, query: &IssueQuery) -> Answer<Reply<Vec<Issue>>> {
        self.inner.list_issues(query).await
    }
    async fn issue(&self, key: &IssueKey) -> Answer<Reply<Issue>> {
        self.inner.issue(key).await
    }
    async fn comments(&self, key: &IssueKey) -> Answer<Reply<Vec<Comment>>> {
        self.inner.comments(key).await
    }
    async fn history(&self, key: &IssueKey) -> Answer<Reply<Vec<StatusEvent>>> {
        self.inner.history(key).await
    }
    async fn changes(&self, since: Option<&ChangeMark>) -> Answer<Reply<Changes>> {
        self.inner.changes(since).await
    }
    async fn add_comment(&self, key: &IssueKey, body: &str) -> Answer<Reply<Comment>> {
        self.note("comment on", key.as_str())?;
        self.inner.add_comment(key, body).await
    }
    async fn transition(
        &self,
        key: &IssueKey,
        step: &Transition,
        memo: Option<&str>,
    ) -> Answer<Reply<Option<Comment>>> {
        self.note(&format!("move to {}", step.to().name()), key.as_str())?;
        self.inner.transition(key, step, memo).await
    }
    async fn attachment(&self, key: &IssueKey, id: AttachmentId) -> Answer<Vec<u8>> {
        self.inner.attachment(key, id).await
    }
    async fn attach(&self, key: &IssueKey, name: &str, content: &[u8]) -> Answer<AttachmentId> {
        self.note("attach to", key.as_str())?;
        self.inner.attach(key, name, content).await
    }
    async fn issue_names(&self) -> Answer<Reply<IssueNames>> {
        self.inner.issue_names().await
    }
    async fn provide(&self, name: &IssueName) -> Answer<()> {
        self.note("provide", &format!("{name:?}"))?;
        self.inner.provide(name).await
    }
    async fn create_issue(&self, draft: &IssueDraft) -> Answer<IssueRef> {
        self.note("create", &draft.title)?;
        self.inner.create_issue(draft).await
    }
}

/// Comments on an issue of a tracker in memory, and shows what was written down.
///
/// # Errors
/// If that fails.
pub async fn run(out: &mut (dyn Write + Send)) -> Result<(), Box<dyn Error>> {
    let memory = pipeline_core::memory::MemoryTracker::new();
    let issue = memory.as_person("ann").new_issue("Greet", "By name.")?;
    let (mut read, log) = std::io::pipe()?;
    let tracker = Audited::new(Arc::new(memory), log);
    tracker.add_comment(&issue, "Understood.").await?;
    let said = tracker.comments(&issue).await?.value.len();
    drop(tracker);
    let written = std::io::read_to_string(&mut read)?;
    writeln!(out, "{said} comment; written down: {}", written.trim())?;
    Ok(())
}

#[allow(dead_code, reason = "a test includes this file for `run`")]
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    run(&mut std::io::stdout()).await
}
