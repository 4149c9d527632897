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
    /// The commit message; `{issue}`, `{title}` and `{url}` are filled in.
    pub message: String,
    /// How commits are signed.
    pub sign: Signing,
    /// The key, as git's `user.signingKey`.
    pub signing_key: Option<String>,
    /// The program that signs; absent = git's own choice.
    pub signing_program: Option<String>,
    /// Names of variables it sees.
    pub signing_env: Vec<String>,
    /// A `Signed-off-by` line in the approver's name.
    pub signoff: bool,
    /// The landed commits are pushed to the target's upstream, fast-forward only.
    pub push: bool,
    /// Names of variables git sees while it pushes.
    pub push_env: Vec<String>,
    /// git's `credential.helper` while it pushes.
    pub push_credential_helper: Option<String>,
    /// git's `core.sshCommand` while it pushes.
    pub push_ssh_command: Option<String>,
    /// Names of filter drivers (LFS, git-crypt) that may be used.
    pub filters: Vec<String>,
}

impl Default for LandingSection {
    fn default() -> Self {
        Self {
            after_landing: None,
            message: "{title}\n\nIssue: {issue}".to_owned(),
            sign: Signing::Off,
            signing_key: None,
            signing_program: None,
            signing_env: Vec::new(),
            signoff: false,
            push: false,
            push_env: Vec::new(),
            push_credential_helper: None,
            push_ssh_command: None,
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
    /// With an OpenPGP key.
    Openpgp,
    /// With an ssh key.
    Ssh,
}
