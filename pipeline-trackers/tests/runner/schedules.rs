//! Randomised schedules of faults over an adapter and its fake: what people do, what goes wrong and when processes start
//! anew is drawn from a seed, so a failing schedule repeats from the seed it names.
//!
//! The pipeline's side is made of core's own parts (mirror, poster, start gate) in the order its stages use them. After
//! each schedule the faults end, and then everything has to come out right: see [`Schedule::verdict`].

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use pipeline_core::clock::Timestamp;
use pipeline_core::issue::Account;
use pipeline_core::issue::AccountRef;
use pipeline_core::issue::CommentId;
use pipeline_core::issue::IssueDraft;
use pipeline_core::issue::IssueKey;
use pipeline_core::journal::MemoryJournal;
use pipeline_core::memo::Fields;
use pipeline_core::memo::Markers;
use pipeline_core::memo::Memo;
use pipeline_core::memo::MemoKind;
use pipeline_core::memo::SigningKeys;
use pipeline_core::memory::ScriptedClock;
use pipeline_core::mirror::Mirror;
use pipeline_core::mirror::Mirrored;
use pipeline_core::post::Poster;
use pipeline_core::secret::Redactor;
use pipeline_core::start::StartRules;
use pipeline_core::start::started;
use pipeline_core::status::Status;
use pipeline_core::status::Transition;
use pipeline_core::thread::Protocol;
use pipeline_core::thread::TextDigest;
use pipeline_core::thread::Thread;
use pipeline_core::tracker::IssueQuery;
use pipeline_core::tracker::Tracker;
use pipeline_core::tracker::TrackerError;
use pipeline_trackers::fake::Fault;
use pipeline_trackers::fake::Faults;
use pipeline_trackers::fake::TooMany;

/// Ticks within which everything has to be right once nothing goes wrong any more.
const MOST_QUIET_TICKS: usize = 40;

/// A fake of one service with an adapter on it, and the people beside it.
pub(crate) trait World: Send + Sync {
    /// Makes a service in which nothing has happened; `odd` in whatever ways it can be, as far as `D` allows.
    fn new(seed: u64, odd: bool, clock: &Arc<ScriptedClock>) -> Self;
    /// Makes an adapter that knows nothing yet, as in a new process.
    fn connect(&self) -> Arc<dyn Tracker>;
    /// What will go wrong.
    fn faults(&self) -> &Faults;
    /// The pipeline's account.
    fn bot(&self) -> Account;
    /// The person who may start issues.
    fn starter(&self) -> Account;
    /// A person files an issue.
    fn file(&self, title: &str) -> IssueKey;
    /// A person says something: the starter, or somebody else.
    fn say(&self, by_starter: bool, key: &IssueKey, text: &str) -> CommentId;
    /// A person moves an issue by itself: the starter, or somebody else.
    fn shift(&self, by_starter: bool, key: &IssueKey, to: &Status);
    /// An issue is moved into In progress in a way that is nobody's approval, if the service has one.
    fn side_effect(&self, key: &IssueKey) -> bool;
    /// The pipeline's own account moves an issue into In progress, as somebody with its credential could.
    fn misuse(&self, key: &IssueKey);
    /// The texts of an issue with who wrote them, as they are, whatever lists show.
    fn said(&self, key: &IssueKey) -> Vec<(String, String)>;
    /// Where an issue is.
    fn status(&self, key: &IssueKey) -> Status;
    /// Every issue's title, whatever lists show.
    fn titles(&self) -> Vec<String>;
}

/// What is true of an issue, kept by whoever plays the people.
#[derive(Debug, Clone, Default)]
struct Truth {
    /// Where a person put it last; `None` if only the pipeline moved it.
    put: Option<Status>,
    /// Whether its last move is an approval.
    approved: bool,
    /// It was ever started by the starter.
    ever: bool,
}

pub(crate) struct Schedule<W> {
    world: W,
    clock: Arc<ScriptedClock>,
    rng: fastrand::Rng,
    truth: BTreeMap<IssueKey, Truth>,
    tracker: Arc<dyn Tracker>,
    mirror: Mirror,
    protocol: Arc<Protocol>,
    journal: Arc<MemoryJournal>,
    rules: StartRules,
    plan: Vec<String>,
    /// Issues the gate let through, at any tick.
    let_in: BTreeSet<IssueKey>,
    trace: Vec<String>,
}

fn marked(text: &str, kind: MemoKind) -> bool {
    let markers = Markers::default();
    text.lines().next().and_then(|line| markers.kind_of(line)) == Some(kind)
}

impl<W: World> Schedule<W> {
    fn new(seed: u64) -> Self {
        let start = Timestamp::parse("2026-04-06T00:00:00Z").expect("a time");
        let clock = Arc::new(ScriptedClock::jumping(start));
        let mut rng = fastrand::Rng::with_seed(seed);
        let world = W::new(seed, rng.bool(), &clock);
        let tracker = world.connect();
        let protocol = Protocol {
            accounts: vec![AccountRef(world.bot().id)],
            ignore_authors: Vec::new(),
            markers: Markers::default(),
            keys: SigningKeys::new(tracker.identity()),
        };
        let starter = AccountRef(world.starter().id);
        let rules = StartRules {
            starters: vec![starter.clone()],
            approvers: vec![starter],
            ..StartRules::default()
        };
        Self {
            plan: (0..rng.usize(0..3))
                .map(|i| format!("Planned {i}"))
                .collect(),
            world,
            clock,
            rng,
            truth: BTreeMap::new(),
            tracker,
            mirror: Mirror::in_memory(),
            protocol: Arc::new(protocol),
            journal: Arc::default(),
            rules,
            let_in: BTreeSet::new(),
            trace: Vec::new(),
        }
    }

    fn note(&mut self, what: impl Into<String>) {
        self.trace.push(what.into());
    }

    /// Something people do.
    fn person(&mut self) {
        let known: Vec<IssueKey> = self.truth.keys().cloned().collect();
        if known.is_empty() || self.rng.u8(0..10) < 2 {
            let title = format!("Filed {}", self.truth.len());
            let key = self.world.file(&title);
            self.note(format!("a person files {key}"));
            self.truth.insert(key, Truth::default());
            return;
        }
        let Some(key) = self.rng.choice(&known).cloned() else {
            return;
        };
        let by_starter = self.rng.bool();
        let act = self.rng.u8(0..10);
        self.note(format!("act {act} on {key}, by the starter: {by_starter}"));
        let status = self.world.status(&key);
        let truth = self.truth.entry(key.clone()).or_default();
        match act {
            0..=2 => drop(self.world.say(by_starter, &key, "What about this?")),
            3..=6 => {
                if status == Status::InProgress {
                    self.world.shift(by_starter, &key, &Status::SpecReview);
                    (truth.put, truth.approved) = (Some(Status::SpecReview), false);
                } else {
                    self.world.shift(by_starter, &key, &Status::InProgress);
                    (truth.put, truth.approved) = (Some(Status::InProgress), by_starter);
                    truth.ever |= by_starter;
                }
            }
            7 => {
                if status != Status::InProgress && self.world.side_effect(&key) {
                    (truth.put, truth.approved) = (Some(Status::InProgress), false);
                }
            }
            8 => {
                if status != Status::InProgress {
                    self.world.misuse(&key);
                    (truth.put, truth.approved) = (Some(Status::InProgress), false);
                }
            }
            _ => {
                self.world.shift(by_starter, &key, &Status::Open);
                (truth.put, truth.approved) = (Some(Status::Open), false);
            }
        }
    }

    /// Something that will go wrong.
    fn trouble(&mut self) {
        let landed = self.rng.bool();
        let fault = match self.rng.u8(0..10) {
            0..=2 => Fault::Lost { landed },
            3 => Fault::ServerError { landed },
            4 => Fault::BadGateway { landed },
            5 => Fault::Truncated,
            6 => Fault::NotJson,
            7 => {
                let forms = [TooMany::WithHeaders, TooMany::ResetOnly, TooMany::Untold];
                Fault::TooMany(*self.rng.choice(&forms).expect("three"))
            }
            8 => Fault::Unauthenticated,
            _ => Fault::NotFound,
        };
        let times = self.rng.usize(1..4);
        let write = self.rng.bool();
        self.note(format!("{times} × {fault:?}, writes only: {write}"));
        if write {
            self.world.faults().next_write(times, fault);
        } else {
            // Spread over what is asked, by the length of its path.
            let chance = self.rng.usize(2..6);
            self.world
                .faults()
                .when(times, fault, move |r| r.path.len() % chance == 0);
        }
    }

    fn poster(&self) -> Poster {
        Poster {
            tracker: Arc::clone(&self.tracker),
            protocol: Arc::clone(&self.protocol),
            journal: Arc::clone(&self.journal) as _,
            clock: Arc::clone(&self.clock) as _,
            redactor: Arc::new(Redactor::default()),
            most_per_day: 1000,
            owner: None,
        }
    }

    /// One tick of the pipeline; whatever fails is left to the next. Returns whether nothing failed and nothing was done.
    async fn tick(&mut self) -> bool {
        let none = BTreeSet::new();
        let read = self
            .mirror
            .refresh(&*self.tracker, &self.protocol, Timestamp::EPOCH, &none);
        let view = match read.await {
            Ok(view) => view,
            Err(error) => {
                self.note(format!("reading: {error}"));
                return false;
            }
        };
        // Nothing is ever deleted here: what is not there will be.
        let mut idle = view.unreadable.is_empty() && view.issues.values().all(|m| !m.gone);
        for mirrored in view.issues.values().filter(|m| !m.gone) {
            if view.unreadable.contains_key(&mirrored.issue.key) {
                continue;
            }
            idle &= self.issue(mirrored).await;
        }
        idle & self.plan().await
    }

    async fn issue(&mut self, m: &Mirrored) -> bool {
        let key = m.issue.key.clone();
        let thread = m.thread(&self.protocol);
        let poster = self.poster();
        let done = match m.issue.status {
            Status::Open if thread.triage().is_none() => {
                let memo = Memo::new(MemoKind::Triage, Fields::new(), "読みました。".to_owned());
                Some(
                    poster
                        .post_and_move(&key, memo, &Transition::triaged())
                        .await
                        .map(drop),
                )
            }
            // The memo stands and the move after it is missing; one who moved it back wants it left alone.
            Status::Open if m.history.is_empty() => {
                Some(poster.move_only(&key, &Transition::triaged()).await)
            }
            Status::SpecReview | Status::InProgress if self.needs_check(m, &thread) => {
                let read_to = m.comments.iter().map(|c| c.id).max();
                let text = TextDigest::of(&m.issue, &m.comments, read_to, &self.protocol);
                let mut fields = Fields::new().with("text", text.render());
                if let Some(id) = read_to {
                    fields.push("read-to", id.to_string());
                }
                let memo = Memo::new(MemoKind::LocalCheck, fields, "見ました。".to_owned());
                Some(poster.post(&key, memo).await.map(drop))
            }
            _ => None,
        };
        if self.rules_let_in(m, &thread) {
            self.let_in.insert(key.clone());
        }
        match done {
            None => true,
            Some(Ok(())) => false,
            Some(Err(error)) => {
                self.note(format!("{key}: {}", chain(&error)));
                false
            }
        }
    }

    fn needs_check(&self, m: &Mirrored, thread: &Thread) -> bool {
        let Some(last) = thread.checks().next_back() else {
            return true;
        };
        let now = TextDigest::of(&m.issue, &m.comments, last.read_to, &self.protocol);
        let talked = thread.people().any(|c| c.id > last.comment.id);
        now.whole() != last.text.whole() || talked
    }

    fn rules_let_in(&self, m: &Mirrored, thread: &Thread) -> bool {
        started(m, thread, &self.rules, &self.protocol).is_ok()
    }

    /// Creates what the plan has and the tracker has not, each once.
    async fn plan(&mut self) -> bool {
        let listed = match self.tracker.list_issues(&IssueQuery::default()).await {
            Ok(reply) => reply.value,
            Err(error) => {
                self.note(format!("listing: {error}"));
                return false;
            }
        };
        let missing = self.plan.clone().into_iter();
        let missing = missing.filter(|title| listed.iter().all(|i| i.title != *title));
        let mut idle = true;
        for title in missing.collect::<Vec<_>>() {
            idle = false;
            let draft = IssueDraft {
                title,
                body: "As planned.".to_owned(),
                ..IssueDraft::default()
            };
            if let Err(error) = self.tracker.create_issue(&draft).await {
                self.note(format!("creating: {error}"));
                if matches!(error, TrackerError::OutcomeUnknown { .. }) {
                    // What it has become shows at the next tick.
                    break;
                }
            }
        }
        idle
    }

    fn restart(&mut self) {
        self.note("a new process");
        self.tracker = self.world.connect();
        if self.rng.bool() {
            self.mirror = Mirror::in_memory();
        }
    }

    /// Time between two ticks: longer than anything stays invisible, as between the ticks of a timer.
    fn pass(&mut self) {
        let settle = self.tracker.settle() + Duration::from_secs(2);
        self.clock
            .advance(settle + Duration::from_secs(self.rng.u64(0..120)));
    }

    /// Runs until nothing goes wrong any more and everything is at rest, and returns what is wrong.
    async fn run(mut self) -> Result<(), String> {
        for _ in 0..self.rng.usize(6..14) {
            for _ in 0..self.rng.usize(0..4) {
                self.person();
                self.clock.advance(Duration::from_secs(self.rng.u64(0..40)));
            }
            for _ in 0..self.rng.usize(0..3) {
                self.trouble();
            }
            if self.rng.u8(0..5) == 0 {
                self.restart();
            }
            self.pass();
            self.tick().await;
            self.falsely_let_in()?;
        }
        self.world.faults().clear();
        self.note("nothing goes wrong any more");
        for _ in 0..MOST_QUIET_TICKS {
            self.pass();
            if self.tick().await {
                self.verdict()?;
                return self.gate().await;
            }
        }
        Err(self.told("it does not come to rest"))
    }

    fn told(&self, what: &str) -> String {
        format!("{what}\n  {}", self.trace.join("\n  "))
    }

    fn falsely_let_in(&self) -> Result<(), String> {
        let never = |key: &&IssueKey| !self.truth.get(key).is_some_and(|t| t.ever);
        match self.let_in.iter().find(never) {
            None => Ok(()),
            Some(key) => Err(self.told(&format!("{key} was let in, and nobody ever approved it"))),
        }
    }

    fn verdict(&self) -> Result<(), String> {
        self.falsely_let_in()?;
        let bot = self.world.bot().id;
        for (key, truth) in &self.truth {
            let said = self.world.said(key);
            let ours: Vec<&String> = said
                .iter()
                .filter(|(by, _)| *by == bot)
                .map(|(_, t)| t)
                .collect();
            let distinct: BTreeSet<&String> = ours.iter().copied().collect();
            if distinct.len() != ours.len() {
                return Err(self.told(&format!("a memo stands twice on {key}")));
            }
            let triage = ours.iter().filter(|t| marked(t, MemoKind::Triage)).count();
            if triage > 1 {
                return Err(self.told(&format!("{key} has {triage} triage memos")));
            }
            let is = self.world.status(key);
            // An issue a person put into Open is triaged once if it never was, and stays otherwise.
            let fits = match &truth.put {
                None => is == Status::SpecReview && triage == 1,
                Some(Status::Open) => {
                    is == Status::Open || (is == Status::SpecReview && triage == 1)
                }
                Some(put) => is == *put,
            };
            if !fits {
                return Err(self.told(&format!("{key} is in {is}, put into {:?}", truth.put)));
            }
        }
        let titles = self.world.titles();
        for planned in &self.plan {
            let times = titles.iter().filter(|t| *t == planned).count();
            if times != 1 {
                return Err(self.told(&format!("`{planned}` was created {times} times")));
            }
        }
        Ok(())
    }

    /// Returns what the gate says of each issue now, and what is true.
    async fn gate(&mut self) -> Result<(), String> {
        let none = BTreeSet::new();
        let view = self
            .mirror
            .refresh(&*self.tracker, &self.protocol, Timestamp::EPOCH, &none)
            .await
            .map_err(|e| self.told(&e.to_string()))?;
        for (key, truth) in &self.truth {
            let Some(m) = view.issues.get(key) else {
                return Err(self.told(&format!("{key} is not seen")));
            };
            let thread = m.thread(&self.protocol);
            if self.rules_let_in(m, &thread) && !truth.approved {
                return Err(self.told(&format!("{key} is let in without an approval")));
            }
        }
        Ok(())
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(cause) = below {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        below = cause.source();
    }
    text
}

/// How many schedules are run: a tenth here, all where `LOOPS=full` says so.
#[expect(
    clippy::disallowed_methods,
    reason = "the variable says how long the loops of a test are, which no code under test knows of"
)]
pub(crate) fn loops(all: u64) -> u64 {
    match std::env::var("LOOPS") {
        Ok(full) if full == "full" => all,
        _ => all / 10,
    }
}

/// Runs schedules from successive seeds.
///
/// # Panics
/// With the seed and the trace of the first that ends wrong.
pub(crate) async fn run_all<W: World>(count: u64) {
    for seed in 0..count {
        let schedule = Schedule::<W>::new(seed);
        if let Err(wrong) = schedule.run().await {
            panic!("schedule {seed}: {wrong}");
        }
    }
}
