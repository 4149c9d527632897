//! Only what is planned is made, each issue once, tied to its item.

use pipeline_core::issue::IssueDraft;
use pipeline_core::plan::Fingerprint;
use pipeline_core::plan::Origin;

use super::*;

fn item(phase: &str, text: &str, occurrence: usize) -> Fingerprint {
    Fingerprint::of("plan.md", Some(phase), text, occurrence)
}

fn draft(phase: &str, text: &str, occurrence: usize) -> IssueDraft {
    let item = item(phase, text, occurrence);
    IssueDraft {
        title: text.to_owned(),
        body: format!(
            "Phase: {phase}\n\nMade from the plan: `plan.md, line 3`\n\nplan-file: plan.md\nplan-item: {item}\nv: 1"
        ),
        labels: vec![phase.to_owned(), "roadmap".to_owned()],
        milestone: Some(phase.to_owned()),
        kind: None,
        priority: None,
    }
}

/// A run that may make two issues of the second phase, which have the same title.
async fn world() -> World {
    let drafts = [
        draft("Phase 2", "Write tests", 0),
        draft("Phase 2", "Write tests", 1),
    ];
    World::with(|o| o.planned = Some(PlannedIssues::new(drafts))).await
}

impl World {
    async fn issue(&self, fields: serde_json::Value) -> (u16, String) {
        self.post("/issues", JSON, &fields.to_string()).await
    }

    /// Returns the fields of the last issue that reached the tracker.
    fn sent(&self, name: &str) -> Option<String> {
        let sent = self.upstream.log().all().pop().unwrap().form();
        let mut found = sent.into_iter().filter(|(n, _)| n == name);
        let value = found.next().map(|(_, value)| value);
        assert_eq!(found.next(), None, "{name} stands once");
        value
    }
}

#[tokio::test]
async fn an_issue_is_told_by_its_title_and_gets_what_its_item_says() {
    let world = world().await;
    let (status, answer) = world
        .issue(json!({"title": "Write tests", "weight": 3}))
        .await;
    assert_eq!(status, 201, "{answer}");
    assert_eq!(
        world.sent("description").unwrap(),
        draft("Phase 2", "Write tests", 0).body
    );
    assert_eq!(world.sent("labels").as_deref(), Some("Phase 2,roadmap"));
    assert_eq!(world.sent("weight").as_deref(), Some("3"));
    // The same words once more are the other item of that text, and then there is none left.
    assert_eq!(
        world
            .issue(json!({"title": "Write tests", "labels": ["roadmap"]}))
            .await
            .0,
        201
    );
    let origin = Origin::in_text(&world.sent("description").unwrap()).unwrap();
    assert_eq!(origin.fingerprint, item("Phase 2", "Write tests", 1));
    assert_eq!(world.issue(json!({"title": "Write tests"})).await.0, 409);
    assert_eq!(world.last(), Some(Refusal::AlreadyMade));
    assert_eq!(world.upstream.log().len(), 2);
}

#[tokio::test]
async fn an_issue_told_by_its_lines_keeps_its_own_words_and_no_other_lines() {
    let world = world().await;
    let (wanted, other) = (
        item("Phase 2", "Write tests", 1),
        item("Phase 1", "Log in", 0),
    );
    let text = format!(
        "plan-file: plan.md\n- plan-item: {other}\nMy words.\n/close\n\nplan-file: plan.md\nplan-item: {wanted}"
    );
    assert_eq!(
        world
            .issue(json!({"title": "Better words", "description": text}))
            .await
            .0,
        201
    );
    let sent = world.sent("description").unwrap();
    let origin = Origin::in_text(&sent).unwrap();
    assert_eq!(
        (origin.fingerprint, origin.file.as_str()),
        (wanted, "plan.md")
    );
    assert!(
        sent.starts_with("My words.\n> /close\n\nMade from the plan: `plan.md, line 3`"),
        "{sent}"
    );
    assert!(!sent.contains(other.as_str()), "{sent}");
    assert_eq!(world.sent("title").as_deref(), Some("Better words"));
    // The body as the list of items has it comes out as it went in.
    let whole = draft("Phase 2", "Write tests", 0).body;
    assert_eq!(
        world
            .issue(json!({"title": "x", "description": whole}))
            .await
            .0,
        201
    );
    assert_eq!(world.sent("description").unwrap(), whole);
}

#[tokio::test]
async fn what_is_of_another_phase_is_refused_and_goes_nowhere() {
    let world = world().await;
    let other = draft("Phase 1", "Log in", 0);
    for fields in [
        json!({"title": "Log in"}),
        json!({"title": "Anything"}),
        json!({"description": "no title"}),
        json!({"title": "Write tests", "description": other.body}),
        json!({"title": "Write tests", "labels": "Phase 1"}),
        json!({"title": "Write tests", "labels": ["Phase 2", "Phase 1"]}),
        json!({"title": "Write tests", "labels": "Phase 2,Phase 1"}),
        json!({"title": "Write tests", "milestone_id": 1}),
    ] {
        assert_eq!(world.issue(fields.clone()).await.0, 403, "{fields}");
        assert_eq!(world.last(), Some(Refusal::NotPlanned), "{fields}");
    }
    for (path, field) in [("/labels", "name"), ("/milestones", "title")] {
        let fields = json!({field: "Phase 1"}).to_string();
        assert_eq!(world.post(path, JSON, &fields).await.0, 403, "{path}");
    }
    assert_eq!(
        world
            .issue(json!({"title": ["Write tests", "Log in"]}))
            .await
            .0,
        422
    );
    assert_eq!(world.upstream.log().len(), 0);
    // Nothing of it has used up an item.
    assert_eq!(world.issue(json!({"title": "Write tests"})).await.0, 201);
    assert_eq!(
        world
            .post("/labels", JSON, r##"{"name":"Phase 2","color":"#fff"}"##)
            .await
            .0,
        201
    );
    assert_eq!(
        world
            .post("/milestones", JSON, r#"{"title":"Phase 2"}"#)
            .await
            .0,
        201
    );
}

/// A tracker that lists one name, refuses the first issue and does not answer the second.
#[derive(Debug, Default)]
struct Moody(std::sync::atomic::AtomicUsize);

impl FakeService for Moody {
    fn now(&self) -> Timestamp {
        Timestamp::EPOCH
    }
    fn answer(&self, request: &FakeRequest) -> FakeAnswer {
        if !request.is_write() {
            return FakeAnswer::json(
                200,
                &json!([{"id": 31, "name": "Phase 2", "title": "Phase 2"}, {"id": 32, "name": "Phase 1", "title": "Phase 1"}]),
            );
        }
        match self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => FakeAnswer::json(400, &json!({"message": "no"})),
            1 => FakeAnswer::text(502, "gone"),
            _ => FakeAnswer::json(201, &json!({"id": 1})),
        }
    }
    fn too_many(&self, _: TooMany) -> FakeAnswer {
        FakeAnswer::text(429, "Retry later")
    }
}

#[tokio::test]
async fn an_issue_that_may_have_been_made_is_not_sent_again() {
    let upstream = FakeServer::start(Moody::default()).unwrap();
    let world = World::with(|o| {
        o.upstream = upstream.url().join(PROJECT).unwrap();
        o.planned = Some(PlannedIssues::new([draft("Phase 2", "Write tests", 0)]));
    })
    .await;
    let fields = json!({"title": "Write tests"});
    assert_eq!(
        world.issue(fields.clone()).await.0,
        400,
        "refused: the item is free again"
    );
    assert_eq!(world.issue(fields.clone()).await.0, 502);
    assert_eq!(world.issue(fields).await.0, 409);
    assert_eq!(upstream.log().count(FakeRequest::is_write), 2);
}

#[tokio::test]
async fn numbers_are_learnt_from_what_the_tracker_lists() {
    let upstream = FakeServer::start(Moody::default()).unwrap();
    let drafts = [0, 1, 2].map(|n| draft("Phase 2", "Write tests", n));
    let world = World::with(|o| {
        o.upstream = upstream.url().join("/api/v2").unwrap();
        o.place = TokenPlace::Query("apiKey");
        o.rules = BrokerRules::backlog("PROJ", 7);
        o.planned = Some(PlannedIssues::new(drafts));
    })
    .await;
    let token = world.broker.placeholder().to_owned();
    let ask = async |method: &str, path: &str, body: &str| {
        let kind = "content-type: application/x-www-form-urlencoded\r\n";
        let target = format!("/api/v2{path}?apiKey={token}");
        world.ask(method, &target, kind, body).await.0
    };
    let text = "projectId=7&summary=Write+tests&issueTypeId=1&priorityId=3";
    assert_eq!(
        ask("POST", "/issues", &format!("{text}&categoryId[]=31")).await,
        403,
        "nobody said what 31 is"
    );
    assert_eq!(ask("GET", "/projects/PROJ/categories", "").await, 200);
    assert_eq!(ask("GET", "/projects/PROJ/versions", "").await, 200);
    assert_eq!(
        ask("POST", "/issues", &format!("{text}&categoryId[]=32")).await,
        403,
        "32 is of another phase"
    );
    assert_eq!(
        ask("POST", "/issues", &format!("{text}&milestoneId[]=32")).await,
        403
    );
    assert_eq!(
        ask(
            "POST",
            "/issues",
            &format!("{text}&categoryId[]=31&milestoneId[]=31")
        )
        .await,
        400
    );
    assert_eq!(ask("POST", "/issues", text).await, 502);
    let sent = upstream.log().all().pop().unwrap().form();
    let of = |name: &str| {
        sent.iter()
            .filter(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (of("categoryId[]"), of("milestoneId[]")),
        (vec!["31"], vec!["31"])
    );
    assert_eq!(of("summary"), ["Write tests"]);
}
