//! What becomes of a comment.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::MARKER;
use super::TrackerHarness;
use super::filed;
use super::said;
use super::written;
use crate::conformance::Violation;
use crate::conformance::case::Succeeds as _;
use crate::conformance::case::ensure;
use crate::conformance::case::same;
use crate::issue::CommentId;
use crate::issue::IssueKey;
use crate::tracker::Tracker;

/// Text that no dialect has a reason to touch.
const PLAIN: &[&str] = &[
    "",
    "One sentence.",
    "v: 1\nissue: PROJ-12\nbase: main",
    "原因は設定ファイルの値です。(詳細は次の行)\n全角スペース　と「括弧」も、そのまま。",
    "Ünïcode, naïve, Straße; quotes are \"fine\" and so is 'this'.",
    "First paragraph.\n\nSecond paragraph, after a blank line.",
    "> quoted\n> by us",
];

/// Text that some tracker or other changes, refuses or obeys.
const TRICKY: &[&str] = &[
    "```rust\nfn main() {\n    println!(\"{}\", 1);\n}\n```",
    "a fence that is never closed:\n```\n/close",
    "    four spaces\n\ta tab",
    "trailing spaces  \nand a trailing line feed\n",
    "two at the end\n\n",
    "\n\nblank lines first",
    "CRLF\r\nlines\r\n",
    "emoji 🦀 👩‍👩‍👧 🇯🇵 and 𠮷野家",
    "decomposed: e\u{301}, composed: é, ㈱, ｶﾞ",
    "zero width: a\u{200b}b\u{feff}c, right to left: \u{202e}abc\u{202c}",
    "controls: a\u{7}b\u{1b}[31mc\u{0}d\u{85}e",
    "/close\n/label ~bug\n /reopen\n/assign @alice",
    "@alice, @all, #12, !3, ~bug, $1, %2, &4, [vulnerability:1], closes #12",
    "<b>bold</b> <!-- hidden --> <details><summary>x</summary></details> &lt;&amp;",
    "# Heading\n* starred\n** twice\n{code}x{/code} ''bold'' &br; [[a>b]]",
    "C:\\temp\\new %0A %s %% \\u0041 {\"json\": [1, 2]}",
    "| a | b |\n|---|---|\n| 1 | 2 |",
    "- [ ] open\n- [x] done\n1. one",
];

/// What is posted within the dialect comes back byte for byte, with the marker as its first line.
///
/// # Errors
/// A [`Violation`].
pub async fn bodies_survive_byte_for_byte(harness: &dyn TrackerHarness) -> Result<(), Violation> {
    let tracker = harness.tracker();
    let key = filed(harness, "All kinds of text").await?;
    let mut sent = Vec::new();
    for text in PLAIN.iter().chain(TRICKY) {
        let body = tracker.dialect().neutralise(&format!("{MARKER}\n{text}"));
        same("the first line", &body.lines().next(), &Some(MARKER))?;
        let posted = tracker.add_comment(&key, &body).await;
        let posted = posted.succeeds(&format!("posting {body:?}"))?.value;
        same("the posted body", &posted.body, &body)?;
        sent.push((posted.id, body));
    }
    harness.settle().await;
    let thread = written(&*tracker, &key).await?;
    let read: Vec<_> = thread.into_iter().map(|c| (c.id, c.body)).collect();
    for (found, expected) in read.iter().zip(&sent) {
        same("a body in the thread", found, expected)?;
    }
    same("the number of comments", &read.len(), &sent.len())
}

/// The longest body the dialect promises is taken whole.
///
/// # Errors
/// A [`Violation`].
pub async fn the_longest_body_survives_whole(
    harness: &dyn TrackerHarness,
) -> Result<(), Violation> {
    let tracker = harness.tracker();
    let key = filed(harness, "A long text").await?;
    let body = filled_to(tracker.dialect().max_chars());
    let posted = tracker.add_comment(&key, &body).await;
    let posted = posted.succeeds("posting the longest body")?.value;
    ensure(posted.body == body, || {
        "the longest body came back as something else".to_owned()
    })?;
    harness.settle().await;
    let thread = written(&*tracker, &key).await?;
    let whole = thread.last().is_some_and(|c| c.body == body);
    ensure(whole, || {
        "the longest body is not in the thread as sent".to_owned()
    })
}

/// A body over the limit is refused and nothing is posted, or it is kept whole; it is never cut.
///
/// # Errors
/// A [`Violation`].
pub async fn a_body_over_the_limit_is_never_cut(
    harness: &dyn TrackerHarness,
) -> Result<(), Violation> {
    let tracker = harness.tracker();
    let key = filed(harness, "Too long a text").await?;
    let body = filled_to(tracker.dialect().max_chars().saturating_add(1));
    let posted = tracker.add_comment(&key, &body).await;
    harness.settle().await;
    let thread = written(&*tracker, &key).await?;
    let thread: Vec<_> = thread.into_iter().map(|c| c.body).collect();
    let expected = match posted {
        Ok(_) => vec![body],
        Err(_) => Vec::new(),
    };
    ensure(thread == expected, || {
        "the thread holds something else than all of it or nothing".to_owned()
    })
}

/// Neutralised text is neutral: doing it again changes nothing.
///
/// # Errors
/// A [`Violation`].
pub async fn the_dialect_is_idempotent(harness: &dyn TrackerHarness) -> Result<(), Violation> {
    let tracker = harness.tracker();
    let dialect = tracker.dialect();
    for text in PLAIN.iter().chain(TRICKY) {
        let once = dialect.neutralise(text);
        same("text neutralised twice", &dialect.neutralise(&once), &once)?;
    }
    let prefix = dialect.key_prefix();
    ensure(["", "- "].contains(&prefix), || {
        format!("the key prefix is {prefix:?}, which no memo can be parsed with")
    })
}

/// Text without commands, mentions, references or refused characters stays as it is.
///
/// # Errors
/// A [`Violation`].
pub async fn the_dialect_leaves_plain_text_alone(
    harness: &dyn TrackerHarness,
) -> Result<(), Violation> {
    let tracker = harness.tracker();
    for text in PLAIN.iter().chain(&[MARKER]) {
        let found = tracker.dialect().neutralise(text);
        same("plain text", &found.as_str(), text)?;
    }
    Ok(())
}

/// What we post carries the account that `me` names, what a person posts carries that person's.
///
/// # Errors
/// A [`Violation`].
pub async fn our_comments_carry_our_account(harness: &dyn TrackerHarness) -> Result<(), Violation> {
    let tracker = harness.tracker();
    let me = tracker.me().await.succeeds("asking for the account")?.value;
    let human = harness.human().await.succeeds("asking who the person is")?;
    ensure(me.id != human.id, || {
        "the person is the pipeline, so nothing here can be told apart".to_owned()
    })?;
    let key = filed(harness, "Who said what").await?;
    let ours = tracker
        .add_comment(&key, MARKER)
        .await
        .succeeds("posting")?;
    same("the author of the reply", &ours.value.author.id, &me.id)?;
    // A pasted marker makes nobody the pipeline.
    let theirs = said(harness, &key, MARKER).await?;
    harness.settle().await;
    let thread = written(&*tracker, &key).await?;
    for (id, author) in [(ours.value.id, &me.id), (theirs, &human.id)] {
        let found = thread.iter().find(|c| c.id == id);
        let found = found.map(|c| &c.author.id);
        same(
            &format!("the author of comment {id}"),
            &found,
            &Some(author),
        )?;
    }
    Ok(())
}

/// Comments posted at the same time are all kept, each with an id of its own.
///
/// # Errors
/// A [`Violation`].
pub async fn concurrent_comments_are_all_kept(
    harness: &dyn TrackerHarness,
) -> Result<(), Violation> {
    const WRITERS: usize = 8;
    let tracker = harness.tracker();
    let key = filed(harness, "Everybody talks").await?;
    let writers = (0..WRITERS).map(|i| {
        let (tracker, key) = (Arc::clone(&tracker), key.clone());
        tokio::spawn(async move { tracker.add_comment(&key, &format!("Writer {i}.")).await })
    });
    let mut posted = BTreeSet::new();
    for writer in writers.collect::<Vec<_>>() {
        let comment = writer.await.succeeds("running a writer")?;
        let comment = comment.succeeds("posting beside others")?.value;
        posted.insert((comment.id, comment.body));
    }
    harness.settle().await;
    let thread = written(&*tracker, &key).await?;
    let rising = thread.is_sorted_by(|a, b| a.id < b.id);
    ensure(rising, || "the ids of the thread do not rise".to_owned())?;
    let read: BTreeSet<_> = thread.into_iter().map(|c| (c.id, c.body)).collect();
    same("the thread", &read, &posted)?;
    let ids: BTreeSet<_> = read.iter().map(|(id, _)| id).collect();
    same("the number of ids", &ids.len(), &WRITERS)
}

/// Ids of comments rise in the order of creation over the whole tracker, whoever writes.
///
/// # Errors
/// A [`Violation`].
pub async fn comment_ids_rise_across_issues(harness: &dyn TrackerHarness) -> Result<(), Violation> {
    let tracker = harness.tracker();
    let keys = [filed(harness, "One").await?, filed(harness, "Two").await?];
    let mut ids = Vec::new();
    for round in 0..3 {
        for key in &keys {
            ids.push(posted(&*tracker, key, &format!("Ours, round {round}.")).await?);
            ids.push(said(harness, key, "Theirs.").await?);
        }
    }
    let rising = ids.is_sorted_by(|a, b| a < b);
    ensure(rising, || {
        format!("in order of creation the ids are {ids:?}")
    })
}

async fn posted(tracker: &dyn Tracker, key: &IssueKey, body: &str) -> Result<CommentId, Violation> {
    let posted = tracker.add_comment(key, body).await.succeeds("posting")?;
    Ok(posted.value.id)
}

/// Returns a body of exactly so many characters, most of them of three bytes, without anything to neutralise.
fn filled_to(chars: usize) -> String {
    let head = format!("{MARKER}\n");
    let rest = chars.saturating_sub(head.chars().count());
    head + &"あ".repeat(rest)
}
