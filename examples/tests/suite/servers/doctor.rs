//! What `doctor` says where something is wrong on the other side.

use pipeline_trackers::fake::FakeGitLab;
use pipeline_trackers::fake::backlog;
use serde_json::Value;

use super::super::world::World;
use super::Backlog;
use super::GitLab;
use super::PERSON;
use super::Service as _;
use super::set_up;

#[tokio::test]
async fn doctor_names_the_cure_for_whatever_is_wrong_with_backlog() {
    let service = Backlog::new();
    let mut world = World::new().await;
    world.agent("", "", "true");
    set_up(&mut world, &service).await.ended(0);
    let fake = service.0.service();

    let usual = fake.oddities();
    fake.set_oddities(backlog::Oddities { role: 4, ..usual });
    let said = doctors_cure(
        &world.run(&["--json", "doctor"]).await.json(),
        "role and project",
    );
    assert!(said.contains("the role member"), "{said}");
    fake.set_oddities(usual);

    fake.set_text_formatting("backlog");
    let said = doctors_cure(
        &world.run(&["--json", "doctor"]).await.json(),
        "role and project",
    );
    assert!(
        said.contains("[tracker.backlog] text = \"backlog\""),
        "{said}"
    );
    fake.set_text_formatting("markdown");

    fake.rename_status("Spec/log review", "Elsewhere")
        .expect("it is there");
    let said = doctors_cure(&world.run(&["--json", "doctor"]).await.json(), "statuses");
    assert!(
        said.contains("no status `Spec/log review`: create it"),
        "{said}"
    );
    fake.rename_status("Elsewhere", "Spec/log review")
        .expect("it is there");

    let (bot, person) = (backlog::BOT, backlog::ALICE);
    world.configure(
        &format!("approvers = [\"{person}\"]"),
        &format!("approvers = [\"{person}\", \"@pipeline-bot\"]"),
    );
    let said = doctors_cure(&world.run(&["--json", "doctor"]).await.json(), "approvers");
    assert!(
        said.contains(&bot.to_string()) && said.contains("name people in [gates]"),
        "{said}"
    );

    world.set("BACKLOG_API_KEY", "another-key-0123456789");
    let said = doctors_cure(
        &world.run(&["--json", "doctor"]).await.json(),
        "own account",
    );
    assert!(
        said.contains("check the variable it is read from") && !said.contains("another-key"),
        "{said}"
    );

    for unset in [false, true] {
        if unset {
            world.unset("BACKLOG_API_KEY");
        } else {
            world.set("BACKLOG_API_KEY", "");
        }
        let said = doctors_cure(&world.run(&["--json", "doctor"]).await.json(), "tracker");
        assert!(
            said.contains("BACKLOG_API_KEY") && said.contains("[tracker]"),
            "{said}"
        );
        assert!(said.contains("is not set: export it"), "{said}");
    }
}

pub(super) fn doctors_cure(report: &Value, name: &str) -> String {
    let all = report.as_array().expect("checks");
    let found = all
        .iter()
        .find(|c| c["name"] == name && c["state"] == "broken");
    let found = found.ok_or_else(|| format!("{name} is not broken: {report:#}"));
    let found = found.expect("the check is broken");
    format!(
        "{} → {}",
        found["said"].as_str().expect("said"),
        found["cure"].as_str().expect("a cure")
    )
}

#[tokio::test]
async fn doctor_names_the_cure_for_whatever_is_wrong_with_gitlab() {
    let service = GitLab::new();
    let mut world = World::new().await;
    world.agent("", "", "true");
    set_up(&mut world, &service).await.ended(0);
    let gitlab = service.0.service();

    gitlab.switch(|s| s.read_only = true);
    let said = doctors_cure(
        &world.run(&["--json", "doctor"]).await.json(),
        "role and project",
    );
    assert!(said.contains("give it the role Reporter"), "{said}");
    gitlab.switch(|s| s.read_only = false);

    let [review, _, _] = FakeGitLab::STATUSES;
    gitlab.rename_label(review, "somewhere else");
    let said = doctors_cure(&world.run(&["--json", "doctor"]).await.json(), "statuses");
    assert!(
        said.contains("`status::spec review` is called `somewhere else` now")
            && said.contains("rename it back"),
        "{said}"
    );
    // Nothing is made in its place: a move says the same and moves nothing.
    let iid = service.file("Greet the customer by name");
    let said = world.run(&["triage"]).await.said();
    assert!(said.contains("somewhere else"), "{said}");
    assert!(!gitlab.label_names().iter().any(|name| name == review));
    assert!(service.thread(&iid).is_empty(), "{said}");
    gitlab.rename_label("somewhere else", review);

    gitlab.delete_label(review);
    let said = doctors_cure(&world.run(&["--json", "doctor"]).await.json(), "statuses");
    assert!(
        said.contains("no status `status::spec review`: create it"),
        "{said}"
    );
    let made = service.file("Filed by somebody else");
    gitlab.relabel(PERSON, made.parse().expect("a number"), &[review], &[]);
    let said = doctors_cure(&world.run(&["--json", "doctor"]).await.json(), "statuses");
    assert!(
        said.contains("is not the one that `init` wrote down")
            && said.contains("[tracker.gitlab.label_ids]"),
        "{said}"
    );
    let config = world.state().join("pipeline.toml");
    let text = std::fs::read_to_string(&config).expect("there");
    let pinned = text
        .lines()
        .find(|l| l.starts_with("spec_review = ") && !l.contains('"'));
    world.configure(pinned.expect("init wrote the id down"), "#");

    let bot = gitlab.account(FakeGitLab::BOT).id;
    let person = gitlab.account(PERSON).id;
    world.configure(
        &format!("approvers = [\"{person}\"]"),
        &format!("approvers = [\"{person}\", \"@pipeline-bot\"]"),
    );
    let said = doctors_cure(&world.run(&["--json", "doctor"]).await.json(), "approvers");
    assert!(
        said.contains(&bot) && said.contains("name people in [gates]"),
        "{said}"
    );

    world.set("GITLAB_API_TOKEN", "glpat-wrong-key");
    let said = doctors_cure(
        &world.run(&["--json", "doctor"]).await.json(),
        "own account",
    );
    assert!(
        said.contains("check the variable it is read from") && !said.contains("glpat"),
        "{said}"
    );

    for unset in [false, true] {
        if unset {
            world.unset("GITLAB_API_TOKEN");
        } else {
            world.set("GITLAB_API_TOKEN", "");
        }
        let said = doctors_cure(&world.run(&["--json", "doctor"]).await.json(), "tracker");
        assert!(
            said.contains("GITLAB_API_TOKEN") && said.contains("[tracker]"),
            "{said}"
        );
        assert!(said.contains("is not set: export it"), "{said}");
    }
}
