//! A machine for one test: a home, a repository, a scripted agent, and the real binary.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use pipeline_core::process::ProcessReport;
use pipeline_core::process::ProcessSpec;
use serde_json::Value;

pub(super) const BINARY: &str = env!("CARGO_BIN_EXE_issue-pipeline");

/// What the agent answers to a read-only task, and does for the others; `WORK` is replaced.
const AGENT: &str = r#"#!/bin/sh
task=$(cat)
case $task in
  *'"kind":"triage"'*)
    TRIAGE
    echo '{"v":1,"outcome":"completed","answer":{"comment":"Understood.","confidence":0.9}}' ;;
  *'"mode":"read_only"'*)
    CHECK
    echo '{"v":1,"outcome":"completed","answer":{"comment":"Looked.","confidence":0.9,"local_check":{"candidate_files":["greeting.txt"],"implementation_scope":"One line.","estimate":"small","blockers":[],"can_start_from_local":true,"db_change":false,"production_data":false,"pending_decisions":[]}}}' ;;
  *)
    WORK ;;
esac
"#;

/// What a command came to.
#[derive(Debug, Clone)]
pub(super) struct Done {
    pub(super) code: i32,
    pub(super) out: String,
    pub(super) err: String,
}

impl Done {
    /// Returns both outputs, for searching.
    pub(super) fn said(&self) -> String {
        format!("{}\n{}", self.out, self.err)
    }

    /// Asserts the exit code, showing what was said otherwise.
    #[track_caller]
    pub(super) fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}", self.said());
        self
    }

    /// Asserts that a sentence was said.
    #[track_caller]
    pub(super) fn says(self, part: &str) -> Self {
        assert!(
            self.said().contains(part),
            "expected `{part}` in:\n{}",
            self.said()
        );
        self
    }

    #[track_caller]
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.out).expect("one JSON document")
    }
}

/// A machine for one test.
#[derive(Debug)]
pub(super) struct World {
    _dir: tempfile::TempDir,
    pub(super) top: PathBuf,
    env: Vec<(String, String)>,
}

impl World {
    /// Makes a machine without a repository.
    pub(super) fn bare() -> Self {
        let dir = tempfile::tempdir().expect("temporary directory");
        let top = dir.path().canonicalize().expect("there");
        for folder in ["home", "repo", "bin"] {
            std::fs::create_dir(top.join(folder)).expect("made");
        }
        let path = std::env::split_paths(&host_path())
            .map(|p| p.display().to_string())
            .collect::<Vec<_>>()
            .join(":");
        let env = [
            ("HOME", top.join("home").display().to_string()),
            ("USER", "rei".to_owned()),
            ("PATH", path),
            ("GIT_CONFIG_GLOBAL", "/dev/null".to_owned()),
            ("GIT_CONFIG_SYSTEM", "/dev/null".to_owned()),
            ("RUST_BACKTRACE", "0".to_owned()),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value)).to_vec();
        Self {
            _dir: dir,
            top,
            env,
        }
    }

    /// Makes a machine with a repository of one commit.
    pub(super) async fn new() -> Self {
        let world = Self::bare();
        world.write("greeting.txt", "hello\n");
        world.write("check.sh", "grep -q . greeting.txt\n");
        world
            .git(&["init", "--quiet", "--initial-branch=main"])
            .await;
        world.commit("A greeting").await;
        world
    }

    /// Makes a machine on which `init` has run, with an agent that does `work` in its workspace.
    pub(super) async fn ready(work: &str) -> Self {
        let world = Self::new().await;
        world.agent("", "", work);
        world.init(&[]).await.ended(0);
        world
    }

    /// Writes the agent's script: what it does beside the answers, by task.
    pub(super) fn agent(&self, triage: &str, check: &str, work: &str) {
        let script = AGENT
            .replace("TRIAGE", triage)
            .replace("CHECK", check)
            .replace("WORK", work);
        std::fs::write(self.top.join("bin/agent.sh"), script).expect("written");
    }

    /// Runs `init` with the agent, the check, and the OK in the tracker.
    pub(super) async fn init(&self, more: &[&str]) -> Done {
        let agent = format!("sh {}", self.top.join("bin/agent.sh").display());
        let usual = [
            "init",
            "--tracker",
            "local",
            "--agent",
            &agent,
            "--verify",
            "sh check.sh",
            "--local-ok",
            "tracker",
        ];
        self.run(&[&usual[..], more].concat()).await
    }

    /// Sets a variable of the machine.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.to_owned()));
    }

    /// Takes a variable away.
    pub(super) fn unset(&mut self, name: &str) {
        self.env.retain(|(known, _)| known != name);
    }

    /// Returns the environment of every program of the machine.
    pub(super) fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.env
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub(super) fn repo(&self) -> PathBuf {
        self.top.join("repo")
    }

    pub(super) fn write(&self, path: &str, text: &str) {
        let path = self.repo().join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(path, text).expect("written");
    }

    pub(super) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.repo().join(path)).expect("there")
    }

    /// Runs the binary in the repository.
    pub(super) async fn run(&self, arguments: &[&str]) -> Done {
        self.run_in(&self.repo(), arguments).await
    }

    pub(super) async fn run_in(&self, directory: &Path, arguments: &[&str]) -> Done {
        done(
            &self
                .spec(BINARY, directory, arguments)
                .run()
                .await
                .expect("the binary starts"),
        )
    }

    /// Runs the binary in the repository and feeds it a text.
    pub(super) async fn fed(&self, arguments: &[&str], text: &str) -> Done {
        let spec = self.binary(arguments).stdin(text.as_bytes().to_vec());
        done(&spec.run().await.expect("the binary starts"))
    }

    /// Describes a run of the binary, for a test that does more with it than wait.
    pub(super) fn spec(&self, program: &str, directory: &Path, arguments: &[&str]) -> ProcessSpec {
        ProcessSpec::new(program, directory)
            .args(arguments.iter().copied())
            .envs(self.env.clone())
            .deadline(Duration::from_secs(120))
    }

    pub(super) fn binary(&self, arguments: &[&str]) -> ProcessSpec {
        self.spec(BINARY, &self.repo(), arguments)
    }

    /// Runs the binary with a terminal as its standard input, on which a person types a line.
    pub(super) fn at_a_terminal(&self, arguments: &[&str], typed: &str) -> Done {
        use rustix::pty::OpenptFlags;
        let pty = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        rustix::pty::grantpt(&pty).expect("granted");
        rustix::pty::unlockpt(&pty).expect("unlocked");
        let name = rustix::pty::ptsname(&pty, Vec::new()).expect("its name");
        let slave = PathBuf::from(name.into_string().expect("UTF-8"));
        let slave = File::options()
            .read(true)
            .write(true)
            .open(slave)
            .expect("opened");
        let mut hand = File::from(pty);
        hand.write_all(format!("{typed}\n").as_bytes())
            .expect("typed");
        #[expect(
            clippy::disallowed_methods,
            reason = "a child with a terminal, which the pipeline itself never starts"
        )]
        let mut command = std::process::Command::new(BINARY);
        let output = command
            .args(arguments)
            .current_dir(self.repo())
            .env_clear()
            .envs(self.variables())
            .stdin(slave)
            .output()
            .expect("runs");
        drop(hand);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Done {
            code: output.status.code().unwrap_or(-1),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }

    /// Runs git as the person whose repository it is.
    pub(super) async fn git(&self, arguments: &[&str]) -> String {
        let identity = ["-c", "user.name=Mika", "-c", "user.email=mika@shop.example"];
        let arguments = [&identity[..], arguments].concat();
        let report = self
            .spec("git", &self.repo(), &arguments)
            .run()
            .await
            .expect("git starts");
        let done = done(&report).ended(0);
        done.out
    }

    pub(super) async fn commit(&self, message: &str) {
        self.git(&["add", "--all"]).await;
        self.git(&["commit", "--quiet", "--message", message]).await;
    }

    /// Files an issue, has it read and checked, and starts it as a person.
    pub(super) async fn started(&self, title: &str) -> String {
        let key = self.filed(title).await;
        self.run(&["triage"]).await.ended(0);
        self.run(&["check"]).await.ended(0);
        self.run(&["issue", "move", &key, "In progress"])
            .await
            .ended(0);
        key
    }

    pub(super) async fn filed(&self, title: &str) -> String {
        let made = self
            .run(&["--json", "issue", "new", title, "--as", "mika"])
            .await
            .ended(0);
        made.json()["key"].as_str().expect("a key").to_owned()
    }

    /// Has a started issue worked on and merged, and returns the short id of the candidate.
    pub(super) async fn candidate(&self) -> String {
        self.run(&["dispatch"]).await.ended(0);
        self.run(&["integrate"]).await.ended(0);
        self.waiting().await.expect("a candidate waits")
    }

    /// Returns the short id of the candidate that waits.
    pub(super) async fn waiting(&self) -> Option<String> {
        let reviews = self
            .run(&["--json", "review", "--stat"])
            .await
            .ended(0)
            .json();
        let id = reviews.get(0)?["id"].as_str()?.to_owned();
        Some(id[..12].to_owned())
    }

    pub(super) async fn tip(&self) -> String {
        self.git(&["rev-parse", "main"]).await.trim().to_owned()
    }

    /// Returns the state directory.
    pub(super) fn state(&self) -> PathBuf {
        let root = if cfg!(target_os = "macos") {
            "Library/Application Support"
        } else {
            ".local/state"
        };
        let root = self.top.join("home").join(root).join("issue-pipeline");
        let mut entries = std::fs::read_dir(root).expect("init has run");
        entries.next().expect("one").expect("readable").path()
    }

    /// Changes the configuration by replacing one text, which must be there.
    pub(super) fn configure(&self, from: &str, to: &str) {
        let path = self.state().join("pipeline.toml");
        let text = std::fs::read_to_string(&path).expect("there");
        assert!(text.contains(from), "{from}");
        std::fs::write(&path, text.replacen(from, to, 1)).expect("written");
    }

    /// Returns the whole thread of an issue as people see it.
    pub(super) async fn thread(&self, key: &str) -> String {
        self.run(&["issue", "show", key]).await.ended(0).out
    }
}

pub(super) fn done(report: &ProcessReport) -> Done {
    Done {
        code: report.code().unwrap_or(-1),
        out: report.stdout().text().into_owned(),
        err: report.stderr().text().into_owned(),
    }
}

/// Returns the search path of the machine the tests run on: git and sh are there.
fn host_path() -> std::ffi::OsString {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test takes git and sh from where the machine has them"
    )]
    let path = std::env::var_os("PATH");
    path.unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into())
}
