//! The keys memos are signed with.

use std::path::Path;

use pipeline_core::issue::CommentId;
use pipeline_core::memo::SigningKey;
use pipeline_core::memo::SigningKeys;
use pipeline_core::secret::Secret;

use super::ComposeError;
use crate::config::SecretSource;
use crate::surroundings::Surroundings;
use crate::surroundings::read_secret;
use crate::workplace::Workplace;

/// Reads the configured keys for a tracker, and returns them with the secrets that must never be posted.
pub(super) async fn keys(
    workplace: &Workplace,
    around: &Surroundings,
    tracker: String,
) -> Result<(SigningKeys, Vec<Secret>), ComposeError> {
    let section = &workplace.config().signing;
    let mut keys = SigningKeys::new(tracker);
    let mut secrets = Vec::new();
    if let Some(source) = &section.key {
        let secret = read(workplace, around, &section.id, source).await?;
        keys = keys.with_current(SigningKey::new(&section.id, secret.clone()));
        secrets.push(secret);
    }
    for old in &section.old {
        let secret = read(workplace, around, &old.id, &old.key).await?;
        keys = keys.with_old(SigningKey::new(&old.id, secret.clone()));
        secrets.push(secret);
    }
    if let Some(since) = section.since {
        keys = keys.with_signed_since(CommentId(since));
    }
    Ok((keys, secrets))
}

async fn read(
    workplace: &Workplace,
    around: &Surroundings,
    id: &str,
    source: &SecretSource,
) -> Result<Secret, ComposeError> {
    let directory = workplace.loaded.path.parent().unwrap_or(Path::new("/"));
    read_secret(source, around, directory)
        .await
        .map_err(|error| ComposeError::Unusable {
            what: format!("the signing key `{id}` cannot be read: correct [signing]"),
            source: Some(error.into()),
        })
}
