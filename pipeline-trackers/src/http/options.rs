//! How a service is reached, and where a credential may be sent.

use std::time::Duration;

use pipeline_core::BoxError;
use reqwest::redirect::Policy;
use url::Url;

/// How a service is reached.
#[derive(Debug, Clone)]
pub struct ConnectionOptions {
    connect_timeout: Duration,
    timeout: Duration,
    root_certificates: Vec<Vec<u8>>,
    proxy: Option<Url>,
    pub(super) seed: Option<u64>,
}

impl Default for ConnectionOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(60),
            root_certificates: Vec::new(),
            proxy: None,
            seed: None,
        }
    }
}

impl ConnectionOptions {
    /// Waits so long for a connection.
    #[must_use]
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Waits so long for a whole answer.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Trusts the certificates in this PEM text too, as those of a company's own authority.
    #[must_use]
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates.push(pem.into());
        self
    }

    /// Goes through this proxy; the environment's is never looked at.
    #[must_use]
    pub fn proxy(mut self, proxy: Url) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// Makes the waits between repeated reads the same in every run, for tests.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    pub(crate) fn build(&self, tls: bool) -> Result<reqwest::Client, BoxError> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("issue-pipeline/", env!("CARGO_PKG_VERSION")))
            .referer(false)
            .redirect(Policy::none())
            .connect_timeout(self.connect_timeout)
            .timeout(self.timeout)
            // Reading the system's certificates takes long, and nobody shows one on the loopback address.
            .tls_built_in_root_certs(tls)
            .no_proxy();
        for pem in &self.root_certificates {
            for certificate in reqwest::Certificate::from_pem_bundle(pem)? {
                builder = builder.add_root_certificate(certificate);
            }
        }
        if let Some(proxy) = &self.proxy {
            builder = builder.proxy(reqwest::Proxy::all(proxy.clone())?);
        }
        Ok(builder.build().map_err(reqwest::Error::without_url)?)
    }
}

/// Returns whether a credential may be sent there: over TLS, or not over a network at all.
pub(crate) fn is_safe(url: &Url) -> bool {
    let loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && loopback)
}
