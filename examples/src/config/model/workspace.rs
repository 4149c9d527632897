//! `[workspace]`, `[verify]` and `[sandbox]`.

use std::borrow::Cow;
use std::path::PathBuf;

use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use schemars::json_schema;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;

use crate::config::Period;

/// `[workspace]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WorkspaceSection {
    /// Paths (globs) no agent gets to see.
    pub exclude: Vec<String>,
    /// Commands of the team around each run.
    pub hooks: HooksSection,
    /// How long a workspace that is no longer needed stays.
    pub grace: Period,
    /// Further files (globs) whose change makes `after_create` run again.
    pub dependency_files: Vec<String>,
    /// How many checkouts are kept ready for the next runs while the pipeline works.
    pub pool: u32,
}

impl Default for WorkspaceSection {
    fn default() -> Self {
        Self {
            exclude: Vec::new(),
            hooks: HooksSection::default(),
            grace: Period::mins(10),
            dependency_files: Vec::new(),
            pool: 0,
        }
    }
}

/// `[workspace.hooks]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HooksSection {
    /// Names of variables every hook sees.
    pub env: Vec<String>,
    /// Once, in a new workspace.
    pub after_create: Option<HookSection>,
    /// Before each run.
    pub before_run: Option<HookSection>,
    /// After each run.
    pub after_run: Option<HookSection>,
    /// Before a workspace goes.
    pub before_remove: Option<HookSection>,
    /// In the verification worktree, before each verification.
    pub before_verify: Option<HookSection>,
}

/// One hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HookSection {
    /// The program and its arguments.
    pub run: Vec<String>,
    /// How long it may take.
    #[serde(default = "hook_deadline")]
    pub deadline: Period,
}

const fn hook_deadline() -> Period {
    Period::mins(5)
}

/// `[verify]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct VerifySection {
    /// The checks, in order.
    pub commands: Vec<VerifyCommand>,
    /// Names of variables they see.
    pub env: Vec<String>,
    /// Paths that survive between verifications (caches, installed dependencies).
    pub keep: Vec<String>,
    /// A patch that does not apply cleanly may be merged three-way.
    pub three_way: bool,
    /// The most patches that are verified at once; 1 = each by itself.
    pub batch: u32,
}

impl Default for VerifySection {
    fn default() -> Self {
        Self {
            commands: Vec::new(),
            env: Vec::new(),
            keep: Vec::new(),
            three_way: false,
            batch: 1,
        }
    }
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyCommand {
    /// What people call it.
    pub name: String,
    /// The program and its arguments.
    pub run: Vec<String>,
    /// How long it may take.
    #[serde(default = "verify_deadline")]
    pub deadline: Period,
}

const fn verify_deadline() -> Period {
    Period::mins(30)
}

/// `[sandbox]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SandboxSection {
    /// How commands are held in.
    pub wrapper: Wrapper,
    /// Paths that stay readable (toolchains).
    pub read: Vec<PathBuf>,
    /// Hooks and checks may reach the network from inside it.
    pub network: bool,
}

/// How a command is held in: `"auto"`, `"none"`, or a command of the team's own that gets the real one appended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Wrapper {
    /// By what is there: bubblewrap, or sandbox-exec on macOS.
    #[default]
    Auto,
    /// By nothing.
    None,
    /// By this command.
    Command(Vec<String>),
}

impl Serialize for Wrapper {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => s.serialize_str("auto"),
            Self::None => s.serialize_str("none"),
            Self::Command(words) => words.serialize(s),
        }
    }
}

impl<'de> Deserialize<'de> for Wrapper {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Word(String),
            Command(Vec<String>),
        }
        match Written::deserialize(d) {
            Ok(Written::Word(word)) if word == "auto" => Ok(Self::Auto),
            Ok(Written::Word(word)) if word == "none" => Ok(Self::None),
            Ok(Written::Command(words)) if words.first().is_some_and(|w| !w.is_empty()) => {
                Ok(Self::Command(words))
            }
            _ => Err(serde::de::Error::custom(
                "a wrapper is \"auto\", \"none\" or a command: [\"program\", \"argument\"]",
            )),
        }
    }
}

impl JsonSchema for Wrapper {
    fn schema_name() -> Cow<'static, str> {
        "Wrapper".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "array"] })
    }
}
