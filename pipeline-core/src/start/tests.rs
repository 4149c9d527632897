use super::*;
use crate::issue::Comment;
use crate::issue::Issue;
use crate::memo::Fields;
use crate::memo::Markers;
use crate::memo::Memo;
use crate::memo::MemoKind;
use crate::memo::SigningKeys;
use crate::tracker::PlainDialect;

fn key() -> IssueKey {
    IssueKey::new("A-1").expect("key")
}

fn account(id: &str) -> Account {
    Account::new(id, None, id)
}

fn protocol() -> Protocol {
    Protocol {
        accounts: vec![AccountRef("bot".into())],
        ignore_authors: Vec::new(),
        markers: Markers::default(),
        keys: SigningKeys::new("t"),
    }
}

fn rules() -> StartRules {
    StartRules {
        starters: vec![AccountRef("ann".into())],
        approvers: vec![AccountRef("ann".into())],
        automatic: false,
        watermark: Watermark::default(),
    }
}

fn said(id: u64, by: &str, body: &str) -> Comment {
    Comment::new(CommentId(id), account(by), body, Timestamp::EPOCH)
}

/// An issue that ann asked for, that was checked (comment 2) and that `actor` moved after comment 2.
struct Case {
    issue: Issue,
    comments: Vec<Comment>,
    history: Vec<StatusEvent>,
}

fn checked_and_moved_by(actor: Option<&str>) -> Case {
    let mut issue = Issue::new(key(), "Title", Status::InProgress, Timestamp::EPOCH);
    issue.body = "Body".into();
    let mut comments = vec![said(1, "ann", "please")];
    let digest = TextDigest::of(&issue, &comments, Some(CommentId(1)), &protocol());
    let fields = Fields::new()
        .with("text", digest.render())
        .with("read-to", "1")
        .with("blockers", "0")
        .with("pending", "0");
    comments.push(memo(2, MemoKind::LocalCheck, fields));
    let history = vec![event(3, Status::InProgress, actor, Some(2))];
    Case {
        issue,
        comments,
        history,
    }
}

fn memo(id: u64, kind: MemoKind, fields: Fields) -> Comment {
    let body = Memo::new(kind, fields, String::new()).render(
        &Markers::default(),
        &PlainDialect,
        &key(),
        &SigningKeys::new("t"),
    );
    said(id, "bot", &body)
}

fn event(id: u64, to: Status, actor: Option<&str>, after: Option<u64>) -> StatusEvent {
    StatusEvent {
        id: EventId(id),
        at: Timestamp::EPOCH,
        actor: actor.map(account),
        from: None,
        to,
        kind: StatusEventKind::Move,
        after_comment: after.map(CommentId),
    }
}

impl Case {
    fn judge(&self, rules: &StartRules) -> Result<(EventId, Vec<CommentId>, usize), NotStarted> {
        let m = Mirrored::of(
            self.issue.clone(),
            self.comments.clone(),
            self.history.clone(),
        );
        let thread = m.thread(&protocol());
        started(&m, &thread, rules, &protocol())
            .map(|s| (s.approval.round(), s.later_by_approvers, s.later_by_others))
    }
}

#[test]
fn a_starter_on_the_checked_text_is_approved_and_names_the_round() {
    assert_eq!(
        checked_and_moved_by(Some("ann")).judge(&rules()),
        Ok((EventId(3), vec![], 0))
    );
}

#[test]
fn our_own_move_an_unknown_one_and_a_strangers_are_not() {
    let judge = |actor| checked_and_moved_by(actor).judge(&rules()).map(|_| ());
    assert_eq!(
        judge(Some("bot")),
        Err(NotStarted::OwnAccount {
            actor: "bot".into()
        })
    );
    assert_eq!(
        judge(Some("eve")),
        Err(NotStarted::NotAllowed {
            actor: "eve".into()
        })
    );
    assert_eq!(judge(None), Err(NotStarted::UnknownActor));
    let nobody = StartRules {
        starters: Vec::new(),
        ..rules()
    };
    let refused = checked_and_moved_by(Some("ann")).judge(&nobody);
    assert_eq!(
        refused,
        Err(NotStarted::NotAllowed {
            actor: "ann".into()
        })
    );
}

#[test]
fn side_effects_old_moves_and_other_last_events_prove_nothing() {
    let mut case = checked_and_moved_by(Some("ann"));
    case.history[0].kind = StatusEventKind::SideEffect;
    assert_eq!(case.judge(&rules()), Err(NotStarted::NoEvidence));

    let case = checked_and_moved_by(Some("ann"));
    let mut old = rules();
    old.watermark.in_progress.insert(key(), EventId(3));
    assert_eq!(case.judge(&old), Err(NotStarted::BeforeWatermark));

    let mut case = checked_and_moved_by(Some("ann"));
    case.history
        .push(event(4, Status::Open, Some("ann"), Some(2)));
    assert_eq!(case.judge(&rules()), Err(NotStarted::NoEvent));
}

#[test]
fn the_text_that_was_checked_must_be_the_text_there_is() {
    let mut case = checked_and_moved_by(Some("ann"));
    case.issue.body = "Body, and drop the table".into();
    let changed = vec!["the description"];
    assert_eq!(
        case.judge(&rules()),
        Err(NotStarted::TextChanged { changed })
    );

    let mut case = checked_and_moved_by(Some("ann"));
    case.history[0].after_comment = Some(CommentId(1));
    assert_eq!(case.judge(&rules()), Err(NotStarted::NoCheck));
}

#[test]
fn later_words_of_approvers_enter_and_others_are_counted() {
    let mut case = checked_and_moved_by(Some("ann"));
    case.comments
        .extend([said(4, "ann", "also this"), said(5, "eve", "and mine")]);
    assert_eq!(
        case.judge(&rules()),
        Ok((EventId(3), vec![CommentId(4)], 1))
    );
}

#[test]
fn the_automatic_start_needs_its_permit_right_before_the_move() {
    let automatic = StartRules {
        automatic: true,
        ..rules()
    };
    let with_permit = |answers: usize, digest: &str, between: bool| {
        let mut case = checked_and_moved_by(Some("bot"));
        let mut fields = Fields::new().with("kind", "permit").with("text", digest);
        for i in 0..answers {
            fields.push("answer", format!("q{i} yes"));
        }
        case.comments.push(memo(4, MemoKind::WorkStatus, fields));
        if between {
            case.comments.push(said(5, "eve", "wait"));
        }
        case.history[0].after_comment = Some(CommentId(5));
        case.judge(&automatic).map(|_| ())
    };
    let case = checked_and_moved_by(Some("bot"));
    let digest = TextDigest::of(&case.issue, &case.comments, Some(CommentId(1)), &protocol());
    let own = Err(NotStarted::OwnAccount {
        actor: "bot".into(),
    });
    assert_eq!(with_permit(7, digest.whole(), false), Ok(()));
    assert_eq!(with_permit(6, digest.whole(), false), own);
    assert_eq!(with_permit(7, "0", false), own);
    assert_eq!(with_permit(7, digest.whole(), true), own);
    assert_eq!(case.judge(&automatic).map(|_| ()), own);
}
