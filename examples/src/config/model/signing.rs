//! `[signing]`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::Serialize;

use crate::config::SecretSource;

/// `[signing]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SigningSection {
    /// Where the key is that signs every memo; absent = memos are not signed.
    pub key: Option<SecretSource>,
    /// The key's id, which stands in every memo.
    pub id: String,
    /// Unsigned memos below this comment number still count.
    pub since: Option<u64>,
    /// Keys that are only read, after a rotation.
    pub old: Vec<OldKey>,
}

impl Default for SigningSection {
    fn default() -> Self {
        Self {
            key: None,
            id: "k1".to_owned(),
            since: None,
            old: Vec::new(),
        }
    }
}

/// A key that is only read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OldKey {
    /// Its id.
    pub id: String,
    /// Where it is.
    pub key: SecretSource,
}
