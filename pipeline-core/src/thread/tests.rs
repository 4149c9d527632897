use super::*;
use crate::clock::Timestamp;
use crate::memo::Fields;
use crate::status::Status;
use crate::tracker::PlainDialect;

fn key() -> IssueKey {
    IssueKey::new("A-1").expect("valid")
}

fn protocol() -> Protocol {
    Protocol {
        accounts: vec![AccountRef("bot".into())],
        ignore_authors: vec![AccountRef("ci".into())],
        markers: Markers::default(),
        keys: SigningKeys::new("t"),
    }
}

fn comment(id: u64, author: &str, body: &str) -> Comment {
    Comment::new(
        CommentId(id),
        Account::new(author, None, author),
        body,
        Timestamp::EPOCH,
    )
}

fn triage() -> String {
    Memo::new(MemoKind::Triage, Fields::new(), "understood".into()).render(
        &Markers::default(),
        &PlainDialect,
        &key(),
        &SigningKeys::new("t"),
    )
}

#[test]
fn a_marker_pasted_by_somebody_else_is_an_ordinary_comment() {
    let thread = Thread::derive(&key(), &[comment(1, "mallory", &triage())], &protocol());
    assert!(thread.triage().is_none());
    assert_eq!(thread.people().count(), 1);
}

#[test]
fn our_marker_over_something_else_is_tampered_and_never_silent() {
    let body = format!("{}\nnot: 1\nhello", Markers::default().triage);
    let thread = Thread::derive(&key(), &[comment(1, "bot", &body)], &protocol());
    assert_eq!(thread.tampered().count(), 1);
    assert!(thread.triage().is_none());
}

#[test]
fn our_account_without_marker_is_a_persons_word() {
    let thread = Thread::derive(&key(), &[comment(1, "bot", "typed by hand")], &protocol());
    assert_eq!(thread.people().count(), 1);
}

#[test]
fn records_without_words_and_ignored_accounts_are_nobodys() {
    let thread = Thread::derive(
        &key(),
        &[comment(1, "ann", " "), comment(2, "ci", "red")],
        &protocol(),
    );
    assert_eq!(thread.people().count(), 0);
}

#[test]
fn order_and_doubles_of_the_pages_do_not_matter() {
    let comments = [
        comment(3, "ann", "c"),
        comment(1, "bot", &triage()),
        comment(3, "ann", "c"),
    ];
    let mut turned = comments.clone();
    turned.reverse();
    let thread = Thread::derive(&key(), &comments, &protocol());
    assert_eq!(thread, Thread::derive(&key(), &turned, &protocol()));
    assert_eq!(thread.entries().len(), 2);
}

#[test]
fn the_text_digest_names_what_changed_and_leaves_out_our_own_words() {
    let mut issue = Issue::new(key(), "Title", Status::SpecReview, Timestamp::EPOCH);
    issue.body = "Body".into();
    let p = protocol();
    let comments = vec![comment(1, "ann", "please"), comment(2, "bot", &triage())];
    let seen = TextDigest::of(&issue, &comments, Some(CommentId(2)), &p);
    assert_eq!(TextDigest::parse(&seen.render()), Some(seen.clone()));

    let more = [
        comments.clone(),
        vec![comment(3, "bot", &triage()), comment(4, "ci", "x")],
    ]
    .concat();
    assert_eq!(TextDigest::of(&issue, &more, Some(CommentId(4)), &p), seen);
    // A later comment is not part of what was seen.
    let later = [comments.clone(), vec![comment(3, "ann", "also")]].concat();
    assert_eq!(TextDigest::of(&issue, &later, Some(CommentId(2)), &p), seen);

    let edited = vec![
        comment(1, "ann", "please DROP"),
        comment(2, "bot", &triage()),
    ];
    let now = TextDigest::of(&issue, &edited, Some(CommentId(2)), &p);
    assert_eq!(seen.differences(&now), ["the comments"]);
    issue.body = "Other".into();
    let now = TextDigest::of(&issue, &comments, Some(CommentId(2)), &p);
    assert_eq!(seen.differences(&now), ["the description"]);
}
