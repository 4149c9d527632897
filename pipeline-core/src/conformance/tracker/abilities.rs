//! Attachments, new issues, what is not declared, and what must not show.

use sha2::Digest as _;
use sha2::Sha256;

use super::MARKER;
use super::TrackerHarness;
use super::filed;
use crate::conformance::Violation;
use crate::conformance::case::Succeeds as _;
use crate::conformance::case::chain;
use crate::conformance::case::ensure;
use crate::conformance::case::same;
use crate::issue::Attachment;
use crate::issue::AttachmentId;
use crate::issue::IssueDraft;
use crate::issue::IssueKey;
use crate::secret::Redactor;
use crate::secret::Secret;
use crate::status::Status;
use crate::status::Transition;
use crate::tracker::IssueName;
use crate::tracker::IssueQuery;
use crate::tracker::Tracker;
use crate::tracker::TrackerError;

const HOSTILE_NAMES: &[&str] = &[
    "../../etc/passwd",
    "..",
    ".",
    "/etc/passwd",
    "a/b\\c:d",
    "line\nfeed\r\u{1b}[31mred",
    "nul\u{0}byte.txt",
    "\u{202e}gpj.exe",
    "con",
    "ログ 2026.txt",
    "%2e%2e%2fx?y#z",
    "\"; rm -rf ~; '.txt",
    "<img src=x onerror=alert(1)>.png",
    " ",
    "-rf",
];

/// An attached file comes back byte for byte and is listed with its name at the issue or in its thread.
///
/// # Errors
/// A [`Violation`].
pub async fn attachments_round_trip(harness: &dyn TrackerHarness) -> Result<(), Violation> {
    let tracker = harness.tracker();
    if !tracker.capabilities().attachments {
        return Ok(());
    }
    let key = filed(harness, "With a file").await?;
    let content: Vec<u8> = (0..=255u8).cycle().take(5000).collect();
    let id = tracker.attach(&key, "log.txt", &content).await;
    let id = id.succeeds("attaching a file")?;
    harness.settle().await;
    let read = tracker
        .attachment(&key, id)
        .await
        .succeeds("fetching the file")?;
    ensure(read == content, || {
        "the file came back with other bytes".to_owned()
    })?;
    let listed = listed(&*tracker, &key).await?;
    let Some(entry) = listed.iter().find(|a| a.id == id) else {
        return Err(Violation::new(
            "the file is listed neither at the issue nor in its thread",
        ));
    };
    same("its name", &entry.name.as_str(), &"log.txt")?;
    if let Some(size) = entry.size {
        same("its size", &size, &5000)?;
    }
    if let Some(digest) = &entry.digest {
        same("its digest", digest, &hex::encode(Sha256::digest(&content)))?;
    }
    Ok(())
}

/// A file with a hostile name is refused or comes back by its id like any other; its name is only text.
///
/// # Errors
/// A [`Violation`].
pub async fn hostile_file_names_do_no_harm(harness: &dyn TrackerHarness) -> Result<(), Violation> {
    let tracker = harness.tracker();
    if !tracker.capabilities().attachments {
        return Ok(());
    }
    let key = filed(harness, "With strange files").await?;
    let mut kept = Vec::new();
    for (i, name) in HOSTILE_NAMES.iter().enumerate() {
        let content = format!("file number {i}").into_bytes();
        if let Ok(id) = tracker.attach(&key, name, &content).await {
            kept.push((id, content));
        }
    }
    harness.settle().await;
    for (id, content) in &kept {
        let read = tracker
            .attachment(&key, *id)
            .await
            .succeeds("fetching the file")?;
        same("its content", &read, content)?;
    }
    let listed = listed(&*tracker, &key).await?;
    same("the number of listed files", &listed.len(), &kept.len())
}

/// An attachment that is not there is `NotFound`.
///
/// # Errors
/// A [`Violation`].
pub async fn a_missing_attachment_is_not_found(
    harness: &dyn TrackerHarness,
) -> Result<(), Violation> {
    let tracker = harness.tracker();
    if !tracker.capabilities().attachments {
        return Ok(());
    }
    let key = filed(harness, "Without a file").await?;
    let answer = tracker
        .attachment(&key, AttachmentId(u64::from(u32::MAX)))
        .await;
    ensure(matches!(answer, Err(TrackerError::NotFound { .. })), || {
        format!("a missing attachment is answered with {answer:?}")
    })
}

/// An issue we create reads back as drafted, in the status new issues have, with us as its author.
///
/// # Errors
/// A [`Violation`].
pub async fn created_issues_read_back(harness: &dyn TrackerHarness) -> Result<(), Violation> {
    let tracker = harness.tracker();
    if !tracker.capabilities().create_issues {
        return Ok(());
    }
    let body =
        "目的: ログイン画面を直す。\n\n- [ ] step one\n- [ ] step two\n\nplan-item: 0123abcd";
    let draft = IssueDraft {
        title: "計画: fix the login page".to_owned(),
        body: tracker.dialect().neutralise(body),
        labels: harness.label().into_iter().collect(),
        ..IssueDraft::default()
    };
    let created = tracker
        .create_issue(&draft)
        .await
        .succeeds("creating an issue")?;
    harness.settle().await;
    let issue = tracker.issue(&created.key).await;
    let issue = issue.succeeds("reading the new issue")?.value;
    same("its title", &issue.title, &draft.title)?;
    same("its body", &issue.body, &draft.body)?;
    same("its status", &issue.status, &Status::Open)?;
    for label in &draft.labels {
        ensure(issue.labels.contains(label), || {
            format!(
                "the label {label:?} is not on the issue, which has {:?}",
                issue.labels
            )
        })?;
    }
    let me = tracker.me().await.succeeds("asking for the account")?.value;
    if let Some(author) = issue.author {
        same("its author", &author.id, &me.id)?;
    }
    let query = IssueQuery::in_status(Status::Open);
    let listed = tracker
        .list_issues(&query)
        .await
        .succeeds("listing issues")?
        .value;
    let times = listed.iter().filter(|i| i.key == created.key).count();
    same("how often it is listed", &times, &1)
}

/// A label and a milestone can be provided, once or again, and an issue created with them reads back with both.
///
/// # Errors
/// A [`Violation`].
pub async fn names_are_provided(harness: &dyn TrackerHarness) -> Result<(), Violation> {
    let tracker = harness.tracker();
    if !tracker.capabilities().create_issues {
        return Ok(());
    }
    // Tests that run beside this one on the same tracker make names of their own.
    let unique = crate::random::nonce();
    let label = format!("phase-{}", &unique[..8]);
    let milestone = format!("Phase {}: 基盤", &unique[..8]);
    let draft = IssueDraft {
        title: "With a label and a milestone".to_owned(),
        labels: vec![label.clone()],
        milestone: Some(milestone.clone()),
        ..IssueDraft::default()
    };
    let names = [
        IssueName::Label(label.clone()),
        IssueName::Milestone(milestone.clone()),
    ];
    for name in names.iter().chain(&names) {
        let provided = tracker.provide(name).await;
        provided.succeeds("providing a name")?;
        harness.settle().await;
    }
    let known = tracker.issue_names().await;
    let known = known.succeeds("asking for the names")?.value;
    for (set, name) in [(&known.labels, &label), (&known.milestones, &milestone)] {
        let listed = set.as_ref().is_none_or(|set| set.contains(name));
        ensure(listed, || {
            format!("{name:?} was provided and is not among the names {set:?}")
        })?;
    }
    let created = tracker.create_issue(&draft).await;
    let created = created.succeeds("creating an issue with provided names")?;
    harness.settle().await;
    let issue = tracker.issue(&created.key).await;
    let issue = issue.succeeds("reading the new issue")?.value;
    same(
        "its milestone",
        &issue.milestone.as_deref(),
        &Some(milestone.as_str()),
    )?;
    ensure(issue.labels.contains(&label), || {
        format!(
            "the label {label:?} is not on the issue, which has {:?}",
            issue.labels
        )
    })
}

/// What is not declared answers `Unsupported` and does nothing.
///
/// # Errors
/// A [`Violation`].
pub async fn undeclared_capabilities_are_unsupported(
    harness: &dyn TrackerHarness,
) -> Result<(), Violation> {
    let tracker = harness.tracker();
    let declared = tracker.capabilities();
    let key = filed(harness, "What cannot be done").await?;
    let step = Transition::triaged();
    let mut answers = Vec::new();
    if !declared.create_issues {
        let draft = IssueDraft {
            title: "Not to be created".to_owned(),
            ..IssueDraft::default()
        };
        answers.push(("create_issue", tracker.create_issue(&draft).await.map(drop)));
        answers.push(("issue_names", tracker.issue_names().await.map(drop)));
        let label = IssueName::Label("not-to-be-made".to_owned());
        answers.push(("provide", tracker.provide(&label).await));
    }
    if !declared.attachments {
        let fetched = tracker.attachment(&key, AttachmentId(1)).await;
        answers.push(("attachment", fetched.map(drop)));
        let attached = tracker.attach(&key, "a.txt", b"a").await;
        answers.push(("attach", attached.map(drop)));
    }
    if !declared.comment_with_transition {
        let moved = tracker.transition(&key, &step, Some(MARKER)).await;
        answers.push(("transition with a memo", moved.map(drop)));
    }
    for (call, answer) in answers {
        let unsupported = matches!(answer, Err(TrackerError::Unsupported { .. }));
        ensure(unsupported, || {
            format!("{call} is not declared and is answered with {answer:?}")
        })?;
    }
    harness.settle().await;
    let issue = tracker
        .issue(&key)
        .await
        .succeeds("reading the issue")?
        .value;
    same("the status", &issue.status, &Status::Open)?;
    same("the files", &listed(&*tracker, &key).await?.len(), &0)
}

/// Name and identity are not empty, on one line, and the same each time.
///
/// # Errors
/// A [`Violation`].
pub async fn a_name_and_an_identity_stay(harness: &dyn TrackerHarness) -> Result<(), Violation> {
    let tracker = harness.tracker();
    let first = (tracker.name().to_owned(), tracker.identity());
    for text in [&first.0, &first.1] {
        let fit = !text.is_empty() && !text.chars().any(char::is_control);
        ensure(fit, || format!("{text:?} is no name"))?;
    }
    filed(harness, "Anything").await?;
    let later = (tracker.name().to_owned(), tracker.identity());
    same("name and identity", &later, &first)
}

/// The credential shows in no `Debug`, name, identity or error, whatever goes wrong.
///
/// # Errors
/// A [`Violation`].
pub async fn no_secret_is_shown(harness: &dyn TrackerHarness) -> Result<(), Violation> {
    // Characters that are escaped differently in a URL, in JSON and in base64.
    let canary = Secret::new("cAnary/+\"7f3e&=%91");
    let redactor = Redactor::new([&canary]);
    let troubled = harness.in_trouble(&canary).await;
    for tracker in troubled.succeeds("arranging for trouble")? {
        let shown = everything_shown(&*tracker, &harness.missing_issue()).await;
        if let Some(leak) = shown.iter().find(|text| redactor.finds(text)) {
            // The report must not leak either: it lands in CI logs.
            return Err(Violation::new(format!(
                "the credential shows in: {}",
                redactor.redact(leak)
            )));
        }
    }
    Ok(())
}

async fn everything_shown(tracker: &dyn Tracker, key: &IssueKey) -> Vec<String> {
    fn failure<T>(result: Result<T, TrackerError>) -> Option<TrackerError> {
        result.err()
    }
    let draft = IssueDraft {
        title: "x".to_owned(),
        ..IssueDraft::default()
    };
    let step = Transition::triaged();
    let query = IssueQuery::in_status(Status::Open);
    let errors = [
        failure(tracker.me().await),
        failure(tracker.list_issues(&query).await),
        failure(tracker.issue(key).await),
        failure(tracker.comments(key).await),
        failure(tracker.history(key).await),
        failure(tracker.changes(None).await),
        failure(tracker.add_comment(key, "x").await),
        failure(tracker.transition(key, &step, None).await),
        failure(tracker.attachment(key, AttachmentId(1)).await),
        failure(tracker.attach(key, "a.txt", b"a").await),
        failure(tracker.create_issue(&draft).await),
        failure(tracker.issue_names().await),
        failure(tracker.provide(&IssueName::Label("x".to_owned())).await),
    ];
    let mut shown = vec![
        tracker.name().to_owned(),
        tracker.identity(),
        format!("{tracker:?}"),
        format!("{tracker:#?}"),
    ];
    for error in errors.into_iter().flatten() {
        shown.push(chain(&error));
        shown.push(format!("{error:?}"));
        shown.push(format!("{error:#?}"));
    }
    shown
}

/// Returns the files at an issue and in its thread.
async fn listed(tracker: &dyn Tracker, key: &IssueKey) -> Result<Vec<Attachment>, Violation> {
    let issue = tracker.issue(key).await.succeeds("reading the issue")?;
    let thread = tracker.comments(key).await.succeeds("reading the thread")?;
    let mut all = issue.value.attachments;
    for attachment in thread.value.into_iter().flat_map(|c| c.attachments) {
        // Some trackers show a file at the issue and at the comment it came with.
        if all.iter().all(|a| a.id != attachment.id) {
            all.push(attachment);
        }
    }
    Ok(all)
}
