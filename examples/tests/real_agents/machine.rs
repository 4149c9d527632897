//! A machine with the real programs on it and a scripted model beside it.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use pipeline_core::process::ProcessSpec;
use pipeline_core::process::RunningProcess;
use serde_json::Value;
use serde_json::json;

use crate::world::World;

/// The variable that names the folder with the programs.
const TOOLS: &str = "AGENT_TOOLS";
const MODEL: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/fake-model/fake-model.mjs"
);
/// The key's value, which must be found nowhere but in the programs' own environment.
pub(crate) const KEY: &str = "canary-model-key-4711";
const CEILING: Duration = Duration::from_secs(120);

/// The two programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cli {
    Codex,
    Claude,
}

impl Cli {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Codex => "codex",
            Self::Claude => "claude",
        }
    }

    const fn model(self) -> &'static str {
        match self {
            Self::Codex => "gpt-5.5",
            Self::Claude => "claude-opus-5-5",
        }
    }

    fn program(self, tools: &Path) -> PathBuf {
        tools.join("node_modules/.bin").join(self.name())
    }
}

/// Returns where the programs are; otherwise says past the harness's capture that the test is skipped.
async fn tools() -> Option<PathBuf> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the switch of a suite that needs programs from elsewhere"
    )]
    let tools = std::env::var_os(TOOLS).map(PathBuf::from);
    let why = match tools {
        None => format!("{TOOLS} names no folder with the programs"),
        Some(tools) if !Cli::Codex.program(&tools).exists() => {
            format!("there are no programs in {}", tools.display())
        }
        Some(tools) => {
            let bare = [
                "--unshare-user",
                "--unshare-net",
                "--ro-bind",
                "/",
                "/",
                "true",
            ];
            let tried = ProcessSpec::new("bwrap", "/").args(bare).run().await;
            match tried {
                _ if cfg!(target_os = "macos") => return tools.canonicalize().ok(),
                Ok(report) if report.succeeded() => return tools.canonicalize().ok(),
                Ok(report) => format!("no sandbox: {}", report.stderr().text().trim()),
                Err(error) => format!("no sandbox: {error}"),
            }
        }
    };
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    let text = format!("SKIPPED {name}: {why}\n");
    std::io::stderr().write_all(text.as_bytes()).expect("said");
    None
}

/// The steps of one agent: its name, and what the model does for it.
pub(crate) type Steps<'s> = (&'s str, Value);

/// A machine with one program configured as one agent per role.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) world: World,
    pub(crate) cli: Cli,
    tools: PathBuf,
    port: String,
    /// Ended when the machine goes.
    _model: RunningProcess,
}

impl Machine {
    /// Makes a machine; nothing where the programs are not there.
    ///
    /// Each of the `agents` (`triage`, `check`, `work`, …) is the program with a model of its own.
    pub(crate) async fn new(cli: Cli, agents: &[Steps<'_>]) -> Option<Self> {
        Self::with(cli, agents, |_| {}).await
    }

    /// As [`new`](Self::new), on a machine that is prepared: its files are committed before anything else.
    ///
    /// `{{state}}`, `{{home}}` and `{{repo}}` in a step stand for where these are.
    pub(crate) async fn with(
        cli: Cli,
        agents: &[Steps<'_>],
        prepare: impl FnOnce(&mut World),
    ) -> Option<Self> {
        let tools = tools().await?;
        let mut world = World::new().await;
        prepare(&mut world);
        world.git(&["add", "--all"]).await;
        world
            .git(&["commit", "--quiet", "--allow-empty", "--message", "More"])
            .await;
        world.agent("", "", "true");
        world.set("MODEL_KEY", KEY);
        world.init(&[]).await.ended(0);
        let scenarios: BTreeMap<&str, &Value> =
            agents.iter().map(|(name, steps)| (*name, steps)).collect();
        let file = world.top.join("scenarios.json");
        let places = [
            ("{{state}}", world.state()),
            ("{{home}}", world.top.join("home")),
            ("{{repo}}", world.repo()),
        ];
        let steps = places
            .iter()
            .fold(json!(scenarios).to_string(), |text, (name, place)| {
                text.replace(name, &place.display().to_string())
            });
        std::fs::write(&file, steps).expect("written");
        let (port_file, log) = (world.top.join("port"), world.top.join("model.jsonl"));
        let model = ProcessSpec::new("node", &world.top)
            .args([MODEL, "--log-bodies", "--port-file"])
            .arg(&port_file)
            .arg("--log")
            .arg(&log)
            .arg("--scenarios")
            .arg(&file)
            .envs(world.variables().map(|(n, v)| (n.to_owned(), v.to_owned())))
            .deadline(Duration::from_secs(3600))
            .start()
            .expect("node starts");
        let port = until("the model listens", || {
            std::fs::read_to_string(&port_file)
                .ok()
                .filter(|p| !p.is_empty())
        })
        .await;
        let machine = Self {
            world,
            cli,
            tools,
            port,
            _model: model,
        };
        let names: Vec<&str> = agents.iter().map(|(name, _)| *name).collect();
        machine.configure(&names);
        Some(machine)
    }

    /// Writes the agents into the configuration, in place of the one `init` wrote.
    fn configure(&self, names: &[&str]) {
        self.edit(|document| {
            let mut agents = toml_edit::Table::new();
            agents.set_implicit(true);
            for name in names {
                agents.insert(name, self.section(name, name).into());
            }
            document["agents"] = agents.into();
            let first = *names.first().expect("an agent");
            for role in ["triage", "check", "implement"] {
                let own = names.iter().copied().find(|name| {
                    *name == role || (role == "implement" && name.starts_with("work"))
                });
                document["roles"][role] = toml_edit::value(own.unwrap_or(first));
            }
            document["workers"]["slots"] = toml_edit::value(toml_edit::Array::from_iter(["w-1"]));
            document["workers"]
                .as_table_like_mut()
                .expect("a table")
                .remove("agents");
        });
    }

    /// Describes the program as an agent whose model follows a scenario.
    fn section(&self, name: &str, scenario: &str) -> toml_edit::Table {
        let mut section = toml_edit::Table::new();
        let program = self.cli.program(&self.tools).display().to_string();
        section["kind"] = toml_edit::value(self.cli.name());
        section["command"] = toml_edit::value(toml_edit::Array::from_iter([program]));
        section["model"] = toml_edit::value(self.cli.model());
        section["base_url"] = toml_edit::value(self.url(name, scenario));
        let mut key = toml_edit::InlineTable::new();
        key.insert("env", "MODEL_KEY".into());
        section["key"] = toml_edit::value(key);
        section
    }

    fn url(&self, name: &str, scenario: &str) -> String {
        let url = format!("http://127.0.0.1:{}/s/{scenario}/{name}", self.port);
        match self.cli {
            Cli::Codex => format!("{url}/v1"),
            Cli::Claude => url,
        }
    }

    /// Changes the configuration.
    pub(crate) fn edit(&self, change: impl FnOnce(&mut toml_edit::DocumentMut)) {
        let path = self.world.state().join("pipeline.toml");
        let text = std::fs::read_to_string(&path).expect("there");
        let mut document = text.parse().expect("TOML");
        change(&mut document);
        std::fs::write(path, document.to_string()).expect("written");
    }

    /// Returns what the model was asked, as text, for one agent.
    pub(crate) fn asked(&self, name: &str) -> Vec<String> {
        let log = std::fs::read_to_string(self.world.top.join("model.jsonl")).unwrap_or_default();
        let place = format!("/{name}/");
        log.lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|entry| {
                entry["url"]
                    .as_str()
                    .is_some_and(|url| url.contains(&place))
            })
            .filter(|entry| entry["served"]["step"].is_object())
            .map(|entry| entry["body"].to_string())
            .collect()
    }

    /// Says OK to the candidate that waits, in an issue, and lands it.
    pub(crate) async fn land(&self, key: &str) {
        let candidate = self.world.waiting().await.expect("a candidate waits");
        let ok = format!("OK {candidate}");
        self.world
            .run(&["issue", "comment", key, &ok])
            .await
            .ended(0);
        self.world.run(&["integrate"]).await.ended(0).says("landed");
    }

    /// Returns the processes of this machine, by their arguments, that are not the model's.
    pub(crate) async fn processes(&self) -> Vec<String> {
        let listing = ProcessSpec::new("ps", "/")
            .args(["-axww", "-o", "stat=,args="])
            .run()
            .await
            .expect("ps runs");
        let top = self.world.top.display().to_string();
        let listing = listing.stdout().text().into_owned();
        listing
            .lines()
            .filter(|line| line.contains(&top) && !line.contains(MODEL))
            // What is dead may still wait for the machine's first process to take notice.
            .filter(|line| !line.trim_start().starts_with('Z'))
            .map(str::to_owned)
            .collect()
    }
}

/// Waits for something that comes to be.
pub(crate) async fn until<T>(what: &str, mut there: impl FnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = there() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let found = tokio::time::timeout(CEILING, looking).await;
    found.expect(what)
}

/// The model's answer to a triage task.
pub(crate) fn triage() -> Value {
    json!([{ "answer": { "comment": "Understood by the model.", "confidence": 0.9 } }])
}

/// The model's answer to a local check, after a look.
pub(crate) fn check(files: &[&str]) -> Value {
    json!([{ "look": "greeting.txt" }, { "answer": checked(files) }])
}

/// An answer to a local check.
pub(crate) fn checked(files: &[&str]) -> Value {
    json!({
        "comment": "Looked at by the model.",
        "confidence": 0.9,
        "local_check": {
            "candidate_files": files,
            "implementation_scope": "One line.",
            "estimate": "small",
            "blockers": [],
            "can_start_from_local": true,
            "db_change": false,
            "production_data": false,
            "pending_decisions": [],
        },
    })
}
