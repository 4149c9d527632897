//! Cases about asking for locks.

use super::LockHarness;
use super::Started;
use super::asked;
use super::end;
use super::is_live;
use super::opened;
use super::refused;
use super::released;
use super::request;
use super::request_on;
use super::started;
use super::taken;
use super::view;
use crate::conformance::Violation;
use crate::conformance::case::Succeeds as _;
use crate::conformance::case::ensure;
use crate::conformance::case::same;
use crate::lock::LockOutcome;
use crate::lock::LockRequest;
use crate::lock::LockStore;
use crate::lock::WorkLock;

/// What nobody holds is acquired as it was asked for, and every process sees it.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_free_lock_is_acquired_and_seen_by_all(
    harness: &dyn LockHarness,
) -> Result<(), Violation> {
    let (store, issue) = (opened(harness).await?, started(harness).await?);
    let request = request(&issue, &["path:src/a.rs", "api:points"]);
    let lock = taken(&*store, &request).await?;
    same("the issue", lock.issue(), &request.issue)?;
    same("what was posted", lock.claim(), &request.claim)?;
    let nonce = lock.claim_ref().nonce;
    ensure(
        nonce.len() == 32 && nonce.bytes().all(|b| b.is_ascii_hexdigit()),
        || format!("the nonce is {nonce:?} instead of 128 bits in hexadecimal digits"),
    )?;
    for (store, whose) in [
        (store, "its own process"),
        (opened(harness).await?, "another process"),
    ] {
        let view = view(&*store, &[]).await?;
        let live: Vec<_> = view.state.live(view.date).collect();
        let [live] = live.as_slice() else {
            return Err(Violation::new(format!(
                "{whose} sees {} live claims instead of one",
                live.len()
            )));
        };
        same("the live claim", &live.claim_ref(), &lock.claim_ref())?;
        same("what it holds", &live.claim, &request.claim)?;
        same("its patch", &live.submitted, &None)?;
    }
    Ok(())
}

/// Of many processes that ask for the same at once exactly one gets it, and all of them see the same one.
///
/// # Errors
/// Says how the rule is broken.
pub async fn of_many_that_ask_at_once_one_wins(harness: &dyn LockHarness) -> Result<(), Violation> {
    const MANY: usize = 5;
    for same_issue in [true, false] {
        let mut asking = tokio::task::JoinSet::new();
        let first = started(harness).await?;
        let key = format!("path:src/{same_issue}.rs");
        for _ in 0..MANY {
            let issue = if same_issue {
                first.clone()
            } else {
                started(harness).await?
            };
            let (store, request) = (opened(harness).await?, request(&issue, &[&key]));
            asking.spawn(async move {
                let outcome = asked(&*store, &request).await;
                (store, outcome)
            });
        }
        let mut winners = Vec::new();
        let mut stores = Vec::new();
        while let Some(ended) = asking.join_next().await {
            let (store, outcome) = ended.succeeds("asking at the same time")?;
            match outcome? {
                LockOutcome::Acquired(record) => winners.push(record.id),
                LockOutcome::Held { .. } => {}
                other => {
                    return Err(Violation::new(format!("one that asked got {other:?}")));
                }
            }
            stores.push(store);
        }
        same("the number of winners", &winners.len(), &1)?;
        for store in stores {
            let view = view(&*store, &[&first.issue]).await?;
            let live = view.state.live(view.date).map(|h| h.id);
            let held: Vec<_> = live.filter(|id| winners.contains(id)).collect();
            same("who holds it", &held, &winners)?;
            let holders = view.state.live(view.date).filter(|h| {
                h.claim
                    .resources
                    .lines()
                    .any(|line| line == format!("path:src/{same_issue}.rs"))
            });
            same("the number of holders", &holders.count(), &1)?;
        }
    }
    Ok(())
}

/// Whoever is turned away learns by whom, in words and by the issue.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_held_lock_names_its_holder(harness: &dyn LockHarness) -> Result<(), Violation> {
    let (store, other) = (opened(harness).await?, opened(harness).await?);
    let (first, second) = (started(harness).await?, started(harness).await?);
    let lock = taken(&*store, &request(&first, &["api:points"])).await?;
    match refused(&*other, &request(&second, &["api:points"])).await? {
        LockOutcome::Held { by, holder } => {
            same("the holder", &holder, &Some(first.issue.clone()))?;
            ensure(by.contains(first.issue.as_str()), || {
                format!(
                    "people are told {by:?}, which does not name {}",
                    first.issue
                )
            })?;
        }
        outcome => return Err(Violation::new(format!("it was told {outcome:?}"))),
    }
    ensure(is_live(&*other, &lock).await?, || {
        "the holder lost its lock because somebody else asked".to_owned()
    })
}

/// Whoever lost has to ask again: the end of the winner does not make a claim of it.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_loser_never_becomes_the_holder(harness: &dyn LockHarness) -> Result<(), Violation> {
    let (store, other) = (opened(harness).await?, opened(harness).await?);
    let (first, second) = (started(harness).await?, started(harness).await?);
    let (ours, theirs) = (
        request(&first, &["path:src/a.rs"]),
        request(&second, &["path:src/a.rs"]),
    );
    // At once, so that a store which asks before it looks has a losing claim standing.
    let (one, two) = tokio::join!(asked(&*store, &ours), asked(&*other, &theirs));
    let (winner, loser) = match (one?, two?) {
        (LockOutcome::Acquired(record), LockOutcome::Held { .. }) => (record, &theirs),
        (LockOutcome::Held { .. }, LockOutcome::Acquired(record)) => (record, &ours),
        outcomes => {
            return Err(Violation::new(format!(
                "two that asked at once got {outcomes:?}"
            )));
        }
    };
    let winner = WorkLock::mint(*winner);
    end(harness, &*store, &winner.claim_ref(), &released(&winner)).await?;
    let seen = view(&*other, &[&first.issue, &second.issue]).await?;
    let revived: Vec<_> = seen.state.live(seen.date).map(|h| h.id).collect();
    same("what is live after the winner's end", &revived, &Vec::new())?;
    let lock = taken(&*other, loser).await?;
    ensure(lock.id() > winner.id(), || {
        "a new claim has an older id than the one before it".to_owned()
    })
}

/// A directory as a whole meets every path below it, both ways.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_tree_meets_what_lies_in_it(harness: &dyn LockHarness) -> Result<(), Violation> {
    let store = opened(harness).await?;
    for (held, wanted) in [
        ("tree:app", "path:app/a.rs"),
        ("path:app/a.rs", "tree:app"),
        ("all", "path:b.rs"),
        ("path:b.rs", "all"),
    ] {
        let (first, second) = (started(harness).await?, started(harness).await?);
        let lock = taken(&*store, &request(&first, &[held])).await?;
        refused(&*store, &request(&second, &[wanted])).await?;
        end(harness, &*store, &lock.claim_ref(), &released(&lock)).await?;
        let lock = taken(&*store, &request(&second, &[wanted])).await?;
        end(harness, &*store, &lock.claim_ref(), &released(&lock)).await?;
    }
    Ok(())
}

/// Everything but the issue itself is locked per repository and target.
///
/// # Errors
/// Says how the rule is broken.
pub async fn other_targets_do_not_meet(harness: &dyn LockHarness) -> Result<(), Violation> {
    let store = opened(harness).await?;
    let (first, second) = (started(harness).await?, started(harness).await?);
    taken(&*store, &request(&first, &["all"])).await?;
    taken(&*store, &request_on("site-b", &second, &["all"])).await?;
    // The issue is one, whatever the target.
    refused(&*store, &request_on("site-c", &first, &["path:x"])).await?;
    Ok(())
}

/// A batch is answered in its order; what meets within it is given to one of them only.
///
/// # Errors
/// Says how the rule is broken.
pub async fn a_batch_has_one_outcome_per_request(
    harness: &dyn LockHarness,
) -> Result<(), Violation> {
    let store = opened(harness).await?;
    let none = store.acquire(&[]).await.succeeds("asking for nothing")?;
    same("the outcomes of nothing", &none.len(), &0)?;
    let mut requests = Vec::new();
    for keys in [["path:a"], ["path:b"], ["path:a"]] {
        requests.push(request(&started(harness).await?, &keys));
    }
    let outcomes = store
        .acquire(&requests)
        .await
        .succeeds("asking for three")?;
    same("the number of outcomes", &outcomes.len(), &requests.len())?;
    let acquired = |at: usize| match (outcomes.get(at), requests.get(at)) {
        (Some(LockOutcome::Acquired(record)), Some(request)) => record.issue == request.issue,
        _ => false,
    };
    ensure(acquired(1), || {
        format!("what meets nothing got {:?}", outcomes.get(1))
    })?;
    ensure(acquired(0) != acquired(2), || {
        format!("of two that meet within a batch not exactly one was acquired: {outcomes:?}")
    })?;
    let seen = view(&*store, &[]).await?;
    same("what is live", &seen.state.live(seen.date).count(), &2)
}

/// Nothing is acquired for an issue that a person has taken back, and nothing stays held for it.
///
/// # Errors
/// Says how the rule is broken.
pub async fn an_issue_that_left_its_status_is_not_current(
    harness: &dyn LockHarness,
) -> Result<(), Violation> {
    let (store, issue) = (opened(harness).await?, started(harness).await?);
    let back = harness.taken_back(&issue.issue).await;
    back.succeeds("taking the issue back as the person")?;
    not_current(harness, &*store, &request(&issue, &["path:a"])).await
}

/// A round that a newer start has replaced acquires nothing; the newer one does.
///
/// # Errors
/// Says how the rule is broken.
pub async fn an_earlier_round_is_not_current(harness: &dyn LockHarness) -> Result<(), Violation> {
    let (store, issue) = (opened(harness).await?, started(harness).await?);
    let back = harness.taken_back(&issue.issue).await;
    back.succeeds("taking the issue back as the person")?;
    let again = harness.started_again(&issue.issue).await;
    let again = again.succeeds("starting the issue again as the person")?;
    ensure(again > issue.round, || {
        format!(
            "the harness says that round {again} came after {}",
            issue.round
        )
    })?;
    not_current(harness, &*store, &request(&issue, &["path:a"])).await?;
    let newer = Started {
        round: again,
        ..issue
    };
    taken(&*store, &request(&newer, &["path:b"]))
        .await
        .map(drop)
}

async fn not_current(
    harness: &dyn LockHarness,
    store: &dyn LockStore,
    wanted: &LockRequest,
) -> Result<(), Violation> {
    let outcome = refused(store, wanted).await?;
    same("the outcome", &outcome, &LockOutcome::NotCurrent)?;
    // Whatever was posted on the way is let go, so that it is in nobody's way.
    harness.settle().await;
    let other = started(harness).await?;
    taken(store, &request(&other, &["path:a"])).await?;
    let seen = view(store, &[&wanted.issue]).await?;
    let left = seen
        .state
        .live(seen.date)
        .filter(|h| h.issue == wanted.issue);
    same("what is still held for it", &left.count(), &0)
}
