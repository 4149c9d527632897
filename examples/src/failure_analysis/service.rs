//! The service: connections, limits, an orderly end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use hyper_util::service::TowerToHyperService;
use pipeline_core::failure::FailureAnalyzer;
use sha2::Digest as _;
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::body::Budget;
use super::metrics::Metrics;
use super::routes::router;

/// Why the service could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The address can be reached from elsewhere, and nothing guards it.
    #[error(
        "{listen} can be reached from other machines; name a token with --token-env or --token-file, \
         or listen on a loopback address"
    )]
    Exposed {
        /// The address.
        listen: SocketAddr,
    },
    /// The variable that should hold the token is not set.
    #[error("the environment variable {name} holds no token; set it or name another")]
    NoToken {
        /// The variable.
        name: String,
    },
    /// The token can be guessed.
    #[error("the token has less than 16 characters; choose a longer one")]
    ShortToken,
    /// The address cannot be used.
    #[error("cannot listen on {listen}; choose another address or port")]
    Bind {
        /// The address.
        listen: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
}

/// How much the service takes.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// The largest body, also after decompression, in bytes.
    pub body: u64,
    /// The memory all bodies together may hold, in bytes.
    pub memory: u64,
    /// How many logs are analysed at once.
    pub workers: usize,
    /// How many connections may be open.
    pub connections: usize,
    /// How long headers, and then a body, may take to arrive.
    pub receive_timeout: Duration,
    /// How long open requests may take once the service is told to stop.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 64 << 20,
            memory: 512 << 20,
            workers: 2,
            connections: 256,
            receive_timeout: Duration::from_secs(30),
            drain: Duration::from_secs(10),
        }
    }
}

impl Limits {
    /// Sets the largest body, in bytes.
    #[must_use]
    pub fn with_body(mut self, bytes: u64) -> Self {
        self.body = bytes;
        self
    }

    /// Sets the memory all bodies together may hold, in bytes.
    #[must_use]
    pub fn with_memory(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }

    /// Sets how many logs are analysed at once.
    #[must_use]
    pub fn with_workers(mut self, workers: usize) -> Self {
        self.workers = workers.max(1);
        self
    }

    /// Sets how many connections may be open.
    #[must_use]
    pub fn with_connections(mut self, connections: usize) -> Self {
        self.connections = connections.max(1);
        self
    }

    /// Sets how long headers, and then a body, may take to arrive.
    #[must_use]
    pub fn with_receive_timeout(mut self, timeout: Duration) -> Self {
        self.receive_timeout = timeout;
        self
    }
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) analyzer: Box<dyn FailureAnalyzer>,
    pub(crate) limits: Limits,
    pub(crate) token: Option<[u8; 32]>,
    pub(crate) budget: Budget,
    pub(crate) workers: Semaphore,
    pub(crate) metrics: Metrics,
}

/// Failure analysis over HTTP.
#[derive(Debug)]
pub struct Service {
    shared: Shared,
}

impl Service {
    /// Makes a service that asks `analyzer`.
    #[must_use]
    pub fn new(analyzer: impl FailureAnalyzer, limits: Limits) -> Self {
        Self {
            shared: Shared {
                analyzer: Box::new(analyzer),
                token: None,
                budget: Budget::new(limits.memory),
                workers: Semaphore::new(limits.workers),
                metrics: Metrics::default(),
                limits,
            },
        }
    }

    /// Asks every request but health and the OpenAPI document for `token`.
    #[must_use]
    pub fn with_token(mut self, token: &str) -> Self {
        // Only the digest stays in memory.
        self.shared.token = Some(Sha256::digest(token).into());
        self
    }

    /// Returns the routes, for a program that has its own server.
    pub fn into_router(self) -> Router {
        router(Arc::new(self.shared))
    }

    /// Serves until `stop` ends, then lets open requests finish for a while.
    ///
    /// # Cancel safety
    /// Dropping the future closes every connection at once.
    pub async fn run(self, listener: TcpListener, stop: impl Future<Output = ()>) {
        let limits = self.shared.limits.clone();
        let router = self.into_router();
        let free = Arc::new(Semaphore::new(limits.connections));
        let (stopping, _) = tokio::sync::watch::channel(false);
        let mut open = JoinSet::new();
        tokio::pin!(stop);
        loop {
            while open.try_join_next().is_some() {}
            // No slot, no accept: what is too much waits in the kernel's queue.
            let slot = tokio::select! {
                slot = Arc::clone(&free).acquire_owned() => slot,
                () = &mut stop => break,
            };
            let Ok(slot) = slot else { break };
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = &mut stop => break,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of handles, most likely; a pause lets some come back.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(limits.receive_timeout)
                .max_buf_size(64 << 10)
                .serve_connection(
                    TokioIo::new(stream),
                    TowerToHyperService::new(router.clone()),
                );
            let mut told = stopping.subscribe();
            open.spawn(async move {
                let _slot = slot;
                tokio::pin!(connection);
                let ended = tokio::select! {
                    ended = connection.as_mut() => ended,
                    () = async { drop(told.wait_for(|stopping| *stopping).await) } => {
                        connection.as_mut().graceful_shutdown();
                        connection.await
                    }
                };
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended early");
                }
            });
        }
        drop(listener);
        stopping.send_replace(true);
        let drained = tokio::time::timeout(limits.drain, async {
            while open.join_next().await.is_some() {}
        });
        if drained.await.is_err() {
            tracing::warn!(open = open.len(), "requests were still open at the end");
        }
    }
}

#[cfg(test)]
mod tests;
