use super::*;
use crate::issue::Account;
use crate::memo::Markers;
use crate::memo::Parsed;
use crate::memo::SigningKeys;
use crate::tracker::PlainDialect;

pub(crate) fn claim(issue: &str, keys: &[&str]) -> Claim {
    let scope = Scope::new("shop", "main");
    let keys = keys.iter().map(|k| k.parse().expect("key"));
    Claim {
        run: RunId::new("run-1").expect("run"),
        round: EventId(7),
        attempt: 1,
        lease: Duration::from_secs(1800),
        base: BaseRevision {
            target: Target::new("main").expect("target"),
            commit: CommitId::new("0".repeat(40)).expect("commit"),
        },
        resources: ResourceSet::new(scope, issue, keys),
        rules: "r1".into(),
        files: vec!["app/ä b.rs".into(), "@x#1".into()],
        agent: "codex-1".into(),
        workdir: "run-1".into(),
        integrator: Integrator {
            name: "main-codex".into(),
            id: "host-a/shop".into(),
        },
        patch: None,
    }
}

#[test]
fn every_lock_memo_reads_back_as_it_was_written() {
    let issue = IssueKey::new("A-1").expect("key");
    let c = CommentId(5);
    let run = RunId::new("run-1").expect("run");
    let patch = PatchId::of(b"x");
    let anew = Claim {
        patch: Some(patch.clone()),
        ..claim("A-1", &["path:a"])
    };
    let kinds = [
        LockKind::Claim(Box::new(claim("A-1", &["api:points", "path:a%20b"]))),
        LockKind::Claim(Box::new(anew)),
        LockKind::Beat {
            claim: c,
            lease: Duration::from_secs(60),
        },
        LockKind::Submit {
            claim: c,
            patch,
            holds: Vec::new(),
        },
        LockKind::Landed {
            claim: c,
            round: EventId(7),
            commit: None,
        },
        LockKind::Refused {
            claim: c,
            reason: "verify".into(),
            by: Ender::Integrator,
        },
        LockKind::Release {
            claim: c,
            reason: "revoked".into(),
            by: Ender::Run(run),
        },
        LockKind::Release {
            claim: c,
            reason: "person".into(),
            by: Ender::Other,
        },
    ];
    for kind in kinds {
        let nonce = crate::random::nonce();
        let memo = LockMemo::memo(&issue, &nonce, &kind, "said".into());
        let keys = SigningKeys::new("t");
        let body = memo.render(&Markers::default(), &PlainDialect, &issue, &keys);
        let read = Memo::parse(&body, &Markers::default(), &issue, &keys, false);
        let Parsed::Memo(read) = read else {
            panic!("{read:?}")
        };
        let bot = Account::new("bot", None, "bot");
        let comment = Comment::new(CommentId(9), bot, body, Timestamp::EPOCH);
        let lock = LockMemo::read(&issue, &comment, &read)
            .expect("reads")
            .expect("a lock memo");
        assert_eq!((lock.kind, lock.nonce), (kind, nonce));
    }
}

#[test]
fn a_claim_copied_to_another_issue_is_tampered() {
    let issue = IssueKey::new("A-1").expect("key");
    let kind = LockKind::Claim(Box::new(claim("A-1", &[])));
    let memo = LockMemo::memo(&issue, &crate::random::nonce(), &kind, String::new());
    let bot = Account::new("bot", None, "bot");
    let comment = Comment::new(CommentId(9), bot, "", Timestamp::EPOCH);
    let other = IssueKey::new("A-2").expect("key");
    assert!(LockMemo::read(&other, &comment, &memo).is_err());
}
