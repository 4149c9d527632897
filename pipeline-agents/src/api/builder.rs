//! Describing an agent that is a bare model.

use std::sync::Arc;
use std::time::Duration;

use pipeline_core::clock::Clock;
use pipeline_core::clock::SystemClock;
use pipeline_core::secret::Redactor;
use pipeline_core::secret::Secret;
use reqwest::Client;
use reqwest::header::HeaderValue;
use reqwest::redirect::Policy;
use serde_json::Value;
use url::Host;
use url::Url;

use super::ApiAgent;
use super::heard::Heard;
use super::heard::Tokens;
use super::messages;
use super::responses;

const CONNECT: Duration = Duration::from_secs(15);
const OUTPUT_TOKENS: u64 = 8192;

/// What a service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wire {
    /// OpenAI's Responses: `POST …/responses`.
    Responses,
    /// Anthropic's Messages: `POST …/messages`.
    Messages,
}

impl Wire {
    const fn endpoint(self) -> &'static str {
        match self {
            Self::Responses => "responses",
            Self::Messages => "messages",
        }
    }

    pub(super) fn hear(self, heard: &mut Heard, event: &Value) {
        match self {
            Self::Responses => responses::hear(heard, event),
            Self::Messages => messages::hear(heard, event),
        }
    }

    pub(super) fn hear_whole(self, heard: &mut Heard, answer: &Value) {
        match self {
            Self::Responses => responses::hear_whole(heard, answer),
            Self::Messages => messages::hear_whole(heard, answer),
        }
    }
}

/// What a model costs, in millionths of a US dollar per million tokens (so that 3 dollars are `3_000_000`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prices {
    /// Tokens read.
    pub input: u64,
    /// Tokens read out of the service's cache; as the others, if not set.
    pub cached: Option<u64>,
    /// Tokens written.
    pub output: u64,
}

impl Prices {
    /// Returns what tokens cost, rounded up.
    pub(super) fn of(&self, tokens: Tokens) -> u64 {
        let cached = tokens.cached.min(tokens.input);
        let part = |count: u64, price: u64| u128::from(count) * u128::from(price);
        let sum = part(tokens.input - cached, self.input)
            + part(cached, self.cached.unwrap_or(self.input))
            + part(tokens.output, self.output);
        u64::try_from(sum.div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }
}

/// Why a description makes no agent. Neither the address nor the key is repeated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidApiAgent {
    /// The address would send the key in the open.
    #[error(
        "the address of the model service is not https: the key would travel in the open (http is for loopback only)"
    )]
    NotEncrypted,
    /// The address is none of a service.
    #[error(
        "the address of the model service is not usable: write it like https://models.example/v1, without user, query or fragment"
    )]
    Address,
    /// The key cannot be sent.
    #[error(
        "the key of the model service cannot be sent in a header: it is empty, or has line breaks or letters outside ASCII"
    )]
    Key,
    /// No model is named.
    #[error("no model is named for the model service")]
    Model,
    /// TLS cannot be set up.
    #[error("the connection to the model service cannot be set up")]
    Client(#[source] reqwest::Error),
}

/// Describes an [`ApiAgent`].
#[derive(Debug)]
#[must_use]
pub struct ApiAgentBuilder {
    name: String,
    wire: Wire,
    address: Url,
    model: String,
    key: Secret,
    prices: Option<Prices>,
    output_tokens: u64,
    clock: Arc<dyn Clock>,
}

impl ApiAgentBuilder {
    pub(super) fn new(name: String, wire: Wire, address: Url, model: String, key: Secret) -> Self {
        Self {
            name,
            wire,
            address,
            model,
            key,
            prices: None,
            output_tokens: OUTPUT_TOKENS,
            clock: Arc::new(SystemClock),
        }
    }

    /// Sets what the model costs. Without it runs tell tokens and no money.
    pub const fn prices(mut self, prices: Prices) -> Self {
        self.prices = Some(prices);
        self
    }

    /// Sets the most tokens of one answer, thinking included; 8192 unless told otherwise.
    pub const fn output_tokens(mut self, most: u64) -> Self {
        self.output_tokens = most;
        self
    }

    /// Sets the clock by which the time to come back is told.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Makes the agent.
    ///
    /// # Errors
    /// [`InvalidApiAgent`], which says what to correct.
    pub fn build(self) -> Result<ApiAgent, InvalidApiAgent> {
        let mut address = self.address;
        let loopback = match address.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            None => return Err(InvalidApiAgent::Address),
        };
        match address.scheme() {
            "https" => {}
            "http" if loopback => {}
            "http" => return Err(InvalidApiAgent::NotEncrypted),
            _ => return Err(InvalidApiAgent::Address),
        }
        let plain = address.username().is_empty()
            && address.password().is_none()
            && address.query().is_none()
            && address.fragment().is_none();
        if !plain {
            return Err(InvalidApiAgent::Address);
        }
        address
            .path_segments_mut()
            .map_err(|()| InvalidApiAgent::Address)?
            .pop_if_empty()
            .push(self.wire.endpoint());
        if self.key.expose().is_empty() || HeaderValue::from_str(self.key.expose()).is_err() {
            return Err(InvalidApiAgent::Key);
        }
        if self.model.trim().is_empty() {
            return Err(InvalidApiAgent::Model);
        }
        let client = Client::builder()
            .user_agent(concat!("issue-pipeline/", env!("CARGO_PKG_VERSION")))
            // A redirect would carry the key to another place.
            .redirect(Policy::none())
            .referer(false)
            // The environment is not ours to read.
            .no_proxy()
            .https_only(!loopback)
            .connect_timeout(CONNECT)
            .build()
            .map_err(|e| InvalidApiAgent::Client(e.without_url()))?;
        Ok(ApiAgent {
            redactor: Redactor::new([&self.key]),
            name: self.name,
            wire: self.wire,
            address,
            model: self.model,
            key: self.key,
            prices: self.prices,
            output_tokens: self.output_tokens,
            client,
            clock: self.clock,
        })
    }
}
