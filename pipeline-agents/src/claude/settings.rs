//! How claude is started so that nothing of the machine or the repository reaches into a run, and nothing out of it.

use std::path::Path;
use std::path::PathBuf;

use pipeline_core::agent::RunMode;
use serde_json::Value;
use serde_json::json;

/// The tools of a task that may only look. A shell is none of them: harmless-looking commands run unasked in every mode.
const LOOKING: [&str; 3] = ["Read", "Grep", "Glob"];
/// The tools of a task that may change files.
const WORKING: [&str; 6] = ["Read", "Grep", "Glob", "Edit", "Write", "Bash"];

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
pub(super) const fn tools(mode: RunMode) -> &'static [&'static str] {
    match mode {
        RunMode::ReadOnly => &LOOKING,
        RunMode::Implement => &WORKING,
    }
}

/// Returns the arguments that every start has in common.
///
/// Three of them each keep the repository's own hooks, servers and helpers from being run, which happens before the
/// model is asked anything.
pub(super) fn arguments(mode: RunMode) -> Vec<String> {
    let tools = tools(mode).join(",");
    let manner = match mode {
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
}

impl Reach<'_> {
    /// Returns the settings of the sandbox.
    pub(super) fn sandbox(&self) -> Value {
        let variables: Vec<Value> = self
            .secrets
            .iter()
            .map(|name| json!({ "name": name, "mode": "deny" }))
            .collect();
        json!({ "sandbox": {
            "enabled": true,
            // Without it everything runs unconfined where the sandbox is missing.
            "failIfUnavailable": true,
            "autoAllowBashIfSandboxed": true,
            "allowUnsandboxedCommands": false,
            "network": { "allowedDomains": [], "strictAllowlist": true },
            "filesystem": {
                "denyRead": self.unreadable(),
                "allowRead": self.readable(),
                "allowWrite": [self.temporary],
                "denyWrite": [self.directory.join(".git")],
            },
            "credentials": { "envVars": variables },
        } })
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
        let arguments = arguments(RunMode::ReadOnly);
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
