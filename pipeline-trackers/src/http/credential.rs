//! What a request proves itself with.

use std::sync::Arc;

use async_trait::async_trait;
use pipeline_core::secret::Secret;
use pipeline_core::tracker::TrackerError;
use reqwest::RequestBuilder;
use reqwest::header::HeaderValue;

/// Gives tokens that run out.
#[async_trait]
pub(crate) trait TokenSource: std::fmt::Debug + Send + Sync {
    /// Returns the token to send.
    async fn current(&self) -> Result<Secret, TrackerError>;

    /// Returns another token after `refused` was not accepted; `None` if there is none.
    async fn renewed(&self, refused: &Secret) -> Result<Option<Secret>, TrackerError>;
}

/// How a request proves itself. Its `Debug` shows no value.
#[derive(Debug, Clone)]
pub(crate) enum Credential {
    /// By a header of this name.
    Header(&'static str, Secret),
    /// By a parameter of the query.
    Query(&'static str, Secret),
    /// By a bearer token that may be renewed.
    Bearer(Arc<dyn TokenSource>),
    /// Not at all: the request carries its own, or needs none.
    Nothing,
}

impl Credential {
    /// Returns the secret to send now.
    pub(super) async fn secret(&self) -> Result<Option<Secret>, TrackerError> {
        Ok(match self {
            Self::Header(_, secret) | Self::Query(_, secret) => Some(secret.clone()),
            Self::Bearer(source) => Some(source.current().await?),
            Self::Nothing => None,
        })
    }

    /// Returns another secret after one was refused.
    pub(super) async fn renewed(&self, refused: &Secret) -> Result<Option<Secret>, TrackerError> {
        match self {
            Self::Bearer(source) => source.renewed(refused).await,
            Self::Header(..) | Self::Query(..) | Self::Nothing => Ok(None),
        }
    }

    /// Puts the secret where it belongs; `None` if it cannot stand there.
    pub(super) fn put(&self, builder: RequestBuilder, secret: &Secret) -> Option<RequestBuilder> {
        let sensitive = |text: &str| {
            let mut value = HeaderValue::from_str(text).ok()?;
            value.set_sensitive(true);
            Some(value)
        };
        Some(match self {
            Self::Header(name, _) => builder.header(*name, sensitive(secret.expose())?),
            Self::Query(name, _) => builder.query(&[(*name, secret.expose())]),
            Self::Bearer(_) => builder.header(
                "authorization",
                sensitive(&format!("Bearer {}", secret.expose()))?,
            ),
            Self::Nothing => builder,
        })
    }
}
