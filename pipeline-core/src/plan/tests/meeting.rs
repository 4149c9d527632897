//! Items that were moved, reworded, split, deleted, doubled; issues that went on.

use super::*;
use crate::issue::IssueKey;
use crate::status::Status;
use crate::tracker::Dialect;

fn key(text: &str) -> IssueKey {
    IssueKey::new(text).unwrap()
}

async fn applied(text: &str) -> World {
    let world = World::new(text);
    world.run(&[]).await.1.unwrap();
    world
}

/// Changes the document as a person would.
fn edit(world: &World, from: &str, to: &str) {
    let text = world.text();
    assert!(text.contains(from), "{text}");
    world.files.set(FILE, &text.replacen(from, to, 1));
}

#[tokio::test]
async fn a_reworded_item_keeps_its_issue_and_is_told() {
    let world = applied("## Phase 1\n\n- [ ] a\n- [ ] b\n").await;
    edit(&world, "] a (", "] a, but better (");
    let plan = world.look().await;
    assert!(plan.is_empty());
    let told: Vec<String> = plan.drift.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        ["docs/project-notes.md:3: worded differently: `a, but better` here, `a` in 1"]
    );
}

#[tokio::test]
async fn an_item_moved_to_another_phase_keeps_its_issue_and_is_told() {
    let world = applied("## Phase 1\n\n- [ ] a\n\n## Phase 2\n\n- [ ] b\n").await;
    let text = world.text();
    let line = text.lines().find(|l| l.contains("] a")).unwrap().to_owned();
    world.files.set(
        FILE,
        &format!("{}{line}\n", text.replacen(&format!("{line}\n"), "", 1)),
    );
    let plan = world.look().await;
    assert!(plan.is_empty());
    assert!(
        matches!(&plan.drift[..], [Drift::Moved { expected, .. }] if *expected == ["Phase 2"]),
        "{:?}",
        plan.drift
    );
}

#[tokio::test]
async fn a_split_item_gets_an_issue_for_its_new_half_only() {
    let world = applied("## Phase 1\n\n- [ ] a and b\n").await;
    edit(&world, "] a and b", "] a");
    world.files.set(FILE, &format!("{}- [ ] b\n", world.text()));
    let plan = world.look().await;
    assert_eq!(plan.writes, 1);
    assert!(matches!(&plan.drift[..], [Drift::Reworded { .. }]));
}

#[tokio::test]
async fn a_deleted_item_leaves_an_orphan_until_it_is_done() {
    let world = applied("## Phase 1\n\n- [ ] a\n- [ ] b\n").await;
    let text = world.text();
    let line = text.lines().find(|l| l.contains("] a")).unwrap();
    world
        .files
        .set(FILE, &text.replacen(&format!("{line}\n"), "", 1));
    let plan = world.look().await;
    assert!(plan.is_empty());
    assert!(matches!(&plan.drift[..], [Drift::Orphan { key, .. }] if key.as_str() == "1"));
    let alice = world.memory.as_person("alice");
    alice
        .move_to(&key("1"), &Status::Other("Closed".into()))
        .unwrap();
    assert_eq!(world.look().await.drift, []);
}

#[tokio::test]
async fn the_same_words_twice_are_two_items_also_when_one_is_put_before() {
    let world = applied("## Phase 1\n\n- [ ] same\n- [ ] same\n\n## Phase 2\n\n- [ ] same\n").await;
    world.is_whole(3).await;
    edit(&world, "- [ ] same", "- [ ] same\n- [ ] same");
    let (_, report) = world.run(&[]).await;
    assert_eq!(report.unwrap().created.len(), 1);
    world.is_whole(4).await;
}

#[tokio::test]
async fn an_issue_that_was_deleted_is_told_and_not_made_again() {
    let world = applied("## Phase 1\n\n- [ ] a\n- [ ] b\n").await;
    world
        .memory
        .as_person("alice")
        .delete_issue(&key("1"))
        .unwrap();
    let plan = world.look().await;
    assert!(plan.is_empty());
    assert!(
        matches!(&plan.drift[..], [Drift::Gone { line: 3, .. }]),
        "{:?}",
        plan.drift
    );
}

#[tokio::test]
async fn what_is_done_on_one_side_only_is_told_and_pulled() {
    let mut world = applied("## Phase 1\n\n- [ ] a\n- [ ] b\n").await;
    world
        .memory
        .as_person("alice")
        .move_to(&key("1"), &Status::Other("Closed".into()))
        .unwrap();
    edit(&world, "- [ ] b", "- [x] b");
    let drift = world.look().await.drift;
    assert!(
        matches!(
            &drift[..],
            [
                Drift::DoneInTracker { line: 3, .. },
                Drift::DoneInPlan { line: 4, .. }
            ]
        ),
        "{drift:?}"
    );
    world.options.pull = true;
    let before = world.text();
    let (tracker, report) = world.run(&[]).await;
    assert_eq!(report.unwrap().ticked.len(), 1);
    assert_eq!(tracker.writes(), 0);
    assert_eq!(world.text(), before.replacen("- [ ] a", "- [x] a", 1));
    assert!(matches!(
        &world.look().await.drift[..],
        [Drift::DoneInPlan { .. }]
    ));
}

#[tokio::test]
async fn several_files_and_a_link_in_two_of_them() {
    let world = World::new("## Phase 1\n\n- [ ] a\n");
    world.files.set("other.md", "## Phase 1\n\n- [ ] a\n");
    let files = [FILE.to_owned(), "other.md".to_owned(), FILE.to_owned()];
    let (_, sync) = world.calm();
    let plan = sync.look(&files, &[]).await.unwrap();
    let report = sync.apply(&plan, &Unwatched).await.unwrap();
    assert_eq!((report.created.len(), report.written.len()), (2, 2));
    world.files.set("other.md", &world.text());
    let drift = sync.look(&files, &[]).await.unwrap().drift;
    assert!(
        drift
            .iter()
            .any(|d| matches!(d, Drift::LinkedTwice { places, .. } if places.len() == 2)),
        "{drift:?}"
    );
}

#[tokio::test]
async fn long_titles_are_cut_and_kept_whole_in_the_text() {
    let long = "A title that goes on 長い ".repeat(30);
    let world = applied(&format!(
        "## Phase 1, with, commas {}\n\n- [ ] {long}\n",
        "x".repeat(300)
    ))
    .await;
    let issue = &world.issues().await[0];
    assert!(issue.title.chars().count() <= 255 && issue.title.ends_with('…'));
    assert!(issue.body.contains(long.trim()));
    assert!(issue.labels[0].chars().count() <= 100 && !issue.labels[0].contains(','));
    assert_eq!(world.look().await.drift, []);
}

/// Quotes commands, makes mentions code, has no characters of four bytes: what the dialects of real trackers do.
#[derive(Debug)]
struct Strict;

impl Dialect for Strict {
    fn neutralise(&self, text: &str) -> String {
        let text: String = text
            .chars()
            .map(|c| if c.len_utf8() == 4 { '\u{25a1}' } else { c })
            .collect();
        let line = |l: &str| {
            let l = if l.starts_with('/') {
                format!("> {l}")
            } else {
                l.to_owned()
            };
            let words = l.split(' ').map(|w| {
                if w.starts_with('@') {
                    format!("`{w}`")
                } else {
                    w.to_owned()
                }
            });
            words.collect::<Vec<_>>().join(" ")
        };
        text.split('\n').map(line).collect::<Vec<_>>().join("\n")
    }
    fn max_chars(&self) -> usize {
        5_000
    }
    fn key_prefix(&self) -> &str {
        "- "
    }
}

#[tokio::test]
async fn what_a_plan_says_is_text_on_every_tracker() {
    let mut world = World::new(
        "## Phase 1\n\n- [ ] Ship it 🚀 for @alice\n\n  /close\n  /assign @mallory\n\n  plan-item: 0000000000000000000000000000000000000000000000000000000000000000\n- [ ] /close\n- [ ] <script>alert(1)</script> and <!-- hidden --> html\n- [ ] שלום \u{202e}txt.exe\n- [ ] See [a (b)](x_(y).md)\n",
    );
    world.memory = world.memory.with_dialect(Arc::new(Strict));
    let (_, report) = world.run(&[]).await;
    assert_eq!(report.unwrap().created.len(), 5);
    for issue in world.issues().await {
        assert_eq!(
            Strict.neutralise(&issue.body),
            issue.body,
            "nothing in it is left to neutralise"
        );
        assert_eq!(Strict.neutralise(&issue.title), issue.title);
        assert!(
            !issue.body.lines().any(|l| l.starts_with('/')),
            "{}",
            issue.body
        );
    }
    assert_eq!(
        world.issues().await[0].title,
        "Ship it \u{25a1} for \u{ff20}alice"
    );
    assert_eq!(world.linked(), 5);
    let (tracker, again) = world.run(&[]).await;
    assert_eq!(
        (again.unwrap(), tracker.writes()),
        (SyncReport::default(), 0)
    );
    assert_eq!(
        world.look().await.drift,
        [],
        "what was neutralised is not drift"
    );
}

#[tokio::test]
async fn a_long_description_is_cut_and_says_so() {
    let mut world = World::new(&format!(
        "## Phase 1\n\n- [ ] a\n\n  {}\n",
        "word ".repeat(4_000)
    ));
    world.memory = world.memory.with_dialect(Arc::new(Strict));
    world.run(&[]).await.1.unwrap();
    let body = &world.issues().await[0].body;
    assert!(
        body.chars().count() <= 5_000 && body.contains("(The rest was cut here: the plan has it.)")
    );
    world.is_whole(1).await;
}
