//! How codex is started so that nothing of the machine or the repository reaches into a run.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use pipeline_core::agent::Loopback;
use pipeline_core::agent::RunMode;
use serde_json::json;

/// The name of the permission profile that every run is under.
pub(super) const PROFILE: &str = "pipeline";
/// The name of the provider, where one is defined.
const PROVIDER: &str = "pipeline";
/// The variable in which a provider's key is handed over.
pub(super) const KEY_VARIABLE: &str = "PIPELINE_MODEL_KEY";
/// What is reached where a key is given and no other place.
pub(super) const USUAL_BASE: &str = "https://api.openai.com/v1";

/// Switches of behaviour, each of them on unless said otherwise.
const OFF: [&str; 8] = [
    // Lists plugins from a public host at every start.
    "plugins",
    "apps",
    // Sources the shell's profile outside of the sandbox.
    "shell_snapshot",
    "hooks",
    "multi_agent",
    "goals",
    "image_generation",
    // Waits for ever for a server that cannot be reached.
    "unbounded_connection_retries",
];

/// Settings, as `key=value` with values of TOML.
const SETTINGS: [&str; 10] = [
    "analytics.enabled=false",
    "check_for_update_on_startup=false",
    "web_search=\"disabled\"",
    // `AGENTS.md` and skills of the repository are a stranger's words.
    "project_doc_max_bytes=0",
    "skills.include_instructions=false",
    "skills.bundled.enabled=false",
    "history.persistence=\"none\"",
    "mcp_servers={}",
    "allow_login_shell=false",
    "approval_policy=\"never\"",
];

/// What a run may reach.
#[derive(Debug)]
pub(super) struct Reach<'r> {
    pub(super) mode: RunMode,
    pub(super) directory: &'r Path,
    pub(super) temporary: &'r Path,
    pub(super) codex_home: &'r Path,
    pub(super) installation: Option<PathBuf>,
    pub(super) read: &'r [PathBuf],
    /// The one place on the loopback that commands may reach, where there is one.
    pub(super) loopback: Option<&'r Loopback>,
}

/// Variables that a command has in any case.
const CORE: [&str; 4] = ["PATH", "HOME", "LANG", "TMPDIR"];

impl Reach<'_> {
    /// Returns the arguments that every start has in common.
    pub(super) fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["--strict-config".to_owned()];
        arguments.extend(self.settings());
        arguments
    }

    /// Returns the settings alone, for a command that does not know the other flags.
    pub(super) fn settings(&self) -> Vec<String> {
        let own = [
            format!("default_permissions={}", quoted(PROFILE)),
            format!("permissions.{PROFILE}.filesystem={}", self.filesystem()),
            format!("projects={}", self.untrusted()),
        ];
        let settings = SETTINGS.iter().map(|s| (*s).to_owned()).chain(own);
        let settings = settings.chain(self.environment()).chain(self.network());
        let mut arguments: Vec<String> = settings.flat_map(|s| ["-c".to_owned(), s]).collect();
        arguments.extend(
            OFF.iter()
                .flat_map(|f| ["--disable".to_owned(), (*f).to_owned()]),
        );
        arguments
    }

    /// Returns what commands may reach, as a table of TOML: the system, what was named, the workspace, a temporary folder.
    fn filesystem(&self) -> String {
        let own = match self.mode {
            RunMode::ReadOnly => "read",
            RunMode::Implement => "write",
        };
        let mut rights = vec![(quoted(":minimal"), quoted("read"))];
        let helpers = self.codex_home.join("tmp");
        let read = (self.installation.iter().cloned())
            .chain([helpers])
            .chain(self.read.iter().cloned())
            .chain(git_places(self.directory));
        rights.extend(read.map(|path| (quoted_path(&path), quoted("read"))));
        rights.push((quoted_path(self.temporary), quoted("write")));
        rights.push((
            quoted(":workspace_roots"),
            table(&[(quoted("."), quoted(own))]),
        ));
        rights.dedup();
        table(&rights)
    }

    /// Returns what commands see of the environment: never the model's key.
    fn environment(&self) -> Vec<String> {
        let Some(loopback) = self.loopback else {
            return vec!["shell_environment_policy.inherit=\"core\"".to_owned()];
        };
        // By name, and not by value: the arguments of a program can be read by everybody on the machine.
        let names = loopback.variables.keys().map(String::as_str);
        let names: Vec<String> = CORE.into_iter().chain(names).map(quoted).collect();
        vec![
            "shell_environment_policy.inherit=\"all\"".to_owned(),
            format!(
                "shell_environment_policy.include_only=[{}]",
                names.join(",")
            ),
        ]
    }

    /// Returns how commands reach one address: through the program's own proxy, which lets through no other.
    ///
    /// Without the proxy a network that is switched on is all of it.
    fn network(&self) -> Vec<String> {
        let Some(loopback) = self.loopback else {
            return Vec::new();
        };
        let address = loopback.address.ip().to_string();
        vec![
            "features.network_proxy=true".to_owned(),
            format!(
                "permissions.{PROFILE}.network={{enabled=true,enable_socks5=false,domains={{{}=\"allow\"}}}}",
                quoted(&address)
            ),
        ]
    }

    /// Says of the workspace, and of the repository it may be a worktree of, that they are not trusted.
    ///
    /// Not saying it is not enough: the app-server trusts by itself whatever a run may write, and then starts the
    /// servers that the repository's own configuration names, outside of the sandbox.
    fn untrusted(&self) -> String {
        let untrusted = table(&[(quoted("trust_level"), quoted("untrusted"))]);
        let mut places = vec![self.directory.to_owned()];
        for place in git_places(self.directory) {
            places.extend(place.parent().map(Path::to_owned));
            places.push(place);
        }
        places.sort();
        places.dedup();
        let entries: Vec<_> = places
            .iter()
            .map(|place| (quoted_path(place), untrusted.clone()))
            .collect();
        table(&entries)
    }
}

/// Returns the settings of a provider at this address.
pub(super) fn provider(base_url: &str, idle: Option<std::time::Duration>) -> Vec<String> {
    let idle = idle.map(|time| format!(",stream_idle_timeout_ms={}", time.as_millis()));
    // A request is tried again after an error of the service. A stream is not: such a retry waits as long as the
    // service asks for, without a word, and only the pipeline can let somebody else work meanwhile.
    let value = format!(
        "{{name={},base_url={},wire_api=\"responses\",env_key={},request_max_retries=2,stream_max_retries=0{}}}",
        quoted(PROVIDER),
        quoted(base_url),
        quoted(KEY_VARIABLE),
        idle.unwrap_or_default()
    );
    [
        format!("model_provider={}", quoted(PROVIDER)),
        format!("model_providers.{PROVIDER}={value}"),
    ]
    .into_iter()
    .flat_map(|setting| ["-c".to_owned(), setting])
    .collect()
}

/// Returns where the git directory of a workspace lies, if not in it: the common one, and the objects it borrows.
fn git_places(directory: &Path) -> Vec<PathBuf> {
    let dot_git = directory.join(".git");
    let mut places = Vec::new();
    if let Ok(text) = fs::read_to_string(&dot_git)
        && let Some(own) = text.trim_end().strip_prefix("gitdir: ")
    {
        let own = directory.join(own);
        let common = fs::read_to_string(own.join("commondir")).unwrap_or_default();
        places.extend(own.join(common.trim_end()).canonicalize());
        places.extend(own.canonicalize());
    }
    if let Ok(text) = fs::read_to_string(dot_git.join("objects/info/alternates")) {
        let absolute = text
            .lines()
            .map(Path::new)
            .filter(|path| path.is_absolute());
        places.extend(absolute.filter_map(|path| path.canonicalize().ok()));
    }
    places
}

fn table(entries: &[(String, String)]) -> String {
    let entries: Vec<String> = entries.iter().map(|(k, v)| format!("{k}={v}")).collect();
    format!("{{{}}}", entries.join(","))
}

fn quoted_path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

/// Returns a text as a basic string of TOML, which JSON's are too but for one character.
fn quoted(text: &str) -> String {
    json!(text).to_string().replace('\u{7f}', "\\u007f")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worktree_reads_its_repository_and_trusts_neither() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let (tree, entry) = (root.join("tree"), root.join("repo/.git/worktrees/tree"));
        fs::create_dir_all(&entry).unwrap();
        fs::create_dir(&tree).unwrap();
        fs::write(entry.join("commondir"), "../..\n").unwrap();
        fs::write(tree.join(".git"), format!("gitdir: {}\n", entry.display())).unwrap();
        let reach = |mode| Reach {
            mode,
            directory: &tree,
            temporary: Path::new("/tmp/run-1"),
            codex_home: Path::new("/state/codex"),
            installation: Some("/opt/codex".into()),
            read: &[],
            loopback: None,
        };
        let shown = |text: String| text.replace(root.to_str().unwrap(), "");
        insta::assert_snapshot!(shown(reach(RunMode::ReadOnly).filesystem()), @r#"{":minimal"="read","/opt/codex"="read","/state/codex/tmp"="read","/repo/.git"="read","/repo/.git/worktrees/tree"="read","/tmp/run-1"="write",":workspace_roots"={"."="read"}}"#);
        assert!(
            reach(RunMode::Implement)
                .filesystem()
                .contains(r#"{"."="write"}"#)
        );
        insta::assert_snapshot!(shown(reach(RunMode::Implement).untrusted()), @r#"{"/repo"={"trust_level"="untrusted"},"/repo/.git"={"trust_level"="untrusted"},"/repo/.git/worktrees"={"trust_level"="untrusted"},"/repo/.git/worktrees/tree"={"trust_level"="untrusted"},"/tree"={"trust_level"="untrusted"}}"#);
    }

    #[test]
    fn a_clone_reads_the_objects_it_borrows() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let objects = root.join("objects");
        fs::create_dir_all(root.join("tree/.git/objects/info")).unwrap();
        fs::create_dir(&objects).unwrap();
        let alternates = root.join("tree/.git/objects/info/alternates");
        fs::write(alternates, format!("{}\nrelative\n", objects.display())).unwrap();
        assert_eq!(git_places(&root.join("tree")), [objects]);
    }

    #[test]
    fn commands_have_a_network_only_to_the_one_address_and_no_value_stands_in_the_arguments() {
        let variables = [("TOKEN".to_owned(), "placeholder-1".to_owned())];
        let loopback = Loopback {
            address: ([127, 9, 8, 7], 4711).into(),
            variables: variables.into(),
        };
        let reach = |loopback| Reach {
            mode: RunMode::ReadOnly,
            directory: Path::new("/nowhere"),
            temporary: Path::new("/tmp/run-1"),
            codex_home: Path::new("/state/codex"),
            installation: None,
            read: &[],
            loopback,
        };
        let settings = reach(Some(&loopback)).settings();
        for expected in [
            "features.network_proxy=true",
            r#"permissions.pipeline.network={enabled=true,enable_socks5=false,domains={"127.9.8.7"="allow"}}"#,
            r#"shell_environment_policy.include_only=["PATH","HOME","LANG","TMPDIR","TOKEN"]"#,
        ] {
            assert!(settings.iter().any(|s| s == expected), "{settings:?}");
        }
        assert!(!settings.concat().contains("placeholder-1"));
        let usual = reach(None).settings().concat();
        assert!(!usual.contains("network") && usual.contains(r#"inherit="core""#));
    }

    #[test]
    fn texts_cannot_end_the_string_they_stand_in() {
        assert_eq!(quoted("a\"=\n\\\u{7f}"), "\"a\\\"=\\n\\\\\\u007f\"");
    }
}
