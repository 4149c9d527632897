use super::*;
use crate::clock::Timestamp;
use crate::issue::AccountRef;
use crate::issue::Attachment;
use crate::journal::MemoryJournal;
use crate::memo::Fields;
use crate::memo::Markers;
use crate::memo::MemoKind;
use crate::memo::SigningKeys;
use crate::memory::MemoryTracker;
use crate::memory::ScriptedClock;
use crate::memory::WriteFault;
use crate::secret::Secret;
use crate::tracker::Dialect;
use crate::tracker::TrackerCapabilities;

/// A tracker that takes little.
#[derive(Debug)]
struct Short;

impl Dialect for Short {
    fn neutralise(&self, text: &str) -> String {
        text.replace('@', "(at)")
    }

    fn max_chars(&self) -> usize {
        600
    }

    fn key_prefix(&self) -> &str {
        ""
    }
}

struct World {
    tracker: MemoryTracker,
    poster: Poster,
    issue: IssueKey,
}

impl World {
    fn new(tracker: MemoryTracker) -> Self {
        let start = Timestamp::parse("2026-03-01T09:00:00Z").expect("a time");
        let clock = Arc::new(ScriptedClock::jumping(start));
        let tracker = tracker
            .with_clock(Arc::clone(&clock) as _)
            .with_dialect(Arc::new(Short));
        let issue = tracker.as_person("ann").new_issue("x", "").expect("filed");
        let protocol = Protocol {
            accounts: vec![AccountRef("pipeline".into())],
            ignore_authors: Vec::new(),
            markers: Markers::default(),
            keys: SigningKeys::new("memory:1"),
        };
        let poster = Poster {
            tracker: Arc::new(tracker.clone()),
            protocol: Arc::new(protocol),
            journal: Arc::new(MemoryJournal::default()),
            clock,
            redactor: Arc::new(Redactor::new([&Secret::new("hush-hush-hush")])),
            most_per_day: 50,
            owner: None,
        };
        Self {
            tracker,
            poster,
            issue,
        }
    }

    async fn post(&self, text: &str) -> Result<String, PostError> {
        let memo = Memo::new(MemoKind::LocalCheck, Fields::new(), text.to_owned());
        Ok(self.poster.post(&self.issue, memo).await?.value.body)
    }

    async fn files(&self) -> Vec<(Attachment, String)> {
        let issue = self.tracker.issue(&self.issue).await.expect("there").value;
        let mut files = Vec::new();
        for attachment in issue.attachments {
            let bytes = self.tracker.attachment(&self.issue, attachment.id).await;
            let text = String::from_utf8(bytes.expect("there")).expect("text");
            files.push((attachment, text));
        }
        files
    }

    async fn memos(&self) -> usize {
        let thread = self.tracker.comments(&self.issue).await.expect("there");
        thread.value.iter().filter(|c| !c.body.is_empty()).count()
    }
}

fn long() -> String {
    (0..100).map(|n| format!("Line {n} for @all.\n")).collect()
}

#[tokio::test]
async fn a_text_that_fits_is_posted_without_a_file() {
    let world = World::new(MemoryTracker::new());
    let body = world.post("short").await.expect("posted");
    assert!(body.ends_with("short"), "{body}");
    assert!(world.files().await.is_empty());
}

#[tokio::test]
async fn of_a_text_that_is_too_long_nothing_is_lost() {
    let world = World::new(MemoryTracker::new());
    let body = world.post(&long()).await.expect("posted");
    assert!(
        body.chars().count() <= 600 && body.contains("Line 0 for (at)all."),
        "{body}"
    );
    let files = world.files().await;
    let [(file, content)] = files.as_slice() else {
        panic!("{files:?}");
    };
    assert!(
        body.contains(&format!("attached here as `{}`]", file.name)),
        "{body}"
    );
    assert_eq!(*content, long());
    // What was sent reads back as it is.
    let thread = world
        .tracker
        .comments(&world.issue)
        .await
        .expect("there")
        .value;
    let voice = world
        .poster
        .protocol
        .voice(&world.issue, &thread[thread.len() - 1]);
    let Voice::Ours(memo) = voice else {
        panic!("{voice:?}")
    };
    assert!(body.ends_with(&memo.text));
}

#[tokio::test]
async fn the_file_and_the_memo_are_there_once_whatever_answers_are_lost() {
    for faults in [
        &[WriteFault::Landed][..],
        &[WriteFault::Lost],
        &[WriteFault::Lost, WriteFault::Landed],
        &[
            WriteFault::Lost,
            WriteFault::Lost,
            WriteFault::Landed,
            WriteFault::Landed,
        ],
    ] {
        let world = World::new(MemoryTracker::new());
        for fault in faults {
            world.tracker.fail_next_write(*fault);
        }
        world.post(&long()).await.expect("posted");
        assert_eq!(
            (world.files().await.len(), world.memos().await),
            (1, 1),
            "{faults:?}"
        );
    }
}

#[tokio::test]
async fn a_try_that_was_given_up_leaves_its_file_to_the_next() {
    let world = World::new(MemoryTracker::new());
    for _ in 0..3 {
        world.tracker.fail_next_write(WriteFault::Lost);
    }
    world.post(&long()).await.expect_err("the file never lands");
    assert_eq!((world.files().await.len(), world.memos().await), (0, 0));
    world.tracker.fail_next_write(WriteFault::Landed);
    for _ in 0..3 {
        world.tracker.fail_next_write(WriteFault::Lost);
    }
    world.post(&long()).await.expect_err("the memo never lands");
    assert_eq!((world.files().await.len(), world.memos().await), (1, 0));
    world.post(&long()).await.expect("posted");
    assert_eq!((world.files().await.len(), world.memos().await), (1, 1));
}

#[tokio::test]
async fn where_nothing_can_be_attached_the_memo_says_that_the_rest_is_not_kept() {
    let none = TrackerCapabilities {
        attachments: false,
        ..MemoryTracker::new().capabilities()
    };
    let world = World::new(MemoryTracker::new().with_capabilities(none));
    let body = world.post(&long()).await.expect("posted");
    assert!(body.ends_with("could not be attached]"), "{body}");
}

#[tokio::test]
async fn a_secret_in_the_part_that_is_cut_is_found_before_anything_is_written() {
    let world = World::new(MemoryTracker::new());
    let before = world.tracker.writes().len();
    let refused = world.post(&format!("{}hush-hush-hush", long())).await;
    assert!(
        matches!(refused, Err(PostError::Secret { .. })),
        "{refused:?}"
    );
    assert_eq!(world.tracker.writes().len(), before);
}

#[tokio::test]
async fn a_file_of_ours_is_nobodys_word_and_another_one_is_a_persons() {
    let world = World::new(MemoryTracker::new());
    let body = world.post(&long()).await.expect("posted");
    let files = world.files().await;
    let author = world.tracker.me().await.expect("known").value;
    let mut record = Comment::new(crate::issue::CommentId(99), author, "", Timestamp::EPOCH);
    record.attachments = files.into_iter().map(|(a, _)| a).collect();
    let voice = |c: &Comment| world.poster.protocol.voice(&world.issue, c);
    assert_eq!(voice(&record), Voice::Nobody, "{body}");
    record.attachments[0].name = "notes.txt".into();
    assert_eq!(voice(&record), Voice::Person);
}
