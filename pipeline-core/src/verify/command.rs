//! The team's checks as commands.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use sha2::Digest as _;
use sha2::Sha256;

use super::Verification;
use super::Verifier;
use super::VerifyError;
use super::VerifyRequest;
use crate::agent::Confinement;
use crate::agent::RunId;
use crate::process::Access;
use crate::process::Capture;
use crate::process::Ending;
use crate::process::ProcessSpec;
use crate::process::Reach;
use crate::process::Wrapper;
use crate::workspace::Target;

/// How much of a command's output is kept, from its end.
const KEPT: usize = 256 << 10;
/// How much a command may say before it is ended.
const MOST_OUTPUT: u64 = 256 << 20;

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyCommand {
    /// Its name in reports.
    pub name: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// How long it may take.
    pub deadline: Duration,
}

/// Runs commands one after another in the merged tree; the first that fails decides.
///
/// What they start carries [`RunId::of_checks`] of the tree and ends with the command that started it. What survives a killed
/// process is for whoever makes the tree ready again to end.
#[derive(Debug, Clone)]
pub struct CommandVerifier {
    commands: Vec<VerifyCommand>,
    by_target: BTreeMap<Target, Vec<VerifyCommand>>,
    wrapper: Wrapper,
    env: Vec<(String, String)>,
    read: Vec<PathBuf>,
    hooks: bool,
}

impl CommandVerifier {
    /// Makes a verifier of commands for every target, unconfined.
    #[must_use]
    pub fn new(commands: Vec<VerifyCommand>) -> Self {
        let (by_target, env, read) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self {
            commands,
            by_target,
            wrapper: Wrapper::none(),
            env,
            read,
            hooks: false,
        }
    }

    /// Sets other commands for one target.
    #[must_use]
    pub fn for_target(mut self, target: Target, commands: Vec<VerifyCommand>) -> Self {
        self.by_target.insert(target, commands);
        self
    }

    /// Confines the commands.
    #[must_use]
    pub fn confined(mut self, wrapper: Wrapper) -> Self {
        self.wrapper = wrapper;
        self
    }

    /// Sets the whole environment of the commands; nothing else is in it.
    #[must_use]
    pub fn with_env(mut self, env: Vec<(String, String)>) -> Self {
        self.env = env;
        self
    }

    /// Says that hooks run where a tree is made for the checks: one is made even where there is no command.
    #[must_use]
    pub fn after_hooks(mut self) -> Self {
        self.hooks = true;
        self
    }

    /// Lets the commands read one more path (a toolchain).
    #[must_use]
    pub fn reading(mut self, path: PathBuf) -> Self {
        self.read.push(path);
        self
    }

    fn commands(&self, target: &Target) -> &[VerifyCommand] {
        self.by_target.get(target).unwrap_or(&self.commands)
    }

    async fn run(
        &self,
        command: &VerifyCommand,
        request: &VerifyRequest,
    ) -> Result<Option<Verification>, VerifyError> {
        let Some((program, args)) = command.command.split_first() else {
            return Ok(None);
        };
        let mut spec = ProcessSpec::new(program, &request.root)
            .args(args)
            .envs(self.env.clone())
            .deadline(command.deadline)
            .run_id(&RunId::of_checks(&request.root))
            .stdout(Capture::tail(KEPT, MOST_OUTPUT))
            .stderr(Capture::tail(KEPT, MOST_OUTPUT));
        if self.confinement() != Confinement::Unconfined {
            let reach = self
                .read
                .iter()
                .fold(Reach::new(&request.root, Access::ReadWrite), |r, path| {
                    r.read(path)
                });
            spec = spec.confined(self.wrapper.clone(), reach);
        }
        let report = spec.run().await.map_err(|e| VerifyError::CannotStart {
            command: command.name.clone(),
            source: Some(e.into()),
        })?;
        if report.succeeded() {
            return Ok(None);
        }
        if let Some(complaint) = self.wrapper.complaint(&report) {
            return Err(VerifyError::Other {
                operation: format!("confine verify command `{}`: {complaint}", command.name),
                source: None,
            });
        }
        let mut log = report.stdout().text().into_owned();
        log.push_str(&report.stderr().text());
        match report.ending() {
            Ending::Deadline => {
                log.push_str(&format!(
                    "\nended after its deadline of {} s\n",
                    command.deadline.as_secs()
                ));
            }
            Ending::Flooded(_) => log.push_str("\nended because it wrote more than it may\n"),
            Ending::Exited | Ending::Stalled | Ending::Cancelled | Ending::Stopped => {}
        }
        let (command, exit_code) = (command.name.clone(), report.code());
        Ok(Some(Verification::Failed {
            command,
            exit_code,
            log,
        }))
    }
}

#[async_trait]
impl Verifier for CommandVerifier {
    fn commands_digest(&self, target: &Target) -> String {
        let mut h = Sha256::new();
        for c in self.commands(target) {
            for word in &c.command {
                h.update((word.len() as u64).to_be_bytes());
                h.update(word);
            }
            h.update([0xff]);
        }
        hex::encode(h.finalize())
    }

    fn has_checks(&self, target: &Target) -> bool {
        self.hooks || !self.commands(target).is_empty()
    }

    fn confinement(&self) -> Confinement {
        self.wrapper.confinement()
    }

    async fn verify(&self, request: &VerifyRequest) -> Result<Verification, VerifyError> {
        let commands = self.commands(&request.target);
        if commands.iter().all(|c| c.command.is_empty()) {
            return Ok(Verification::NothingToRun);
        }
        for command in commands {
            tracing::info!(command = command.name, target = %request.target, "verifying");
            if let Some(failed) = self.run(command, request).await? {
                return Ok(failed);
            }
        }
        Ok(Verification::Passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(name: &str, script: &str) -> VerifyCommand {
        VerifyCommand {
            name: name.into(),
            command: vec!["/bin/sh".into(), "-c".into(), script.into()],
            deadline: Duration::from_secs(60),
        }
    }

    async fn verify(commands: Vec<VerifyCommand>) -> Result<Verification, VerifyError> {
        let dir = tempfile::tempdir().expect("temp dir");
        let target = Target::new("main").expect("target");
        let request = VerifyRequest {
            root: dir.path().to_owned(),
            target,
        };
        CommandVerifier::new(commands).verify(&request).await
    }

    #[tokio::test]
    async fn the_first_failing_command_decides() {
        let all = vec![
            sh("lint", "true"),
            sh("test", "echo out; echo err >&2; exit 3"),
            sh("x", "exit 9"),
        ];
        let Ok(Verification::Failed {
            command,
            exit_code,
            log,
        }) = verify(all).await
        else {
            panic!("must fail")
        };
        assert_eq!((command.as_str(), exit_code), ("test", Some(3)));
        assert!(log.contains("out") && log.contains("err"), "{log}");
        assert_eq!(
            verify(vec![sh("test", "true")]).await.expect("runs"),
            Verification::Passed
        );
        assert_eq!(
            verify(vec![]).await.expect("runs"),
            Verification::NothingToRun
        );
    }

    #[tokio::test]
    async fn a_missing_program_is_nobodys_failure() {
        let missing = VerifyCommand {
            command: vec!["/no/such/program".into()],
            ..sh("test", "")
        };
        let error = verify(vec![missing]).await.expect_err("cannot start");
        assert!(error.to_string().contains("`test`"), "{error}");
    }

    #[test]
    fn the_digest_tells_commands_apart() {
        let target = Target::new("main").expect("target");
        let digest = |c| CommandVerifier::new(c).commands_digest(&target);
        let split = VerifyCommand {
            command: vec!["a b".into()],
            ..sh("x", "")
        };
        let joined = VerifyCommand {
            command: vec!["a".into(), "b".into()],
            ..sh("x", "")
        };
        assert_ne!(digest(vec![split]), digest(vec![joined]));
    }
}
