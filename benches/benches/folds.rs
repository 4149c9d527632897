//! How long it takes to derive the state from comments: a thread, and the work-start locks of every issue.
//!
//! `cargo bench -p pipeline-benches --bench folds` prints a table up to 1,000,000 comments, and then measures 10,000 with
//! criterion.
#![allow(
    missing_docs,
    reason = "criterion's macros make items without documentation"
)]
#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use pipeline_core::agent::RunId;
use pipeline_core::clock::Timestamp;
use pipeline_core::conflict::{ConflictKey, ResourceSet, Scope};
use pipeline_core::issue::{Account, AccountRef, Comment, CommentId, EventId, IssueKey};
use pipeline_core::lock::{Claim, Ender, Integrator, LockKind, LockMemo, fold};
use pipeline_core::memo::{Fields, Markers, Memo, MemoKind, SigningKeys};
use pipeline_core::thread::{Protocol, Thread};
use pipeline_core::tracker::PlainDialect;
use pipeline_core::workspace::{BaseRevision, CommitId, PatchId, Target};

/// Comments of one issue in the bench of the locks: a claim, three beats, a submission, a landing, four of people.
const PER_ISSUE: u64 = 10;

fn key(issue: u64) -> IssueKey {
    IssueKey::new(format!("SHOP-{issue}")).expect("a key")
}

fn at(second: u64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000 + i64::try_from(second * 1000).expect("small"))
}

fn claim(issue: u64) -> Claim {
    let keys = (0..8).map(|n| format!("screen:s{}", (issue * 7 + n) % 5000));
    let keys = keys.map(|key| key.parse::<ConflictKey>().expect("a key"));
    Claim {
        run: RunId::new(format!("run-{issue}")).expect("an id"),
        round: EventId(issue),
        attempt: 1,
        lease: Duration::from_secs(1800),
        base: BaseRevision {
            target: Target::new("main").expect("a branch"),
            commit: CommitId::new("0".repeat(40)).expect("a commit"),
        },
        resources: ResourceSet::new(
            Scope::new("shop", "main"),
            key(issue).as_str(),
            keys.collect::<Vec<_>>(),
        ),
        rules: "rules-1".to_owned(),
        files: Vec::new(),
        agent: "codex-1".to_owned(),
        workdir: String::new(),
        integrator: Integrator {
            name: "main-codex".to_owned(),
            id: "here".to_owned(),
        },
        patch: None,
    }
}

/// The lock memos of as many issues as have this many comments.
fn memos(comments: u64) -> Vec<LockMemo> {
    let mut memos = Vec::new();
    for issue in 0..comments / PER_ISSUE {
        let first = issue * PER_ISSUE + 1;
        let mut push = |nth: u64, kind| {
            memos.push(LockMemo {
                issue: key(issue),
                id: CommentId(first + nth),
                time: at(first + nth),
                nonce: format!("{:032x}", first + nth),
                kind,
            });
        };
        let of = CommentId(first);
        push(0, LockKind::Claim(Box::new(claim(issue))));
        for nth in 1..4 {
            let lease = Duration::from_secs(7200);
            push(nth, LockKind::Beat { claim: of, lease });
        }
        if issue % 5 == 0 {
            let by = Ender::Run(RunId::new(format!("run-{issue}")).expect("an id"));
            let reason = "failed".to_owned();
            push(
                4,
                LockKind::Release {
                    claim: of,
                    reason,
                    by,
                },
            );
            continue;
        }
        let patch = PatchId::of(&issue.to_be_bytes());
        push(
            4,
            LockKind::Submit {
                claim: of,
                patch,
                holds: Vec::new(),
            },
        );
        let (round, commit) = (EventId(issue), None);
        push(
            5,
            LockKind::Landed {
                claim: of,
                round,
                commit,
            },
        );
    }
    memos
}

fn protocol() -> Protocol {
    Protocol {
        accounts: vec![AccountRef("1".to_owned())],
        ignore_authors: Vec::new(),
        markers: Markers::default(),
        keys: SigningKeys::new("bench"),
    }
}

/// A thread in which every other comment is a memo of ours.
fn comments(number: u64) -> Vec<Comment> {
    let (us, person) = (
        Account::new("1", Some("pipeline".into()), "Pipeline"),
        Account::new("2", Some("mika".into()), "Mika"),
    );
    let markers = Markers::default();
    let protocol = protocol();
    let memo = |n: u64| {
        let fields = Fields::new()
            .with("kind", "beat")
            .with("issue", "SHOP-1")
            .with("ref", "1")
            .with("nonce", format!("{n:032x}"));
        Memo::new(MemoKind::WorkStatus, fields, "Still at work.".into()).render(
            &markers,
            &PlainDialect,
            &key(1),
            &protocol.keys,
        )
    };
    (1..=number)
        .map(|n| {
            if n % 2 == 0 {
                Comment::new(CommentId(n), us.clone(), memo(n), at(n))
            } else {
                let words =
                    "I have looked at it again, and the second line still wraps on a small screen.";
                Comment::new(CommentId(n), person.clone(), words, at(n))
            }
        })
        .collect()
}

fn growth() {
    println!("| comments | thread | per comment | lock memos | locks | per memo |");
    println!("|---|---|---|---|---|---|");
    let protocol = protocol();
    for number in [10_000u32, 100_000, 1_000_000] {
        let thread = comments(u64::from(number));
        let began = Instant::now();
        black_box(Thread::derive(&key(1), black_box(&thread), &protocol));
        let threaded = began.elapsed();
        drop(thread);
        let memos = memos(u64::from(number));
        let date = at(u64::from(number) + 10);
        let began = Instant::now();
        black_box(fold(black_box(&memos), date));
        let folded = began.elapsed();
        println!(
            "| {number} | {threaded:.1?} | {:.2?} | {} | {folded:.1?} | {:.2?} |",
            threaded / number,
            memos.len(),
            folded / u32::try_from(memos.len()).expect("small"),
        );
    }
}

fn folds(criterion: &mut Criterion) {
    growth();
    let mut group = criterion.benchmark_group("folds");
    group
        .sample_size(20)
        .measurement_time(Duration::from_secs(3));
    let (thread, protocol) = (comments(10_000), protocol());
    group.bench_function("thread of 10,000 comments", |bench| {
        bench.iter(|| Thread::derive(&key(1), black_box(&thread), &protocol));
    });
    let memos = memos(10_000);
    group.bench_function("locks of 10,000 comments", |bench| {
        bench.iter(|| fold(black_box(&memos), at(10_010)));
    });
    group.finish();
}

criterion_group!(benches, folds);
criterion_main!(benches);
