//! Backlog by OAuth, by configuration alone: the token ends in the middle of the work, again and again.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use pipeline_core::secret::Secret;

use pipeline_trackers::fake::FakeRequest;
use pipeline_trackers::fake::RequestLog;

use super::super::world::World;
use super::Backlog;
use super::Service;
use super::no_credential_shows;
use super::the_main_job_in;

const ACCESS: &str = "access-0-of-fake";
const REFRESH: &str = "refresh-0-of-fake";
const OF_CLIENT: &str = "client-secret-of-fake";
/// Requests after which each token ends: no stage gets by with one.
const EACH: u64 = 3;

/// Backlog with an application in place of a key.
struct ByOauth {
    backlog: Backlog,
    tokens: String,
}

impl ByOauth {
    fn new(world: &World) -> Self {
        let backlog = Backlog::new();
        let (access, refresh) = (Secret::new(ACCESS), Secret::new(REFRESH));
        let fake = backlog.0.service();
        fake.set_oauth(&access, &refresh, Duration::from_secs(3600));
        fake.end_oauth_after(EACH);
        // Nothing but the tokens opens it.
        fake.set_key(&Secret::new("a-key-nobody-has"));
        let tokens = world.top.join("tokens.json");
        let answer = format!(
            r#"{{"access_token":"{ACCESS}","token_type":"Bearer","expires_in":3600,"refresh_token":"{REFRESH}"}}"#
        );
        fs::write(&tokens, answer).expect("written");
        fs::set_permissions(&tokens, fs::Permissions::from_mode(0o600)).expect("closed");
        let tokens = tokens.display().to_string();
        Self { backlog, tokens }
    }
}

impl Service for ByOauth {
    fn options(&self) -> Vec<String> {
        let mut options = self.backlog.options();
        options.extend(["--oauth-tokens".to_owned(), self.tokens.clone()]);
        options
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        let mut variables = self.backlog.variables();
        variables.retain(|(name, _)| *name == "PROJECT");
        variables.push(("BACKLOG_CLIENT_ID", "the-application".to_owned()));
        variables.push(("BACKLOG_CLIENT_SECRET", OF_CLIENT.to_owned()));
        variables
    }

    fn address(&self) -> String {
        self.backlog.address()
    }

    fn secrets(&self) -> Vec<String> {
        let kept = fs::read_to_string(&self.tokens).expect("there");
        let kept: serde_json::Value = serde_json::from_str(&kept).expect("JSON");
        let now = ["access_token", "refresh_token"]
            .map(|key| kept[key].as_str().expect("a token").to_owned());
        let mut all: Vec<String> = now.to_vec();
        all.extend([ACCESS, REFRESH, OF_CLIENT].map(str::to_owned));
        for n in 1..=self.backlog.0.service().renewals() {
            all.extend([
                format!("access-{n}-of-fake"),
                format!("refresh-{n}-of-fake"),
            ]);
        }
        all
    }

    fn file(&self, title: &str) -> String {
        self.backlog.file(title)
    }

    fn comment(&self, key: &str, text: &str) {
        self.backlog.comment(key, text);
    }

    fn start(&self, key: &str) {
        self.backlog.start(key);
    }

    fn thread(&self, key: &str) -> Vec<String> {
        self.backlog.thread(key)
    }

    fn writes(&self) -> usize {
        // Renewals are writes to the service, and none to an issue.
        let of_issues = |r: &FakeRequest| r.is_write() && !r.path.ends_with("/oauth2/token");
        self.log().count(of_issues)
    }

    fn log(&self) -> &RequestLog {
        self.backlog.log()
    }

    fn review(&self, key: &str) {
        self.backlog.review(key);
    }

    fn say_as_pipeline(&self, key: &str, text: &str) {
        self.backlog.say_as_pipeline(key, text);
    }

    fn alter(&self, key: &str, part: &str, to: Option<&str>) {
        self.backlog.alter(key, part, to);
    }
}

#[tokio::test]
async fn the_main_job_over_backlog_by_oauth_while_tokens_end() {
    let mut world = World::new().await;
    let service = ByOauth::new(&world);
    the_main_job_in(&mut world, &service).await;
    let renewals = service.backlog.0.service().renewals();
    assert!(renewals > 10, "{renewals}");
    let log = service.backlog.0.log().all();
    assert!(log.iter().all(|r| r.parameter("apiKey").is_none()));
    let config = fs::read_to_string(world.state().join("pipeline.toml")).expect("there");
    assert!(
        config.contains("client_secret = { env = \"BACKLOG_CLIENT_SECRET\" }"),
        "{config}"
    );
    no_credential_shows(&world, &service, &[]).await;
}

#[tokio::test]
async fn doctor_names_the_cure_for_whatever_is_wrong_with_the_tokens() {
    let mut world = World::new().await;
    world.agent("", "", "true");
    let service = ByOauth::new(&world);
    super::set_up(&mut world, &service).await.ended(0);
    let check = |report: &serde_json::Value, name: &str| super::doctor::doctors_cure(report, name);

    fs::set_permissions(&service.tokens, fs::Permissions::from_mode(0o644)).expect("opened");
    let said = check(&world.run(&["--json", "doctor"]).await.json(), "tracker");
    assert!(
        said.contains("chmod 600") && said.contains("[tracker.backlog.oauth] tokens"),
        "{said}"
    );
    fs::set_permissions(&service.tokens, fs::Permissions::from_mode(0o600)).expect("closed");

    // Somebody took the application's access away.
    let fake = service.backlog.0.service();
    let other = Secret::new("of-somebody-else");
    fake.set_oauth(&other, &other, Duration::from_secs(3600));
    let said = check(
        &world.run(&["--json", "doctor"]).await.json(),
        "own account",
    );
    assert!(said.contains("does not accept the credential"), "{said}");

    world.unset("BACKLOG_CLIENT_SECRET");
    let said = check(&world.run(&["--json", "doctor"]).await.json(), "tracker");
    assert!(
        said.contains("variable BACKLOG_CLIENT_SECRET is not set: export it"),
        "{said}"
    );
}
