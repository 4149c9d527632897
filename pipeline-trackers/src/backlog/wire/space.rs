//! The rest: projects, uploads, errors, tokens.

use pipeline_core::secret::Secret;
use serde::Deserialize;
use serde::Deserializer;

use crate::lenient;

/// A project.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Project {
    #[serde(deserialize_with = "lenient::number")]
    pub(crate) id: u64,
    #[serde(default, deserialize_with = "lenient::text")]
    pub(crate) project_key: String,
    #[serde(default, deserialize_with = "lenient::text")]
    pub(crate) text_formatting_rule: String,
    #[serde(default)]
    pub(crate) archived: serde_json::Value,
}

/// A file that was uploaded and belongs to nothing yet.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Uploaded {
    #[serde(deserialize_with = "lenient::number")]
    pub(crate) id: u64,
}

/// The body of an error.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub(crate) struct Errors {
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub(crate) errors: Vec<ErrorEntry>,
}

/// One reason in the body of an error.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct ErrorEntry {
    #[serde(default, deserialize_with = "lenient::text")]
    pub(crate) message: String,
    #[serde(default, deserialize_with = "lenient::optional_number")]
    pub(crate) code: Option<u64>,
}

/// What the token endpoint answers.
#[derive(Debug, Deserialize)]
pub(crate) struct Token {
    #[serde(deserialize_with = "secret")]
    pub(crate) access_token: Secret,
    #[serde(deserialize_with = "secret")]
    pub(crate) refresh_token: Secret,
    #[serde(default, deserialize_with = "lenient::optional_number")]
    pub(crate) expires_in: Option<u64>,
}

fn secret<'de, D: Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
    String::deserialize(from).map(Secret::new)
}
