//! `broker`: a command that makes the API calls itself, with everything but the token.

use std::path::Component;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pipeline_core::plan::DiskFiles;
use pipeline_core::plan::PlanError;
use pipeline_core::plan::PlanFiles as _;
use pipeline_core::process::Capture;
use pipeline_core::process::ProcessReport;
use pipeline_core::process::ProcessSpec;
use pipeline_core::random;
use pipeline_core::secret::Redactor;
use pipeline_core::secret::Secret;
use pipeline_core::tracker::Dialect;
use pipeline_core::tracker::Tracker;
use pipeline_trackers::ConnectionOptions;
use pipeline_trackers::broker::Broker;
use pipeline_trackers::broker::BrokerLimits;
use pipeline_trackers::broker::BrokerOptions;
use pipeline_trackers::broker::BrokerRules;
use pipeline_trackers::broker::Call;
use pipeline_trackers::broker::TokenPlace;
use serde::Serialize;
use url::Url;

use super::arguments::BrokerArguments;
use super::arguments::Subject;
use super::run::failure;
use super::setting::Opened;
use super::setting::Setting;
use crate::config::AddressSource;
use crate::config::SecretSource;
use crate::issue_pipeline::Exit;
use crate::issue_pipeline::Failure;
use crate::surroundings::read_secret;
use crate::terminal::escape_line;

/// What a broker stands in for, and under which names.
#[derive(Debug)]
struct Service {
    upstream: Url,
    token: Secret,
    place: TokenPlace,
    rules: BrokerRules,
    connection: ConnectionOptions,
    /// The variable of the project's address.
    address_name: String,
    /// The variable of the token.
    token_name: String,
}

/// What `broker` tells a program.
#[derive(Debug, Serialize)]
struct Told {
    exit_code: Option<i32>,
    calls: Vec<Call>,
}

pub(super) async fn run(setting: &Setting, arguments: &BrokerArguments) -> Result<Exit, Failure> {
    let subject = Subject {
        files: arguments.files.clone(),
        phase: arguments.phase.clone(),
    };
    let opened = setting.open(&subject, false).await?;
    if !opened.section.unconfined_broker {
        return Err(Failure::refused(
            "nothing here confines a command to the loopback, so it could send the plan anywhere; if you trust it, say \
             unconfined_broker = true in [plan]",
        ));
    }
    close_memory();
    let service = service(setting).await?;
    let folder = Folder::with(&opened, setting)?;
    let broker = start(&service, &opened.tracker, arguments).await?;
    let report = child(
        setting,
        &service,
        &broker,
        folder.path(),
        &opened.files,
        arguments,
    )
    .await;
    let calls = broker.stop().await;
    let report = report?;
    for call in &calls {
        let refused = call
            .refused
            .map(|r| format!(" refused: {r}"))
            .unwrap_or_default();
        setting.out.line(escape_line(&format!(
            "{} {} {}{refused}",
            call.status, call.method, call.path
        )))?;
    }
    let exit_code = report.code();
    setting.out.result(&Told { exit_code, calls })?;
    Ok(if exit_code == Some(0) {
        Exit::Done
    } else {
        Exit::Failed
    })
}

/// Keeps the memory and the environment of this process, where the token is, from other processes of the same user.
#[cfg(target_os = "linux")]
fn close_memory() {
    use rustix::process::DumpableBehavior;
    // Where the system refuses, the command is as confined as it says it is.
    let _refused = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Other systems show a process's memory and environment to its parent and to root only.
#[cfg(not(target_os = "linux"))]
const fn close_memory() {}

async fn service(setting: &Setting) -> Result<Service, Failure> {
    let none = || {
        Failure::usage(
            "this tracker has no address and no token to keep: use `plan-to-issues apply`",
        )
    };
    let workplace = setting.workplace.as_ref().ok_or_else(none)?;
    let tracker = &workplace.config().tracker;
    let (Some(project), Some(token)) = (&tracker.project, &tracker.token) else {
        return Err(none());
    };
    let (address, address_name) = match project {
        AddressSource::Plain(address) => (address.clone(), "GITLAB_PROJECT_URL".to_owned()),
        AddressSource::Env(name) => {
            let value = setting.around.variable(name).and_then(|v| v.to_str());
            let unset = || {
                Failure::usage(format!(
                    "variable {name} is not set: export it, or name a file with --env-file"
                ))
            };
            (value.ok_or_else(unset)?.to_owned(), name.clone())
        }
    };
    let token_name = match token {
        SecretSource::Env(name) => name.clone(),
        _ => "GITLAB_API_TOKEN".to_owned(),
    };
    let upstream = api(&address).ok_or_else(|| {
        Failure::usage("the broker knows GitLab projects: [tracker] project is the address of the project's page, or of its API")
    })?;
    let directory = workplace.loaded.path.parent().unwrap_or(Path::new("/"));
    let secret = read_secret(token, &setting.around, directory).await?;
    let mut connection = ConnectionOptions::default().timeout(tracker.timeout.get());
    if let Some(path) = &tracker.ca {
        connection = connection.root_certificates(std::fs::read(workplace.loaded.resolve(path))?);
    }
    Ok(Service {
        upstream,
        token: secret,
        place: TokenPlace::Header("PRIVATE-TOKEN"),
        rules: BrokerRules::gitlab(),
        connection,
        address_name,
        token_name,
    })
}

/// Returns the address of a project's API, from it or from that of the project's page.
fn api(address: &str) -> Option<Url> {
    let mut url = Url::parse(address.trim_end_matches('/')).ok()?;
    let path = url.path().to_owned();
    if path.contains("/api/v4/projects/") {
        return Some(url);
    }
    let project = path
        .split("/-/")
        .next()?
        .trim_matches('/')
        .trim_end_matches(".git");
    if !project.contains('/') {
        return None;
    }
    url.set_path(&format!("/api/v4/projects/{}", project.replace('/', "%2F")));
    Some(url)
}

async fn start(
    service: &Service,
    tracker: &Arc<dyn Tracker>,
    arguments: &BrokerArguments,
) -> Result<Broker, Failure> {
    let limits = BrokerLimits {
        writes: arguments.writes,
        lifetime: Duration::from_secs(arguments.minutes.saturating_mul(60)),
        ..BrokerLimits::default()
    };
    let options = BrokerOptions {
        upstream: service.upstream.clone(),
        token: service.token.clone(),
        place: service.place.clone(),
        rules: service.rules.clone(),
        limits,
        dialect: Arc::new(TrackerDialect(Arc::clone(tracker))),
        connection: service.connection.clone(),
    };
    Broker::start(options)
        .await
        .map_err(|error| Failure::new(Exit::Failed, error))
}

/// How the tracker treats text, for as long as the broker serves.
#[derive(Debug)]
struct TrackerDialect(Arc<dyn Tracker>);

impl Dialect for TrackerDialect {
    fn neutralise(&self, text: &str) -> String {
        self.0.dialect().neutralise(text)
    }
    fn max_chars(&self) -> usize {
        self.0.dialect().max_chars()
    }
    fn key_prefix(&self) -> &str {
        self.0.dialect().key_prefix()
    }
}

async fn child(
    setting: &Setting,
    service: &Service,
    broker: &Broker,
    folder: &Path,
    files: &[String],
    arguments: &BrokerArguments,
) -> Result<ProcessReport, Failure> {
    let (program, rest) = arguments
        .command
        .split_first()
        .ok_or_else(|| Failure::usage("name the command to run after --"))?;
    let program = setting
        .around
        .find_program(program)
        .ok_or_else(|| Failure::usage(format!("there is no program `{}`", escape_line(program))))?;
    let minutes = Duration::from_secs(arguments.minutes.saturating_mul(60));
    let home = folder.join("home");
    std::fs::create_dir(&home)?;
    let redactor = Redactor::new([&service.token]);
    let ours = [&service.address_name, &service.token_name];
    let names = arguments.env.iter().filter(|name| !ours.contains(name));
    let passed = setting.around.named(names);
    // The token under another name would be the token all the same; so would it be as an argument.
    let holds = |text: &std::ffi::OsStr| redactor.finds(&text.to_string_lossy());
    if passed.iter().any(|(_, value)| holds(value)) || rest.iter().any(|a| redactor.finds(a)) {
        return Err(Failure::refused(
            "the command would be given the tracker's token: take it out of --env and of the arguments",
        ));
    }
    let spec = ProcessSpec::new(program, folder)
        .args(rest)
        .env("PATH", setting.around.search_path())
        .env("HOME", home)
        .env(&service.address_name, broker.url().as_str())
        .env(&service.token_name, broker.placeholder())
        .env("PLAN_FILES", files.join("\n"))
        .env("PLAN_PHASES", arguments.phase.join("\n"))
        .envs(passed)
        .stdout(Capture::tail(256 << 10, 64 << 20))
        .deadline(minutes);
    let report = spec
        .run()
        .await
        .map_err(|error| Failure::new(Exit::Failed, error))?;
    // It cannot have the token; that it does not show it is checked all the same.
    for text in [report.stdout().text(), report.stderr().text()] {
        setting.out.raw(redactor.redact(&text).as_bytes())?;
    }
    Ok(report)
}

/// A folder of a run: the plan and its context documents, and no repository.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn with(opened: &Opened, setting: &Setting) -> Result<Self, Failure> {
        let state = setting
            .workplace
            .as_ref()
            .map(|w| w.state.path().to_owned());
        let state =
            state.ok_or_else(|| Failure::usage("the broker needs a configuration: --config"))?;
        let path = state.join(format!("broker-{}", &random::nonce()[..12]));
        std::fs::create_dir(&path)?;
        let folder = Self(path);
        let files = DiskFiles::new(&opened.root);
        for name in opened.files.iter().chain(&opened.section.references) {
            let text = files.read(name).map_err(PlanError::from).map_err(failure)?;
            // Below the folder, whatever the path says.
            let parts = Path::new(name)
                .components()
                .filter(|c| matches!(c, Component::Normal(_)));
            let to = folder.0.join(parts.collect::<PathBuf>());
            to.parent().map_or(Ok(()), std::fs::create_dir_all)?;
            std::fs::write(to, text)?;
        }
        Ok(folder)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What could not be removed holds no secret.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_is_told_from_the_page_of_a_project() {
        for (address, expected) in [
            (
                "https://g.example/group/sub/shop",
                Some("https://g.example/api/v4/projects/group%2Fsub%2Fshop"),
            ),
            (
                "https://g.example/group/shop/-/issues",
                Some("https://g.example/api/v4/projects/group%2Fshop"),
            ),
            (
                "https://g.example/root/api/v4/projects/7/",
                Some("https://g.example/root/api/v4/projects/7"),
            ),
            ("https://g.example/shop", None),
            ("nonsense", None),
        ] {
            assert_eq!(
                api(address).as_ref().map(Url::as_str),
                expected,
                "{address}"
            );
        }
    }
}
