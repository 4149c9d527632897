use proptest::prelude::*;

use super::*;
use crate::lock::record::tests::claim;

const LEASE: i64 = 1800;

fn key(n: u64) -> IssueKey {
    IssueKey::new(format!("A-{n}")).expect("key")
}

fn at(secs: i64) -> Timestamp {
    Timestamp::from_millis(secs * 1000)
}

fn memo(id: u64, issue: u64, secs: i64, kind: LockKind) -> LockMemo {
    LockMemo {
        issue: key(issue),
        id: CommentId(id),
        time: at(secs),
        nonce: format!("{id:032x}"),
        kind,
    }
}

fn claims(id: u64, issue: u64, secs: i64, keys: &[&str]) -> LockMemo {
    let mut c = claim(&format!("A-{issue}"), keys);
    c.run = RunId::new(format!("run-{id}")).expect("run");
    memo(id, issue, secs, LockKind::Claim(Box::new(c)))
}

fn ids(state: &LockState, secs: i64) -> Vec<u64> {
    state.live(at(secs)).map(|h| h.id.0).collect()
}

fn release(claim: u64, by: Ender) -> LockKind {
    LockKind::Release {
        claim: CommentId(claim),
        reason: "failed".into(),
        by,
    }
}

#[test]
fn the_lowest_id_wins_whatever_the_times_say() {
    let memos = [claims(2, 1, 5, &[]), claims(1, 1, 9, &[])];
    let state = fold(&memos, at(10));
    assert_eq!(ids(&state, 10), [1]);
    assert_eq!(
        state.ended(CommentId(2)).map(|e| &e.fate),
        Some(&Fate::Lost { to: CommentId(1) })
    );
}

#[test]
fn a_loser_never_revives_when_the_winner_goes() {
    let run = RunId::new("run-1").expect("run");
    let memos = [
        claims(1, 1, 0, &["path:a"]),
        claims(2, 2, 1, &["path:a"]),
        memo(3, 1, 2, release(1, Ender::Run(run))),
    ];
    assert_eq!(ids(&fold(&memos, at(3)), 3), Vec::<u64>::new());
}

#[test]
fn a_lease_ends_after_its_grace_and_a_beat_after_that_is_void() {
    let beat = |secs| LockKind::Beat {
        claim: CommentId(1),
        lease: std::time::Duration::from_secs(secs),
    };
    let first = claims(1, 1, 0, &["path:a"]);
    let state = fold([&first], at(1));
    assert_eq!(ids(&state, LEASE + 60), [1]);
    assert_eq!(ids(&state, LEASE + 61), Vec::<u64>::new());

    let in_time = [
        first.clone(),
        memo(2, 1, LEASE, beat(7200)),
        memo(3, 1, LEASE + 1, beat(1)),
    ];
    assert_eq!(
        ids(&fold(&in_time, at(LEASE)), LEASE + 7000),
        [1],
        "a beat never shortens"
    );
    let late = [first, memo(2, 1, LEASE + 61, beat(7200))];
    assert_eq!(
        ids(&fold(&late, at(LEASE + 61)), LEASE + 62),
        Vec::<u64>::new()
    );
}

#[test]
fn a_back_dated_claim_does_not_bring_an_expired_one_back() {
    let memos = [
        claims(1, 1, 0, &["path:a"]),
        claims(2, 2, LEASE + 100, &["path:b"]),
        claims(3, 3, 1, &["path:a"]),
    ];
    assert_eq!(ids(&fold(&memos, at(LEASE + 100)), LEASE + 100), [2, 3]);
}

#[test]
fn a_memo_from_the_future_neither_ends_others_nor_passes_unnoticed() {
    let memos = [
        claims(1, 1, 0, &["path:a"]),
        claims(2, 2, 1_000_000, &["path:a"]),
    ];
    let state = fold(&memos, at(10));
    assert_eq!(ids(&state, 10), [1]);
    assert_eq!(state.from_the_future().len(), 1);
}

#[test]
fn somebody_elses_release_revokes_and_the_claim_blocks_until_its_lease_ends() {
    let patch = PatchId::of(b"x");
    let memos = [
        claims(1, 1, 0, &["path:a"]),
        memo(2, 1, 5, release(1, Ender::Other)),
        memo(
            3,
            1,
            6,
            LockKind::Submit {
                claim: CommentId(1),
                patch: patch.clone(),
                holds: Vec::new(),
            },
        ),
        claims(4, 2, 7, &["path:a"]),
    ];
    let state = fold(&memos, at(8));
    assert_eq!(ids(&state, 8), Vec::<u64>::new(), "revoked is not live");
    assert_eq!(state.blocking(at(8)).count(), 1);
    assert_eq!(
        state
            .blocking(at(8))
            .next()
            .and_then(|h| h.submitted.clone()),
        None
    );
    assert_eq!(
        state.ended(CommentId(4)).map(|e| &e.fate),
        Some(&Fate::Lost { to: CommentId(1) })
    );

    // Once submitted there is no agent to wait for: anybody's release frees at once.
    let memos = [
        claims(1, 1, 0, &["path:a"]),
        memo(
            2,
            1,
            5,
            LockKind::Submit {
                claim: CommentId(1),
                patch,
                holds: Vec::new(),
            },
        ),
        memo(3, 1, 6, release(1, Ender::Other)),
    ];
    assert_eq!(fold(&memos, at(8)).blocking(at(8)).count(), 0);
}

#[test]
fn landed_closes_the_round_for_every_claim_of_it() {
    let patch = PatchId::of(b"x");
    let landed = LockKind::Landed {
        claim: CommentId(1),
        round: EventId(7),
        commit: None,
    };
    let memos = [
        claims(1, 1, 0, &["path:a"]),
        memo(
            2,
            1,
            5,
            LockKind::Submit {
                claim: CommentId(1),
                patch,
                holds: Vec::new(),
            },
        ),
        memo(3, 1, 6, landed),
        claims(4, 1, 7, &["path:a"]),
    ];
    let state = fold(&memos, at(8));
    assert!(state.has_landed(&key(1), EventId(7)));
    assert_eq!(state.blocking(at(8)).count(), 0);
    assert_eq!(
        state.ended(CommentId(4)).map(|e| &e.fate),
        Some(&Fate::TooLate)
    );
}

#[test]
fn a_late_submit_is_kept_for_a_new_claim_until_it_is_given_back() {
    let patch = PatchId::of(b"x");
    let submit = LockKind::Submit {
        claim: CommentId(1),
        patch: patch.clone(),
        holds: Vec::new(),
    };
    let late = LEASE + 100;
    let memos = vec![claims(1, 1, 0, &["path:a"]), memo(2, 1, late, submit)];
    let state = fold(&memos, at(late));
    assert_eq!(
        state
            .orphans(at(late))
            .into_iter()
            .map(|o| (o.id, o.patch))
            .collect::<Vec<_>>(),
        [(CommentId(1), patch)]
    );
    let refused = LockKind::Refused {
        claim: CommentId(1),
        reason: "verify".into(),
        by: Ender::Integrator,
    };
    let memos = [memos, vec![memo(3, 1, late + 1, refused)]].concat();
    let state = fold(&memos, at(late + 1));
    assert_eq!(state.orphans(at(late + 1)).len(), 0);
    assert_eq!(state.attempts(&key(1), EventId(7)), 1);
}

#[test]
fn a_patch_that_was_claimed_anew_is_an_orphan_no_more_whatever_becomes_of_it() {
    let patch = PatchId::of(b"x");
    let submit = |claim| LockKind::Submit {
        claim: CommentId(claim),
        patch: patch.clone(),
        holds: Vec::new(),
    };
    let late = LEASE + 100;
    let anew = Claim {
        patch: Some(patch.clone()),
        ..claim("A-1", &["path:a"])
    };
    let first = vec![claims(1, 1, 0, &["path:a"]), memo(2, 1, late, submit(1))];
    let claimed = [
        first,
        vec![
            memo(3, 1, late, LockKind::Claim(Box::new(anew))),
            memo(4, 1, late, submit(3)),
        ],
    ]
    .concat();
    assert_eq!(fold(&claimed, at(late)).orphans(at(late)), []);
    let refused = LockKind::Refused {
        claim: CommentId(3),
        reason: "rejected".into(),
        by: Ender::Integrator,
    };
    let refused = [claimed.clone(), vec![memo(5, 1, late, refused)]].concat();
    assert_eq!(
        fold(&refused, at(late)).orphans(at(late)),
        [],
        "a rejection stands"
    );
    let landed = LockKind::Landed {
        claim: CommentId(3),
        round: EventId(7),
        commit: None,
    };
    let landed = [claimed, vec![memo(5, 1, late, landed)]].concat();
    assert_eq!(fold(&landed, at(late)).orphans(at(late)), []);
}

#[test]
fn a_new_claim_that_died_before_it_handed_over_leaves_the_patch_an_orphan() {
    let patch = PatchId::of(b"x");
    let submit = LockKind::Submit {
        claim: CommentId(1),
        patch: patch.clone(),
        holds: Vec::new(),
    };
    let late = LEASE + 100;
    let anew = Claim {
        run: RunId::new("run-3").expect("run"),
        patch: Some(patch.clone()),
        ..claim("A-1", &["path:a"])
    };
    let first = vec![
        claims(1, 1, 0, &["path:a"]),
        memo(2, 1, late, submit),
        memo(3, 1, late, LockKind::Claim(Box::new(anew))),
    ];
    assert_eq!(fold(&first, at(late)).orphans(at(late)), []);
    let over = late + LEASE + 61;
    let left: Vec<_> = fold(&first, at(over)).orphans(at(over));
    assert_eq!(left.len(), 1, "by time");
    let infra = LockKind::Release {
        claim: CommentId(3),
        reason: "infra".into(),
        by: Ender::Run(RunId::new("run-3").expect("run")),
    };
    let released = [first, vec![memo(4, 1, late, infra)]].concat();
    let left = fold(&released, at(late)).orphans(at(late));
    assert_eq!(left.len(), 1, "by its own word");
    assert_eq!(left[0].patch, patch);
}

#[test]
fn what_was_ended_before_it_ran_out_is_never_claimed_anew() {
    let submit = LockKind::Submit {
        claim: CommentId(1),
        patch: PatchId::of(b"x"),
        holds: Vec::new(),
    };
    let late = LEASE + 100;
    let memos = [
        claims(1, 1, 0, &["path:a"]),
        memo(2, 1, 5, release(1, Ender::Other)),
        memo(3, 1, late, submit),
    ];
    let state = fold(&memos, at(late));
    assert_eq!(state.orphans(at(late)), []);
    assert_eq!(
        state.ended(CommentId(1)).map(|e| &e.fate),
        Some(&Fate::Released {
            reason: "failed".into()
        })
    );
}

#[test]
fn free_reasons_cost_no_attempt() {
    let mut memos = Vec::new();
    for (i, reason) in ["rate-limit", "failed", "infra", "verify"]
        .into_iter()
        .enumerate()
    {
        let id = 10 * (i as u64 + 1);
        memos.push(claims(id, 1, i as i64, &["path:a"]));
        let by = Ender::Run(RunId::new(format!("run-{id}")).expect("run"));
        let end = LockKind::Release {
            claim: CommentId(id),
            reason: reason.into(),
            by,
        };
        memos.push(memo(id + 1, 1, i as i64, end));
    }
    assert_eq!(fold(&memos, at(9)).attempts(&key(1), EventId(7)), 2);
}

fn any_memo(id: u64) -> impl Strategy<Value = LockMemo> {
    let target = 1u64..12;
    let path = prop::sample::select(vec!["path:a", "path:b", "tree:a", "all", "api:x"]);
    let ender = prop_oneof![
        Just(Ender::Integrator),
        Just(Ender::Other),
        (1u64..12).prop_map(|r| Ender::Run(RunId::new(format!("run-{r}")).expect("run"))),
    ];
    (0u8..6, 1u64..4, 0i64..6000, target, path, ender).prop_map(
        move |(what, issue, secs, t, path, by)| match what {
            0 | 1 => claims(id, issue, secs, &[path]),
            2 => memo(
                id,
                issue,
                secs,
                LockKind::Beat {
                    claim: CommentId(t),
                    lease: std::time::Duration::from_secs(900),
                },
            ),
            3 => memo(
                id,
                issue,
                secs,
                LockKind::Submit {
                    claim: CommentId(t),
                    patch: PatchId::of(b"x"),
                    holds: Vec::new(),
                },
            ),
            4 => memo(id, issue, secs, release(t, by)),
            _ => memo(
                id,
                issue,
                secs,
                LockKind::Landed {
                    claim: CommentId(t),
                    round: EventId(7),
                    commit: None,
                },
            ),
        },
    )
}

fn history() -> impl Strategy<Value = Vec<LockMemo>> {
    (1u64..12).prop_flat_map(|n| (1..=n).map(any_memo).collect::<Vec<_>>())
}

proptest! {
    #[test]
    fn no_two_blocking_claims_meet(memos in history(), now in 0i64..8000) {
        let state = fold(&memos, at(6000));
        let blocking: Vec<_> = state.blocking(at(now)).collect();
        for (i, a) in blocking.iter().enumerate() {
            for b in blocking.iter().skip(i + 1) {
                prop_assert!(!a.claim.resources.meets(&b.claim.resources));
            }
        }
    }

    #[test]
    fn order_and_reposts_do_not_matter(memos in history(), seed in any::<u64>()) {
        let state = fold(&memos, at(6000));
        let mut turned = memos.clone();
        turned.rotate_left((seed as usize) % memos.len().max(1));
        turned.reverse();
        // Every memo once more under a higher id and the same nonce.
        let again: Vec<_> = memos.iter().map(|m| LockMemo { id: CommentId(m.id.0 + 100), ..m.clone() }).collect();
        turned.extend(again);
        prop_assert_eq!(fold(&turned, at(6000)), state);
    }

    #[test]
    fn a_claim_that_is_dead_stays_dead_whatever_follows(memos in history(), cut in 0usize..12) {
        let cut = cut.min(memos.len());
        let before = fold(&memos[..cut], at(6000));
        let after = fold(&memos, at(6000));
        for live in after.blocking(at(0)) {
            prop_assert!(before.ended(live.id).is_none());
        }
    }
}
