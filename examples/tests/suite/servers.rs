//! The whole pipeline over trackers on servers, by configuration alone: the real binary against a fake.
//!
//! What a person does goes past the pipeline's credential, through [`Service`]; so each service tells the same story.

mod altered;
mod credential;
mod doctor;
mod oauth;
mod quiet;

use std::sync::Arc;

use pipeline_core::clock::Clock;
use pipeline_core::clock::SystemClock;
use pipeline_trackers::fake::FakeGitLab;
use pipeline_trackers::fake::FakeServer;
use pipeline_trackers::fake::RequestLog;
use pipeline_trackers::fake::backlog;
use pipeline_trackers::fake::backlog::FakeBacklog;

use self::credential::no_credential_shows;
use super::world::Done;
use super::world::World;

/// The person of every story.
const PERSON: &str = "mika";

/// A service with a person beside the pipeline.
pub(super) trait Service: Sync {
    /// Returns what `init` is told beside the agent.
    fn options(&self) -> Vec<String>;
    /// Returns the variables the machine has for it, the credential last.
    fn variables(&self) -> Vec<(&'static str, String)>;
    /// Returns what must show nowhere.
    fn secrets(&self) -> Vec<String> {
        let credential = self.variables().pop();
        credential.into_iter().map(|(_, value)| value).collect()
    }
    fn file(&self, title: &str) -> String;
    fn comment(&self, key: &str, text: &str);
    fn start(&self, key: &str);
    /// Returns every text in the thread.
    fn thread(&self, key: &str) -> Vec<String>;
    /// Returns what it was asked.
    fn log(&self) -> &RequestLog;
    /// Returns how many writes it was asked for.
    fn writes(&self) -> usize {
        self.log()
            .count(pipeline_trackers::fake::FakeRequest::is_write)
    }
    /// Returns what it was asked, and forgets it.
    fn requests(&self) -> Vec<String> {
        let asked = self.log().all();
        self.log().clear();
        let shown = asked.iter().map(|r| format!("{} {}", r.method, r.path));
        shown.collect()
    }
    /// Puts an issue where it is reviewed, as the pipeline does.
    fn review(&self, key: &str);
    /// Says something as the pipeline's account.
    fn say_as_pipeline(&self, key: &str, text: &str);
    /// Changes the newest comment that holds `part`, or takes it away, as an administrator may.
    fn alter(&self, key: &str, part: &str, to: Option<&str>);
    /// Returns where the server is.
    fn address(&self) -> String;
}

pub(super) struct GitLab(pub(super) FakeServer<FakeGitLab>);

impl GitLab {
    pub(super) fn new() -> Self {
        Self::at(Arc::new(SystemClock))
    }

    fn at(clock: Arc<dyn Clock>) -> Self {
        let fake = FakeGitLab::new(clock).under(&["gitlab"]);
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

    fn log(&self) -> &RequestLog {
        self.0.log()
    }

    fn review(&self, key: &str) {
        let [review, _, _] = FakeGitLab::STATUSES;
        let iid = key.parse().expect("a number");
        self.0
            .service()
            .set_status(FakeGitLab::BOT, iid, Some(review));
    }

    fn say_as_pipeline(&self, key: &str, text: &str) {
        let iid = key.parse().expect("a number");
        let said = self.0.service().comment(FakeGitLab::BOT, iid, text);
        said.expect("the issue is there");
    }

    fn alter(&self, key: &str, part: &str, to: Option<&str>) {
        let iid = key.parse().expect("a number");
        let note = self.0.service().note_with(iid, part).expect("said");
        match to {
            Some(text) => self.0.service().edit_note(iid, note, text),
            None => self.0.service().delete_note(iid, note),
        }
    }

    fn address(&self) -> String {
        self.0.url().to_string()
    }
}

pub(super) struct Backlog(pub(super) FakeServer<FakeBacklog>);

impl Backlog {
    pub(super) fn new() -> Self {
        Self::at(Arc::new(SystemClock))
    }

    fn at(clock: Arc<dyn Clock>) -> Self {
        Self(FakeServer::start(FakeBacklog::new(clock)).expect("a port"))
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

    fn log(&self) -> &RequestLog {
        self.0.log()
    }

    fn review(&self, key: &str) {
        let moved = self
            .0
            .service()
            .move_to(backlog::BOT, &issue(key), "Spec/log review", "");
        moved.expect("the issue is there");
    }

    fn say_as_pipeline(&self, key: &str, text: &str) {
        let said = self.0.service().comment(backlog::BOT, &issue(key), text);
        said.expect("the issue is there");
    }

    fn alter(&self, key: &str, part: &str, to: Option<&str>) {
        let (fake, key) = (self.0.service(), issue(key));
        let comment = fake.comment_with(&key, part).expect("said");
        let done = match to {
            Some(text) => fake.edit_comment(&key, comment, text),
            None => fake.delete_comment(&key, comment),
        };
        done.expect("the comment is there");
    }

    fn address(&self) -> String {
        self.0.url().to_string()
    }
}

/// Runs `init` for a service.
pub(super) async fn set_up(world: &mut World, service: &dyn Service) -> Done {
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
    the_main_job_in(&mut World::new().await, service).await;
}

async fn the_main_job_in(world: &mut World, service: &dyn Service) {
    // The first try breaks the check, the second one, with the rework memo in its task, does not.
    let work = r#"case $task in *'"kind":"rework"'*) echo 'hello, Aiko' > greeting.txt ;; *) : > greeting.txt ;; esac"#;
    world.agent("", "", work);
    set_up(world, service).await.ended(0);
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
    no_credential_shows(world, service, &[&greeting, &other]).await;
}

#[tokio::test]
async fn the_main_job_over_gitlab() {
    the_main_job(&GitLab::new()).await;
}

#[tokio::test]
async fn the_main_job_over_backlog() {
    the_main_job(&Backlog::new()).await;
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
