//! How claude is started so that nothing of the machine or the repository reaches into a run, and nothing out of it.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;

use pipeline_core::agent::AgentTask;
use pipeline_core::agent::Loopback;
use pipeline_core::agent::RunMode;
use serde_json::Value;
use serde_json::json;

/// The tools of a task that may only look. A shell is none of them: harmless-looking commands run unasked in every mode.
const LOOKING: [&str; 3] = ["Read", "Grep", "Glob"];
/// The tools of a task that may change files.
const WORKING: [&str; 6] = ["Read", "Grep", "Glob", "Edit", "Write", "Bash"];
/// The tools of a task that drives a plan: its calls are commands, and there is nothing to change.
const DRIVING: [&str; 4] = ["Read", "Grep", "Glob", "Bash"];

/// Where commands in the sandbox find the bridge to the proxy that its settings name.
///
/// It is meant for a proxy, and carries bytes: whatever is named as one is reached as if it listened here.
pub(super) const BRIDGE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 3128);

/// Switches of the environment: no other connection than the model's, and no command that outlives its turn.
pub(super) const SWITCHES: [(&str, &str); 6] = [
    ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
    ("DISABLE_TELEMETRY", "1"),
    ("DISABLE_ERROR_REPORTING", "1"),
    ("DISABLE_AUTOUPDATER", "1"),
    ("CLAUDE_CODE_DISABLE_BACKGROUND_TASKS", "1"),
    ("CLAUDE_CODE_MAX_RETRIES", "2"),
];

/// What a command needs of the system: programs, libraries, and the parts of `/etc` without which they do not run.
#[cfg(not(target_os = "macos"))]
const SYSTEM: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/proc",
    "/dev",
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/group",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/protocols",
    "/etc/services",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
];

/// Returns the tools of a task.
pub(super) fn tools(task: &AgentTask) -> &'static [&'static str] {
    match task.mode {
        RunMode::ReadOnly if task.loopback.is_some() => &DRIVING,
        RunMode::ReadOnly => &LOOKING,
        RunMode::Implement => &WORKING,
    }
}

/// Returns whether a task has a shell, and so needs the sandbox.
pub(super) fn has_shell(task: &AgentTask) -> bool {
    tools(task).contains(&"Bash")
}

/// Returns the arguments that every start has in common.
///
/// Three of them each keep the repository's own hooks, servers and helpers from being run, which happens before the
/// model is asked anything.
pub(super) fn arguments(task: &AgentTask) -> Vec<String> {
    let tools = tools(task).join(",");
    let manner = match task.mode {
        RunMode::ReadOnly => "dontAsk",
        RunMode::Implement => "acceptEdits",
    };
    [
        "-p",
        "--output-format",
        "stream-json",
        "--verbose",
        "--restricted",
        "--strict-mcp-config",
        "--setting-sources",
        "",
        "--disable-slash-commands",
        "--permission-prompts",
        "none",
        "--permission-mode",
        manner,
        "--tools",
        &tools,
    ]
    .map(str::to_owned)
    .into()
}

/// What the commands of a run may reach.
#[derive(Debug)]
pub(super) struct Reach<'r> {
    pub(super) directory: &'r Path,
    pub(super) temporary: &'r Path,
    pub(super) read: &'r [PathBuf],
    pub(super) hidden: &'r [PathBuf],
    /// Names of variables that commands must not see.
    pub(super) secrets: Vec<String>,
    /// Whether they may change the workspace.
    pub(super) writes: bool,
    /// The one place on the loopback that they may reach, where there is one.
    pub(super) loopback: Option<&'r Loopback>,
}

impl Reach<'_> {
    /// Returns the settings of the sandbox.
    pub(super) fn sandbox(&self) -> Value {
        let variables: Vec<Value> = self
            .secrets
            .iter()
            .map(|name| json!({ "name": name, "mode": "deny" }))
            .collect();
        let mut network = json!({ "allowedDomains": [], "strictAllowlist": true });
        if let Some(loopback) = self.loopback {
            // The program's own proxies, which know of domains, are not there at all then.
            let port = loopback.address.port();
            network = json!({ "allowedDomains": [], "strictAllowlist": true, "httpProxyPort": port, "socksProxyPort": port });
        }
        json!({ "sandbox": {
            "enabled": true,
            // Without it everything runs unconfined where the sandbox is missing.
            "failIfUnavailable": true,
            "autoAllowBashIfSandboxed": true,
            "allowUnsandboxedCommands": false,
            "network": network,
            "filesystem": {
                "denyRead": self.unreadable(),
                "allowRead": self.readable(),
                "allowWrite": [self.temporary],
                "denyWrite": self.unwritable(),
            },
            "credentials": { "envVars": variables },
        } })
    }

    /// Returns what must stay as it is: the repository, and in a task that changes nothing whatever is there. The folder itself
    /// cannot be named, since the sandbox puts its own empty files there.
    fn unwritable(&self) -> Vec<PathBuf> {
        let mut paths = vec![self.directory.join(".git")];
        if !self.writes
            && let Ok(entries) = std::fs::read_dir(self.directory)
        {
            paths.extend(entries.flatten().map(|entry| entry.path()));
        }
        paths
    }

    #[cfg(not(target_os = "macos"))]
    fn unreadable(&self) -> Vec<PathBuf> {
        [PathBuf::from("/")]
            .into_iter()
            .chain(self.hidden.iter().cloned())
            .collect()
    }

    #[cfg(not(target_os = "macos"))]
    fn readable(&self) -> Vec<PathBuf> {
        let system = SYSTEM.iter().map(PathBuf::from);
        system.chain(self.named()).filter(|p| p.exists()).collect()
    }

    /// A seatbelt that hides the whole disk hides what every program needs, too: what is hidden is named.
    #[cfg(target_os = "macos")]
    fn unreadable(&self) -> Vec<PathBuf> {
        [PathBuf::from("/Users"), PathBuf::from("/Volumes")]
            .into_iter()
            .chain(self.hidden.iter().cloned())
            .collect()
    }

    #[cfg(target_os = "macos")]
    fn readable(&self) -> Vec<PathBuf> {
        self.named().filter(|p| p.exists()).collect()
    }

    fn named(&self) -> impl Iterator<Item = PathBuf> {
        let borrowed = std::fs::read_to_string(self.directory.join(".git/objects/info/alternates"));
        let borrowed: Vec<PathBuf> = borrowed
            .unwrap_or_default()
            .lines()
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
            .collect();
        [self.directory.to_owned(), self.temporary.to_owned()]
            .into_iter()
            .chain(self.read.iter().cloned())
            .chain(borrowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::replay::task;

    #[test]
    fn a_driving_task_has_a_shell_that_changes_nothing_and_reaches_one_port() {
        let loopback = Loopback {
            address: ([127, 0, 0, 1], 4711).into(),
            variables: std::collections::BTreeMap::new(),
        };
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path();
        std::fs::write(tree.join("plan.md"), "").unwrap();
        let reach = Reach {
            directory: tree,
            temporary: Path::new("/tmp/run-1"),
            read: &[],
            hidden: &[],
            secrets: Vec::new(),
            writes: false,
            loopback: Some(&loopback),
        };
        let settings = reach.sandbox();
        let network = &settings["sandbox"]["network"];
        assert_eq!(network["httpProxyPort"], 4711);
        assert_eq!(network["socksProxyPort"], 4711);
        assert_eq!(network["allowedDomains"], json!([]));
        let unwritable = &settings["sandbox"]["filesystem"]["denyWrite"];
        assert_eq!(
            *unwritable,
            json!([tree.join(".git"), tree.join("plan.md")])
        );
        let mut driving = task(RunMode::ReadOnly);
        assert!(!has_shell(&driving));
        driving.loopback = Some(loopback);
        assert!(has_shell(&driving) && !tools(&driving).contains(&"Write"));
    }

    #[test]
    fn the_sandbox_fails_closed_and_shows_no_more_than_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().canonicalize().unwrap();
        let reach = Reach {
            directory: &tree,
            temporary: &tree,
            read: &["/nowhere/toolchain".into()],
            hidden: &["/home/me".into()],
            secrets: vec!["ANTHROPIC_API_KEY".to_owned()],
            writes: true,
            loopback: None,
        };
        let settings = reach.sandbox();
        let sandbox = &settings["sandbox"];
        assert_eq!(sandbox["failIfUnavailable"], true);
        assert_eq!(sandbox["allowUnsandboxedCommands"], false);
        assert_eq!(sandbox["network"]["allowedDomains"], json!([]));
        let files = &sandbox["filesystem"];
        assert_eq!(files["denyWrite"], json!([tree.join(".git")]));
        let shown: Vec<&str> = files["allowRead"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .collect();
        assert!(shown.contains(&tree.to_str().unwrap()));
        assert!(
            !shown
                .iter()
                .any(|path| path.starts_with("/home") || path.starts_with("/nowhere"))
        );
        assert!(
            files["denyRead"]
                .as_array()
                .unwrap()
                .contains(&json!("/home/me"))
        );
        assert_eq!(
            sandbox["credentials"]["envVars"],
            json!([{ "name": "ANTHROPIC_API_KEY", "mode": "deny" }])
        );
    }

    #[test]
    fn a_looking_task_has_no_shell() {
        let arguments = arguments(&task(RunMode::ReadOnly));
        assert!(
            !arguments
                .iter()
                .any(|word| word.contains("Bash") || word.contains("Edit"))
        );
        for word in ["--restricted", "--strict-mcp-config", "--setting-sources"] {
            assert!(arguments.iter().any(|argument| argument == word), "{word}");
        }
    }
}
