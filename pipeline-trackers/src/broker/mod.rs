//! A loopback broker that holds the tracker's token so that an agent need not.
//!
//! An agent that makes API calls itself is given the broker's address instead of the tracker's, and a placeholder instead
//! of the token. The broker lets through the calls a [`BrokerRules`] names, puts the token in, and answers what the tracker
//! answered. Plain `curl` calls work unchanged.
//!
//! # Guarantees
//! - It listens on the loopback address only, and answers only to who knows the run's placeholder.
//! - Only named methods and paths, below the project's own address, with named parameters and fields. A path is compared as it
//!   was sent: nothing is decoded, so nothing can be hidden by encoding.
//! - Where the run's [`PlannedIssues`] are known, only these are made, each of them once, with the lines that tie it to its item.
//! - Text in a body is [neutralised](pipeline_core::tracker::Dialect::neutralise) as any text an agent wrote.
//! - The number of calls, of writes, and the size of a body either way are limited; a call without the placeholder is refused
//!   before it counts. It ends with its run.
//! - No redirect is followed. An answer that holds the token is withheld, and other credentials are taken out of answers.
//! - Every call is in the [log](Broker::calls), refused ones with the reason, without query, headers or body.

mod check;
mod door;
mod forward;
mod log;
mod planned;
mod rules;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use pipeline_core::BoxError;
use pipeline_core::random;
use pipeline_core::secret::Redactor;
use pipeline_core::secret::Secret;
use pipeline_core::tracker::Dialect;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use url::Url;

pub use self::door::Door;
pub use self::log::Call;
pub use self::log::Refusal;
pub use self::log::Used;
use self::planned::Ledger;
pub use self::planned::PlannedIssues;
pub use self::rules::BrokerRules;
pub use self::rules::Rule;
use crate::http::ConnectionOptions;

/// Most connections at a time.
const MOST_CONNECTIONS: usize = 16;
/// Longest time a broker serves, whatever was asked for.
const LONGEST_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long a client may take to send its headers.
const HEADERS_WITHIN: Duration = Duration::from_secs(10);

/// Where the token stands in a request to the tracker.
#[derive(Debug, Clone)]
pub enum TokenPlace {
    /// In this header.
    Header(&'static str),
    /// In `Authorization: Bearer`.
    Bearer,
    /// In this parameter of the query.
    Query(&'static str),
}

/// How much one run may do.
#[derive(Debug, Clone, Copy)]
pub struct BrokerLimits {
    /// Most calls with the run's placeholder, refused ones included. Others are refused before they count.
    pub calls: u64,
    /// Most calls that write.
    pub writes: u64,
    /// Most bytes of a request's body.
    pub request_bytes: usize,
    /// Most bytes of an answer.
    pub answer_bytes: usize,
    /// How long the broker serves at most.
    pub lifetime: Duration,
}

impl Default for BrokerLimits {
    fn default() -> Self {
        Self {
            calls: 2_000,
            writes: 500,
            request_bytes: 256 << 10,
            answer_bytes: 8 << 20,
            lifetime: Duration::from_secs(3600),
        }
    }
}

/// What a broker stands in for.
#[derive(Debug, Clone)]
pub struct BrokerOptions {
    /// The project's own address, below which every call lies.
    pub upstream: Url,
    /// The token.
    pub token: Secret,
    /// Where it stands.
    pub place: TokenPlace,
    /// What is let through.
    pub rules: BrokerRules,
    /// How much of it.
    pub limits: BrokerLimits,
    /// How the tracker treats text.
    pub dialect: Arc<dyn Dialect>,
    /// How it is reached.
    pub connection: ConnectionOptions,
    /// Where the broker itself is reached.
    pub door: Door,
    /// Under which port a sandbox shows it, if not under its own.
    pub seen_as: Option<SocketAddr>,
    /// The issues that may be made, each of them once; `None` = whatever the rules let through.
    pub planned: Option<PlannedIssues>,
}

/// Why there is no broker.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// No port is to be had.
    #[error("the credential broker cannot listen on the loopback address")]
    Listen(#[source] io::Error),
    /// The address cannot be stood in for.
    #[error("the project's address cannot be used: {why}")]
    Address {
        /// What is wrong with it.
        why: &'static str,
    },
    /// The way to the tracker cannot be set up.
    #[error("the way to the tracker cannot be set up")]
    Connection(#[source] BoxError),
}

/// A broker that serves until it is stopped, dropped or too old.
pub struct Broker {
    shared: Arc<Shared>,
    address: Option<SocketAddr>,
    serving: JoinHandle<()>,
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker")
            .field("seen_as", &self.shared.seen_as)
            .finish_non_exhaustive()
    }
}

struct Shared {
    options: BrokerOptions,
    client: reqwest::Client,
    redactor: Redactor,
    placeholder: String,
    /// What callers may call it.
    hosts: Vec<String>,
    /// How callers see it.
    seen_as: SocketAddr,
    ends: Instant,
    calls: Mutex<log::Calls>,
    ledger: Option<Mutex<Ledger>>,
}

impl Broker {
    /// Starts a broker on a port of its own.
    ///
    /// # Errors
    /// [`BrokerError`].
    ///
    /// # Panics
    /// Never: an address and a port make a URL.
    pub async fn start(options: BrokerOptions) -> Result<Self, BrokerError> {
        let why = |why| BrokerError::Address { why };
        let upstream = &options.upstream;
        if !crate::http::is_safe(upstream) {
            return Err(why("it must begin with https://"));
        }
        if upstream.query().is_some() || upstream.fragment().is_some() {
            return Err(why("it must end in its path"));
        }
        if !upstream.username().is_empty() || upstream.password().is_some() {
            return Err(why("it must hold no user and no password"));
        }
        let client = options.connection.build(upstream.scheme() == "https");
        let client = client.map_err(BrokerError::Connection)?;
        let listener = options.door.open().await.map_err(BrokerError::Listen)?;
        let own = listener.address().map_err(BrokerError::Listen)?;
        let seen_as = options
            .seen_as
            .or(own)
            .ok_or(why("a socket without a port needs one to be seen as"))?;
        let shared = Arc::new(Shared {
            redactor: Redactor::new([&options.token]),
            client,
            placeholder: format!("placeholder-{}", random::nonce()),
            hosts: own
                .into_iter()
                .chain([seen_as])
                .flat_map(door::names)
                .collect(),
            seen_as,
            ends: Instant::now() + options.limits.lifetime.min(LONGEST_LIFE),
            calls: Mutex::default(),
            ledger: options.planned.clone().map(|p| Mutex::new(Ledger::new(p))),
            options,
        });
        let serving = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self {
            shared,
            address: own,
            serving,
        })
    }

    /// Returns what stands in for the project's address.
    ///
    /// # Panics
    /// Never: an address, a port and a path of a URL make a URL.
    #[must_use]
    pub fn url(&self) -> Url {
        let path = self.shared.options.upstream.path();
        let text = format!(
            "http://{}{}",
            self.shared.seen_as,
            path.trim_end_matches('/')
        );
        Url::parse(&text).expect("an address, a port and a path make a URL")
    }

    /// Returns where it is on this machine; `None` behind a socket.
    #[must_use]
    pub const fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Returns what stands in for the token: worthless anywhere else, and here after this run.
    #[must_use]
    pub fn placeholder(&self) -> &str {
        &self.shared.placeholder
    }

    /// Returns every call so far.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.shared.calls().all().to_vec()
    }

    /// Returns how much of its limits the run has used so far.
    #[must_use]
    pub fn used(&self) -> Used {
        let limits = self.shared.options.limits;
        self.shared.calls().used(limits.calls, limits.writes)
    }

    /// Ends it; calls that are under way are broken off.
    pub async fn stop(self) -> Vec<Call> {
        self.serving.abort();
        let calls = self.calls();
        // Until the task is gone its port may still be open.
        while !self.serving.is_finished() {
            tokio::task::yield_now().await;
        }
        calls
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Shared {
    fn calls(&self) -> std::sync::MutexGuard<'_, log::Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ledger(&self) -> Option<std::sync::MutexGuard<'_, Ledger>> {
        let ledger = self.ledger.as_ref()?.lock();
        Some(ledger.unwrap_or_else(PoisonError::into_inner))
    }
}

async fn serve(listener: door::Listener, shared: Arc<Shared>) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    // Ends with this task, and so with the broker.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        while connections.try_join_next().is_some() {}
        let Ok(stream) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(|request| {
                let shared = Arc::clone(&shared);
                async move { Ok::<_, std::convert::Infallible>(forward::answer(&shared, request).await) }
            });
            let mut builder = hyper::server::conn::http1::Builder::new();
            // A client that has said all may close its side; a call under way is not broken off for it, nor missing in the log.
            builder.half_close(true);
            builder.timer(TokioTimer::new()).header_read_timeout(HEADERS_WITHIN).max_buf_size(64 << 10);
            if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
                tracing::debug!(%error, "a connection to the broker ended");
                if error.is_parse() {
                    shared.calls().push(Call {
                        method: String::new(),
                        path: String::new(),
                        status: Refusal::Malformed.status(),
                        refused: Some(Refusal::Malformed),
                    });
                }
            }
            drop(place);
        });
    }
}

#[cfg(test)]
#[cfg(feature = "fakes")]
mod tests;
