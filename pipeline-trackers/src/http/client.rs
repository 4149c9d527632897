//! Sending.

use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use pipeline_core::BoxError;
use pipeline_core::clock::Clock;
use pipeline_core::secret::Secret;
use pipeline_core::tracker::TrackerError;
use serde::de::DeserializeOwned;
use url::Url;

use super::answer::Answer;
use super::budget::Budget;
use super::credential::Credential;
use super::exchange::Failure;
use super::exchange::exchange;
use super::options::ConnectionOptions;
use super::options::is_safe;
use super::refusal::Service;
use super::refusal::refused;
use super::refusal::wait_asked;
use super::request::Request;

/// Times a read is sent before it is left to the next tick.
const MOST_SENDINGS: u32 = 5;
/// Redirects a read follows.
const MOST_HOPS: u32 = 3;
/// The first wait before a read is repeated; doubled each time.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest wait before a read is repeated, unless the server asks for another.
const LONGEST_BACKOFF: Duration = Duration::from_secs(20);
/// The wait after a refusal for too many requests that names none.
const UNTOLD_WAIT: Duration = Duration::from_secs(60);
/// The longest wait that a server may ask of a read; for a longer one the tick ends.
const LONGEST_ASKED: Duration = Duration::from_secs(90);

/// A client of one service, shared by clones.
#[derive(Clone)]
pub(crate) struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    http: reqwest::Client,
    base: Url,
    credential: Credential,
    service: Box<dyn Service>,
    budget: Budget,
    clock: Arc<dyn Clock>,
    jitter: Mutex<fastrand::Rng>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("service", &self.shared.service.name())
            .field("host", &self.shared.base.host_str())
            .field("credential", &self.shared.credential)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Makes a client for everything under `base`.
    ///
    /// # Errors
    /// [`TrackerError::Unsupported`] for an address a credential must not be sent to, [`TrackerError::Other`] for options
    /// that cannot be used.
    pub(crate) fn new(
        base: Url,
        credential: Credential,
        service: impl Service,
        options: &ConnectionOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, TrackerError> {
        let tracker = service.name().to_owned();
        if !is_safe(&base) {
            return Err(TrackerError::Unsupported {
                tracker,
                operation:
                    "send a credential over plain http: its address has to begin with https://"
                        .to_owned(),
            });
        }
        let http =
            options
                .build(base.scheme() == "https")
                .map_err(|source| TrackerError::Other {
                    tracker,
                    operation: "prepare its connections: look at its certificates and proxy"
                        .to_owned(),
                    source: Some(source),
                })?;
        let budget = Budget::new(service.limits());
        let jitter = options
            .seed
            .map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        Ok(Self {
            shared: Arc::new(Shared {
                http,
                base,
                credential,
                service: Box::new(service),
                budget,
                clock,
                jitter: Mutex::new(jitter),
            }),
        })
    }

    /// Returns everything's common address.
    pub(crate) fn base(&self) -> &Url {
        &self.shared.base
    }

    /// Returns the clock it waits by.
    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.shared.clock
    }

    /// Reads, again where a failure may pass.
    ///
    /// # Errors
    /// What the refusal means, or `Unavailable`, `RateLimited`, `TooLarge`.
    ///
    /// # Cancel safety
    /// Changes nothing.
    pub(crate) async fn read(&self, request: &Request) -> Result<Answer, TrackerError> {
        self.read_as(request, |_| Ok(()))
            .await
            .map(|(_, answer)| answer)
    }

    /// Reads JSON. What is not JSON at all is read again: it came from something in between.
    ///
    /// # Errors
    /// Like [`read`](Self::read), and `InvalidResponse`.
    pub(crate) async fn read_json<T: DeserializeOwned>(
        &self,
        request: &Request,
    ) -> Result<(T, Answer), TrackerError> {
        self.read_as(request, Answer::json).await
    }

    async fn read_as<T>(
        &self,
        request: &Request,
        parse: impl Fn(&Answer) -> Result<T, serde_json::Error>,
    ) -> Result<(T, Answer), TrackerError> {
        let mut url = self.address(request);
        let mut with_credential = true;
        let mut hops = 0;
        let mut renewed = None;
        for sending in 1.. {
            let (used, sent) = self
                .send(request, &url, renewed.as_ref(), with_credential)
                .await?;
            let failed = match sent {
                Ok(answer) if answer.is_redirect() && hops < MOST_HOPS => {
                    hops += 1;
                    (url, with_credential) = self.redirected(request, &url, &answer)?;
                    continue;
                }
                Ok(answer) if answer.is_success() => match parse(&answer) {
                    Ok(value) => return Ok((value, answer)),
                    Err(e) => {
                        let passes = e.is_syntax() || e.is_eof();
                        let error = self.invalid(request, e.into());
                        if !passes {
                            return Err(error);
                        }
                        (error, None)
                    }
                },
                Ok(answer) if answer.status == 401 && renewed.is_none() => {
                    renewed = self.renew(used).await?;
                    if renewed.is_none() {
                        return Err(self.refused(request, &answer));
                    }
                    continue;
                }
                Ok(answer) => {
                    let wait = self.wait_after(request, &answer);
                    let error = self.refused(request, &answer);
                    if !matches!(answer.status, 408 | 429 | 500..=599) && !error.is_transient() {
                        return Err(error);
                    }
                    (error, wait)
                }
                Err(Failure::TooLong) => {
                    return Err(TrackerError::TooLarge {
                        what: request.subject(),
                        limit: request.limit,
                    });
                }
                Err(Failure::NotSent(source) | Failure::Lost(source)) => {
                    (self.unavailable(request, source), None)
                }
            };
            let (error, wait) = failed;
            if sending >= MOST_SENDINGS || wait.is_some_and(|w| w > LONGEST_ASKED) {
                return Err(error);
            }
            let wait = wait.unwrap_or_else(|| self.backoff(sending));
            tracing::debug!(operation = request.operation, what = %request.what, sending, ?wait, "reading again");
            self.shared.clock.sleep(wait).await;
        }
        Err(self.unavailable(request, "it was not asked".into()))
    }

    /// Writes, once.
    ///
    /// # Errors
    /// `OutcomeUnknown` once the request may have arrived; else what the refusal means.
    ///
    /// # Cancel safety
    /// Not cancel safe: a dropped future may have written.
    pub(crate) async fn write(&self, request: &Request) -> Result<Answer, TrackerError> {
        let url = self.address(request);
        let mut renewed = None;
        loop {
            let (used, sent) = self.send(request, &url, renewed.as_ref(), true).await?;
            match sent {
                Ok(answer) if answer.is_success() => return Ok(answer),
                Ok(answer) if answer.is_redirect() => {
                    return Err(TrackerError::Other {
                        tracker: self.name(),
                        operation: format!(
                            "{}: its address leads elsewhere, and a write follows no redirect; correct [tracker] project",
                            request.operation
                        ),
                        source: None,
                    });
                }
                // A refused credential wrote nothing, so another one may be tried.
                Ok(answer) if answer.status == 401 && renewed.is_none() => {
                    renewed = self.renew(used).await?;
                    if renewed.is_none() {
                        return Err(self.refused(request, &answer));
                    }
                }
                Ok(answer) => {
                    if answer.status == 429 {
                        let wait = self.wait_after(request, &answer).unwrap_or(UNTOLD_WAIT);
                        let now = self.shared.clock.elapsed();
                        self.shared.budget.hold(request.category, wait, now);
                    }
                    return Err(match answer.status {
                        408 | 500..=599 => self.unknown(
                            request,
                            Some(format!("it answered {}", answer.status).into()),
                        ),
                        _ => self.refused(request, &answer),
                    });
                }
                Err(Failure::NotSent(source)) => return Err(self.unavailable(request, source)),
                Err(Failure::Lost(source)) => return Err(self.unknown(request, Some(source))),
                Err(Failure::TooLong) => {
                    return Err(self.unknown(request, Some("the answer was too long".into())));
                }
            }
        }
    }

    /// Writes and reads the JSON that is answered. If that cannot be understood, the outcome is unknown.
    ///
    /// # Errors
    /// Like [`write`](Self::write).
    ///
    /// # Cancel safety
    /// Like [`write`](Self::write).
    pub(crate) async fn write_json<T: DeserializeOwned>(
        &self,
        request: &Request,
    ) -> Result<(T, Answer), TrackerError> {
        let answer = self.write(request).await?;
        match answer.json() {
            Ok(value) => Ok((value, answer)),
            Err(e) => Err(self.unknown(request, Some(e.into()))),
        }
    }

    /// Returns the error for an answer that was understood as JSON and makes no sense.
    pub(crate) fn invalid(&self, request: &Request, source: BoxError) -> TrackerError {
        TrackerError::InvalidResponse {
            tracker: self.name(),
            operation: about(request),
            source: Some(source),
        }
    }

    /// Returns the error for a write nobody knows the outcome of.
    pub(crate) fn unknown(&self, request: &Request, source: Option<BoxError>) -> TrackerError {
        TrackerError::OutcomeUnknown {
            tracker: self.name(),
            issue: request.subject(),
            source,
        }
    }

    fn name(&self) -> String {
        self.shared.service.name().to_owned()
    }

    fn unavailable(&self, request: &Request, source: BoxError) -> TrackerError {
        TrackerError::Unavailable {
            tracker: self.name(),
            operation: about(request),
            source: Some(source),
        }
    }

    fn refused(&self, request: &Request, answer: &Answer) -> TrackerError {
        refused(&*self.shared.service, request, answer)
    }

    /// Gets another credential in place of the one a request was sent with, which may no longer be the current one.
    async fn renew(&self, used: Option<Secret>) -> Result<Option<Secret>, TrackerError> {
        match used {
            Some(refused) => self.shared.credential.renewed(&refused).await,
            None => Ok(None),
        }
    }

    fn address(&self, request: &Request) -> Url {
        let mut url = self.shared.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(&request.segments);
        }
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        url
    }

    /// Returns where a read goes on, and whether the credential may go with it.
    fn redirected(
        &self,
        request: &Request,
        from: &Url,
        answer: &Answer,
    ) -> Result<(Url, bool), TrackerError> {
        let to = answer.header("location").and_then(|to| from.join(to).ok());
        let to = to.ok_or_else(|| {
            self.invalid(
                request,
                "it answered with a redirect that leads nowhere".into(),
            )
        })?;
        if to.origin() == self.shared.base.origin() {
            return Ok((to, true));
        }
        if request.to_storage && is_safe(&to) {
            return Ok((to, false));
        }
        Err(self.invalid(
            request,
            "it answered with a redirect to another server, which is not followed".into(),
        ))
    }

    /// Sends once and also returns the credential it was sent with. The outer error is that nothing may be sent now.
    async fn send(
        &self,
        request: &Request,
        url: &Url,
        renewed: Option<&Secret>,
        with_credential: bool,
    ) -> Result<(Option<Secret>, Result<Answer, Failure>), TrackerError> {
        let shared = &self.shared;
        let admitted = shared.budget.admit(request.category, &*shared.clock).await;
        admitted.map_err(|wait| TrackerError::RateLimited {
            tracker: self.name(),
            retry_after: Some(wait),
        })?;
        let mut builder = shared.http.request(request.method.clone(), url.clone());
        let mut used = None;
        if with_credential {
            let secret = match renewed {
                Some(secret) => Some(secret.clone()),
                None => shared.credential.secret().await?,
            };
            if let Some(secret) = secret {
                builder = shared.credential.put(builder, &secret).ok_or_else(|| {
                    // A line break in the variable, most often.
                    TrackerError::Unauthenticated {
                        tracker: self.name(),
                    }
                })?;
                used = Some(secret);
            }
        }
        let began = shared.clock.elapsed();
        let sent = exchange(builder, request, &*shared.clock).await;
        let took = shared.clock.elapsed().saturating_sub(began);
        match &sent {
            Ok(answer) => {
                tracing::debug!(tracker = shared.service.name(), operation = request.operation, what = %request.what, status = answer.status, ?took, "asked");
                if let Some(rate) = shared.service.rate(answer) {
                    let now = shared.clock.elapsed();
                    shared.budget.observe(request.category, rate, now);
                }
            }
            Err(_) => {
                tracing::debug!(tracker = shared.service.name(), operation = request.operation, what = %request.what, ?took, "no answer");
            }
        }
        Ok((used, sent))
    }

    fn wait_after(&self, request: &Request, answer: &Answer) -> Option<Duration> {
        let wait = wait_asked(&*self.shared.service, answer);
        if answer.status != 429 {
            return wait.filter(|_| answer.header("retry-after").is_some());
        }
        let wait = wait.unwrap_or(UNTOLD_WAIT);
        tracing::debug!(operation = request.operation, ?wait, "too many requests");
        Some(wait)
    }

    fn backoff(&self, sending: u32) -> Duration {
        let doubled = FIRST_WAIT.saturating_mul(1 << sending.min(10).saturating_sub(1));
        let whole = doubled.min(LONGEST_BACKOFF);
        let mut jitter = self
            .shared
            .jitter
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // Half of it is random, so that many who were refused together do not come back together.
        whole.mul_f64(0.5 + jitter.f64() / 2.0)
    }
}

fn about(request: &Request) -> String {
    if request.what.is_empty() {
        request.operation.to_owned()
    } else {
        format!("{} ({})", request.operation, request.what)
    }
}
