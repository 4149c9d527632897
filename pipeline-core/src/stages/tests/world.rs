//! A small world: a tracker, a repository, an agent, a person.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use serde_json::json;

use crate::agent::Confinement;
use crate::agent::TaskKind;
use crate::clock::Clock;
use crate::clock::Timestamp;
use crate::conflict::RuleSet;
use crate::event::Event;
use crate::event::Observer;
use crate::gate::GateEvidence;
use crate::gate::GatePlace;
use crate::gate::Person;
use crate::issue::AccountRef;
use crate::issue::IssueKey;
use crate::journal::Entry;
use crate::journal::Journal;
use crate::journal::JournalError;
use crate::journal::MemoryJournal;
use crate::journal::Record;
use crate::lock::Integrator;
use crate::memo::Markers;
use crate::memo::SigningKeys;
use crate::memory::MemoryGate;
use crate::memory::MemoryIntegrator;
use crate::memory::MemoryPerson;
use crate::memory::MemoryRepository;
use crate::memory::MemoryTracker;
use crate::memory::MemoryWorkspaces;
use crate::memory::ScriptedAgent;
use crate::memory::ScriptedClock;
use crate::memory::ScriptedTurn;
use crate::pipeline::Conflicts;
use crate::pipeline::Pipeline;
use crate::process::ProcessIdentity;
use crate::report::TickOptions;
use crate::report::TickReport;
use crate::runner::LocalRunner;
use crate::runner::RunTable;
use crate::settings::Settings;
use crate::settings::Slot;
use crate::status::Status;
use crate::thread::Protocol;
use crate::tracker::Tracker;
use crate::verify::Verification;
use crate::verify::Verifier;
use crate::verify::VerifyError;
use crate::verify::VerifyRequest;
use crate::workspace::CommitId;
use crate::workspace::Target;

pub(super) struct World {
    pub(super) tracker: MemoryTracker,
    pub(super) clock: Arc<ScriptedClock>,
    pub(super) ann: MemoryPerson,
    pub(super) eve: MemoryPerson,
    pub(super) repository: MemoryRepository,
    pub(super) agent: Arc<ScriptedAgent>,
    /// Who takes the place of the first, where that is configured.
    pub(super) other: Arc<ScriptedAgent>,
    pub(super) gate: MemoryGate,
    pub(super) told: Arc<Told>,
    pub(super) verified: Arc<AtomicUsize>,
    /// Nothing is to be run.
    pub(super) no_checks: Arc<AtomicBool>,
    /// So many of the next runs cannot be made.
    pub(super) check_faults: Arc<AtomicUsize>,
    /// The disk of the first machine's journal, which may be full.
    pub(super) disk: Arc<Disk>,
    /// The machine's own wall clock, which may be off.
    pub(super) wall: Arc<Wall>,
    pub(super) pipeline: Pipeline,
    make: Make,
    folder: tempfile::TempDir,
}

/// A journal in memory on a disk that may be full.
#[derive(Debug, Default)]
pub(super) struct Disk {
    journal: MemoryJournal,
    pub(super) full: std::sync::atomic::AtomicBool,
}

impl Journal for Disk {
    fn append(&self, at: Timestamp, record: &Record) -> Result<u64, JournalError> {
        if self.full.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(JournalError::Io {
                path: "journal".into(),
                operation: "written",
                source: std::io::Error::from(std::io::ErrorKind::StorageFull).into(),
            });
        }
        self.journal.append(at, record)
    }

    fn entries(&self) -> Result<Vec<Entry>, JournalError> {
        self.journal.entries()
    }
}

/// The machine's clock: the tracker's, off by so many milliseconds of wall time.
#[derive(Debug)]
pub(super) struct Wall {
    tracker: Arc<ScriptedClock>,
    pub(super) off: std::sync::atomic::AtomicI64,
}

#[async_trait]
impl Clock for Wall {
    fn now(&self) -> Timestamp {
        let off = self.off.load(std::sync::atomic::Ordering::SeqCst);
        Timestamp::from_millis(self.tracker.now().as_millis() + off)
    }

    fn elapsed(&self) -> Duration {
        self.tracker.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        self.tracker.sleep(duration).await;
    }
}

/// How many machines there are, each with a state directory of its own.
pub(super) const MACHINES: usize = 2;

/// Makes the pipeline of one more process.
type Make = Box<dyn Fn(Process) -> Pipeline + Send + Sync>;

/// A process that begins.
pub(super) struct Process {
    /// On which machine, and so with which journal, run table and integrator.
    pub(super) machine: usize,
    /// How it sees the tracker.
    pub(super) tracker: Arc<dyn Tracker>,
    /// What the journal calls it.
    pub(super) owner: Option<ProcessIdentity>,
}

/// The generic rules, compiled once for all worlds.
static RULES: LazyLock<Conflicts> = LazyLock::new(|| {
    let rules = RuleSet::detected(&[]).expect("the generic rules");
    Conflicts::of_rules(&rules, &[main_branch()]).expect("rules")
});

/// Fails if a file `BROKEN` lies in the tree.
#[derive(Debug)]
struct NoBrokenFile {
    runs: Arc<AtomicUsize>,
    off: Arc<AtomicBool>,
    faults: Arc<AtomicUsize>,
}

#[async_trait]
impl Verifier for NoBrokenFile {
    fn commands_digest(&self, _target: &Target) -> String {
        "no-broken-file".into()
    }

    fn has_checks(&self, _target: &Target) -> bool {
        !self.off.load(Ordering::Relaxed)
    }

    fn confinement(&self) -> Confinement {
        Confinement::Unconfined
    }

    async fn verify(&self, request: &VerifyRequest) -> Result<Verification, VerifyError> {
        self.runs.fetch_add(1, Ordering::Relaxed);
        let one_less = |left: usize| left.checked_sub(1);
        let faults = &self.faults;
        if faults
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less)
            .is_ok()
        {
            return Err(VerifyError::Other {
                operation: "run the checks: the disk is full".into(),
                source: None,
            });
        }
        if request.root.join("BROKEN").exists() {
            return Ok(Verification::Failed {
                command: "test".into(),
                exit_code: Some(1),
                log: "first line\nerror: BROKEN is there\n".into(),
            });
        }
        Ok(Verification::Passed)
    }
}

/// Collects what a person is told.
#[derive(Debug, Default)]
pub(super) struct Told(std::sync::Mutex<Vec<Event>>);

impl Observer for Told {
    fn observe(&self, event: &Event) {
        self.0
            .lock()
            .expect("no test panics while it holds this")
            .push(event.clone());
    }
}

impl Told {
    pub(super) fn notes(&self) -> Vec<String> {
        let all = self.0.lock().expect("no test panics while it holds this");
        let notes = all.iter().filter_map(|e| match e {
            Event::Note { what, .. } => Some(what.clone()),
            _ => None,
        });
        notes.collect()
    }

    pub(super) fn causes(&self) -> Vec<String> {
        let all = self.0.lock().expect("no test panics while it holds this");
        let causes = all.iter().filter_map(|e| match e {
            Event::PersonNeeded { cause, .. } => Some(cause.clone()),
            _ => None,
        });
        causes.collect()
    }
}

/// Returns what the journal calls the process of the test.
pub(super) fn myself() -> Option<ProcessIdentity> {
    ProcessIdentity::of_running(std::process::id())
        .ok()
        .flatten()
}

pub(super) fn main_branch() -> Target {
    Target::new("main").expect("target")
}

pub(super) fn triage_answer() -> Value {
    json!({"comment": "I read it as: do it.", "confidence": 0.9})
}

pub(super) fn check_answer(files: &[&str]) -> Value {
    json!({
        "comment": "Looks small.", "confidence": 0.8,
        "local_check": {
            "candidate_files": files, "implementation_scope": "one file", "estimate": "small",
            "blockers": [], "can_start_from_local": true, "db_change": false,
            "production_data": false, "pending_decisions": []
        }
    })
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(super) fn with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::made(Duration::ZERO, change)
    }

    /// Makes a world whose tracker promises no more than that a comment is visible after this time.
    pub(super) fn settling(settle: Duration) -> Self {
        Self::made(settle, |_| {})
    }

    fn made(settle: Duration, change: impl FnOnce(&mut Settings)) -> Self {
        let clock = Arc::new(ScriptedClock::new(Timestamp::from_millis(
            1_800_000_000_000,
        )));
        let tracker = MemoryTracker::new()
            .with_clock(Arc::clone(&clock) as _)
            .with_settle(settle);
        let folder = tempfile::tempdir().expect("temp dir");
        let repository = MemoryRepository::new();
        let tree = BTreeMap::from([
            ("menus/list.php".to_owned(), b"points\n".to_vec()),
            ("orders/list.php".to_owned(), b"orders\n".to_vec()),
        ]);
        repository.commit(&main_branch(), tree, "begin");
        let agent = Arc::new(ScriptedAgent::new("bob").with_capabilities(|c| {
            // Its word is all there is, so that a test can see what happens when it is broken.
            c.enforces_read_only = false;
        }));
        let other = Arc::new(ScriptedAgent::new("carl"));
        let told = Arc::new(Told::default());
        let verified = Arc::new(AtomicUsize::new(0));
        let no_checks = Arc::new(AtomicBool::new(false));
        let check_faults = Arc::new(AtomicUsize::new(0));
        let gate = MemoryGate::new();
        let integrator = Integrator {
            name: "main-bob".into(),
            id: "memory".into(),
        };
        let mut settings = Settings::new("shop", main_branch(), integrator);
        settings.roles.triage = vec!["bob".into()];
        settings.roles.check = vec!["bob".into()];
        settings.slots = (1..=2)
            .map(|n| Slot::new(format!("bob-{n}"), "bob"))
            .collect();
        settings.start.starters = vec![AccountRef("@ann".into())];
        settings.start.approvers = vec![AccountRef("@ann".into())];
        settings.watch_interval = Duration::from_secs(60);
        change(&mut settings);
        let me = futures_now(tracker.me()).expect("me").value;
        let protocol = Protocol {
            accounts: vec![AccountRef(me.id)],
            ignore_authors: Vec::new(),
            markers: Markers::default(),
            keys: SigningKeys::new(tracker.identity()),
        };
        let disk = Arc::new(Disk::default());
        let wall = Arc::new(Wall {
            tracker: Arc::clone(&clock),
            off: std::sync::atomic::AtomicI64::new(0),
        });
        let journals: [Arc<Disk>; MACHINES] = [Arc::clone(&disk), Arc::default()];
        let make: Make = {
            let (clock, told, agent) = (Arc::clone(&wall), Arc::clone(&told), Arc::clone(&agent));
            let other = Arc::clone(&other);
            let (verified, no_checks) = (Arc::clone(&verified), Arc::clone(&no_checks));
            let check_faults = Arc::clone(&check_faults);
            let (repository, gate) = (repository.clone(), gate.clone());
            let top = folder.path().to_owned();
            Box::new(move |process: Process| {
                let Process {
                    machine,
                    tracker,
                    owner,
                } = process;
                let journal = Arc::clone(&journals[machine]);
                let mut settings = settings.clone();
                let mut top = top.clone();
                if machine > 0 {
                    top = top.join(format!("machine-{machine}"));
                    settings.integrator.id = format!("memory-{machine}");
                }
                let workspaces = Arc::new(MemoryWorkspaces::new(
                    repository.clone(),
                    top.join("workspaces"),
                ));
                let runner = LocalRunner::new(
                    RunTable::open(&top.join("runs")).expect("run table"),
                    Arc::clone(&journal) as _,
                    Arc::clone(&clock) as _,
                    Arc::clone(&told) as _,
                )
                .with_agent(Arc::clone(&agent) as _)
                .with_agent(Arc::clone(&other) as _)
                .with_unconfined("bob")
                .with_workspaces(Arc::clone(&workspaces) as _);
                let integrator =
                    MemoryIntegrator::new("main-bob", repository.clone(), top.join("verify"));
                Pipeline::builder(tracker, protocol.clone(), settings)
                    .with_owner(owner)
                    .with_clock(Arc::clone(&clock) as _)
                    .with_observer(Arc::clone(&told) as _)
                    .with_journal(Arc::clone(&journal) as _)
                    .with_runner(Arc::new(runner))
                    .with_workspaces(workspaces)
                    .with_integrator(Arc::new(integrator))
                    .with_verifier(Arc::new(NoBrokenFile {
                        runs: Arc::clone(&verified),
                        off: Arc::clone(&no_checks),
                        faults: Arc::clone(&check_faults),
                    }))
                    .with_conflicts(RULES.clone())
                    .with_gate(Arc::new(gate.clone()))
                    .build()
            })
        };
        let pipeline = make(Process {
            machine: 0,
            tracker: Arc::new(tracker.clone()),
            owner: myself(),
        });
        let (ann, eve) = (tracker.as_person("ann"), tracker.as_person("eve"));
        Self {
            tracker,
            clock,
            ann,
            eve,
            repository,
            agent,
            other,
            gate,
            told,
            verified,
            no_checks,
            check_faults,
            disk,
            wall,
            pipeline,
            make,
            folder,
        }
    }

    /// Returns whether a tree was made to run something in.
    pub(super) fn checked_out(&self) -> bool {
        self.folder.path().join("verify").exists()
    }

    /// Makes the pipeline of one more process on the same machine, which sees the tracker as given.
    pub(super) fn beside(&self, tracker: Arc<dyn Tracker>) -> Pipeline {
        self.begin(Process {
            machine: 0,
            tracker,
            owner: myself(),
        })
    }

    /// Makes the pipeline of one more process on any machine.
    pub(super) fn begin(&self, process: Process) -> Pipeline {
        (self.make)(process)
    }

    /// Lets time go by, a second now and then, until something is done.
    pub(super) async fn as_time_passes<T>(&self, doing: impl Future<Output = T>) -> T {
        let passes = async {
            loop {
                for _ in 0..50 {
                    tokio::task::yield_now().await;
                }
                self.clock.advance(Duration::from_secs(1));
            }
        };
        tokio::select! {
            biased;
            done = doing => done,
            () = passes => unreachable!("time never ends"),
        }
    }

    pub(super) async fn triage(&self) -> TickReport {
        self.pipeline
            .triage(&TickOptions::default())
            .await
            .expect("triage")
    }

    pub(super) async fn check(&self) -> TickReport {
        self.pipeline
            .check(&TickOptions::default())
            .await
            .expect("check")
    }

    /// Lets so much time go by that the next attempt may begin.
    pub(super) fn back_off(&self) {
        self.clock.advance(crate::ledger::backoff(u32::MAX));
    }

    pub(super) async fn dispatch(&self) -> TickReport {
        self.pipeline
            .dispatch(&TickOptions::default())
            .await
            .expect("dispatch")
    }

    pub(super) async fn integrate(&self) -> TickReport {
        self.pipeline
            .integrate(&TickOptions::default())
            .await
            .expect("integrate")
    }

    /// Files an issue, lets it be triaged and checked with these candidate files, and lets ann start it.
    pub(super) async fn started(&self, title: &str, files: &[&str]) -> IssueKey {
        let issue = self.checked(title, files).await;
        self.ann
            .move_to(&issue, &Status::InProgress)
            .expect("moves");
        issue
    }

    pub(super) async fn checked(&self, title: &str, files: &[&str]) -> IssueKey {
        let issue = self.ann.new_issue(title, "please").expect("creates");
        self.agent
            .add(TaskKind::Triage, ScriptedTurn::answers(triage_answer()));
        self.agent.add(
            TaskKind::LocalCheck,
            ScriptedTurn::answers(check_answer(files)),
        );
        self.triage().await;
        self.check().await;
        issue
    }

    pub(super) fn works(&self, turn: ScriptedTurn) {
        self.agent.add(TaskKind::Implement, turn);
    }

    pub(super) async fn status_of(&self, issue: &IssueKey) -> Status {
        self.tracker.issue(issue).await.expect("issue").value.status
    }

    pub(super) async fn bodies(&self, issue: &IssueKey) -> Vec<String> {
        let thread = self.tracker.comments(issue).await.expect("thread").value;
        thread.into_iter().map(|c| c.body).collect()
    }

    pub(super) async fn count(&self, issue: &IssueKey, text: &str) -> usize {
        self.bodies(issue)
            .await
            .iter()
            .filter(|b| b.contains(text))
            .count()
    }

    /// Gives ann's OK for the candidate that waits.
    pub(super) async fn approve(&self, allow: &[&str]) {
        let review = self.pipeline.review(None).await.expect("review");
        self.gate.give(ok(&review[0].id, allow));
    }

    pub(super) fn tip(&self) -> CommitId {
        self.repository.tip(&main_branch()).expect("tip")
    }
}

pub(super) fn ok(subject: &str, allow: &[&str]) -> GateEvidence {
    GateEvidence {
        subject: subject.to_owned(),
        by: Person::new("Ann", "ann@example.com"),
        at: Timestamp::from_millis(1_800_000_100_000),
        place: GatePlace::Terminal,
        allow: allow.iter().map(ToString::to_string).collect(),
        protected: BTreeSet::new(),
        rules: None,
    }
}

pub(super) fn text(report: &TickReport) -> String {
    let lines = report.issues.iter().map(|i| {
        let issue = i.issue.as_ref().map_or("-", IssueKey::as_str);
        format!("{issue}: {}", i.outcome.text())
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Polls a future that is ready at once.
fn futures_now<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("the tracker in memory never waits here"),
    }
}
