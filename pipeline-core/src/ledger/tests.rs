use proptest::prelude::*;

use super::*;
use crate::agent::RunLimits;
use crate::agent::TaskKind;
use crate::settings::Budget;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000 + seconds * 1000)
}

fn run(n: u32) -> RunId {
    RunId::new(format!("run-{n}")).expect("an id")
}

fn issue(key: &str) -> IssueKey {
    IssueKey::new(key).expect("a key")
}

fn usage(tokens: u64, cost: Option<u64>) -> Usage {
    Usage {
        input_tokens: tokens,
        output_tokens: 0,
        cost_micros: cost,
        millis: 1000,
    }
}

struct Case {
    issue: IssueKey,
    author: &'static str,
    agent: &'static str,
    role: AgentRole,
    elsewhere: Vec<InFlight>,
}

impl Case {
    fn new(key: &str) -> Self {
        Self {
            issue: issue(key),
            author: "eve",
            agent: "bob",
            role: AgentRole::Triage,
            elsewhere: Vec::new(),
        }
    }

    fn asks<'a>(&'a self, run: &'a RunId) -> Asked<'a> {
        Asked {
            run,
            issue: &self.issue,
            author: Some(self.author),
            agent: self.agent,
            role: self.role,
            kind: TaskKind::Triage,
            round: None,
            elsewhere: &self.elsewhere,
        }
    }
}

fn held(admission: Admission) -> String {
    match admission {
        Admission::Held(brake) => brake.to_string(),
        Admission::Granted(limits) => panic!("it may begin, within {limits:?}"),
    }
}

fn granted(admission: Admission) -> RunLimits {
    match admission {
        Admission::Granted(limits) => limits,
        Admission::Held(brake) => panic!("it may not begin: {brake}"),
    }
}

/// Begins and ends a run that every brake lets.
fn made(ledger: &Ledger, case: &Case, n: u32, used: Usage, when: Timestamp) {
    let run = run(n);
    let begun = ledger
        .begin(
            &case.asks(&run),
            &Brakes::default(),
            &AgentSettings::default(),
            when,
        )
        .expect("written");
    let _limits = granted(begun);
    ledger
        .end(&run, "completed", used, None, when)
        .expect("written");
}

fn file() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = dir.path().join("ledger.jsonl");
    (dir, path)
}

fn looks(ledger: &Ledger, case: &Case, brakes: &Brakes, when: Timestamp) -> Admission {
    let run = run(9999);
    ledger
        .looks(&case.asks(&run), brakes, &AgentSettings::default(), when)
        .expect("read")
}

#[test]
fn successful_runs_count_against_every_budget_and_the_sentence_says_which() {
    let ledger = Ledger::in_memory();
    let case = Case::new("A-1");
    made(&ledger, &case, 1, usage(600, Some(2_000_000)), at(0));
    made(&ledger, &case, 2, usage(600, Some(2_000_000)), at(1));
    let all = Brakes::default();
    let with = |change: &dyn Fn(&mut Brakes)| {
        let mut brakes = all.clone();
        change(&mut brakes);
        held(looks(&ledger, &case, &brakes, at(2)))
    };
    let tokens = Budget {
        tokens: Some(1200),
        ..Budget::default()
    };
    let money = Budget {
        cost_micros: Some(4_000_000),
        ..Budget::default()
    };
    let time = Budget {
        time: Some(Duration::from_secs(2)),
        ..Budget::default()
    };
    insta::assert_snapshot!(with(&|b| b.issue = Budget::runs(2)), @"issue A-1 used up the runs of [limits.issue] (2): 2 runs, 2s, 1,200 tokens in and 0 out, $4.00 so far; raise it to go on");
    insta::assert_snapshot!(with(&|b| b.author = tokens), @"the issues of eve used up the tokens of [limits.author] (1,200): 2 runs, 2s, 1,200 tokens in and 0 out, $4.00 so far; it fills again within 24 hours");
    insta::assert_snapshot!(with(&|b| b.day = money), @"all runs together used up the money of [limits.day] ($4.00): 2 runs, 2s, 1,200 tokens in and 0 out, $4.00 so far; it fills again within 24 hours");
    insta::assert_snapshot!(with(&|b| b.day = time), @"all runs together used up the time of [limits.day] (2s): 2 runs, 2s, 1,200 tokens in and 0 out, $4.00 so far; it fills again within 24 hours");
    let _limits = granted(looks(
        &ledger,
        &Case::new("A-2"),
        &Brakes {
            issue: Budget::runs(2),
            ..all
        },
        at(2),
    ));
}

#[test]
fn a_day_ends_after_24_hours_and_an_issue_never() {
    let ledger = Ledger::in_memory();
    let case = Case::new("A-1");
    made(&ledger, &case, 1, usage(1, None), at(0));
    let one = Budget::runs(1);
    let day = Brakes {
        day: one,
        ..Brakes::default()
    };
    let of_issue = Brakes {
        issue: one,
        ..Brakes::default()
    };
    let (before, after) = (at(24 * 3600 - 1), at(24 * 3600 + 1));
    assert!(held(looks(&ledger, &case, &day, before)).contains("[limits.day]"));
    let _limits = granted(looks(&ledger, &case, &day, after));
    assert!(held(looks(&ledger, &case, &of_issue, after)).contains("[limits.issue]"));
}

#[test]
fn a_run_is_granted_no_more_than_what_is_left() {
    let ledger = Ledger::in_memory();
    let case = Case::new("A-1");
    made(&ledger, &case, 1, usage(600, Some(500_000)), at(0));
    let brakes = Brakes {
        issue: Budget {
            tokens: Some(1000),
            time: Some(Duration::from_secs(11)),
            ..Budget::default()
        },
        day: Budget {
            cost_micros: Some(700_000),
            ..Budget::default()
        },
        ..Brakes::default()
    };
    let limits = granted(looks(&ledger, &case, &brakes, at(1)));
    assert_eq!(limits.tokens, Some(400));
    assert_eq!(limits.cost_micros, Some(200_000));
    assert_eq!(limits.deadline, Duration::from_secs(10));
}

#[test]
fn a_run_in_flight_reserves_its_own_limit_so_that_two_never_take_the_same_rest() {
    let ledger = Ledger::in_memory();
    let case = Case::new("A-1");
    let own = AgentSettings {
        limits: RunLimits {
            tokens: Some(600),
            ..RunLimits::default()
        },
        ..AgentSettings::default()
    };
    let brakes = Brakes {
        day: Budget {
            tokens: Some(1000),
            ..Budget::default()
        },
        ..Brakes::default()
    };
    let begin = |n: u32| {
        ledger
            .begin(&case.asks(&run(n)), &brakes, &own, at(0))
            .expect("written")
    };
    assert_eq!(granted(begin(1)).tokens, Some(600));
    assert_eq!(granted(begin(2)).tokens, Some(400));
    assert!(held(begin(3)).contains("tokens"));
    ledger
        .end(&run(1), "completed", usage(10, None), None, at(1))
        .expect("written");
    assert_eq!(granted(begin(3)).tokens, Some(590));
}

#[test]
fn in_flight_counts_the_ledger_the_table_and_live_claims_once_each() {
    let ledger = Ledger::in_memory();
    let mut case = Case::new("A-1");
    let brakes = |all, triage: Option<u32>| Brakes {
        in_flight: all,
        in_flight_by: triage.map(|n| (AgentRole::Triage, n)).into_iter().collect(),
        ..Brakes::default()
    };
    let none = AgentSettings::default();
    let (one, two) = (run(1), run(2));
    let _limits = granted(
        ledger
            .begin(&case.asks(&one), &Brakes::default(), &none, at(0))
            .expect("written"),
    );
    // The same run, as the run table knows it.
    case.elsewhere = vec![InFlight {
        run: one.clone(),
        agent: Some("bob".into()),
        role: AgentRole::Triage,
    }];
    let _limits = granted(looks(&ledger, &case, &brakes(Some(2), None), at(0)));
    case.elsewhere.push(InFlight {
        run: two,
        agent: None,
        role: AgentRole::Implement,
    });
    insta::assert_snapshot!(held(looks(&ledger, &case, &brakes(Some(2), None), at(0))), @"2 runs at a time are allowed, and as many are under way");
    insta::assert_snapshot!(held(looks(&ledger, &case, &brakes(None, Some(1)), at(0))), @"1 runs of triage at a time are allowed, and as many are under way");
    let bob = AgentSettings {
        in_flight: Some(1),
        ..AgentSettings::default()
    };
    let asked = run(3);
    let answer = ledger
        .looks(&case.asks(&asked), &Brakes::default(), &bob, at(0))
        .expect("read");
    insta::assert_snapshot!(held(answer), @"1 runs of agent bob at a time are allowed, and as many are under way");
    ledger
        .end(&one, "completed", Usage::default(), None, at(1))
        .expect("written");
    case.elsewhere.clear();
    let _limits = granted(looks(&ledger, &case, &brakes(Some(1), Some(1)), at(1)));
}

#[test]
fn a_limit_pauses_the_agent_for_every_process_and_the_later_time_holds() {
    let (_dir, path) = file();
    let (a, b) = (
        Ledger::open(&path).expect("opens"),
        Ledger::open(&path).expect("opens"),
    );
    let limited = |until| AgentOutcome::RateLimited { until };
    let later = at(600);
    a.react("bob", &limited(Some(later)), at(0))
        .expect("written");
    b.react("bob", &limited(Some(at(30))), at(1))
        .expect("written");
    for ledger in [&a, &b, &Ledger::open(&path).expect("opens")] {
        let pause = ledger.pause("bob", at(2)).expect("read").expect("paused");
        assert_eq!((pause.until, pause.reason.as_str()), (later, "rate-limit"));
        assert_eq!(ledger.pause("carl", at(2)).expect("read"), None);
        assert_eq!(ledger.pause("bob", later).expect("read"), None);
    }
    let case = Case::new("A-1");
    insta::assert_snapshot!(held(looks(&b, &case, &Brakes::default(), at(2))), @"agent bob is paused until 2027-01-15T08:10:00.000Z (rate-limit)");
    assert!(b.resume("bob", at(3)).expect("written").is_some());
    assert_eq!(a.pause("bob", at(3)).expect("read"), None);
    assert!(a.resume("bob", at(3)).expect("written").is_none());
}

#[test]
fn what_an_agent_says_of_the_time_is_bounded_and_other_outcomes_pause_nothing() {
    let ledger = Ledger::in_memory();
    let until = |outcome: AgentOutcome, agent: &str| {
        ledger
            .react(agent, &outcome, at(0))
            .expect("written")
            .map(|p| p.until.since(at(0)))
    };
    let rate = |until| AgentOutcome::RateLimited { until };
    let usage = |until| AgentOutcome::UsageLimit { until };
    assert_eq!(until(rate(None), "a"), Some(RATE_PAUSE));
    assert_eq!(until(usage(None), "b"), Some(USAGE_PAUSE));
    assert_eq!(
        until(usage(Some(at(1_000_000_000))), "c"),
        Some(LONGEST_PAUSE)
    );
    assert_eq!(
        until(rate(Some(Timestamp::EPOCH)), "d"),
        Some(SHORTEST_PAUSE)
    );
    let auth = AgentOutcome::AuthenticationFailed {
        detail: String::new(),
    };
    assert_eq!(until(auth, "e"), Some(BROKEN_PAUSE));
    for outcome in [
        AgentOutcome::Completed,
        AgentOutcome::Stalled,
        AgentOutcome::Cancelled,
        AgentOutcome::OverBudget,
    ] {
        assert_eq!(until(outcome, "f"), None);
    }
}

#[test]
fn no_progress_is_the_same_tree_and_the_same_failure_twice_in_a_row() {
    let ledger = Ledger::in_memory();
    let case = Case::new("A-1");
    let round = EventId(7);
    let end = |n: u32, outcome: &str, left: Option<&str>| {
        let id = run(n);
        let asked = Asked {
            round: Some(round),
            ..case.asks(&id)
        };
        let begun = ledger.begin(&asked, &Brakes::default(), &AgentSettings::default(), at(0));
        let _limits = granted(begun.expect("written"));
        ledger
            .end(
                &id,
                outcome,
                Usage::default(),
                left.map(str::to_owned),
                at(0),
            )
            .expect("written");
        ledger.repeats(&id, &case.issue, round).expect("read")
    };
    assert!(
        !end(1, "no-change", Some("base unchanged")),
        "nothing was before it"
    );
    assert!(end(2, "no-change", Some("base unchanged")));
    assert!(
        !end(3, "no-change", Some("other unchanged")),
        "the base moved"
    );
    assert!(
        !end(4, "deadline", Some("other unchanged")),
        "another failure"
    );
    assert!(!end(5, "crashed", None));
    assert!(
        !end(6, "crashed", None),
        "what left nothing cannot be compared"
    );
}

#[test]
fn failing_answers_are_counted_by_text() {
    let ledger = Ledger::in_memory();
    let key = issue("A-1");
    let fail = |text: &str, n: i64| {
        ledger
            .failed(Stage::Triage, &key, text, "why", at(n))
            .expect("written");
        ledger
            .failing(Stage::Triage, &key, text)
            .expect("read")
            .expect("counted")
            .times
    };
    assert_eq!((fail("one", 0), fail("one", 1), fail("two", 2)), (1, 2, 1));
    assert_eq!(
        ledger.failing(Stage::Check, &key, "two").expect("read"),
        None
    );
    ledger
        .answered(Stage::Triage, &key, at(3))
        .expect("written");
    assert_eq!(
        ledger.failing(Stage::Triage, &key, "two").expect("read"),
        None
    );
}

#[test]
fn cut_at_every_byte_it_keeps_what_was_whole_and_counts_on() {
    let (_dir, path) = file();
    let case = Case::new("A-1");
    let ledger = Ledger::open(&path).expect("opens");
    made(&ledger, &case, 1, usage(5, None), at(0));
    made(&ledger, &case, 2, usage(5, None), at(0));
    let whole = std::fs::read(&path).expect("reads");
    for cut in 0..=whole.len() {
        std::fs::write(&path, &whole[..cut]).expect("writes");
        let lines = whole[..cut].iter().filter(|b| **b == b'\n').count() as u64;
        let ledger = Ledger::open(&path).expect("opens");
        // Begun, ended, begun, ended.
        let spent = ledger.of_issue(&case.issue).expect("reads");
        assert_eq!(
            (spent.runs, spent.tokens()),
            (lines.div_ceil(2), lines / 2 * 5),
            "cut at {cut}"
        );
        made(&ledger, &case, 3, usage(7, None), at(1));
        let again = Ledger::open(&path)
            .expect("opens")
            .of_issue(&case.issue)
            .expect("reads");
        assert_eq!(again.runs, spent.runs + 1, "cut at {cut}");
    }
}

#[test]
fn a_damaged_ledger_holds_every_run() {
    let (_dir, path) = file();
    let ledger = Ledger::open(&path).expect("opens");
    let case = Case::new("A-1");
    made(&ledger, &case, 1, usage(5, None), at(0));
    let mut bytes = std::fs::read(&path).expect("reads");
    bytes[20] ^= 1;
    std::fs::write(&path, bytes).expect("writes");
    let error = Ledger::open(&path).expect_err("damaged");
    assert!(
        matches!(error, LedgerError::Damaged { record: 1, .. }),
        "{error}"
    );
}

#[test]
fn a_limit_holds_over_many_handles_at_once() {
    let (_dir, path) = file();
    let brakes = Brakes {
        day: Budget::runs(10),
        in_flight: Some(3),
        ..Brakes::default()
    };
    let begun: u32 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|t: u32| {
                let (path, brakes) = (&path, &brakes);
                scope.spawn(move || {
                    let ledger = Ledger::open(path).expect("opens");
                    let case = Case::new("A-1");
                    let mut begun = 0;
                    for n in 0..10 {
                        let id = run(t * 100 + n);
                        let asked = case.asks(&id);
                        let answer = ledger.begin(&asked, brakes, &AgentSettings::default(), at(0));
                        if let Admission::Granted(_) = answer.expect("written") {
                            begun += 1;
                            ledger
                                .end(&id, "completed", usage(1, None), None, at(0))
                                .expect("written");
                        }
                    }
                    begun
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|t| t.join().expect("no panic"))
            .sum()
    });
    let spent = Ledger::open(&path)
        .expect("opens")
        .of_day(at(1))
        .expect("reads")
        .all;
    assert_eq!(u64::from(begun), spent.runs);
    assert!(begun <= 10, "{begun} runs of at most 10");
    assert!(
        begun >= 3,
        "the threads cannot all have been held by one another: {begun}"
    );
}

#[test]
fn written_anew_it_is_bounded_and_says_the_same_of_every_issue_to_every_process() {
    const HOUR: i64 = 3_600;
    let (_dir, path) = file();
    let size = 10_000;
    let ledger = Ledger::open(&path).expect("opens").with_compaction_at(size);
    let other = Ledger::open(&path).expect("opens");
    let (old, new) = (Case::new("A-1"), Case::new("A-2"));
    let outcome = AgentOutcome::UsageLimit { until: None };
    let mut largest = 0;
    for n in 0..120 {
        let case = if n < 60 { &old } else { &new };
        made(
            &ledger,
            case,
            n,
            usage(5, Some(7)),
            at(i64::from(n) * 8 * HOUR),
        );
        largest = largest.max(std::fs::metadata(&path).expect("there").len());
    }
    let now = at(120 * 8 * HOUR);
    ledger
        .failed(Stage::Triage, &new.issue, "text", "why", now)
        .expect("written");
    ledger.react("carl", &outcome, now).expect("written");
    for n in 120..180 {
        made(&other, &new, n, usage(5, Some(7)), now);
        made(&ledger, &old, n + 1000, usage(5, Some(7)), now);
    }
    // Without it they would be some 80 kB.
    assert!(largest < 3 * size, "{largest} bytes");
    let fresh = Ledger::open(&path).expect("opens");
    for ledger in [&ledger, &other, &fresh] {
        for case in [&old, &new] {
            let spent = ledger.of_issue(&case.issue).expect("read");
            assert_eq!((spent.runs, spent.tokens()), (120, 600));
            assert_eq!(spent.cost_micros, 840);
        }
        let day = ledger.of_day(now).expect("read").all;
        assert_eq!(day.runs, 122, "the last day's runs stand there one by one");
        let failing = ledger.failing(Stage::Triage, &new.issue, "text");
        assert_eq!(failing.expect("read").expect("kept").times, 1);
        assert!(ledger.pause("carl", now).expect("read").is_some());
    }
}

proptest! {
    /// Whatever runs use, as long as each keeps to what it was granted no budget is ever exceeded.
    #[test]
    fn no_budget_is_exceeded_by_runs_that_keep_to_what_they_were_granted(
        wishes in proptest::collection::vec((0_u64..500, 0_u64..4), 1..40),
        most in 1_u64..3000,
    ) {
        let ledger = Ledger::in_memory();
        let own = AgentSettings {
            limits: RunLimits { tokens: Some(300), ..RunLimits::default() },
            ..AgentSettings::default()
        };
        let brakes = Brakes {
            day: Budget { tokens: Some(most), ..Budget::default() },
            ..Brakes::default()
        };
        let case = Case::new("A-1");
        let mut open: Vec<(RunId, u64)> = Vec::new();
        for (n, (wish, end)) in wishes.into_iter().enumerate() {
            let id = run(u32::try_from(n).expect("few"));
            if let Admission::Granted(limits) = ledger.begin(&case.asks(&id), &brakes, &own, at(0)).expect("kept") {
                open.push((id, wish.min(limits.tokens.expect("limited"))));
            }
            if end == 0 {
                for (id, tokens) in open.drain(..) {
                    ledger.end(&id, "completed", usage(tokens, None), None, at(0)).expect("kept");
                }
            }
            let spent = ledger.of_day(at(0)).expect("read").all;
            prop_assert!(spent.tokens() <= most, "{spent} of {most}");
        }
    }
}
