//! Access by OAuth: a token that runs out, and another that brings the next.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pipeline_core::BoxError;
use pipeline_core::clock::Timestamp;
use pipeline_core::secret::Secret;
use pipeline_core::tracker::TrackerError;

use super::NAME;
use super::wire;
use crate::http::Body;
use crate::http::Client;
use crate::http::Request;
use crate::http::TokenSource;

/// How long before its end a token counts as ended.
const EARLY: Duration = Duration::from_secs(60);

/// The two tokens of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthTokens {
    /// What requests are made with.
    pub access: Secret,
    /// What the next pair is got with, once.
    pub refresh: Secret,
    /// When the first one ends, where that is known.
    pub expires: Option<Timestamp>,
}

/// Keeps the tokens of an account over the end of a process.
///
/// # Contract
/// A refresh makes the old pair worthless, so what [`store`](Self::store) was given must be what the next
/// [`load`](Self::load) returns, whatever process asks. Before each refresh it is [held](Self::hold) and asked again, so that
/// processes that share a store do not refresh against each other.
#[async_trait]
pub trait TokenStore: fmt::Debug + Send + Sync + 'static {
    /// Returns the latest pair.
    ///
    /// # Errors
    /// In words a person can act upon, without any token.
    async fn load(&self) -> Result<OAuthTokens, BoxError>;

    /// Keeps a new pair.
    ///
    /// # Errors
    /// In words a person can act upon, without any token.
    async fn store(&self, tokens: &OAuthTokens) -> Result<(), BoxError>;

    /// Waits until no other process refreshes, and keeps others from it until what is returned is dropped.
    ///
    /// # Errors
    /// In words a person can act upon.
    async fn hold(&self) -> Result<Box<dyn Send>, BoxError>;
}

/// The application that was registered with the service, and where its tokens are kept.
#[derive(Debug, Clone)]
pub struct OAuthAccess {
    /// The application's id.
    pub client_id: String,
    /// The application's secret.
    pub client_secret: Secret,
    /// Where the tokens are.
    pub store: Arc<dyn TokenStore>,
}

/// Gives the token of an account, and gets the next one when it ends.
#[derive(Debug)]
pub(super) struct Tokens {
    account: Arc<Account>,
    known: tokio::sync::Mutex<Option<OAuthTokens>>,
}

/// Where tokens are kept and had.
#[derive(Debug)]
struct Account {
    access: OAuthAccess,
    // Its requests carry no token of ours.
    client: Client,
}

/// Which pair needs a next one.
#[derive(Debug)]
enum Spent {
    /// One that has ended.
    Ended,
    /// The one with the token that was refused.
    Refused(Secret),
}

impl Tokens {
    pub(super) fn new(access: OAuthAccess, client: Client) -> Self {
        Self {
            account: Arc::new(Account { access, client }),
            known: tokio::sync::Mutex::default(),
        }
    }

    /// Renews in a task of its own: once the service has answered, the old pair is worth nothing, and whoever waited may
    /// be dropped before the new one is kept. Only the end of the process can lose it then.
    async fn renew(&self, spent: Spent) -> Result<OAuthTokens, TrackerError> {
        let account = Arc::clone(&self.account);
        let renewing = tokio::spawn(async move { account.renew(&spent).await });
        renewing.await.map_err(|ended| TrackerError::Other {
            tracker: NAME.to_owned(),
            operation: "renew its OAuth tokens: it was broken off".to_owned(),
            source: Some(ended.into()),
        })?
    }
}

impl Account {
    fn ended(&self, tokens: &OAuthTokens) -> bool {
        let now = self.client.clock().now();
        tokens.expires.is_some_and(|end| end <= now.plus(EARLY))
    }

    async fn load(&self) -> Result<OAuthTokens, TrackerError> {
        let loaded = self.access.store.load().await;
        loaded.map_err(|source| TrackerError::Other {
            tracker: NAME.to_owned(),
            operation: "load its OAuth tokens".to_owned(),
            source: Some(source),
        })
    }

    /// Returns a pair whose first token is good, from the store if another process was faster.
    async fn renew(&self, spent: &Spent) -> Result<OAuthTokens, TrackerError> {
        let held = self.access.store.hold().await;
        let _held = held.map_err(|source| TrackerError::Other {
            tracker: NAME.to_owned(),
            operation: "renew its OAuth tokens alone".to_owned(),
            source: Some(source),
        })?;
        let kept = self.load().await?;
        let is_spent = match spent {
            Spent::Ended => self.ended(&kept),
            Spent::Refused(token) => kept.access == *token,
        };
        if is_spent {
            self.refreshed(&kept).await
        } else {
            Ok(kept)
        }
    }

    async fn refreshed(&self, old: &OAuthTokens) -> Result<OAuthTokens, TrackerError> {
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let request = Request::post("renew the OAuth token")
            .at(["oauth2", "token"])
            .of("the OAuth token")
            .body(Body::Form(vec![
                field("grant_type", "refresh_token"),
                field("client_id", &self.access.client_id),
                field("client_secret", self.access.client_secret.expose()),
                field("refresh_token", old.refresh.expose()),
            ]));
        let answered = self.client.write_json::<wire::Token>(&request).await;
        let (token, answer) = answered.map_err(|error| match error {
            // Whatever the reason, a person has to give the application access again.
            TrackerError::Other { .. } | TrackerError::PermissionDenied { .. } => {
                TrackerError::Unauthenticated {
                    tracker: NAME.to_owned(),
                }
            }
            // Nothing of the issue was written; whether the old pair still counts shows at the next try.
            TrackerError::OutcomeUnknown { source, .. } => TrackerError::Unavailable {
                tracker: NAME.to_owned(),
                operation: "renew the OAuth token".to_owned(),
                source,
            },
            other => other,
        })?;
        let tokens = OAuthTokens {
            access: token.access_token,
            refresh: token.refresh_token,
            expires: token
                .expires_in
                .map(|seconds| answer.date.plus(Duration::from_secs(seconds))),
        };
        // Kept before it is used: the old pair is worth nothing any more.
        let stored = self.access.store.store(&tokens).await;
        stored.map_err(|source| TrackerError::Other {
            tracker: NAME.to_owned(),
            operation: "keep its new OAuth tokens: give the application access again".to_owned(),
            source: Some(source),
        })?;
        Ok(tokens)
    }
}

#[async_trait]
impl TokenSource for Tokens {
    async fn current(&self) -> Result<Secret, TrackerError> {
        let mut known = self.known.lock().await;
        let tokens = match known.take() {
            Some(tokens) if !self.account.ended(&tokens) => tokens,
            // Another process may have renewed it meanwhile.
            _ => {
                let kept = self.account.load().await?;
                if self.account.ended(&kept) {
                    self.renew(Spent::Ended).await?
                } else {
                    kept
                }
            }
        };
        let access = tokens.access.clone();
        *known = Some(tokens);
        Ok(access)
    }

    async fn renewed(&self, refused: &Secret) -> Result<Option<Secret>, TrackerError> {
        let mut known = self.known.lock().await;
        if let Some(tokens) = known.as_ref().filter(|t| t.access != *refused) {
            return Ok(Some(tokens.access.clone()));
        }
        let tokens = self.renew(Spent::Refused(refused.clone())).await?;
        let access = tokens.access.clone();
        *known = Some(tokens);
        Ok(Some(access))
    }
}
