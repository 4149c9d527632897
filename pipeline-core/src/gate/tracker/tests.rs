use super::*;
use crate::gate::fixture::candidate;
use crate::gate::fixture::commit;
use crate::gate::fixture::key;
use crate::integrate::Candidate;
use crate::memo::Fields;
use crate::memo::Markers;
use crate::memo::MemoKind;
use crate::memo::SigningKeys;
use crate::memory::MemoryTracker;
use crate::tracker::PlainDialect;

const RULES: &str = "abcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcd";

/// A tracker with one issue in which a candidate was shown.
struct Desk {
    tracker: MemoryTracker,
    key: IssueKey,
    candidate: Candidate,
    gate: TrackerGate,
}

fn protocol() -> Arc<Protocol> {
    Arc::new(Protocol {
        accounts: vec![AccountRef("pipeline".into())],
        ignore_authors: vec![AccountRef("ci".into())],
        markers: Markers::default(),
        keys: SigningKeys::new("t"),
    })
}

impl Desk {
    async fn new() -> Self {
        let tracker = MemoryTracker::new();
        let key = tracker
            .as_person("eve")
            .new_issue("Title", "Body")
            .expect("filed");
        let candidate = candidate(&[key.as_str()]);
        // The pipeline and the bot among the approvers are mistakes that must not count.
        let approvers = ["ann", "pipeline", "ci"].map(|a| AccountRef(a.into()));
        let desk = Self {
            gate: TrackerGate::new(Arc::new(tracker.clone()), protocol(), approvers.into()),
            tracker,
            key,
            candidate,
        };
        let id = desk.candidate.id();
        desk.memo(
            Fields::new()
                .with("kind", "result")
                .with("candidate", id.as_str()),
        )
        .await;
        desk
    }

    async fn memo(&self, fields: Fields) {
        let body = Memo::new(MemoKind::WorkStatus, fields, String::new()).render(
            &Markers::default(),
            &PlainDialect,
            &self.key,
            &SigningKeys::new("t"),
        );
        self.tracker
            .add_comment(&self.key, &body)
            .await
            .expect("posted");
    }

    fn says(&self, who: &str, body: &str) -> CommentId {
        let body = body.replace("<id>", self.candidate.id().short());
        let said = self.tracker.as_person(who).comment(&self.key, &body);
        said.expect("said").id
    }

    fn request(&self) -> GateRequest {
        GateRequest::LocalOk {
            candidate: self.candidate.id(),
            issues: vec![self.key.clone()],
        }
    }

    fn ship(&self) -> GateRequest {
        GateRequest::Ship {
            commit: commit('e'),
            rules: RULES.into(),
            issues: vec![self.key.clone()],
        }
    }

    async fn asked(&self, request: &GateRequest) -> Result<GateEvidence, String> {
        match self.gate.decision(request).await.expect("asked") {
            GateDecision::Given(evidence) => Ok(evidence),
            GateDecision::Pending { ignored, .. } => Err(ignored.join("\n")),
        }
    }

    /// Returns why nothing counts.
    async fn why(&self) -> String {
        let why = self
            .asked(&self.request())
            .await
            .expect_err("nothing counts");
        why.replace(self.candidate.id().short(), "<id>")
    }
}

#[tokio::test]
async fn an_approvers_ok_behind_the_memo_counts() {
    let desk = Desk::new().await;
    desk.says("ann", "ok <id> allow migration protected d1\n\nWell done.");
    let given = desk.asked(&desk.request()).await.expect("counts");
    assert_eq!(given.subject, desk.candidate.id().as_str());
    assert_eq!(given.by, Person::new("ann", "ann@users.invalid"));
    assert_eq!(given.place, GatePlace::Tracker);
    assert_eq!(given.rules, None);
    let lifted = (given.allow.len(), given.protected.len());
    assert_eq!(lifted, (1, 1));
}

#[tokio::test]
async fn the_latest_ok_counts_and_stands_alone() {
    let desk = Desk::new().await;
    desk.says("ann", "OK <id> allow migration");
    desk.says("ann", "OK <id>");
    let given = desk.asked(&desk.request()).await.expect("counts");
    assert!(given.allow.is_empty());
}

#[tokio::test]
async fn what_is_copied_from_the_candidate_lifts_everything() {
    let desk = Desk::new().await;
    let line = crate::gate::ok_comment(&desk.candidate);
    desk.says("ann", &line);
    let given = desk.asked(&desk.request()).await.expect("counts");
    assert!(crate::gate::Approval::mint(&desk.candidate, given).is_ok());
}

#[tokio::test]
async fn nobody_else_gives_an_ok() {
    let desk = Desk::new().await;
    desk.says("eve", "OK <id>");
    desk.says("ci", "OK <id>");
    let ours = format!("OK {}", desk.candidate.id());
    desk.tracker
        .add_comment(&desk.key, &ours)
        .await
        .expect("posted");
    insta::assert_snapshot!(desk.why().await, @r#"
    comment 2 of issue 1 by eve was ignored: its author is not among [gates] approvers
    comment 4 of issue 1 by pipeline was ignored: it is by one of the pipeline's own accounts, and only a person can give an OK
    "#);
}

#[tokio::test]
async fn an_ok_that_was_changed_quoted_or_misspelt_does_not_count() {
    let desk = Desk::new().await;
    let person = desk.tracker.as_person("eve");
    let id = desk.says("ann", "looks good");
    let body = format!("OK {}", desk.candidate.id());
    person.edit_comment(&desk.key, id, &body).expect("edited");
    desk.says("ann", "> OK <id>\n\nwhy?");
    desk.says("ann", "OK <id> allow everything please");
    desk.says("ann", "OK <id>\nOK 999999999999");
    insta::assert_snapshot!(desk.why().await, @r#"
    comment 2 of issue 1 by ann was ignored: it was changed after it had been posted: write it in a new comment
    comment 3 of issue 1 by ann was ignored: it stands in a quotation; write it in a comment of your own
    comment 4 of issue 1 by ann was ignored: it is not written as `OK <candidate> allow <class>,<class> protected <id> <id>`, of which the last two parts may be missing
    comment 5 of issue 1 by ann was ignored: the comment holds more than one; write a comment with one
    "#);
}

#[tokio::test]
async fn an_ok_before_the_memo_or_in_a_thread_without_one_does_not_count() {
    let mut desk = Desk::new().await;
    desk.candidate.commits[0].message = "Rebuilt".into();
    let id = desk.candidate.id();
    desk.says("ann", "OK <id>");
    assert!(desk.why().await.contains("older than the memo"));
    desk.memo(
        Fields::new()
            .with("kind", "result")
            .with("candidate", id.as_str()),
    )
    .await;
    assert!(desk.why().await.contains("older than the memo"));
    desk.says("ann", "OK <id>");
    assert!(desk.asked(&desk.request()).await.is_ok());
}

#[tokio::test]
async fn an_ok_for_the_candidate_before_the_rebuild_is_named() {
    let mut desk = Desk::new().await;
    desk.says("ann", "OK <id>");
    let old = desk.candidate.id().short().to_owned();
    desk.candidate.commits[0].message = "Rebuilt".into();
    let id = desk.candidate.id();
    desk.memo(
        Fields::new()
            .with("kind", "result")
            .with("candidate", id.as_str()),
    )
    .await;
    let why = desk.why().await.replace(&old, "<old>");
    insta::assert_snapshot!(why, @"comment 2 of issue 1 by ann was ignored: it names <old>, but <id> waits now: look at it again and give a new OK");
    // What landed long ago is history and not told again.
    desk.memo(
        Fields::new()
            .with("kind", "landed")
            .with("commit", commit('e').as_str()),
    )
    .await;
    assert_eq!(desk.why().await, "");
}

#[tokio::test]
async fn an_ok_in_the_thread_of_any_issue_of_the_candidate_is_for_the_whole() {
    let desk = Desk::new().await;
    desk.says("ann", "OK <id>");
    let request = GateRequest::LocalOk {
        candidate: desk.candidate.id(),
        issues: vec![key("gone-1"), desk.key.clone()],
    };
    assert!(desk.asked(&request).await.is_ok());
}

#[tokio::test]
async fn a_tracker_that_cannot_be_read_is_no_approval() {
    let desk = Desk::new().await;
    desk.says("ann", "OK <id>");
    desk.tracker.set_reachable(false);
    let error = desk
        .gate
        .decision(&desk.request())
        .await
        .expect_err("unreadable");
    assert!(matches!(error, GateError::Unreadable { .. }), "{error}");
}

#[tokio::test]
async fn a_ship_permission_names_the_landed_commit_and_the_rules() {
    let desk = Desk::new().await;
    let short = "e".repeat(12);
    desk.says("ann", &format!("SHIP {short} rules abcdefabcdef"));
    let why = async || desk.asked(&desk.ship()).await.expect_err("nothing counts");
    insta::assert_snapshot!(why().await, @"comment 2 of issue 1 by ann was ignored: no memo before it in this thread says that the commit has landed");
    desk.memo(
        Fields::new()
            .with("kind", "landed")
            .with("commit", commit('e').as_str()),
    )
    .await;
    desk.says("ann", &format!("SHIP {short}"));
    desk.says("ann", &format!("SHIP {short} rules 999999999999"));
    desk.says("ann", "SHIP ffffffffffff rules abcdefabcdef");
    insta::assert_snapshot!(why().await, @r#"
    comment 2 of issue 1 by ann was ignored: no memo before it in this thread says that the commit has landed
    comment 4 of issue 1 by ann was ignored: it does not name the deploy rules: add `rules abcdefabcdef` after reading them
    comment 5 of issue 1 by ann was ignored: it names the deploy rules 999999999999, but they are abcdefabcdef now: read them and give a new permission
    comment 6 of issue 1 by ann was ignored: it names ffffffffffff, but eeeeeeeeeeee waits now: look at it again and give a new OK
    "#);
    desk.says("ann", &crate::gate::ship_comment(&commit('e'), RULES));
    let given = desk.asked(&desk.ship()).await.expect("counts");
    assert_eq!(given.rules.as_deref(), Some(RULES));
    assert_eq!(given.subject, commit('e').as_str());
}

#[tokio::test]
async fn a_landed_memo_may_carry_the_rules_that_were_seen() {
    let desk = Desk::new().await;
    let landed = Fields::new()
        .with("kind", "landed")
        .with("commit", commit('e').as_str())
        .with("ship-rules", "older");
    desk.memo(landed).await;
    desk.says("ann", &format!("SHIP {}", "e".repeat(40)));
    let given = desk.asked(&desk.ship()).await.expect("counts");
    // Minting then refuses it, because the rules are others now.
    assert_eq!(given.rules.as_deref(), Some("older"));
}

#[tokio::test]
async fn people_stand_as_committers_by_their_configured_name() {
    let desk = Desk::new().await;
    let ann = Person::new("Ann Smith", "ann@example.com");
    let gate = desk
        .gate
        .clone()
        .with_people([(AccountRef("@ann".into()), ann.clone())].into());
    desk.says("ann", "OK <id>");
    let GateDecision::Given(given) = gate.decision(&desk.request()).await.expect("asked") else {
        panic!("given");
    };
    assert_eq!(given.by, ann);
    let odd = Account::new("7\n<x>", Some("lo".into()), "\u{202e}<>");
    assert_eq!(
        gate.person(&odd).to_string(),
        "\\u{202e} <7x@users.invalid>"
    );
    let nameless = Account::new("7", Some("lo".into()), "<>");
    assert_eq!(gate.person(&nameless).to_string(), "lo <7@users.invalid>");
}

#[tokio::test]
async fn the_way_to_say_it_is_told() {
    let desk = Desk::new().await;
    assert!(!desk.gate.is_unforgeable());
    let how = |gate: &TrackerGate, request| {
        gate.how(&request)
            .replace(desk.candidate.id().short(), "<id>")
    };
    insta::assert_snapshot!(how(&desk.gate, desk.request()), @"write `OK <id>` as an approver in a comment of issue 1");
    insta::assert_snapshot!(how(&desk.gate, desk.ship()), @"write `SHIP eeeeeeeeeeee rules abcdefabcdef` as an approver in a comment of issue 1");
    let nobody = TrackerGate::new(Arc::new(desk.tracker.clone()), protocol(), Vec::new());
    insta::assert_snapshot!(how(&nobody, desk.request()), @"nobody can give an OK in a comment, because [gates] approvers is empty");
}
