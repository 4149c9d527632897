//! `[landing]`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

/// `[landing]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LandingSection {
    /// The status an issue gets once its work has landed; absent = it stays where it is.
    pub after_landing: Option<String>,
    /// The commit message; `{issue}` and `{title}` are filled in.
    pub message: String,
    /// How commits are signed.
    pub sign: Signing,
    /// The key; absent = git's own choice.
    pub signing_key: Option<String>,
    /// A `Signed-off-by` line in the approver's name.
    pub signoff: bool,
    /// The landed commits are pushed to the target's upstream, fast-forward only.
    pub push: bool,
    /// Names of filter drivers (LFS, git-crypt) that may be used.
    pub filters: Vec<String>,
}

impl Default for LandingSection {
    fn default() -> Self {
        Self {
            after_landing: None,
            message: "{issue}: {title}".to_owned(),
            sign: Signing::Off,
            signing_key: None,
            signoff: false,
            push: false,
            filters: Vec::new(),
        }
    }
}

/// How commits are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Signing {
    /// Not.
    Off,
    /// With gpg.
    Gpg,
    /// With an ssh key.
    Ssh,
}
