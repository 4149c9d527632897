use std::fs;

use async_trait::async_trait;

use super::*;
use crate::issue::Account;
use crate::issue::AccountRef;
use crate::issue::AttachmentId;
use crate::issue::Comment;
use crate::issue::CommentId;
use crate::issue::Issue;
use crate::issue::IssueDraft;
use crate::issue::IssueRef;
use crate::lock::LockKind;
use crate::lock::LockMemo;
use crate::memo::Markers;
use crate::memo::SigningKeys;
use crate::memory::MemoryTracker;
use crate::memory::ScriptedClock;
use crate::status::Transition;
use crate::tracker::Changes;
use crate::tracker::Dialect;
use crate::tracker::IssueName;
use crate::tracker::IssueNames;
use crate::tracker::PlainDialect;
use crate::tracker::StatusEvent;
use crate::tracker::TrackerCapabilities;

/// Makes the error an issue is refused with.
type Why = fn() -> TrackerError;

/// A tracker that does not let one issue be read while `refuse` says why.
#[derive(Debug)]
struct Partly {
    inner: MemoryTracker,
    refuse: Mutex<Option<(IssueKey, Why)>>,
}

impl Partly {
    fn refuse(&self, to: Option<(&IssueKey, Why)>) {
        *self.refuse.lock().expect("no test panics holding it") =
            to.map(|(key, why)| (key.clone(), why));
    }
}

#[async_trait]
impl Tracker for Partly {
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
        if let Some((refused, why)) = &*self.refuse.lock().expect("no test panics holding it")
            && refused == key
        {
            return Err(why());
        }
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
        self.inner.issue_names().await
    }
    async fn provide(&self, name: &IssueName) -> Result<(), TrackerError> {
        self.inner.provide(name).await
    }
    async fn create_issue(&self, draft: &IssueDraft) -> Result<IssueRef, TrackerError> {
        self.inner.create_issue(draft).await
    }
}

struct World {
    tracker: Partly,
    clock: Arc<ScriptedClock>,
    protocol: Protocol,
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(ScriptedClock::new(Timestamp::from_millis(
            1_800_000_000_000,
        )));
        let inner = MemoryTracker::new().with_clock(Arc::clone(&clock) as _);
        let protocol = Protocol {
            accounts: vec![AccountRef("pipeline".into())],
            ignore_authors: Vec::new(),
            markers: Markers::default(),
            keys: SigningKeys::new(inner.identity()),
        };
        Self {
            tracker: Partly {
                inner,
                refuse: Mutex::default(),
            },
            clock,
            protocol,
            folder: tempfile::tempdir().expect("temp dir"),
        }
    }

    fn issue(&self) -> IssueKey {
        let ann = self.tracker.inner.as_person("ann");
        ann.new_issue("T", "please").expect("creates")
    }

    fn say(&self, key: &IssueKey, body: &str) {
        self.clock.advance(Duration::from_secs(5));
        let ann = self.tracker.inner.as_person("ann");
        ann.comment(key, body).expect("comments");
        self.clock.advance(Duration::from_secs(5));
    }

    fn open(&self) -> Mirror {
        Mirror::open(self.folder.path()).expect("opens")
    }

    async fn refresh(&self, mirror: &Mirror) -> View {
        self.try_refresh(mirror).await.expect("reads")
    }

    async fn try_refresh(&self, mirror: &Mirror) -> Result<View, TrackerError> {
        let none = BTreeSet::new();
        mirror
            .refresh(&self.tracker, &self.protocol, Timestamp::EPOCH, &none)
            .await
    }

    async fn refresh_unwritten(&self, mirror: &Mirror) -> View {
        let none = BTreeSet::new();
        mirror
            .refresh_unwritten(&self.tracker, &self.protocol, Timestamp::EPOCH, &none)
            .await
            .expect("reads")
    }

    /// Everything in the folder but the lock.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let entries = fs::read_dir(self.folder.path()).expect("lists");
        let mut files = BTreeMap::new();
        for entry in entries {
            let entry = entry.expect("lists");
            let name = entry.file_name().to_string_lossy().into_owned();
            files.insert(name, fs::read(entry.path()).expect("reads"));
        }
        files.remove("lock");
        files
    }
}

fn said(view: &View, key: &IssueKey) -> Vec<String> {
    let comments = &view.issues.get(key).expect("known").comments;
    comments.iter().map(|c| c.body.clone()).collect()
}

fn denied() -> TrackerError {
    TrackerError::PermissionDenied {
        tracker: "memory".into(),
        operation: "read the comments".into(),
    }
}

fn limited() -> TrackerError {
    TrackerError::RateLimited {
        tracker: "memory".into(),
        retry_after: None,
    }
}

#[tokio::test]
async fn a_slower_process_overwrites_no_newer_reading() {
    let w = World::new();
    let key = w.issue();
    let (slow, fast) = (w.open(), w.open());
    w.refresh_unwritten(&slow).await;
    w.say(&key, "stop");
    w.refresh(&fast).await;
    let folder = slow.folder.as_ref().expect("it has one");
    slow.write(folder, &key).expect("writes");
    let held = slow.lock().issues.get(&key).expect("known").comments.len();
    assert_eq!(held, 1, "what is newer is taken over");
    assert_eq!(said(&w.refresh(&w.open()).await, &key), ["stop"]);
}

#[tokio::test]
async fn a_memo_that_another_process_kept_stays_kept() {
    let w = World::new();
    let key = w.issue();
    let (one, other) = (w.open(), w.open());
    w.refresh(&one).await;
    let kind = LockKind::Beat {
        claim: CommentId(1),
        lease: Duration::from_secs(60),
    };
    let (markers, keys) = (&w.protocol.markers, &w.protocol.keys);
    let nonce = "0123456789abcdef0123456789abcdef";
    let body = LockMemo::memo(&key, nonce, &kind, "Alive.".into());
    let body = body.render(markers, &PlainDialect, &key, keys);
    let posted = w.tracker.add_comment(&key, &body).await.expect("posts");
    w.refresh(&other).await;
    let ann = w.tracker.inner.as_person("ann");
    ann.delete_comment(&key, posted.value.id).expect("deletes");
    w.clock.advance(Duration::from_secs(5));
    for mirror in [&one, &w.open()] {
        let view = w.refresh(mirror).await;
        assert!(said(&view, &key).is_empty());
        let (memos, _) = view.issues.get(&key).expect("known").locks(&w.protocol);
        assert_eq!(memos.len(), 1);
    }
}

#[tokio::test]
async fn a_write_while_a_folder_is_opened_is_not_missed() {
    let w = World::new();
    let key = w.issue();
    w.refresh(&w.open()).await;
    let other = w.open();
    let state = store::load(w.folder.path(), || {
        w.say(&key, "stop");
        let now = tokio::runtime::Builder::new_current_thread();
        std::thread::scope(|s| {
            let write = || {
                let runtime = { now }.build().expect("a runtime");
                runtime.block_on(w.refresh(&other));
            };
            s.spawn(write).join().expect("writes");
        });
    });
    let opened = Mirror::of(None, state.expect("loads"));
    assert_eq!(said(&w.refresh(&opened).await, &key), ["stop"]);
    // The mark that was read is older than the files: the issue is among the news once more.
    let state = store::load(w.folder.path(), || {
        fs::write(w.folder.path().join("mark"), "later").expect("writes");
    });
    assert_ne!(state.expect("loads").mark, Some(ChangeMark("later".into())));
}

#[tokio::test]
async fn an_unreadable_issue_stops_no_other_and_is_tried_until_it_can_be_read() {
    let w = World::new();
    let (secret, plain) = (w.issue(), w.issue());
    let mirror = w.open();
    w.refresh(&mirror).await;
    w.tracker.refuse(Some((&secret, denied)));
    w.say(&secret, "for few");
    w.say(&plain, "for all");
    let view = w.refresh(&mirror).await;
    assert_eq!(said(&view, &plain), ["for all"]);
    assert!(said(&view, &secret).is_empty(), "the last reading stays");
    let reason = view.unreadable.get(&secret).expect("it is told");
    assert!(reason.contains("does not let this account"), "{reason}");
    let open: Vec<_> = view.in_status(&Status::Open).collect();
    assert_eq!(open.len(), 1, "nothing is begun on an old reading");

    let quiet = w.files();
    w.refresh(&mirror).await;
    assert_eq!(w.files(), quiet);
    let again = w.open();
    assert_eq!(w.refresh(&again).await.unreadable.len(), 1);
    w.tracker.refuse(None);
    for mirror in [&again, &w.open(), &mirror] {
        let view = w.refresh(mirror).await;
        assert_eq!(said(&view, &secret), ["for few"]);
        assert!(view.unreadable.is_empty());
    }
}

#[tokio::test]
async fn what_concerns_every_issue_fails_the_reading_and_loses_nothing() {
    let w = World::new();
    let key = w.issue();
    let mirror = w.open();
    w.refresh(&mirror).await;
    w.say(&key, "stop");
    w.tracker.refuse(Some((&key, limited)));
    let error = w.try_refresh(&mirror).await.expect_err("it is limited");
    assert!(error.is_transient());
    w.tracker.refuse(None);
    for mirror in [&mirror, &w.open()] {
        assert_eq!(said(&w.refresh(mirror).await, &key), ["stop"]);
    }
}

#[tokio::test]
async fn an_unwritten_reading_writes_nothing_and_the_next_one_catches_up() {
    let w = World::new();
    let key = w.issue();
    let mirror = w.open();
    w.refresh(&mirror).await;
    let before = w.files();
    w.say(&key, "stop");
    assert_eq!(said(&w.refresh_unwritten(&mirror).await, &key), ["stop"]);
    let dry = Mirror::open_reading_only(w.folder.path()).expect("opens");
    assert_eq!(said(&w.refresh(&dry).await, &key), ["stop"]);
    assert_eq!(w.files(), before);
    w.refresh(&mirror).await;
    let kept = store::load(w.folder.path(), || ()).expect("loads");
    assert_eq!(kept.issues.get(&key).expect("kept").comments.len(), 1);

    let missing = w.folder.path().join("missing");
    Mirror::open_reading_only(&missing).expect("opens");
    assert!(!missing.exists());
}

#[test]
fn what_a_killed_writer_left_is_removed() {
    let w = World::new();
    fs::write(w.folder.path().join(".A-1.json.0123"), "{").expect("writes");
    drop(w.open());
    assert!(w.files().is_empty());
}
