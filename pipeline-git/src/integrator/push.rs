//! Pushing what has landed: fast-forward only, to the target's own upstream.

use std::fmt;

use pipeline_core::integrate::PushOutcome;
use pipeline_core::workspace::Target;

use crate::error::GitError;
use crate::git::GitCommand;
use crate::oid::Oid;
use crate::repository::Repository;

/// How landed commits are pushed.
#[derive(Clone, Default)]
pub struct PushOptions {
    pub(crate) env: Vec<(String, String)>,
    pub(crate) credential_helper: Option<String>,
    pub(crate) ssh_command: Option<String>,
    pub(crate) local: bool,
}

impl PushOptions {
    /// Pushes over https and ssh, with no credential but what is named here.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Passes one variable to git, such as `SSH_AUTH_SOCK`.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Sets git's `credential.helper`.
    #[must_use]
    pub fn credential_helper(mut self, helper: impl Into<String>) -> Self {
        self.credential_helper = Some(helper.into());
        self
    }

    /// Sets git's `core.sshCommand`; `ssh` otherwise.
    #[must_use]
    pub fn ssh_command(mut self, command: impl Into<String>) -> Self {
        self.ssh_command = Some(command.into());
        self
    }

    /// Allows a remote that is a folder of this machine.
    #[must_use]
    pub fn local(mut self, allowed: bool) -> Self {
        self.local = allowed;
        self
    }

    /// Returns a git that may reach the remotes, with what is named here and nothing else.
    pub(crate) fn command(&self, repository: &Repository) -> GitCommand {
        let mut command = repository
            .real()
            .config("protocol.https.allow=always")
            .config("protocol.ssh.allow=always")
            .config(format!(
                "core.sshCommand={}",
                self.ssh_command.as_deref().unwrap_or("ssh")
            ))
            .config("push.followTags=false")
            .config("push.gpgSign=false")
            .config("push.negotiate=false");
        if self.local {
            command = command.config("protocol.file.allow=always");
        }
        if let Some(helper) = &self.credential_helper {
            command = command.config(format!("credential.helper={helper}"));
        }
        for (name, value) in &self.env {
            command = command.env(name, value);
        }
        command
    }
}

impl fmt::Debug for PushOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.env.iter().map(|(name, _)| name).collect();
        f.debug_struct("PushOptions")
            .field("env", &names)
            .field("local", &self.local)
            .finish_non_exhaustive()
    }
}

/// Pushes a commit to the upstream of a target.
pub(crate) async fn push(
    repository: &Repository,
    options: &PushOptions,
    target: &Target,
    commit: &Oid,
) -> Result<PushOutcome, GitError> {
    let key = |name: &str| format!("branch.{target}.{name}");
    let (remote, merge) = (
        repository.setting(&key("remote")).await?,
        repository.setting(&key("merge")).await?,
    );
    let (Some(remote), Some(merge)) = (remote, merge) else {
        return Ok(PushOutcome::Refused {
            detail: format!(
                "{target} has no upstream: set one with `git branch --set-upstream-to=<remote>/<branch> {target}`"
            ),
        });
    };
    let pushed = options
        .command(repository)
        .config(format!("remote.{remote}.mirror=false"))
        .args([
            "push",
            "--porcelain",
            "--no-verify",
            "--no-force",
            "--",
            &remote,
        ])
        .args([format!("{commit}:{merge}")])
        .output_cap(1 << 20)
        .finish()
        .await?;
    if pushed.code == Some(0) {
        return Ok(PushOutcome::Pushed);
    }
    Ok(PushOutcome::Refused {
        detail: why(&pushed.stdout, &pushed.stderr),
    })
}

/// Returns what the remote said to the one ref, or else what git said.
///
/// Addresses are left out: one may carry a credential.
fn why(stdout: &[u8], stderr: &[u8]) -> String {
    let stdout = String::from_utf8_lossy(stdout);
    let rejected = stdout
        .lines()
        .find_map(|line| line.strip_prefix("!\t")?.split('\t').nth(1));
    if let Some(reason) = rejected {
        return reason.to_owned();
    }
    let stderr = String::from_utf8_lossy(stderr);
    let lines: Vec<_> = stderr
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.contains("://"))
        .take(4)
        .collect();
    if lines.is_empty() {
        "git gives no reason".to_owned()
    } else {
        lines.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Fixture;
    use crate::testing::git;

    async fn with_remote() -> (Fixture, std::path::PathBuf) {
        let fixture = Fixture::with(&[("a", "a\n")]).await;
        let remote = fixture.root().join("remote.git");
        let path = remote.to_str().expect("a plain path").to_owned();
        git(
            &fixture.root(),
            &["init", "-q", "--bare", "-b", "main", &path],
        );
        fixture.git(&["remote", "add", "origin", &path]);
        fixture.git(&["push", "-q", "-u", "origin", "main"]);
        (fixture, remote)
    }

    async fn pushed(fixture: &Fixture, options: &PushOptions) -> PushOutcome {
        let target = Target::new("main").expect("a branch");
        let tip = fixture.oid("main");
        push(&fixture.repository, options, &target, &tip)
            .await
            .expect("tried")
    }

    #[tokio::test]
    async fn a_fast_forward_goes_through_and_nothing_else() {
        let (fixture, remote) = with_remote().await;
        let local = PushOptions::new().local(true);
        fixture.git(&["tag", "-a", "-m", "x", "v1"]);
        fixture.git(&["config", "push.followTags", "true"]);
        fixture.commit("second");
        assert_eq!(pushed(&fixture, &local).await, PushOutcome::Pushed);
        assert_eq!(
            git(&remote, &["rev-parse", "main"]),
            fixture.oid("main").hex()
        );
        assert_eq!(git(&remote, &["tag"]), "", "only the target is pushed");
        fixture.git(&["reset", "-q", "--hard", "HEAD~1"]);
        fixture.commit("another second");
        let before = git(&remote, &["rev-parse", "main"]);
        let PushOutcome::Refused { detail } = pushed(&fixture, &local).await else {
            panic!("it is no fast-forward");
        };
        assert!(detail.contains("rejected"), "{detail}");
        assert_eq!(git(&remote, &["rev-parse", "main"]), before);
    }

    #[tokio::test]
    async fn a_folder_is_no_remote_unless_it_is_allowed() {
        let (fixture, _remote) = with_remote().await;
        fixture.commit("second");
        let PushOutcome::Refused { detail } = pushed(&fixture, &PushOptions::new()).await else {
            panic!("the protocol is off");
        };
        assert!(detail.contains("not allowed"), "{detail}");
    }

    #[tokio::test]
    async fn without_an_upstream_the_answer_says_what_to_do() {
        let fixture = Fixture::with(&[("a", "a\n")]).await;
        let PushOutcome::Refused { detail } = pushed(&fixture, &PushOptions::new()).await else {
            panic!("there is nowhere to push to");
        };
        insta::assert_snapshot!(detail, @"main has no upstream: set one with `git branch --set-upstream-to=<remote>/<branch> main`");
    }

    #[test]
    fn an_address_is_never_part_of_the_reason() {
        let stderr = b"fatal: unable to access 'https://user:secret@host/': 403\nfatal: no\n";
        assert_eq!(why(b"", stderr), "fatal: no");
    }
}
