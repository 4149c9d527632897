//! Drafts of an agent: checked, asked for once more, shown, used.

use serde_json::json;

use super::*;
use crate::agent::AgentOutcome;
use crate::agent::TaskKind;
use crate::memory::ScriptedAgent;
use crate::memory::ScriptedTurn;

fn answer(items: &[(usize, &str, &str)]) -> serde_json::Value {
    let drafts: Vec<_> = items
        .iter()
        .map(|(item, title, label)| {
            json!({"item": item, "title": title, "description": "/close\nDo it.", "labels": [label], "estimate": "small"})
        })
        .collect();
    json!({ "drafts": drafts })
}

async fn drafted(
    turns: &[serde_json::Value],
) -> (World, Arc<ScriptedAgent>, Result<Drafts, DraftError>) {
    let world = World::new("## Phase 1\n\n- [ ] a\n- [ ] b\n");
    let mut agent = ScriptedAgent::new("writer");
    for turn in turns {
        agent = agent.then(TaskKind::PlanDraft, ScriptedTurn::answers(turn.clone()));
    }
    let agent = Arc::new(agent);
    let plan = world.look().await;
    let drafter = Drafter::new(Arc::clone(&agent) as _, ["api".to_owned()].into());
    let drafts = drafter.draft(&plan).await;
    (world, agent, drafts)
}

#[tokio::test]
async fn drafts_are_used_with_the_agents_words_quoted() {
    let good = answer(&[(1, "Build a", "api"), (2, "Build b", "api")]);
    let (mut world, agent, drafts) = drafted(&[good]).await;
    let drafts = drafts.unwrap();
    assert_eq!(drafts.len(), 2);
    assert_eq!(agent.tasks()[0].workdir, None);
    let back: Drafts = serde_json::from_str(&serde_json::to_string(&drafts).unwrap()).unwrap();
    world.options.drafts = back.checked(&["api".to_owned()].into()).unwrap();
    assert!(
        world.look().await.to_string().contains("Build a"),
        "they are shown before they are used"
    );
    world.run(&[]).await.1.unwrap();
    let issue = &world.issues().await[0];
    assert_eq!(
        (issue.title.as_str(), &issue.labels[..]),
        ("Build a", &["Phase 1".to_owned(), "api".to_owned()][..])
    );
    assert!(issue.body.contains("> /close\n> Do it."), "{}", issue.body);
    assert_eq!(world.look().await.drift, []);
}

#[tokio::test]
async fn a_draft_outside_the_rules_is_asked_for_once_more_and_then_refused() {
    let good = answer(&[(1, "Build a", "api"), (2, "Build b", "api")]);
    for bad in [
        answer(&[(1, "Build a", "api")]),
        answer(&[(1, "Build a", "admin"), (2, "b", "api")]),
        answer(&[(1, "Build\na", "api"), (2, "b", "api")]),
        answer(&[(1, "a", "api"), (1, "b", "api")]),
        answer(&[(1, "a", "api"), (3, "b", "api")]),
        json!({"drafts": [], "extra": 1}),
        json!(null),
    ] {
        let (_, agent, drafts) = drafted(&[bad.clone(), good.clone()]).await;
        assert_eq!(drafts.unwrap().len(), 2, "{bad}");
        assert!(agent.tasks()[1].prompt.contains("could not be used"));
        let (_, _, drafts) = drafted(&[bad.clone(), bad.clone()]).await;
        assert!(matches!(drafts, Err(DraftError::Unusable { .. })), "{bad}");
    }
}

#[tokio::test]
async fn an_agent_that_declines_is_told_as_it_ended() {
    let world = World::new("## Phase 1\n\n- [ ] a\n");
    let refused = AgentOutcome::Refused {
        detail: "no".into(),
    };
    let agent = ScriptedAgent::new("writer").then(TaskKind::PlanDraft, ScriptedTurn::ends(refused));
    let drafter = Drafter::new(Arc::new(agent), Default::default());
    let error = drafter.draft(&world.look().await).await.unwrap_err();
    insta::assert_snapshot!(error, @"the agent writer gave no drafts: the model declined: no");
}
