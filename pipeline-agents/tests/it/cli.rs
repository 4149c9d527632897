//! The agents whose programs are known, against the agent conformance suite: a fake program speaks their protocols.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pipeline_agents::ClaudeAgent;
use pipeline_agents::CliOptions;
use pipeline_agents::CodexAgent;
use pipeline_core::BoxError;
use pipeline_core::agent::Agent;
use pipeline_core::agent::AgentError;
use pipeline_core::agent::AgentOutcome;
use pipeline_core::agent::AgentTask;
use pipeline_core::agent::RunId;
use pipeline_core::agent::RunLimits;
use pipeline_core::agent::TaskKind;
use pipeline_core::agent::Unwatched;
use pipeline_core::conformance::agent::AgentHarness;
use pipeline_core::conformance::agent::Behaviour;
use pipeline_core::issue::IssueKey;
use pipeline_core::process::ProcessSpec;
use pipeline_core::random::nonce;
use pipeline_core::secret::Secret;
use serde_json::json;

const FAKE_AGENT: &str = env!("CARGO_BIN_EXE_fake-agent");
const CANARY: &str = "canary-model-key";

/// A state directory, and a search path on which everything a sandbox needs seems to be there.
#[derive(Debug)]
struct Stage {
    state: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        let state = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        fs::create_dir(state.path().join("bin")).unwrap();
        for program in ["bwrap", "socat"] {
            // What is really held in is asked of the real programs; here it only has to be found.
            std::os::unix::fs::symlink("/bin/true", state.path().join("bin").join(program))
                .unwrap();
        }
        Self { state }
    }

    fn directory(&self) -> PathBuf {
        let path = self.state.path().join(nonce());
        fs::create_dir(&path).unwrap();
        path
    }

    fn options(&self, program: impl Into<PathBuf>) -> CliOptions {
        let bin = self.state.path().join("bin");
        CliOptions::new("agent", program, self.state.path().join("scratch"))
            .search_path(format!("{}:/usr/bin:/bin", bin.display()))
            .key(Secret::new(CANARY))
    }

    fn behaving(&self, behaviour: &Behaviour) -> CliOptions {
        let behaviour = serde_json::to_string(behaviour).unwrap();
        self.options(FAKE_AGENT).env("FAKE_BEHAVIOUR", behaviour)
    }

    fn task(&self, kind: TaskKind) -> AgentTask {
        AgentTask {
            run: RunId::random(),
            issue: IssueKey::new("PROJ-12").unwrap(),
            kind,
            mode: kind.mode(),
            prompt: "Do it.".to_owned(),
            schema: None,
            input: json!({}),
            workdir: Some(self.directory()),
            images: Vec::new(),
            model: None,
            session: None,
            state_dir: None,
            loopback: None,
            limits: RunLimits::default(),
        }
    }
}

/// Makes the agents of the conformance suite.
#[derive(Debug)]
struct Conforming<const CLAUDE: bool>(Stage);

#[async_trait]
impl<const CLAUDE: bool> AgentHarness for Conforming<CLAUDE> {
    async fn fresh() -> Result<Self, BoxError> {
        Ok(Self(Stage::new()))
    }

    fn agent(&self, behaviour: &Behaviour, _reachable: &Path) -> Arc<dyn Agent> {
        let options = self.0.behaving(behaviour);
        if CLAUDE {
            Arc::new(ClaudeAgent::new(options))
        } else {
            Arc::new(CodexAgent::new(options))
        }
    }

    fn directory(&self) -> Result<PathBuf, BoxError> {
        Ok(self.0.directory())
    }

    fn runs_programs(&self) -> bool {
        true
    }

    fn environment(&self) -> BTreeSet<String> {
        let common = ["PATH", "HOME", "TMPDIR", "LANG", "FAKE_BEHAVIOUR"];
        let codex = ["CODEX_HOME", "TZ", "PIPELINE_MODEL_KEY"];
        let claude = [
            "ANTHROPIC_API_KEY",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
            "DISABLE_TELEMETRY",
            "DISABLE_ERROR_REPORTING",
            "DISABLE_AUTOUPDATER",
            "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS",
            "CLAUDE_CODE_MAX_RETRIES",
        ];
        let own = if CLAUDE { &claude[..] } else { &codex[..] };
        common
            .iter()
            .chain(own)
            .map(|name| (*name).to_owned())
            .collect()
    }

    fn secret(&self) -> Option<String> {
        Some(CANARY.to_owned())
    }
}

mod codex {
    pipeline_core::agent_conformance!(super::Conforming<false>);
}

mod claude {
    pipeline_core::agent_conformance!(super::Conforming<true>);
}

/// Writes a script that another process makes executable: a file that this one had open might not be, yet.
async fn script(stage: &Stage, name: &str, text: &str) -> PathBuf {
    let path = stage.state.path().join(name);
    let written = ProcessSpec::new("/bin/sh", stage.state.path())
        .args(["-c", "cat >\"$1\" && chmod +x \"$1\"", "sh"])
        .arg(&path)
        .stdin(text)
        .run()
        .await;
    assert!(written.unwrap().succeeded());
    path
}

#[tokio::test]
async fn a_version_that_is_too_old_is_refused_with_the_one_needed() {
    let stage = Stage::new();
    let old = script(&stage, "old", "#!/bin/sh\necho 'codex-cli 0.99.0'\n").await;
    let agent = CodexAgent::new(stage.options(&old));
    let error = agent
        .run(&stage.task(TaskKind::Triage), &Unwatched)
        .await
        .unwrap_err();
    assert!(matches!(error, AgentError::TooOld { .. }));
    insta::assert_snapshot!(error, @"agent agent: version 0.99.0 is too old, 0.169.0 or newer is needed");
    let agent = ClaudeAgent::new(stage.options(old));
    let error = agent
        .run(&stage.task(TaskKind::Triage), &Unwatched)
        .await
        .unwrap_err();
    insta::assert_snapshot!(error, @"agent agent: version 0.99.0 is too old, 2.1.328 or newer is needed");
    let agent = CodexAgent::new(stage.options("/nowhere/codex"));
    let error = agent
        .run(&stage.task(TaskKind::Triage), &Unwatched)
        .await
        .unwrap_err();
    assert!(matches!(error, AgentError::NotInstalled { .. }));
}

#[tokio::test]
async fn a_sandbox_that_lets_a_command_write_is_not_used() {
    let stage = Stage::new();
    let text = "#!/bin/sh\ncase $1 in --version) echo 9.9.9;; sandbox) echo 'a read-only command can write';; *) echo no;; esac\n";
    let agent = CodexAgent::new(stage.options(script(&stage, "loose", text).await));
    let report = agent
        .run(&stage.task(TaskKind::LocalCheck), &Unwatched)
        .await
        .unwrap();
    insta::assert_snapshot!(report.outcome, @"its sandbox cannot be set up: a read-only command can write");
    let text = "#!/bin/sh\ncase $1 in --version) echo 9.9.9;; *) echo 'bwrap: no namespaces' >&2; exit 1;; esac\n";
    let agent = CodexAgent::new(stage.options(script(&stage, "none", text).await));
    let report = agent
        .run(&stage.task(TaskKind::LocalCheck), &Unwatched)
        .await
        .unwrap();
    insta::assert_snapshot!(report.outcome, @"its sandbox cannot be set up: `codex sandbox` does not work here: bwrap: no namespaces; unprivileged user namespaces must be allowed, or install bubblewrap");
}

#[tokio::test]
async fn without_what_its_sandbox_needs_claude_does_no_work_but_still_looks() {
    let stage = Stage::new();
    let bin = stage.state.path().join("bin");
    let options = stage.behaving(&Behaviour::Answer(json!({})));
    fs::remove_file(bin.join("socat")).unwrap();
    let agent = ClaudeAgent::new(options.search_path(bin.to_str().unwrap()));
    let report = agent
        .run(&stage.task(TaskKind::Implement), &Unwatched)
        .await
        .unwrap();
    if cfg!(target_os = "macos") {
        return;
    }
    insta::assert_snapshot!(report.outcome, @"its sandbox cannot be set up: `socat` is not installed; install bubblewrap and socat, and allow unprivileged user namespaces");
    let report = agent
        .run(&stage.task(TaskKind::LocalCheck), &Unwatched)
        .await
        .unwrap();
    assert_eq!(report.outcome, AgentOutcome::Completed);
}

#[tokio::test]
async fn a_program_that_stays_after_its_last_word_is_ended() {
    let stage = Stage::new();
    let result =
        r#"{"type":"result","subtype":"success","is_error":false,"result":"Done.","usage":{}}"#;
    let text = format!(
        "#!/bin/sh\n[ \"$1\" = --version ] && echo 9.9.9 && exit\necho '{result}'\nexec sleep 3600\n"
    );
    let agent = ClaudeAgent::new(stage.options(script(&stage, "stays", &text).await));
    let task = stage.task(TaskKind::Implement);
    let run = agent.run(&task, &Unwatched);
    let report = tokio::time::timeout(Duration::from_secs(120), run)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(report.outcome, AgentOutcome::Completed);
    assert_eq!(report.message, "Done.");
}

#[tokio::test]
async fn an_image_that_is_none_is_not_given_on() {
    let stage = Stage::new();
    let image = stage.directory().join("shot.png");
    fs::write(&image, "not a picture").unwrap();
    let mut task = stage.task(TaskKind::Triage);
    task.images = vec![image];
    let behaviour = Behaviour::Answer(json!({}));
    let agents: [Box<dyn Agent>; 2] = [
        Box::new(CodexAgent::new(stage.behaving(&behaviour))),
        Box::new(ClaudeAgent::new(stage.behaving(&behaviour))),
    ];
    for agent in agents {
        agent
            .run(&task, &Unwatched)
            .await
            .expect_err("it is no picture");
    }
}
