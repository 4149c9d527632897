use std::sync::Mutex;

use async_trait::async_trait;

use super::*;
use crate::gate::GatePlace;
use crate::gate::fixture::candidate;
use crate::gate::fixture::commit;
use crate::gate::fixture::evidence;
use crate::gate::fixture::key;

/// A place with one scripted answer.
#[derive(Debug)]
struct Place {
    place: GatePlace,
    answer: Mutex<Option<Result<GateDecision, GateError>>>,
    asked: Mutex<Vec<GateRequest>>,
}

fn place(answer: Result<GateDecision, GateError>) -> Arc<Place> {
    Arc::new(Place {
        place: GatePlace::Tracker,
        answer: Mutex::new(Some(answer)),
        asked: Mutex::default(),
    })
}

#[async_trait]
impl Gate for Place {
    fn place(&self) -> GatePlace {
        self.place
    }

    async fn decision(&self, request: &GateRequest) -> Result<GateDecision, GateError> {
        self.asked.lock().expect("lock").push(request.clone());
        self.answer
            .lock()
            .expect("lock")
            .take()
            .expect("asked once")
    }
}

fn pending() -> Result<GateDecision, GateError> {
    Ok(GateDecision::Pending {
        how: "write it".into(),
        ignored: vec!["comment 3 was ignored".into()],
    })
}

fn unreadable() -> Result<GateDecision, GateError> {
    Err(GateError::Unreadable {
        place: "/approvals".into(),
        source: Some("disk on fire".into()),
    })
}

async fn asked(answers: Vec<Result<GateDecision, GateError>>) -> Asked<LocalDiff> {
    let gates: Vec<Arc<dyn Gate>> = answers.into_iter().map(|a| place(a) as _).collect();
    ask(&gates, &candidate(&["A-1"])).await.expect("asked")
}

#[tokio::test]
async fn an_ok_that_names_and_lifts_everything_becomes_the_proof() {
    let c = candidate(&["A-2", "A-1", "A-2"]);
    let given = evidence(c.id().as_str());
    let gate = place(Ok(GateDecision::Given(given)));
    let gates: Vec<Arc<dyn Gate>> = vec![place(pending()), Arc::<Place>::clone(&gate)];
    let Ok(Asked::Approved(approval)) = ask(&gates, &c).await else {
        panic!("not approved");
    };
    assert_eq!(approval.subject(), c.id().as_str());
    // The evidence says `terminal`; the gate that found it knows better.
    assert_eq!(approval.evidence().place, GatePlace::Tracker);
    assert_eq!(
        gate.asked.lock().expect("lock").as_slice(),
        [GateRequest::LocalOk {
            candidate: c.id(),
            issues: vec![key("A-1"), key("A-2")]
        }]
    );
}

#[tokio::test]
async fn every_reason_is_collected() {
    let c = candidate(&["A-1"]);
    let mut half = evidence(c.id().as_str());
    half.allow.clear();
    let other = evidence(&"9".repeat(64));
    let Asked::Refused {
        reasons,
        how,
        ignored,
    } = asked(vec![
        Ok(GateDecision::Given(half)),
        Ok(GateDecision::Given(other)),
        pending(),
        unreadable(),
    ])
    .await
    else {
        panic!("not refused");
    };
    let reasons: Vec<_> = reasons.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(reasons.join("\n"), @r#"
    the OK does not lift every hold; still held: `db/1.sql` changes the database schema (rule `rule`); an OK lifts this with `--allow migration`
    the OK names 999999999999, but 3949ae4dc2b5 waits now: look at it again and give a new OK
    "#);
    assert_eq!(how, ["write it"]);
    insta::assert_snapshot!(ignored.join("\n"), @r#"
    comment 3 was ignored
    the approvals in /approvals cannot be read: disk on fire
    "#);
}

#[tokio::test]
async fn an_unsealed_or_unverified_candidate_is_approved_by_nobody() {
    let mut unsealed = candidate(&["A-1"]);
    unsealed.sealed = false;
    let mut unverified = candidate(&["A-1"]);
    unverified.commits[0].tree = commit('d');
    for c in [unsealed, unverified] {
        let given = Ok(GateDecision::Given(evidence(c.id().as_str())));
        let gates: Vec<Arc<dyn Gate>> = vec![place(given)];
        let asked = ask(&gates, &c).await;
        let Ok(Asked::Refused { reasons, .. }) = asked else {
            panic!("not refused");
        };
        assert_eq!(reasons, [NotApproved::NotReady(c.id())]);
    }
}

#[tokio::test]
async fn an_ok_for_a_candidate_rebuilt_since_is_refused() {
    let shown = candidate(&["A-1"]);
    let mut rebuilt = shown.clone();
    rebuilt.commits[0].message = "Change more".into();
    let given = Ok(GateDecision::Given(evidence(shown.id().as_str())));
    let gates: Vec<Arc<dyn Gate>> = vec![place(given)];
    let Ok(Asked::Refused { reasons, .. }) = ask(&gates, &rebuilt).await else {
        panic!("not refused");
    };
    assert_eq!(
        reasons,
        [NotApproved::OtherSubject {
            approved: shown.id().short().into(),
            found: rebuilt.id().short().into()
        }]
    );
}

#[tokio::test]
async fn no_gate_and_no_readable_gate_approve_nothing() {
    let Asked::Pending { how, .. } = asked(Vec::new()).await else {
        panic!("not pending");
    };
    insta::assert_snapshot!(how.join("\n"), @"no gate is configured, so nobody can give an OK: set [gates] local_ok");
    let gates: Vec<Arc<dyn Gate>> = vec![place(unreadable()), place(unreadable())];
    let error = ask(&gates, &candidate(&["A-1"]))
        .await
        .expect_err("unreadable");
    assert!(matches!(error, GateError::Unreadable { .. }));
}

#[tokio::test]
async fn a_permission_to_ship_is_bound_to_commit_and_rules() {
    let ship = |subject: CommitId, rules: Option<&str>| {
        let mut given = evidence(subject.as_str());
        given.rules = rules.map(str::to_owned);
        async move {
            let gates: Vec<Arc<dyn Gate>> = vec![place(Ok(GateDecision::Given(given)))];
            ask_ship(&gates, &commit('e'), "digest", vec![key("A-1")])
                .await
                .expect("asked")
        }
    };
    assert!(matches!(
        ship(commit('e'), Some("digest")).await,
        Asked::Approved(_)
    ));
    for (subject, rules) in [
        (commit('f'), Some("digest")),
        (commit('e'), Some("older")),
        (commit('e'), None),
    ] {
        assert!(matches!(ship(subject, rules).await, Asked::Refused { .. }));
    }
}
