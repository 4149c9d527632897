//! The command agent against the agent conformance suite, with and without a wrapper, and what is its own.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pipeline_agents::CommandAgent;
use pipeline_agents::CommandAgentBuilder;
use pipeline_core::BoxError;
use pipeline_core::agent::Agent;
use pipeline_core::agent::AgentError;
use pipeline_core::agent::AgentOutcome;
use pipeline_core::agent::AgentReport;
use pipeline_core::agent::AgentTask;
use pipeline_core::agent::Confinement;
use pipeline_core::agent::RunId;
use pipeline_core::agent::RunLimits;
use pipeline_core::agent::TaskKind;
use pipeline_core::agent::Unwatched;
use pipeline_core::conformance::agent::AgentHarness;
use pipeline_core::conformance::agent::Behaviour;
use pipeline_core::issue::IssueKey;
use pipeline_core::process::ProcessSpec;
use pipeline_core::process::Wrapper;
use pipeline_core::random::nonce;
use pipeline_core::secret::Secret;
use serde_json::json;

const FAKE_AGENT: &str = env!("CARGO_BIN_EXE_fake-agent");
const CANARY: &str = "canary-model-key";

/// A state directory with workspaces in it, and a fake agent.
#[derive(Debug)]
struct Commands {
    state: tempfile::TempDir,
    confined: bool,
}

impl Commands {
    fn new(confined: bool) -> Self {
        // Beside the sources and not below `/tmp`, which a confined program has another one of anyway.
        let state = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        Self { state, confined }
    }

    /// Returns nothing, and says so past the test harness's capture, where nobody can be confined.
    ///
    /// Asked without our own arguments: were those wrong, the tests must fail and not be left out.
    async fn confined() -> Option<Self> {
        let bare =
            ProcessSpec::new("bwrap", "/").args(["--unshare-all", "--ro-bind", "/", "/", "true"]);
        let why = match bare.run().await {
            Ok(report) if report.succeeded() => return Some(Self::new(true)),
            Ok(report) => report.stderr().text().into_owned(),
            Err(error) => error.to_string(),
        };
        let name = std::thread::current().name().unwrap_or("a test").to_owned();
        let text = format!(
            "SKIPPED {name}: bubblewrap does not work on this machine: {}\n",
            why.trim()
        );
        std::io::stderr().write_all(text.as_bytes()).unwrap();
        None
    }

    fn builder(&self, program: impl Into<PathBuf>) -> CommandAgentBuilder {
        let wrapper = if self.confined {
            Wrapper::bubblewrap().hide(self.state.path())
        } else {
            Wrapper::none()
        };
        CommandAgent::builder("command", program, self.state.path().join("scratch"))
            .secret("MODEL_API_KEY", Secret::new(CANARY))
            .read(Path::new(FAKE_AGENT).parent().unwrap())
            .wrapper(wrapper)
    }

    /// Makes a new, empty directory.
    fn directory(&self) -> PathBuf {
        let path = self.state.path().join(nonce());
        fs::create_dir(&path).unwrap();
        path
    }

    /// Returns an agent that is a shell script, with the task on its standard input.
    fn script(&self, script: &str) -> CommandAgentBuilder {
        self.builder("/bin/sh").args(["-c", script])
    }

    fn task(&self, kind: TaskKind) -> AgentTask {
        AgentTask {
            run: RunId::random(),
            issue: IssueKey::new("PROJ-12").unwrap(),
            kind,
            mode: kind.mode(),
            prompt: "Do it.".to_owned(),
            schema: None,
            input: json!({ "title": "A title" }),
            workdir: Some(self.directory()),
            images: Vec::new(),
            model: None,
            session: None,
            state_dir: None,
            loopback: None,
            limits: RunLimits::default(),
        }
    }

    async fn implement(&self, script: &str) -> AgentReport {
        let agent = self.script(script).build();
        agent
            .run(&self.task(TaskKind::Implement), &Unwatched)
            .await
            .unwrap()
    }
}

/// Makes the agents of the conformance suite, confined or not.
#[derive(Debug)]
struct Conforming<const CONFINED: bool>(Commands);

#[async_trait]
impl<const CONFINED: bool> AgentHarness for Conforming<CONFINED> {
    async fn fresh() -> Result<Self, BoxError> {
        // Where nothing can be confined the suite holds all the same, and what was left out is said.
        let confined = if CONFINED {
            Commands::confined().await
        } else {
            None
        };
        Ok(Self(confined.unwrap_or_else(|| Commands::new(false))))
    }

    fn agent(&self, behaviour: &Behaviour, reachable: &Path) -> Arc<dyn Agent> {
        let behaviour = serde_json::to_string(behaviour).unwrap();
        Arc::new(
            self.0
                .builder(FAKE_AGENT)
                .write(reachable)
                .arg(behaviour)
                .build(),
        )
    }

    fn directory(&self) -> Result<PathBuf, BoxError> {
        Ok(self.0.directory())
    }

    fn runs_programs(&self) -> bool {
        true
    }

    fn environment(&self) -> BTreeSet<String> {
        // The last ones are what a wrapper's shell leaves.
        [
            "HOME",
            "TMPDIR",
            "MODEL_API_KEY",
            "PWD",
            "OLDPWD",
            "SHLVL",
            "_",
        ]
        .map(str::to_owned)
        .into()
    }

    fn secret(&self) -> Option<String> {
        Some(CANARY.to_owned())
    }
}

mod unconfined {
    pipeline_core::agent_conformance!(super::Conforming<false>);
}

mod confined {
    pipeline_core::agent_conformance!(super::Conforming<true>);
}

fn outcome(word: &str, more: &str) -> String {
    format!(r#"echo '{{"v":1,"outcome":"{word}"{more}}}'"#)
}

#[tokio::test]
async fn files_and_last_words_are_enough() {
    let commands = Commands::new(false);
    let task = commands.task(TaskKind::Implement);
    let agent = commands
        .script("echo changed >file; echo 'I changed a file.'")
        .build();
    let report = agent.run(&task, &Unwatched).await.unwrap();
    assert_eq!(
        (&report.outcome, report.message.as_str()),
        (&AgentOutcome::Completed, "I changed a file.")
    );
    assert_eq!(
        fs::read(task.workdir.unwrap().join("file")).unwrap(),
        b"changed\n"
    );
    let report = commands.implement(":").await;
    assert_eq!(
        (report.outcome, report.answer.is_null()),
        (AgentOutcome::Completed, true)
    );
}

#[tokio::test]
async fn what_a_command_says_of_itself_is_its_outcome() {
    let commands = Commands::new(false);
    let until = pipeline_core::clock::Timestamp::parse("2026-03-01T09:30:00Z");
    let detail = || "why".to_owned();
    for (script, expected) in [
        (outcome("completed", ""), AgentOutcome::Completed),
        (
            outcome("needs_input", r#","question":"Which?""#),
            AgentOutcome::NeedsInput {
                question: "Which?".to_owned(),
            },
        ),
        (
            outcome("refused", r#","detail":"why""#),
            AgentOutcome::Refused { detail: detail() },
        ),
        (
            outcome("rate_limited", r#","until":"2026-03-01T09:30:00Z""#),
            AgentOutcome::RateLimited { until },
        ),
        (
            outcome("usage_limit", ""),
            AgentOutcome::UsageLimit { until: None },
        ),
        (
            outcome("authentication_failed", r#","detail":"why""#),
            AgentOutcome::AuthenticationFailed { detail: detail() },
        ),
        (
            outcome("context_overflow", ""),
            AgentOutcome::ContextOverflow,
        ),
        (outcome("over_budget", ""), AgentOutcome::OverBudget),
        (
            outcome("sandbox_unavailable", r#","detail":"why""#),
            AgentOutcome::SandboxUnavailable { detail: detail() },
        ),
        // An exit code is explained by an outcome, but no success by one.
        (
            format!("{}; exit 1", outcome("usage_limit", "")),
            AgentOutcome::UsageLimit { until: None },
        ),
        (
            format!("{}; exit 1", outcome("completed", "")),
            AgentOutcome::Crashed {
                code: Some(1),
                stderr: String::new(),
            },
        ),
        (
            "kill -9 $$".to_owned(),
            AgentOutcome::Crashed {
                code: None,
                stderr: String::new(),
            },
        ),
    ] {
        assert_eq!(
            commands.implement(&script).await.outcome,
            expected,
            "{script}"
        );
    }
}

#[tokio::test]
async fn a_run_that_used_more_than_it_may_is_no_success() {
    let commands = Commands::new(false);
    let usage = r#","usage":{"input_tokens":60,"output_tokens":40,"cost_micros":7}"#;
    let agent = commands.script(&outcome("completed", usage)).build();
    let mut task = commands.task(TaskKind::Implement);
    for (tokens, cost_micros, expected) in [
        (Some(100), Some(7), AgentOutcome::Completed),
        (Some(99), None, AgentOutcome::OverBudget),
        (None, Some(6), AgentOutcome::OverBudget),
    ] {
        task.limits = RunLimits {
            tokens,
            cost_micros,
            ..RunLimits::default()
        };
        let report = agent.run(&task, &Unwatched).await.unwrap();
        assert_eq!(report.outcome, expected);
        assert_eq!(
            (report.usage.input_tokens, report.usage.cost_micros),
            (60, Some(7))
        );
    }
}

#[tokio::test]
async fn the_task_is_one_line_of_json() {
    let commands = Commands::new(false);
    let mut task = commands.task(TaskKind::LocalCheck);
    task.schema = Some(json!({ "type": "object" }));
    task.session = Some("s-1".to_owned());
    let agent = commands
        .script(r#"read -r line; printf '{"v":1,"outcome":"completed","answer":%s}' "$line""#)
        .build();
    let report = agent.run(&task, &Unwatched).await.unwrap();
    assert_eq!(report.outcome, AgentOutcome::Completed);
    let mut said = report.answer;
    assert_eq!(said["run"], task.run.as_str());
    assert_eq!(said["workdir"], task.workdir.unwrap().to_str().unwrap());
    said["run"] = "RUN".into();
    said["workdir"] = "WORKDIR".into();
    insta::assert_snapshot!(said, @r#"{"deadline_seconds":3600,"images":[],"input":{"title":"A title"},"issue":"PROJ-12","kind":"local_check","mode":"read_only","model":null,"prompt":"Do it.","run":"RUN","schema":{"type":"object"},"session":"s-1","v":1,"workdir":"WORKDIR"}"#);
}

#[tokio::test]
async fn home_and_temporary_folder_are_the_runs_own_and_go_with_it() {
    let commands = Commands::new(false);
    let script = r#"echo x >"$HOME/x"; echo x >"$TMPDIR/x"; echo "$HOME $TMPDIR $(pwd)""#;
    let scratch = commands.state.path().join("scratch");
    let report = commands.implement(script).await;
    let folders: Vec<&str> = report.message.split(' ').collect();
    assert!(
        folders[0].ends_with("/home") && folders[1].ends_with("/tmp"),
        "{}",
        report.message
    );
    assert_eq!(fs::read_dir(&scratch).unwrap().count(), 0);

    // A state directory is kept, because a later task may go on with what is in it.
    let mut task = commands.task(TaskKind::Implement);
    let kept = commands.state.path().join("agent-state/PROJ-12");
    task.state_dir = Some(kept.clone());
    task.workdir = None;
    let report = commands
        .script(script)
        .build()
        .run(&task, &Unwatched)
        .await
        .unwrap();
    assert!(
        report.message.starts_with(kept.to_str().unwrap()) && report.message.ends_with("/work")
    );
    assert_eq!(fs::read(kept.join("x")).unwrap(), b"x\n");
}

#[tokio::test]
async fn a_dropped_run_leaves_no_folder() {
    let commands = Commands::new(false);
    let agent = commands
        .script("echo >\"$TMPDIR/up\"; exec sleep 3600")
        .build();
    let task = commands.task(TaskKind::Implement);
    let up = commands
        .state
        .path()
        .join("scratch")
        .join(task.run.as_str())
        .join("tmp/up");
    let ready = async {
        while !up.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        report = agent.run(&task, &Unwatched) => panic!("ended by itself: {report:?}"),
        () = ready => {}
    }
    assert_eq!(
        fs::read_dir(commands.state.path().join("scratch"))
            .unwrap()
            .count(),
        0
    );
}

#[tokio::test]
async fn what_cannot_be_run_is_told_with_what_to_do() {
    let commands = Commands::new(false);
    let task = commands.task(TaskKind::Triage);
    let chain = |error: &AgentError| {
        let mut text = error.to_string();
        let mut next = std::error::Error::source(error);
        while let Some(error) = next {
            text = format!("{text}\n{error}");
            next = error.source();
        }
        text
    };
    let missing = commands
        .builder("/nowhere/agent")
        .build()
        .run(&task, &Unwatched)
        .await
        .unwrap_err();
    insta::assert_snapshot!(chain(&missing), @"
    agent command: cannot start `/nowhere/agent`: install it or correct its path in the configuration
    program `/nowhere/agent` was not found in /nowhere/agent; install it or give its full path
    ");
    let mut with_schema = task.clone();
    with_schema.schema = Some(json!({ "type": "strnig" }));
    let unusable = commands
        .script(":")
        .build()
        .run(&with_schema, &Unwatched)
        .await
        .unwrap_err();
    assert!(
        chain(&unusable)
            .starts_with("agent command could not be run\nthe task's schema is not usable\n")
    );
    let no_wrapper = commands
        .script(":")
        .wrapper(Wrapper::bubblewrap().program("/nowhere/bwrap"))
        .build();
    let report = no_wrapper.run(&task, &Unwatched).await.unwrap();
    insta::assert_snapshot!(report.outcome, @"its sandbox cannot be set up: `/bin/sh` was not started: the wrapper `bubblewrap` does not work here: program `/nowhere/bwrap` was not found in /nowhere/bwrap; install it or give its full path");
}

#[tokio::test]
async fn a_wrapper_that_does_not_start_is_no_crash_of_the_agent() {
    let commands = Commands::new(false);
    // Written by another process: a file that this one had open for writing might not be executable yet.
    let broken = commands.state.path().join("bwrap");
    let write = r#"printf '#!/bin/sh\necho "bwrap: setting up uid map: Permission denied" >&2\nexit 1\n' >bwrap; chmod +x bwrap"#;
    let written = ProcessSpec::new("/bin/sh", commands.state.path())
        .args(["-c", write])
        .run()
        .await;
    assert!(written.unwrap().succeeded());
    let agent = commands
        .script(":")
        .wrapper(Wrapper::bubblewrap().program(broken))
        .build();
    let report = agent
        .run(&commands.task(TaskKind::Triage), &Unwatched)
        .await
        .unwrap();
    insta::assert_snapshot!(report.outcome, @"its sandbox cannot be set up: bwrap: setting up uid map: Permission denied");
}

#[tokio::test]
async fn without_a_wrapper_it_says_that_it_is_unconfined() {
    let commands = Commands::new(false);
    let capabilities = commands.script(":").build().capabilities();
    assert_eq!(
        (capabilities.confinement, capabilities.enforces_read_only),
        (Confinement::Unconfined, false)
    );
    let Some(commands) = Commands::confined().await else {
        return;
    };
    let capabilities = commands.script(":").build().capabilities();
    let by = "bubblewrap".to_owned();
    assert_eq!(
        (capabilities.confinement, capabilities.enforces_read_only),
        (Confinement::Confined { by }, true)
    );
}

/// What a hijacked agent would try, each told by one word if it works.
const HIJACK: &str = r#"
cat "$STATE/ledger" >/dev/null 2>&1 && echo state
cat "$STATE/other/file" >/dev/null 2>&1 && echo other-workspace
cat "$OPERATOR/.ssh/key" >/dev/null 2>&1 && echo home
(: >"$STATE/forged") 2>/dev/null && echo forged
(exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null && echo network
grep -qa "$NEEDLE" /proc/[0-9]*/cmdline 2>/dev/null && echo processes
echo edited >file
echo over
"#;

#[tokio::test]
async fn a_hijacked_agent_reaches_everything_unconfined_and_nothing_confined() {
    if !Path::new("/bin/bash").exists() {
        return;
    }
    let Some(confined) = Commands::confined().await else {
        return;
    };
    for (commands, expected) in [
        (
            Commands::new(false),
            "state other-workspace home forged network processes over",
        ),
        (confined, "over"),
    ] {
        // The test's own name in the list of processes, written so that it does not match itself.
        let own = std::env::current_exe().unwrap();
        let own = own.file_name().unwrap().to_str().unwrap();
        let needle = format!("[{}]{}", &own[..1], &own[1..]);
        let operator = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        fs::create_dir(operator.path().join(".ssh")).unwrap();
        fs::write(operator.path().join(".ssh/key"), "canary").unwrap();
        fs::write(commands.state.path().join("ledger"), "canary").unwrap();
        fs::create_dir(commands.state.path().join("other")).unwrap();
        fs::write(commands.state.path().join("other/file"), "canary").unwrap();
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let agent = commands
            .builder("/bin/bash")
            .args(["-c", HIJACK])
            .env("STATE", commands.state.path().to_str().unwrap())
            .env("OPERATOR", operator.path().to_str().unwrap())
            .env("PORT", listener.local_addr().unwrap().port().to_string())
            .env("NEEDLE", &needle)
            .build();
        let task = commands.task(TaskKind::Implement);
        let report = agent.run(&task, &Unwatched).await.unwrap();
        assert_eq!(report.message.replace('\n', " "), expected);
        // What it may do it still can.
        assert_eq!(
            fs::read(task.workdir.unwrap().join("file")).unwrap(),
            b"edited\n"
        );
    }
}

#[tokio::test]
async fn images_are_visible_from_inside() {
    let Some(commands) = Commands::confined().await else {
        return;
    };
    let image = commands.directory().join("shot.png");
    fs::write(&image, "pixels").unwrap();
    let mut task = commands.task(TaskKind::Triage);
    task.images = vec![image.clone()];
    let agent = commands
        .script(&format!("cat '{}'", image.display()))
        .images(true)
        .build();
    assert_eq!(
        agent.run(&task, &Unwatched).await.unwrap().message,
        "pixels"
    );
}

#[tokio::test]
async fn secrets_are_taken_out_of_progress() {
    #[derive(Debug, Default)]
    struct Lines(std::sync::Mutex<Vec<String>>);
    impl pipeline_core::agent::AgentWatch for Lines {
        fn started(&self, _process: &pipeline_core::process::ProcessIdentity) {}
        fn progress(&self, line: &str) {
            self.0.lock().unwrap().push(line.to_owned());
        }
    }
    let commands = Commands::new(false);
    let script = r#"echo "the key is $MODEL_API_KEY"; printf 'a\033[2Jb\n\n'; echo '{"v":1,'; echo '"outcome":"completed"}'"#;
    let lines = Lines::default();
    let task = commands.task(TaskKind::Implement);
    let report = commands
        .script(script)
        .build()
        .run(&task, &lines)
        .await
        .unwrap();
    assert_eq!(report.outcome, AgentOutcome::Completed);
    assert_eq!(
        *lines.0.lock().unwrap(),
        ["the key is [redacted]", "a [2Jb"]
    );
}

#[tokio::test]
async fn secrets_are_taken_out_of_what_it_says_at_the_end() {
    let commands = Commands::new(false);
    let said = r#"echo "{\"v\":1,\"outcome\":\"completed\",\"message\":\"the key is $MODEL_API_KEY\",\"commands\":[{\"command\":\"use $MODEL_API_KEY\",\"exit_code\":0}]}""#;
    let report = commands.implement(said).await;
    assert_eq!(report.message, "the key is [redacted]");
    assert_eq!(report.commands[0].command, "use [redacted]");
    let asked =
        r#"echo "{\"v\":1,\"outcome\":\"needs_input\",\"question\":\"is $MODEL_API_KEY right?\"}""#;
    let report = commands.implement(asked).await;
    assert!(
        !format!("{report:?}").contains(CANARY),
        "{:?}",
        report.outcome
    );
    let words = commands.implement("echo words of $MODEL_API_KEY").await;
    assert!(!format!("{words:?}").contains(CANARY), "{words:?}");
}
