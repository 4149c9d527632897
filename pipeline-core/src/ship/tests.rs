use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;

use async_trait::async_trait;
use mockall::mock;

use super::*;
use crate::clock::SystemClock;
use crate::gate::FolderGate;
use crate::gate::GateEvidence;
use crate::gate::GatePlace;
use crate::gate::fixture::ann;
use crate::gate::fixture::commit;
use crate::gate::fixture::key;
use crate::integrate::ApplyOutcome;
use crate::integrate::Candidate;
use crate::integrate::CandidateId;
use crate::integrate::Checkout;
use crate::integrate::ClaimRef;
use crate::integrate::IntegrateError;
use crate::integrate::LandOutcome;
use crate::integrate::LandingPlan;
use crate::integrate::PushOutcome;
use crate::integrate::Submission;
use crate::integrate::TrailerHit;
use crate::integrate::VerificationRecord;
use crate::issue::CommentId;
use crate::journal::Entry;
use crate::journal::JournalError;
use crate::journal::MemoryJournal;
use crate::workspace::Target;

mock! {
    #[derive(Debug)]
    Session {}

    #[async_trait]
    impl Integration for Session {
        fn target(&self) -> &Target;
        fn candidate<'a>(&'a self) -> Option<&'a Candidate>;
        async fn tip(&self) -> Result<CommitId, IntegrateError>;
        async fn trailers(&self, search: &TrailerSearch) -> Result<Vec<TrailerHit>, IntegrateError>;
        async fn apply(&mut self, submission: &Submission, declared: &[String]) -> Result<ApplyOutcome, IntegrateError>;
        async fn rebuild(&mut self, base: &CommitId, submissions: &[(Submission, Vec<String>)]) -> Result<Vec<(ClaimRef, ApplyOutcome)>, IntegrateError>;
        async fn checkout(&mut self, which: Checkout) -> Result<PathBuf, IntegrateError>;
        async fn set_verified(&mut self, record: VerificationRecord) -> Result<(), IntegrateError>;
        async fn seal(&mut self, at: Timestamp) -> Result<CandidateId, IntegrateError>;
        async fn discard(&mut self) -> Result<(), IntegrateError>;
        async fn prepare(&self, approval: &Approval<crate::gate::LocalDiff>) -> Result<LandingPlan, IntegrateError>;
        async fn land(&mut self, plan: &LandingPlan, approval: &Approval<crate::gate::LocalDiff>, by: &crate::integrate::LandBy) -> Result<LandOutcome, IntegrateError>;
        async fn roll_forward(&mut self, plan: &LandingPlan) -> Result<LandOutcome, IntegrateError>;
        async fn push(&mut self, commit: &CommitId) -> Result<PushOutcome, IntegrateError>;
    }
}

/// A session whose history holds commit `e` for issue A-1 and commit `f` for issue A-2.
fn session() -> MockSession {
    let mut session = MockSession::new();
    session
        .expect_target()
        .return_const(Target::new("main").expect("a branch"));
    session.expect_tip().returning(|| Ok(commit('f')));
    session.expect_trailers().returning(|search| {
        assert_eq!(search.tip, commit('f'));
        let hit = |digit, issue| TrailerHit {
            commit: commit(digit),
            claims: vec![(key(issue), CommentId(1), "0".repeat(32))],
            rounds: Vec::new(),
        };
        Ok(vec![hit('f', "A-2"), hit('e', "A-1")])
    });
    session
}

/// A folder with rules, a pre-check that passes, a command that leaves a line, and a person's permission.
struct Desk {
    dir: tempfile::TempDir,
    session: MockSession,
    gates: Vec<Arc<dyn Gate>>,
    journal: MemoryJournal,
    plan: ShipPlan,
}

const LEAVES_A_LINE: &str = "echo shipped $1 $SHIP_COMMIT $SHIP_TARGET $EXTRA >> log; echo done";

impl Desk {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let rules = dir.path().join("deploy.md");
        fs::write(&rules, "Never on Fridays.\n").expect("writes");
        let plan = ShipPlan {
            commit: commit('e'),
            rules: DeployRules::read(&rules).expect("rules"),
            pre_check: sh(dir.path(), "echo checked >> log"),
            command: ShipCommand::new(
                ["sh", "-c", LEAVES_A_LINE, "sh", "--rev={commit}"],
                dir.path(),
            )
            .with_env([("EXTRA", "extra")]),
        };
        let desk = Self {
            gates: vec![Arc::new(FolderGate::terminal(dir.path().join("approvals")))],
            session: session(),
            journal: MemoryJournal::default(),
            plan,
            dir,
        };
        desk.permit('e');
        desk
    }

    fn permit(&self, digit: char) {
        let evidence = GateEvidence {
            subject: commit(digit).as_str().to_owned(),
            by: ann(),
            at: Timestamp::EPOCH,
            place: GatePlace::Terminal,
            allow: [].into(),
            protected: [].into(),
            rules: Some(self.plan.rules.digest().to_owned()),
        };
        FolderGate::terminal(self.dir.path().join("approvals"))
            .give(&evidence)
            .expect("given");
    }

    fn shipping(&self) -> Shipping<'_> {
        Shipping {
            session: &self.session,
            gates: &self.gates,
            journal: &self.journal,
            clock: &SystemClock,
        }
    }

    async fn ship(&self, call: &ShipCall) -> Result<Shipped, ShipError> {
        let approval = self.shipping().permission(&self.plan).await?;
        self.shipping().run(&self.plan, &approval, call).await
    }

    /// Returns why nothing was shipped, after making sure that nothing was.
    async fn refused(&self, call: &ShipCall) -> String {
        let before = self.log();
        let error = self.ship(call).await.expect_err("nothing ships");
        let shipped = |log: &str| log.matches("shipped").count();
        assert_eq!(shipped(&self.log()), shipped(&before));
        self.told(&error)
    }

    fn told(&self, error: &ShipError) -> String {
        let dir = self.dir.path().display().to_string();
        crate::report::chain(error).replace(&dir, "<dir>")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    fn records(&self) -> Vec<Record> {
        let entries = self.journal.entries().expect("reads");
        entries.into_iter().map(|e| e.record).collect()
    }

    fn record(&self, record: &Record) {
        self.journal
            .append(Timestamp::EPOCH, record)
            .expect("appends");
    }

    fn began(&self, digit: char) {
        self.record(&Record::ShipIntent {
            commit: commit(digit).as_str().into(),
            rules: String::new(),
            by: String::new(),
        });
    }

    fn ended(&self, digit: char, exit_code: Option<i32>) {
        self.record(&Record::ShipDone {
            commit: commit(digit).as_str().into(),
            exit_code,
        });
    }
}

fn sh(dir: &Path, script: &str) -> ShipCommand {
    ShipCommand::new(["sh", "-c", script], dir)
}

fn again(digit: char) -> ShipCall {
    ShipCall {
        again: Some(commit(digit)),
        inside: None,
    }
}

fn call() -> ShipCall {
    ShipCall::default()
}

#[tokio::test]
async fn a_permitted_commit_is_shipped_once_and_written_down() {
    let desk = Desk::new();
    let shipped = desk.ship(&call()).await.expect("ships");
    assert!(shipped.succeeded());
    assert_eq!(
        (shipped.how.as_str(), shipped.output.as_str()),
        ("ended with exit code 0", "done")
    );
    let id = "e".repeat(40);
    assert_eq!(
        desk.log(),
        format!("checked\nshipped --rev={id} {id} main extra\n")
    );
    assert_eq!(
        desk.records(),
        [
            Record::ShipIntent {
                commit: id.clone(),
                rules: desk.plan.rules.digest().into(),
                by: "Ann <ann@example.com>".into()
            },
            Record::ShipDone {
                commit: id.clone(),
                exit_code: Some(0)
            }
        ]
    );
    let again_by_itself = desk.refused(&call()).await;
    assert!(
        again_by_itself.contains("was shipped at"),
        "{again_by_itself}"
    );
    assert!(again_by_itself.contains(&format!("--again {id}")));
    assert!(desk.ship(&again('e')).await.is_ok());
}

#[tokio::test]
async fn without_a_permission_nothing_ships() {
    let desk = Desk::new();
    fs::remove_dir_all(desk.dir.path().join("approvals")).expect("removes");
    insta::assert_snapshot!(desk.refused(&call()).await, @"shipping eeeeeeeeeeee is not permitted: to permit it, run `issue-pipeline ship eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee --permit` on a terminal of this machine");
    desk.permit('f');
    insta::assert_snapshot!(desk.refused(&call()).await, @"shipping eeeeeeeeeeee is not permitted: to permit it, run `issue-pipeline ship eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee --permit` on a terminal of this machine");
    assert_eq!(desk.log(), "", "not even the pre-check ran");
}

#[tokio::test]
async fn a_permission_for_another_commit_ships_nothing() {
    let mut desk = Desk::new();
    let approval = desk
        .shipping()
        .permission(&desk.plan)
        .await
        .expect("permitted");
    desk.plan.commit = commit('f');
    let error = desk
        .shipping()
        .run(&desk.plan, &approval, &call())
        .await
        .expect_err("another commit");
    insta::assert_snapshot!(desk.told(&error), @"the permission names commit eeeeeeeeeeee, but ffffffffffff is to be shipped: permit this one, or ship the other");
    assert_eq!(desk.log(), "");
}

#[tokio::test]
async fn a_commit_that_did_not_land_here_is_not_shipped() {
    let mut desk = Desk::new();
    desk.plan.commit = commit('d');
    desk.permit('d');
    insta::assert_snapshot!(desk.refused(&call()).await, @"commit dddddddddddd has not landed on main through this pipeline: only a landed commit is shipped");
}

#[tokio::test]
async fn rules_that_are_missing_or_changed_ship_nothing() {
    let desk = Desk::new();
    let file = desk.dir.path().join("deploy.md");
    let missing = DeployRules::read(&desk.dir.path().join("none.md")).expect_err("missing");
    insta::assert_snapshot!(desk.told(&missing), @"the deploy rules <dir>/none.md are missing or empty: a permission is bound to them, so write them first");
    let approval = desk
        .shipping()
        .permission(&desk.plan)
        .await
        .expect("permitted");
    fs::write(&file, "Any time.\n").expect("writes");
    insta::assert_snapshot!(desk.refused(&call()).await, @"the deploy rules <dir>/deploy.md changed since the permission was given: read them and give a new one");

    // Read anew, the permission no longer fits.
    let mut plan = desk.plan.clone();
    plan.rules = DeployRules::read(&file).expect("rules");
    let error = desk
        .shipping()
        .run(&plan, &approval, &call())
        .await
        .expect_err("changed");
    assert!(matches!(error, ShipError::RulesChanged { .. }), "{error}");
    let error = desk
        .shipping()
        .permission(&plan)
        .await
        .expect_err("changed");
    insta::assert_snapshot!(desk.told(&error), @"shipping eeeeeeeeeeee is not permitted: the deploy rules changed since the permission was given: read them and give a new one");

    fs::write(&file, " \n").expect("writes");
    assert!(matches!(
        desk.ship(&call()).await,
        Err(ShipError::NoRules { .. })
    ));
    fs::write(&file, vec![b'x'; 2 << 20]).expect("writes");
    assert!(matches!(
        desk.ship(&call()).await,
        Err(ShipError::RulesUnreadable { .. })
    ));
    assert_eq!(desk.log(), "");
}

#[tokio::test]
async fn rules_changed_while_the_pre_check_runs_ship_nothing() {
    let mut desk = Desk::new();
    desk.plan.pre_check = sh(desk.dir.path(), "echo more >> deploy.md");
    let why = desk.refused(&call()).await;
    assert!(why.contains("changed since the permission"), "{why}");
    assert_eq!(desk.records(), []);
}

#[tokio::test]
async fn a_pre_check_that_is_missing_or_does_not_pass_ships_nothing() {
    let mut desk = Desk::new();
    let dir = desk.dir.path().to_owned();
    desk.plan.pre_check = sh(
        &dir,
        "echo 'the queue is \u{1b}[31mfull'; echo why >&2; exit 3",
    );
    insta::assert_snapshot!(desk.refused(&call()).await, @r#"
    nothing was shipped, because the pre-check ended with exit code 3; it said last:
    the queue is \u{1b}[31mfull
    why
    "#);
    desk.plan.pre_check = sh(&dir, "kill -9 $$");
    insta::assert_snapshot!(desk.refused(&call()).await, @"nothing was shipped, because the pre-check was ended by a signal");
    desk.plan.pre_check = ShipCommand::new(["no-such-program"], &dir);
    insta::assert_snapshot!(desk.refused(&call()).await, @"the pre-check could not be run: program `no-such-program` was not found in /usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin; install it or give its full path");
    desk.plan.pre_check.argv.clear();
    insta::assert_snapshot!(desk.refused(&call()).await, @"there is no pre-check: set [gates.ship] pre_check to a command that changes nothing and fails where shipping must not begin");
    desk.plan.pre_check = sh(&dir, "true");
    desk.plan.command.argv.clear();
    insta::assert_snapshot!(desk.refused(&call()).await, @"there is no ship command: set [gates.ship] command to the team's own");
    assert_eq!(desk.records(), []);
}

#[tokio::test]
async fn a_pre_check_that_hangs_is_ended_and_ships_nothing() {
    let mut desk = Desk::new();
    desk.plan.pre_check = sh(desk.dir.path(), "sleep 600").with_deadline(Duration::from_millis(1));
    insta::assert_snapshot!(desk.refused(&call()).await, @"nothing was shipped, because the pre-check took longer than it may and was ended");
}

#[tokio::test]
async fn a_worker_never_ships() {
    let desk = Desk::new();
    let call = ShipCall {
        again: None,
        inside: Some(RunId::new("run-1").expect("an id")),
    };
    insta::assert_snapshot!(desk.refused(&call).await, @"shipping was called from inside run-1: only a person ships, never a worker");
}

#[tokio::test]
async fn what_began_and_did_not_end_stops_every_shipping_until_a_person_has_looked() {
    let mut desk = Desk::new();
    desk.began('e');
    insta::assert_snapshot!(desk.refused(&call()).await, @"the shipping of eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee began at 1970-01-01T00:00:00.000Z and nobody knows how it ended: look at what it did, then say so with `--again eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee`");
    assert!(desk.refused(&again('f')).await.contains("nobody knows"));

    desk.plan.commit = commit('f');
    desk.permit('f');
    let why = desk.refused(&call()).await;
    assert!(
        why.contains(&"e".repeat(40)),
        "another commit may not go either: {why}"
    );
    assert!(desk.ship(&again('e')).await.is_ok());
    // What was looked at is looked at for good.
    assert!(desk.ship(&again('f')).await.is_ok());
}

#[tokio::test]
async fn a_command_that_fails_is_a_result_and_is_not_repeated_by_itself() {
    let mut desk = Desk::new();
    desk.plan.command = sh(desk.dir.path(), "echo half >&2; exit 9");
    let shipped = desk.ship(&call()).await.expect("ran");
    assert_eq!(
        (shipped.exit_code, shipped.output.as_str()),
        (Some(9), "half")
    );
    assert!(!shipped.succeeded());
    let why = desk.refused(&call()).await;
    assert!(why.contains("(exit code 9)"), "{why}");
    desk.plan.command = sh(desk.dir.path(), "true");
    assert!(desk.ship(&again('e')).await.expect("ran").succeeded());
}

#[tokio::test]
async fn a_command_that_cannot_start_is_written_down_too() {
    let mut desk = Desk::new();
    desk.plan.command = ShipCommand::new(["no-such-program"], desk.dir.path());
    let why = desk.refused(&call()).await;
    assert!(
        why.starts_with("the ship command could not be run"),
        "{why}"
    );
    let why = desk.refused(&call()).await;
    assert!(why.contains("without an exit code"), "{why}");
}

#[tokio::test]
async fn an_earlier_success_of_another_commit_is_no_obstacle() {
    let desk = Desk::new();
    desk.began('f');
    desk.ended('f', Some(1));
    assert!(desk.ship(&call()).await.is_ok());
}

/// A journal that stops working after some records.
#[derive(Debug)]
struct Full {
    inner: MemoryJournal,
    room: Mutex<usize>,
}

impl Journal for Full {
    fn append(&self, at: Timestamp, record: &Record) -> Result<u64, JournalError> {
        let mut room = self.room.lock().expect("lock");
        if *room == 0 {
            return Err(JournalError::Io {
                path: "journal".into(),
                operation: "written",
                source: "disk full".into(),
            });
        }
        *room -= 1;
        self.inner.append(at, record)
    }

    fn entries(&self) -> Result<Vec<Entry>, JournalError> {
        self.inner.entries()
    }
}

#[tokio::test]
async fn without_a_journal_nothing_ships_and_an_unwritten_end_is_said() {
    for (room, count) in [(0, 0), (1, 1)] {
        let desk = Desk::new();
        let journal = Full {
            inner: MemoryJournal::default(),
            room: Mutex::new(room),
        };
        let shipping = Shipping {
            journal: &journal,
            ..desk.shipping()
        };
        let approval = shipping.permission(&desk.plan).await.expect("permitted");
        let error = shipping
            .run(&desk.plan, &approval, &call())
            .await
            .expect_err("full");
        assert_eq!(desk.log().matches("shipped").count(), count);
        let why = desk.told(&error);
        assert_eq!(why.contains("nothing was shipped"), count == 0, "{why}");
        if count == 1 {
            let next = shipping
                .run(&desk.plan, &approval, &call())
                .await
                .expect_err("open");
            assert!(matches!(next, ShipError::Interrupted { .. }), "{next}");
        }
    }
}

#[tokio::test]
async fn a_dry_run_says_everything_that_is_missing_and_runs_nothing() {
    let mut desk = Desk::new();
    assert!(
        desk.shipping()
            .missing(&desk.plan, &call())
            .await
            .is_empty()
    );
    fs::remove_dir_all(desk.dir.path().join("approvals")).expect("removes");
    fs::write(desk.dir.path().join("deploy.md"), "Other.").expect("writes");
    desk.plan.pre_check.argv.clear();
    let missing = desk.shipping().missing(&desk.plan, &call()).await;
    let told: Vec<String> = missing.iter().map(|e| desk.told(e)).collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    there is no pre-check: set [gates.ship] pre_check to a command that changes nothing and fails where shipping must not begin
    the deploy rules <dir>/deploy.md changed since the permission was given: read them and give a new one
    shipping eeeeeeeeeeee is not permitted: to permit it, run `issue-pipeline ship eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee --permit` on a terminal of this machine
    "#);
    assert_eq!(desk.log(), "");
}

#[test]
fn debug_shows_no_value_of_a_variable() {
    let command = ShipCommand::new(["x"], "/").with_env([("TOKEN", "hunter2")]);
    let shown = format!("{command:?}");
    assert!(
        shown.contains("TOKEN") && !shown.contains("hunter2"),
        "{shown}"
    );
}
