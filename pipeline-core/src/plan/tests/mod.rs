//! Plan and tracker together: once each, whatever happens on the way.

mod drafts;
mod driven;
mod faulty;
mod meeting;
mod troubles;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use self::faulty::Faulty;
use self::faulty::FaultyJournal;
use self::faulty::Files;
use self::faulty::Fuse;
use super::*;
use crate::clock::Timestamp;
use crate::issue::Issue;
use crate::journal::MemoryJournal;
use crate::memory::MemoryTracker;
use crate::memory::ScriptedClock;
use crate::tracker::IssueNames;
use crate::tracker::IssueQuery;
use crate::tracker::Tracker as _;

const FILE: &str = "docs/project-notes.md";

/// A tracker, a journal and files that outlive what is run over them.
struct World {
    memory: MemoryTracker,
    journal: Arc<MemoryJournal>,
    files: Arc<Files>,
    clock: Arc<ScriptedClock>,
    options: SyncOptions,
}

impl World {
    fn new(text: &str) -> Self {
        let names = IssueNames {
            labels: Some(Default::default()),
            milestones: Some(Default::default()),
            kinds: Some(["Task".to_owned()].into()),
            priorities: Some([2, 3, 4].into()),
        };
        let clock = Arc::new(ScriptedClock::new(Timestamp::from_millis(
            1_800_000_000_000,
        )));
        Self {
            memory: MemoryTracker::new()
                .with_names(names)
                .with_clock(Arc::clone(&clock) as _),
            journal: Arc::default(),
            files: Arc::new(Files::with(&[(FILE, text)])),
            clock,
            options: SyncOptions::default(),
        }
    }

    fn tracker(&self, fuse: &Arc<Fuse>) -> Arc<Faulty> {
        Arc::new(Faulty::over(&self.memory, fuse))
    }

    fn sync(&self, tracker: &Arc<Faulty>) -> PlanSync {
        *self.files.fuse.lock().unwrap() = Arc::clone(&tracker.fuse);
        let journal = FaultyJournal {
            inner: Arc::clone(&self.journal),
            fuse: Arc::clone(&tracker.fuse),
        };
        PlanSync::new(
            Arc::clone(tracker) as _,
            Arc::clone(&self.files) as _,
            Arc::new(journal),
            Arc::clone(&self.clock) as _,
            self.options.clone(),
        )
    }

    fn calm(&self) -> (Arc<Faulty>, PlanSync) {
        let tracker = self.tracker(&Arc::default());
        let sync = self.sync(&tracker);
        (tracker, sync)
    }

    async fn look(&self) -> SyncPlan {
        let (_, sync) = self.calm();
        sync.look(&[FILE.to_owned()], &[]).await.unwrap()
    }

    async fn run(&self, phases: &[&str]) -> (Arc<Faulty>, Result<SyncReport, PlanError>) {
        let (tracker, sync) = self.calm();
        let report = run(&sync, phases).await;
        (tracker, report)
    }

    async fn issues(&self) -> Vec<Issue> {
        self.memory
            .list_issues(&IssueQuery::default())
            .await
            .unwrap()
            .value
    }

    fn text(&self) -> String {
        self.files.get(FILE)
    }

    /// Returns how many items are linked.
    fn linked(&self) -> usize {
        let plan = PlanDocument::parse(self.text());
        plan.items().iter().filter(|i| i.link.is_some()).count()
    }

    /// Fails unless every item has exactly one issue and one link to it, and no issue is without an item.
    async fn is_whole(&self, items: usize) {
        let plan = PlanDocument::parse(self.text());
        assert_eq!(plan.items().len(), items);
        let issues = self.issues().await;
        assert_eq!(issues.len(), items, "one issue per item");
        let mut linked = BTreeMap::new();
        for item in plan.items() {
            let link = item
                .link
                .as_ref()
                .unwrap_or_else(|| panic!("line {} has no link", item.line));
            assert_eq!(
                linked.insert(link.key.clone(), item.line),
                None,
                "linked twice"
            );
            let issue = issues
                .iter()
                .find(|i| i.key == link.key)
                .expect("its issue is there");
            assert_eq!(issue.title, item.text);
            let phase = plan.phase_of(item).map(|p| p.heading.clone());
            assert_eq!(issue.labels, Vec::from_iter(phase.clone()), "{}", item.line);
            assert_eq!(issue.milestone, phase);
            assert_eq!(
                self.text()
                    .matches(&format!("/-/issues/{})", link.key))
                    .count(),
                1
            );
        }
    }
}

async fn run(sync: &PlanSync, phases: &[&str]) -> Result<SyncReport, PlanError> {
    let phases: Vec<String> = phases.iter().map(|p| (*p).to_owned()).collect();
    let plan = sync.look(&[FILE.to_owned()], &phases).await?;
    sync.apply(&plan, &Unwatched).await
}

/// A roadmap of a real size, with the same words now and then.
fn roadmap(phases: usize, items: usize) -> String {
    let mut text = String::from("# Shop\n\nWhat is to be done.\n\n");
    for phase in 1..=phases {
        write!(text, "## Phase {phase}: Part {phase}\n\nSome words.\n\n").unwrap();
        for item in 1..=items {
            let name = if item % 10 == 0 {
                "Write the tests".to_owned()
            } else {
                format!("Build part {phase}.{item}")
            };
            writeln!(text, "- [ ] {name}").unwrap();
            if item % 7 == 0 {
                text.push_str("  - [ ] a step of it\n\n  and why.\n");
            }
        }
        text.push_str("\n### Definition of done\n\n- [ ] reviewed\n\n");
    }
    text
}

#[tokio::test]
async fn two_hundred_items_become_as_many_issues_and_a_second_run_writes_nothing() {
    let world = World::new(&roadmap(8, 25));
    let (tracker, report) = world.run(&[]).await;
    let report = report.unwrap();
    assert_eq!((report.created.len(), report.names.len()), (200, 16));
    world.is_whole(200).await;
    // One for the account, one list, one for the names; then a request per name and per issue.
    assert_eq!(
        (tracker.reads.load(Ordering::SeqCst), tracker.writes()),
        (3, 216)
    );
    let after = world.text();
    let (tracker, report) = world.run(&[]).await;
    assert_eq!(report.unwrap(), SyncReport::default());
    assert_eq!(
        (tracker.reads.load(Ordering::SeqCst), tracker.writes()),
        (2, 0)
    );
    assert_eq!(world.text(), after);
    assert_eq!(world.files.writes.load(Ordering::SeqCst), 1);
    assert_eq!(world.look().await.drift, []);
}

#[tokio::test]
async fn one_phase_first_and_then_all_makes_nothing_twice() {
    let world = World::new(&roadmap(3, 5));
    let (_, report) = world.run(&["2"]).await;
    assert_eq!(report.unwrap().created.len(), 5);
    let first = world.text();
    let second_phase = |text: &str| -> String {
        let (_, rest) = text.split_once("## Phase 2").unwrap();
        rest.split_once("## Phase 3").unwrap().0.to_owned()
    };
    let (_, report) = world.run(&[]).await;
    assert_eq!(report.unwrap().created.len(), 10);
    assert_eq!(second_phase(&world.text()), second_phase(&first));
    world.is_whole(15).await;
    let (_, sync) = world.calm();
    let unknown = sync
        .look(&[FILE.to_owned()], &["9".to_owned()])
        .await
        .unwrap_err();
    insta::assert_snapshot!(unknown, @"the plan has no phase `9`: there are `Phase 1: Part 1`, `Phase 2: Part 2`, `Phase 3: Part 3`");
}

#[tokio::test]
async fn killed_at_every_step_it_ends_with_one_issue_and_one_link_per_item() {
    let mut steps = 0;
    loop {
        let world = World::new(&roadmap(2, 2));
        let tracker = world.tracker(&Fuse::at(steps));
        let sync = world.sync(&tracker);
        let killed = tokio::spawn(async move { run(&sync, &[]).await.map(drop) }).await;
        if killed.is_ok() {
            break;
        }
        let (_, again) = world.run(&[]).await;
        again.unwrap_or_else(|e| panic!("killed at step {steps}: {e}"));
        world.is_whole(4).await;
        let (tracker, third) = world.run(&[]).await;
        assert_eq!(
            third.unwrap(),
            SyncReport::default(),
            "killed at step {steps}"
        );
        assert_eq!(tracker.writes(), 0);
        steps += 1;
    }
    // Four names and four issues with two records each, the file and its record: before and after each.
    assert_eq!(steps, 2 * (4 + 4 * 3 + 2));
}

#[tokio::test]
async fn an_issue_reads_like_one() {
    let mut world = World::new(
        "# Shop\n\n## Phase 1: Login\n\n### Form\n\n- [ ] Log in @alice\n\n  With a password.\n\n  - [ ] remember me\n\n### Definition of done\n\n- tested\n",
    );
    world.files.set("docs/api.md", "");
    world.options.references = vec!["docs/api.md".to_owned()];
    world.options.web = Some("https://g.example/a/b/-/blob/{commit}/{path}#L{line}".to_owned());
    world.options.commit = Some("0a1b2c3".to_owned());
    let (_, report) = world.run(&[]).await;
    report.unwrap();
    insta::assert_snapshot!(world.issues().await[0].body, @"
    Phase: Phase 1: Login › Form

    Log in @alice

    With a password.

    - [ ] remember me

    Definition of done:

    - tested

    Design documents:

    - [docs/api.md](https://g.example/a/b/-/blob/0a1b2c3/docs/api.md)

    Made from the plan: [docs/project-notes.md, line 7](https://g.example/a/b/-/blob/0a1b2c3/docs/project-notes.md#L7) at commit 0a1b2c3

    plan-file: docs/project-notes.md
    plan-line: 7
    plan-commit: 0a1b2c3
    plan-item: c1f6e890529c43b592bf4606e7b8758866aa106fdc22648c51bcd64a30b152bf
    v: 1
    ");
    assert!(
        world
            .text()
            .contains("- [ ] Log in @alice ([#1](https://g.example/a/b/-/issues/1))\n")
    );
}

#[tokio::test]
async fn a_plan_reads_like_a_diff_and_as_json() {
    let world = World::new(
        "## Phase 1\n\n- [ ] a\n- [x] b\n- [ ] c ([#9](https://elsewhere.example/x/-/issues/9))\n",
    );
    let plan = world.look().await;
    insta::assert_snapshot!(plan, @"
    docs/project-notes.md
      Phase 1
        + line 3: a
            labels: Phase 1 · milestone: Phase 1
      left as they are: 1 linked elsewhere, 1 ticked without a link
    + label Phase 1
    + milestone Phase 1
    ! docs/project-notes.md:5: links to another tracker or project: https://elsewhere.example/x/-/issues/9
    plan 9e75d0a70eb6: 3 requests that write
    ");
    let json = serde_json::to_value(&plan).unwrap();
    assert_eq!(json["files"][0]["items"][0]["action"]["do"], "create");
    assert_eq!(json["files"][0]["items"][1]["action"]["why"], "ticked");
    assert_eq!(json["drift"][0]["drift"], "elsewhere");
    assert_eq!(json["writes"], 3);
    assert_eq!(world.issues().await, [], "a dry run writes nothing");
    assert_eq!(world.look().await.id, plan.id);
}
