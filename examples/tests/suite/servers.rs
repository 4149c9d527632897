//! The whole pipeline over trackers on servers, by configuration alone: the real binary against a fake.
//!
//! What a person does goes past the pipeline's credential, through [`Service`]; so each service tells the same story.

use pipeline_core::clock::SystemClock;
use pipeline_trackers::fake::FakeGitLab;
use pipeline_trackers::fake::FakeServer;
use pipeline_trackers::fake::Fault;
use pipeline_trackers::fake::backlog;
use pipeline_trackers::fake::backlog::FakeBacklog;
use serde_json::Value;

use super::world::Done;
use super::world::World;

/// The person of every story.
const PERSON: &str = "mika";

/// A service with a person beside the pipeline.
trait Service: Sync {
    /// Returns what `init` is told beside the agent.
    fn options(&self) -> Vec<String>;
    /// Returns the variables the machine has for it.
    fn variables(&self) -> Vec<(&'static str, String)>;
    fn file(&self, title: &str) -> String;
    fn comment(&self, key: &str, text: &str);
    fn start(&self, key: &str);
    /// Returns every text in the thread.
    fn thread(&self, key: &str) -> Vec<String>;
    /// Returns how many writes it was asked for.
    fn writes(&self) -> usize;
}

struct GitLab(FakeServer<FakeGitLab>);

impl GitLab {
    fn new() -> Self {
        let fake = FakeGitLab::new(std::sync::Arc::new(SystemClock)).under(&["gitlab"]);
        Self(FakeServer::start(fake).expect("a port"))
    }
}

impl Service for GitLab {
    fn options(&self) -> Vec<String> {
        let approver = self.0.service().account(PERSON).id;
        [
            "--tracker",
            "gitlab",
            "--project",
            "env:PROJECT",
            "--approver",
            &approver,
        ]
        .map(str::to_owned)
        .to_vec()
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        let project = self.0.service().project_url(&self.0.url());
        vec![
            ("PROJECT", project.to_string()),
            ("GITLAB_API_TOKEN", FakeGitLab::TOKEN.to_owned()),
        ]
    }

    fn file(&self, title: &str) -> String {
        self.0
            .service()
            .file(PERSON, title, "As the title says.")
            .to_string()
    }

    fn comment(&self, key: &str, text: &str) {
        self.0
            .service()
            .comment(PERSON, key.parse().expect("a number"), text);
    }

    fn start(&self, key: &str) {
        let [_, progress, _] = FakeGitLab::STATUSES;
        self.0
            .service()
            .set_status(PERSON, key.parse().expect("a number"), Some(progress));
    }

    fn thread(&self, key: &str) -> Vec<String> {
        let notes = self.0.service().notes(key.parse().expect("a number"));
        notes.into_iter().map(|(_, text)| text).collect()
    }

    fn writes(&self) -> usize {
        self.0
            .log()
            .count(pipeline_trackers::fake::FakeRequest::is_write)
    }
}

struct Backlog(FakeServer<FakeBacklog>);

impl Backlog {
    fn new() -> Self {
        let fake = FakeBacklog::new(std::sync::Arc::new(SystemClock));
        Self(FakeServer::start(fake).expect("a port"))
    }
}

fn issue(key: &str) -> pipeline_core::issue::IssueKey {
    pipeline_core::issue::IssueKey::new(key).expect("a key")
}

impl Service for Backlog {
    fn options(&self) -> Vec<String> {
        let approver = backlog::ALICE.to_string();
        [
            "--tracker",
            "backlog",
            "--project",
            "env:PROJECT",
            "--approver",
            &approver,
        ]
        .map(str::to_owned)
        .to_vec()
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            (
                "PROJECT",
                format!("{}tools/projects/{}", self.0.url(), backlog::PROJECT),
            ),
            ("BACKLOG_API_KEY", backlog::KEY.to_owned()),
        ]
    }

    fn file(&self, title: &str) -> String {
        let filed = self
            .0
            .service()
            .file_issue(backlog::ALICE, title, "As the title says.");
        filed.expect("a key").to_string()
    }

    fn comment(&self, key: &str, text: &str) {
        let said = self.0.service().comment(backlog::ALICE, &issue(key), text);
        said.expect("the issue is there");
    }

    fn start(&self, key: &str) {
        let moved = self
            .0
            .service()
            .move_to(backlog::ALICE, &issue(key), "In Progress", "");
        moved.expect("the issue is there");
    }

    fn thread(&self, key: &str) -> Vec<String> {
        let said = self.0.service().said(&issue(key)).into_iter();
        said.map(|(_, text)| text).collect()
    }

    fn writes(&self) -> usize {
        self.0
            .log()
            .count(pipeline_trackers::fake::FakeRequest::is_write)
    }
}

/// Runs `init` for a service.
async fn set_up(world: &mut World, service: &dyn Service) -> Done {
    for (name, value) in service.variables() {
        world.set(name, &value);
    }
    let agent = format!("sh {}", world.top.join("bin/agent.sh").display());
    let usual = [
        "init",
        "--agent",
        &agent,
        "--verify",
        "sh check.sh",
        "--local-ok",
        "tracker",
    ];
    let more = service.options();
    let more: Vec<&str> = more.iter().map(String::as_str).collect();
    let done = world.run(&[&usual[..], &more].concat()).await;
    if done.code == 0 {
        world.configure("#settle = \"30s\"", "settle = \"0s\"");
    }
    done
}

/// Tells the story of the main job: read, checked, started by a person, worked on, returned once, merged, approved by a
/// comment, landed; and a second run changes nothing.
async fn the_main_job(service: &dyn Service) {
    let mut world = World::new().await;
    // The first try breaks the check, the second one, with the rework memo in its task, does not.
    let work = r#"case $task in *'"kind":"rework"'*) echo 'hello, Aiko' > greeting.txt ;; *) : > greeting.txt ;; esac"#;
    world.agent("", "", work);
    set_up(&mut world, service).await.ended(0);
    let greeting = service.file("Greet the customer by name");
    let other = service.file("Make the checkout nicer");
    world.run(&["triage"]).await.ended(0);
    world.run(&["check"]).await.ended(0);
    for key in [&greeting, &other] {
        assert_eq!(service.thread(key).len(), 2, "{:?}", service.thread(key));
    }
    service.comment(&greeting, "The customer is called Aiko.");
    world.run(&["check"]).await.ended(0);
    let thread = service.thread(&greeting);
    assert!(
        thread
            .last()
            .is_some_and(|memo| memo.starts_with("Note: AI local re-check memo.")),
        "{thread:?}"
    );
    let before = world
        .git(&[
            "for-each-ref",
            "--format=%(refname)",
            "refs/heads",
            "refs/tags",
        ])
        .await;
    let tip = world.tip().await;
    // Nobody but a person starts anything.
    world.run(&["dispatch"]).await.ended(0);
    assert_eq!(service.thread(&greeting).len(), thread.len());
    service.start(&greeting);
    world.run(&["dispatch"]).await.ended(0);
    world.run(&["integrate"]).await.ended(1).says("went back");
    let thread = service.thread(&greeting);
    assert!(
        thread.iter().any(|memo| memo.contains("kind: rework")),
        "{thread:?}"
    );
    let candidate = world.candidate().await;
    assert_eq!(world.tip().await, tip, "nothing lands without the OK");
    service.comment(&greeting, &format!("OK {candidate}"));
    world.run(&["integrate"]).await.ended(0).says("landed");
    assert_ne!(world.tip().await, tip);
    assert_eq!(world.read("greeting.txt"), "hello, Aiko\n");
    let log = world.git(&["log", "-1", "--format=%B"]).await;
    assert!(
        log.contains("Agent-Claim: ") && log.contains("Agent-Round: "),
        "{log}"
    );
    let after = world
        .git(&[
            "for-each-ref",
            "--format=%(refname)",
            "refs/heads",
            "refs/tags",
        ])
        .await;
    assert_eq!(after, before);
    let (writes, tip) = (service.writes(), world.tip().await);
    for stage in ["triage", "check", "dispatch", "integrate"] {
        world.run(&[stage]).await.ended(0);
    }
    assert_eq!(
        (service.writes(), world.tip().await),
        (writes, tip),
        "the second run changed something"
    );
    no_credential_shows(&world, service, &[&greeting, &other]).await;
}

/// Searches everything the pipeline wrote and said for its credential.
async fn no_credential_shows(world: &World, service: &dyn Service, keys: &[&String]) {
    use pipeline_core::secret::Redactor;
    use pipeline_core::secret::Secret;
    let variables = service.variables();
    let (_, token) = variables.last().expect("the credential");
    let redactor = Redactor::new([&Secret::new(token.as_str())]);
    for key in keys {
        for text in service.thread(key) {
            assert!(!redactor.finds(&text), "a comment shows the credential");
        }
    }
    let mut said = Vec::new();
    for command in [
        &["status"][..],
        &["doctor"],
        &["--json", "doctor"],
        &["log"],
    ] {
        said.push(world.run(command).await.said());
    }
    for text in said {
        assert!(!redactor.finds(&text), "{}", redactor.redact(&text));
    }
    let mut folders = vec![world.state()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else if let Ok(bytes) = std::fs::read(&path) {
                let text = String::from_utf8_lossy(&bytes);
                assert!(
                    !redactor.finds(&text),
                    "{} holds the credential",
                    path.display()
                );
            }
        }
    }
}

#[tokio::test]
async fn the_main_job_over_gitlab() {
    the_main_job(&GitLab::new()).await;
}

#[tokio::test]
async fn a_log_of_everything_and_every_refusal_is_without_the_credential() {
    let service = GitLab::new();
    let mut world = World::new().await;
    world.agent("", "", "true");
    set_up(&mut world, &service).await.ended(0);
    world.set("ISSUE_PIPELINE_LOG", "trace");
    service.file("Greet the customer by name");
    for fault in [
        Fault::Unauthenticated,
        Fault::NotFound,
        Fault::Lost { landed: true },
        Fault::NotJson,
    ] {
        service.0.faults().next(1, fault);
        let said = world.run(&["triage"]).await.said();
        assert!(!said.contains(FakeGitLab::TOKEN), "{fault:?}");
        service.0.faults().clear();
    }
}

#[tokio::test]
async fn the_main_job_over_backlog() {
    the_main_job(&Backlog::new()).await;
}

#[tokio::test]
async fn a_log_of_everything_and_every_refusal_is_without_the_key() {
    let service = Backlog::new();
    let mut world = World::new().await;
    world.agent("", "", "true");
    set_up(&mut world, &service).await.ended(0);
    world.set("ISSUE_PIPELINE_LOG", "trace");
    service.file("Greet the customer by name");
    for fault in [
        Fault::Unauthenticated,
        Fault::NotFound,
        Fault::Lost { landed: true },
        Fault::NotJson,
    ] {
        service.0.faults().next(1, fault);
        let said = world.run(&["triage"]).await.said();
        assert!(!said.contains(backlog::KEY), "{fault:?}");
        service.0.faults().clear();
    }
}

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

    world.set("BACKLOG_API_KEY", "");
    let said = doctors_cure(&world.run(&["--json", "doctor"]).await.json(), "tracker");
    assert!(
        said.contains("BACKLOG_API_KEY") && said.contains("[tracker]"),
        "{said}"
    );
}

fn doctors_cure(report: &Value, name: &str) -> String {
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
        said.contains("no status `status::spec review`: create it"),
        "{said}"
    );
    gitlab.rename_label("somewhere else", review);

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

    world.set("GITLAB_API_TOKEN", "");
    let said = doctors_cure(&world.run(&["--json", "doctor"]).await.json(), "tracker");
    assert!(
        said.contains("GITLAB_API_TOKEN") && said.contains("[tracker]"),
        "{said}"
    );
}

#[tokio::test]
async fn init_writes_nothing_where_the_credential_is_missing_or_refused() {
    let service = GitLab::new();
    let mut world = World::new().await;
    world.agent("", "", "true");
    service.0.service().switch(|s| s.token_expired = true);
    set_up(&mut world, &service)
        .await
        .ended(2)
        .says("nothing was written: gitlab does not accept the credential");
    service.0.service().switch(|s| s.token_expired = false);
    set_up(&mut world, &service).await.ended(0);
}
