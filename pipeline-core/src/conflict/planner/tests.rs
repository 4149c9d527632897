use proptest::prelude::*;

use super::super::key::tests::any_key;
use super::*;

fn keys(texts: &[&str]) -> Vec<ConflictKey> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn older_goes_first_within_priority() {
    let waiting = [
        Candidate::new("last", keys(&["api:a"])),
        Candidate::new("second", keys(&["api:a"])).with_priority(Some(2)),
        Candidate::new("first", keys(&["api:a"])).with_priority(Some(1)),
        Candidate::new("third", keys(&["api:a"])).with_priority(Some(2)),
    ];
    assert_eq!(plan(&waiting, &[], &PlanOptions::default()).picked, [2]);
    assert_eq!(batches(&waiting), [[2], [1], [3], [0]]);
}

#[test]
fn each_one_left_out_says_what_it_waits_for() {
    let waiting = [
        Candidate::new("A-1", keys(&["path:src/a.rs", "api:a"])),
        Candidate::new("A-2", keys(&["dir:src"])),
        Candidate::new("A-3", keys(&["db:users"])),
        Candidate::new("A-4", keys(&["screen:home"])),
        Candidate::new("A-5", keys(&["screen:login"])),
    ];
    let held = [Held::new("A-0", "", keys(&["issue:A-0", "db:"]))];
    let plan = plan(&waiting, &held, &PlanOptions::default().with_slots(2));
    assert_eq!(plan.picked, [0, 3]);
    let waits: Vec<_> = plan
        .left_out
        .iter()
        .map(|left| (left.candidate, left.waits_for.clone()))
        .collect();
    assert_eq!(
        waits,
        [
            (
                1,
                WaitsFor::Picked {
                    candidate: 0,
                    key: "dir:src".parse().unwrap()
                }
            ),
            (
                2,
                WaitsFor::Held {
                    held: 0,
                    key: "db:users".parse().unwrap()
                }
            ),
            (4, WaitsFor::Slot),
        ]
    );
}

#[test]
fn what_claims_nothing_needs_the_whole_target() {
    let waiting = [
        Candidate::new("A-1", Vec::new()),
        Candidate::new("A-2", keys(&["api:a"])),
    ];
    assert_eq!(plan(&waiting, &[], &PlanOptions::default()).picked, [0]);
    assert_eq!(batches(&waiting), [[0], [1]]);
}

#[test]
fn targets_are_apart_and_an_issue_is_one() {
    let waiting = [
        Candidate::new("A-1", keys(&["all", "issue:A-1"])).on("main"),
        Candidate::new("A-2", keys(&["all", "issue:A-2"])).on("site"),
        Candidate::new("A-1", keys(&["api:a", "issue:A-1"])).on("blog"),
    ];
    assert_eq!(plan(&waiting, &[], &PlanOptions::default()).picked, [0, 1]);
}

#[test]
fn who_has_waited_too_long_is_passed_no_more() {
    let held = [Held::new("run", "", keys(&["api:a"]))];
    let waiting = |waited| {
        [
            Candidate::new("whole", keys(&["all"])).having_waited(waited),
            Candidate::new("young", keys(&["api:b"])),
        ]
    };
    assert_eq!(
        plan(&waiting(HOUR), &held, &PlanOptions::default()).picked,
        [1]
    );
    let late = plan(&waiting(HOUR * 5), &held, &PlanOptions::default());
    assert!(late.picked.is_empty());
    assert_eq!(
        late.left_out[1].waits_for,
        WaitsFor::Elder {
            candidate: 0,
            key: "api:b".parse().unwrap()
        }
    );
}

/// A stream of urgent small issues must not keep a large one out for ever.
#[test]
fn an_exclusive_issue_gets_its_turn() {
    let options = PlanOptions::default().with_slots(3);
    let mut running: Vec<(String, Vec<ConflictKey>, u32)> = Vec::new();
    let mut started_after = None;
    for hour in 0..100_u32 {
        running.retain(|(_, _, until)| *until > hour);
        let mut waiting = vec![Candidate::new("whole", keys(&["all"])).having_waited(HOUR * hour)];
        // Three new urgent ones each hour, each running for two hours, on keys that never meet.
        for n in 0..3 {
            waiting.push(
                Candidate::new(format!("{hour}-{n}"), keys(&[&format!("api:x{hour}y{n}")]))
                    .with_priority(Some(n)),
            );
        }
        let held: Vec<Held> = running
            .iter()
            .map(|(id, keys, _)| Held::new(id, "", keys.clone()))
            .collect();
        let free = options.with_slots(3 - running.len());
        for at in plan(&waiting, &held, &free).picked {
            if at == 0 {
                started_after.get_or_insert(hour);
            }
            running.push((
                waiting[at].id.clone(),
                waiting[at].claims.keys().to_vec(),
                hour + 2,
            ));
        }
        if started_after.is_some() {
            break;
        }
    }
    let hour = started_after.expect("the exclusive issue must get its turn");
    assert!(
        (4..=4 * 4 + 2).contains(&hour),
        "it started after {hour} hours"
    );
}

fn meet(a: &Candidate, b: &Candidate) -> bool {
    let all = [ConflictKey::all()];
    let of = |candidate: &Candidate| {
        if candidate.claims.keys().is_empty() {
            all.to_vec()
        } else {
            candidate.claims.keys().to_vec()
        }
    };
    of(a).iter().any(|mine| {
        of(b).iter().any(|their| {
            let issues = matches!(mine.kind(), crate::conflict::KeyKind::Issue(_));
            mine.meets(their) && (issues || a.target == b.target)
        })
    })
}

fn any_candidates() -> impl Strategy<Value = Vec<Candidate>> {
    let one = (
        proptest::collection::vec(any_key(), 0..5),
        0..2_u8,
        proptest::option::of(0..3_i64),
        0..10_u32,
    );
    proptest::collection::vec(one, 0..25).prop_map(|all| {
        all.into_iter()
            .enumerate()
            .map(|(n, (keys, target, priority, hours))| {
                Candidate::new(n.to_string(), keys)
                    .on(target.to_string())
                    .with_priority(priority)
                    .having_waited(HOUR * hours)
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn a_batch_is_free_of_conflicts_and_maximal(
        waiting in any_candidates(),
        held in any_candidates(),
        slots in 0..30_usize,
        patient in any::<bool>(),
    ) {
        let patience = if patient { Duration::MAX } else { HOUR * 4 };
        let held: Vec<Held> = held.into_iter().map(|it| Held::new(it.id, it.target, it.claims.keys().to_vec())).collect();
        let as_candidate = |held: &Held| Candidate::new("", held.claims.keys().to_vec()).on(held.target.clone());
        let options = PlanOptions::default().with_slots(slots).with_patience(patience);
        let plan = plan(&waiting, &held, &options);
        prop_assert_eq!(plan.picked.len() + plan.left_out.len(), waiting.len());
        prop_assert!(plan.picked.len() <= slots);
        for (n, at) in plan.picked.iter().enumerate() {
            for other in &plan.picked[..n] {
                prop_assert!(!meet(&waiting[*at], &waiting[*other]));
            }
            for held in &held {
                prop_assert!(!meet(&waiting[*at], &as_candidate(held)));
            }
        }
        for left in &plan.left_out {
            let me = &waiting[left.candidate];
            match &left.waits_for {
                WaitsFor::Slot => {
                    prop_assert_eq!(plan.picked.len(), slots);
                    prop_assert!(plan.picked.iter().all(|at| !meet(me, &waiting[*at])));
                }
                WaitsFor::Held { held: at, .. } => prop_assert!(meet(me, &as_candidate(&held[*at]))),
                WaitsFor::Picked { candidate, .. } => {
                    prop_assert!(plan.picked.contains(candidate));
                    prop_assert!(meet(me, &waiting[*candidate]));
                }
                WaitsFor::Elder { candidate, .. } => {
                    prop_assert!(!patient);
                    prop_assert!(waiting[*candidate].waited >= patience);
                    prop_assert!(meet(me, &waiting[*candidate]));
                }
            }
        }
    }

    #[test]
    fn batches_are_first_fit(waiting in any_candidates()) {
        let batches = batches(&waiting);
        prop_assert_eq!(batches.iter().map(Vec::len).sum::<usize>(), waiting.len());
        let fresh: Vec<Candidate> = waiting.iter().map(|it| it.clone().having_waited(Duration::ZERO)).collect();
        if let Some(first) = batches.first() {
            prop_assert_eq!(first, &plan(&fresh, &[], &PlanOptions::default()).picked);
        }
        for (n, batch) in batches.iter().enumerate() {
            for (k, at) in batch.iter().enumerate() {
                prop_assert!(batch[..k].iter().all(|other| !meet(&waiting[*at], &waiting[*other])));
                for earlier in &batches[..n] {
                    prop_assert!(earlier.iter().any(|other| meet(&waiting[*at], &waiting[*other])));
                }
            }
        }
    }
}
