use std::os::unix::fs::MetadataExt as _;

use super::*;
use crate::issue::AccountRef;
use crate::memo::Markers;
use crate::memo::SigningKeys;
use crate::memory::MemoryTracker;
use crate::mirror::Mirrored;
use crate::thread::Protocol;
use crate::tracker::TrackerCapabilities;

struct Desk {
    dir: tempfile::TempDir,
    tracker: MemoryTracker,
    key: IssueKey,
    store: AttachmentStore,
}

impl Desk {
    fn new(limits: AttachmentLimits) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let tracker = MemoryTracker::new();
        let key = tracker
            .as_person("ann")
            .new_issue("Title", "Body")
            .expect("filed");
        let store = AttachmentStore::open(dir.path().join("attachments"), limits).expect("opens");
        Self {
            dir,
            tracker,
            key,
            store,
        }
    }

    fn attach(&self, name: &str, content: &[u8]) {
        let ann = self.tracker.as_person("ann");
        ann.attach(&self.key, name, content).expect("attached");
    }

    async fn dossier(&self) -> Dossier {
        let issue = self.tracker.issue(&self.key).await.expect("there").value;
        let protocol = Protocol {
            accounts: vec![AccountRef("pipeline".into())],
            ignore_authors: Vec::new(),
            markers: Markers::default(),
            keys: SigningKeys::new("t"),
        };
        Dossier::of(&Mirrored::of(issue, Vec::new(), Vec::new()), &protocol, &[])
    }

    async fn fetched(&self) -> Dossier {
        self.store
            .fetch(&self.tracker, self.dossier().await)
            .await
            .expect("fetched")
    }

    fn files(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.dir.path().join("attachments"))
            .expect("reads")
            .map(|e| e.expect("entry").file_name().into_string().expect("ascii"))
            .collect();
        names.sort();
        names
    }
}

fn picture(width: u32) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    bytes.extend(width.to_be_bytes());
    bytes.extend(width.to_be_bytes());
    bytes.extend(b"\x08\x06\0\0\0\0\0\0\0");
    bytes
}

fn told(dossier: &Dossier) -> Vec<String> {
    let one = |c: &Content| match c {
        Content::NotFetched => "not fetched".to_owned(),
        Content::Image { .. } => "image".to_owned(),
        Content::Text { text, .. } => format!("text {text}"),
        Content::Stored { kind, .. } => format!("stored {kind}"),
        Content::Refused { reason } => reason.clone(),
    };
    dossier.files.iter().map(|f| one(&f.content)).collect()
}

#[tokio::test]
async fn each_kind_is_fetched_stored_and_shown_as_what_it_is() {
    let desk = Desk::new(AttachmentLimits::default());
    desk.attach("photo.exe", &picture(4));
    desk.attach("../../etc/passwd", b"a log");
    desk.attach("x.png", b"%PDF-1.4");
    desk.attach("x.txt", b"PK\x03\x04");
    let dossier = desk.fetched().await;
    insta::assert_snapshot!(told(&dossier).join("\n"), @r#"
    image
    text a log
    stored pdf
    it is an archive, and archives are never opened
    "#);
    let images = desk.store.images(&dossier);
    assert_eq!(images.len(), 1);
    assert_eq!(fs::read(&images[0]).expect("reads"), picture(4));
    assert_eq!(
        fs::metadata(&images[0]).expect("there").mode() & 0o777,
        0o600
    );
    for name in desk.files() {
        let (stem, extension) = name.split_once('.').expect("an extension");
        assert!(
            stem.len() == 64 && stem.bytes().all(|b| b.is_ascii_hexdigit()),
            "{name}"
        );
        assert!(["png", "txt", "pdf", "is"].contains(&extension), "{name}");
    }
}

#[tokio::test]
async fn what_is_stored_is_not_fetched_again() {
    let desk = Desk::new(AttachmentLimits::default());
    desk.attach("a.txt", b"a log");
    let mut dossier = desk.dossier().await;
    // As on trackers that tell no digest.
    dossier.files[0].attachment.digest = None;
    let first = desk
        .store
        .fetch(&desk.tracker, dossier.clone())
        .await
        .expect("fetched");
    desk.tracker.set_reachable(false);
    let again = desk
        .store
        .fetch(&desk.tracker, dossier.clone())
        .await
        .expect("kept");
    assert_eq!(first, again);

    // Another tracker with the same ids is another tracker.
    let other = desk.tracker.clone().with_identity("memory:2");
    let error = desk
        .store
        .fetch(&other, dossier)
        .await
        .expect_err("unreachable");
    assert!(matches!(error, AttachmentError::Tracker { .. }), "{error}");
}

#[tokio::test]
async fn a_damaged_file_is_fetched_anew() {
    let desk = Desk::new(AttachmentLimits::default());
    desk.attach("a.txt", b"a log");
    let first = desk.fetched().await;
    let name = desk
        .files()
        .into_iter()
        .find(|n| n.ends_with(".txt"))
        .expect("stored");
    fs::write(desk.dir.path().join("attachments").join(name), b"b log").expect("writes");
    assert_eq!(desk.fetched().await, first);
}

#[tokio::test]
async fn limits_are_kept_and_said() {
    let desk = Desk::new(AttachmentLimits {
        bytes: 100,
        count: 3,
        pixels: 100,
    });
    desk.attach("large", &[b'a'; 101]);
    desk.attach("wide", &picture(11));
    desk.attach("fine", &picture(10));
    desk.attach("late", b"a log");
    let mut dossier = desk.dossier().await;
    // A tracker that lies about sizes, or tells none.
    dossier.files[0].attachment.size = None;
    let dossier = desk
        .store
        .fetch(&desk.tracker, dossier)
        .await
        .expect("fetched");
    insta::assert_snapshot!(told(&dossier).join("\n"), @r#"
    it is larger than 100 bytes
    it is a picture of 11 × 11 pixels, and at most 100 are looked at
    image
    only the first 3 attachments are taken
    "#);
}

#[tokio::test]
async fn what_is_announced_too_large_is_not_even_asked_for() {
    let desk = Desk::new(AttachmentLimits::default());
    desk.attach("a", b"a log");
    let mut dossier = desk.dossier().await;
    dossier.files[0].attachment.size = Some(u64::MAX);
    desk.tracker.set_reachable(false);
    let dossier = desk
        .store
        .fetch(&desk.tracker, dossier)
        .await
        .expect("no request");
    assert_eq!(told(&dossier), ["it is larger than 10485760 bytes"]);
}

#[tokio::test]
async fn what_cannot_be_had_is_said_and_what_is_away_for_now_is_an_error() {
    let desk = Desk::new(AttachmentLimits::default());
    desk.attach("a", b"a log");
    let mut dossier = desk.dossier().await;
    dossier.files[0].attachment.digest = Some("0".repeat(64));
    let altered = desk
        .store
        .fetch(&desk.tracker, dossier.clone())
        .await
        .expect("fetched");
    assert_eq!(
        told(&altered),
        ["its content is not what the tracker lists"]
    );

    let mut gone = dossier.clone();
    gone.files[0].attachment.id.0 += 100;
    let gone = desk
        .store
        .fetch(&desk.tracker, gone)
        .await
        .expect("fetched");
    assert_eq!(told(&gone), ["the tracker no longer has it"]);

    let bare = desk
        .tracker
        .clone()
        .with_capabilities(TrackerCapabilities::default());
    let withheld = desk
        .store
        .fetch(&bare, dossier.clone())
        .await
        .expect("fetched");
    assert!(told(&withheld)[0].starts_with("the tracker does not give it out"));

    desk.tracker.set_reachable(false);
    let error = desk
        .store
        .fetch(&desk.tracker, dossier)
        .await
        .expect_err("away");
    assert!(matches!(error, AttachmentError::Tracker { .. }), "{error}");
}

#[test]
fn an_address_is_never_a_path() {
    let desk = Desk::new(AttachmentLimits::default());
    fs::write(desk.dir.path().join("secret.txt"), b"x").expect("writes");
    for address in ["../secret", "", "..", &"A".repeat(64)] {
        assert_eq!(desk.store.get(address).expect("reads"), None, "{address}");
    }
    let absent = desk.store.get(&"0".repeat(64)).expect("reads");
    assert_eq!(absent, None);
}
