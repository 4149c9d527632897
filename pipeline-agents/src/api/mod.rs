//! A bare model behind a web service: it reads and answers, and has no tools.

mod builder;
mod error;
mod heard;
mod messages;
mod request;
mod responses;
mod sse;
mod trouble;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pipeline_core::agent::Agent;
use pipeline_core::agent::AgentCapabilities;
use pipeline_core::agent::AgentError;
use pipeline_core::agent::AgentOutcome;
use pipeline_core::agent::AgentReport;
use pipeline_core::agent::AgentTask;
use pipeline_core::agent::AgentWatch;
use pipeline_core::agent::Confinement;
use pipeline_core::agent::RunMode;
use pipeline_core::agent::TaskKind;
use pipeline_core::agent::Usage;
use pipeline_core::agent::WorkspaceKind;
use pipeline_core::clock::Clock;
use pipeline_core::secret::Redactor;
use pipeline_core::secret::Secret;
use reqwest::Client;
use reqwest::Response;
use reqwest::header::HeaderMap;
use serde_json::Value;
use tokio::time::timeout;
use url::Url;

pub use self::builder::ApiAgentBuilder;
pub use self::builder::InvalidApiAgent;
pub use self::builder::Prices;
pub use self::builder::Wire;
use self::error::Error;
use self::heard::Ending;
use self::heard::Heard;
use self::heard::Tokens;
use self::sse::Events;
use self::trouble::Trouble;
use crate::schema::Schema;

/// The most of an error's body that is read.
const LARGEST_COMPLAINT: usize = 64 << 10;
/// How much of a service's own words goes into a message for people.
const BRIEF: usize = 500;

/// An agent that is a bare model, asked over HTTPS.
///
/// It is for judgment alone: triage, plan drafts, failure analysis. It has no tools and sees no file but the images of its
/// task, so it refuses tasks that edit and the local check, which has to look at a repository.
///
/// # Guarantees
/// - One request per task, sent once. Redirects are not followed, no proxy of the environment is used, and no referrer is
///   sent.
/// - The key is sent to the configured address only, in a header; no error names the key or the address.
/// - What comes back is bounded by the task's output limit, its deadline and its stall time, and validated by us against
///   the task's schema whatever the service promised.
/// - A limit of the service becomes [`AgentOutcome::RateLimited`] or [`AgentOutcome::UsageLimit`] with the time to come
///   back, where the service tells one.
///
/// # Examples
/// ```
/// use pipeline_agents::ApiAgent;
/// use pipeline_agents::Wire;
/// use pipeline_core::secret::Secret;
/// use url::Url;
///
/// let address = Url::parse("https://models.example/v1")?;
/// let agent = ApiAgent::builder("api", Wire::Responses, address, "small-model", Secret::new("key")).build()?;
/// # let _ = agent;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ApiAgent {
    name: String,
    wire: Wire,
    address: Url,
    model: String,
    key: Secret,
    prices: Option<Prices>,
    output_tokens: u64,
    client: Client,
    clock: Arc<dyn Clock>,
    redactor: Redactor,
}

impl fmt::Debug for ApiAgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiAgent")
            .field("name", &self.name)
            .field("wire", &self.wire)
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

impl ApiAgent {
    /// Starts the description of an agent: its configured name, what the service speaks, the address below which its
    /// endpoint lies (`https://…/v1`), the model, and the key.
    pub fn builder(
        name: impl Into<String>,
        wire: Wire,
        address: Url,
        model: impl Into<String>,
        key: Secret,
    ) -> ApiAgentBuilder {
        ApiAgentBuilder::new(name.into(), wire, address, model.into(), key)
    }

    fn refuse(&self, task: &AgentTask) -> Result<(), AgentError> {
        let unsupported = |operation: &str| {
            Err(AgentError::Unsupported {
                agent: self.name.clone(),
                operation: operation.to_owned(),
            })
        };
        match (task.mode, task.kind) {
            (RunMode::Implement, _) => {
                unsupported("change files: it is a bare model without tools")
            }
            (_, TaskKind::LocalCheck | TaskKind::Recheck) => {
                unsupported("inspect a repository: it is a bare model without tools")
            }
            (_, TaskKind::PlanDrive) => {
                unsupported("make calls of its own: it is a bare model without tools")
            }
            (RunMode::ReadOnly, _) if task.workdir.is_some() => {
                unsupported("inspect a repository: it is a bare model without tools")
            }
            (RunMode::ReadOnly, _) => Ok(()),
        }
    }

    async fn try_run(
        &self,
        task: &AgentTask,
        watch: &dyn AgentWatch,
    ) -> Result<AgentReport, Error> {
        let schema = task
            .schema
            .as_ref()
            .map(Schema::new)
            .transpose()
            .map_err(Error::Schema)?;
        let images = request::images(&task.images).await?;
        let model = task.model.as_deref().unwrap_or(&self.model);
        let most = task.limits.tokens.unwrap_or(u64::MAX);
        let body = request::body(
            self.wire,
            model,
            task,
            &images,
            self.output_tokens.min(most),
        );
        let exchange = async {
            watch.progress(&format!("asking {model}"));
            let stall = task.limits.stall;
            let response = match within(stall, self.send(&body)).await {
                Ok(Ok(response)) => response,
                Ok(Err(error)) => return Ok(AgentReport::of(self.unreachable(&error))),
                Err(Stalled) => return Ok(AgentReport::of(AgentOutcome::Stalled)),
            };
            if !response.status().is_success() {
                return self.complaint(response, stall).await;
            }
            let most = usize::try_from(task.limits.output_bytes).unwrap_or(usize::MAX);
            let report = match self.listen(response, most, stall).await {
                Ok((heard, headers)) => self.conclude(task, schema.as_ref(), heard, &headers)?,
                Err(outcome) => AgentReport::of(outcome),
            };
            Ok(report)
        };
        match timeout(task.limits.deadline, exchange).await {
            Ok(ended) => ended,
            Err(_) => Ok(AgentReport::of(AgentOutcome::Deadline)),
        }
    }

    async fn send(&self, body: &Value) -> Result<Response, reqwest::Error> {
        self.client
            .post(self.address.clone())
            .headers(request::headers(self.wire, &self.key))
            .body(body.to_string())
            .send()
            .await
    }

    /// Reads an answer to its end.
    async fn listen(
        &self,
        mut response: Response,
        most: usize,
        stall: Option<Duration>,
    ) -> Result<(Heard, HeaderMap), AgentOutcome> {
        let headers = response.headers().clone();
        let streams = headers
            .get(reqwest::header::CONTENT_TYPE)
            .and_then(|v| v.to_str().ok())
            .is_none_or(|kind| !kind.starts_with("application/json"));
        let mut heard = Heard::default();
        let mut events = Events::default();
        let mut whole = Vec::new();
        let mut left = most;
        loop {
            let chunk = match within(stall, response.chunk()).await {
                Ok(Ok(Some(chunk))) => chunk,
                Ok(Ok(None)) => break,
                Ok(Err(error)) => return Err(self.unreachable(&error)),
                Err(Stalled) => return Err(AgentOutcome::Stalled),
            };
            left = left.checked_sub(chunk.len()).ok_or(AgentOutcome::Flooded)?;
            if !streams {
                whole.extend_from_slice(&chunk);
                continue;
            }
            for data in events.feed(&chunk) {
                match serde_json::from_slice(&data) {
                    Ok(event) => self.wire.hear(&mut heard, &event),
                    // The end mark of some services.
                    Err(_) if data == b"[DONE]" => {}
                    Err(_) => heard.garbled += 1,
                }
            }
            if heard.is_over() {
                break;
            }
        }
        if !streams {
            match serde_json::from_slice(&whole) {
                Ok(answer) => self.wire.hear_whole(&mut heard, &answer),
                Err(_) => heard.garbled += 1,
            }
        }
        Ok((heard, headers))
    }

    /// Turns what was heard into what it means.
    fn conclude(
        &self,
        task: &AgentTask,
        schema: Option<&Schema>,
        heard: Heard,
        headers: &HeaderMap,
    ) -> Result<AgentReport, Error> {
        let usage = self.usage(heard.tokens);
        let mut answer = Value::Null;
        let mut message = String::new();
        let outcome = match heard.ending {
            Some(Ending::Complained(complaint)) => {
                let trouble = Trouble::of(None, &complaint, headers, self.clock.now());
                self.outcome(trouble)?
            }
            None if heard.garbled > 0 => AgentOutcome::ProviderFailed {
                detail:
                    "its answer is not what this service speaks: look at `wire` and the address"
                        .to_owned(),
            },
            None => AgentOutcome::ProviderFailed {
                detail: "its answer broke off".to_owned(),
            },
            // That it came to an end does not make it a success.
            _ if task.limits.is_over(&usage) => AgentOutcome::OverBudget,
            Some(Ending::Refused(words)) => AgentOutcome::Refused {
                detail: self.brief(&words),
            },
            Some(Ending::TooLong) => AgentOutcome::SchemaViolation {
                detail: "the answer was cut at the output limit: give a shorter one".to_owned(),
            },
            Some(Ending::WindowFull) => AgentOutcome::ContextOverflow,
            Some(Ending::Done) => match schema {
                None => {
                    message = self.brief(&heard.text);
                    AgentOutcome::Completed
                }
                Some(schema) => match read(&heard.text, schema) {
                    Ok(read) => {
                        answer = read;
                        AgentOutcome::Completed
                    }
                    Err(detail) => {
                        message = self.brief(&heard.text);
                        AgentOutcome::SchemaViolation { detail }
                    }
                },
            },
        };
        Ok(AgentReport {
            answer,
            message,
            usage,
            ..AgentReport::of(outcome)
        })
    }

    fn usage(&self, tokens: Tokens) -> Usage {
        Usage {
            input_tokens: tokens.input,
            output_tokens: tokens.output,
            cost_micros: self.prices.map(|p| p.of(tokens)),
            millis: 0,
        }
    }

    /// Turns an error response into what it means.
    async fn complaint(
        &self,
        mut response: Response,
        stall: Option<Duration>,
    ) -> Result<AgentReport, Error> {
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        while let Ok(Ok(Some(chunk))) = within(stall, response.chunk()).await {
            body.extend_from_slice(&chunk);
            if body.len() >= LARGEST_COMPLAINT {
                body.truncate(LARGEST_COMPLAINT);
                break;
            }
        }
        let complaint = trouble::read_complaint(&body);
        let trouble = Trouble::of(
            Some(status.as_u16()),
            &complaint,
            &headers,
            self.clock.now(),
        );
        Ok(AgentReport::of(self.outcome(trouble)?))
    }

    fn outcome(&self, trouble: Trouble) -> Result<AgentOutcome, Error> {
        Ok(match trouble {
            Trouble::Rate(until) => AgentOutcome::RateLimited { until },
            Trouble::Quota(until) => AgentOutcome::UsageLimit { until },
            Trouble::Credential(words) => AgentOutcome::AuthenticationFailed {
                detail: self.brief(&words),
            },
            Trouble::TooLarge => AgentOutcome::ContextOverflow,
            Trouble::Service(words) => AgentOutcome::ProviderFailed {
                detail: self.brief(&words),
            },
            Trouble::Ours(words) => return Err(Error::Rejected(self.brief(&words))),
        })
    }

    /// Says what is known of a connection that failed, without its address.
    fn unreachable(&self, error: &reqwest::Error) -> AgentOutcome {
        let what = if error.is_connect() {
            "no connection"
        } else {
            "the connection broke off"
        };
        let mut causes = Vec::new();
        let mut next = std::error::Error::source(error);
        while let Some(cause) = next {
            causes.push(cause.to_string());
            next = cause.source();
        }
        let last = causes.last().map_or(String::new(), |c| format!(": {c}"));
        AgentOutcome::ProviderFailed {
            detail: self.brief(&format!("{what}{last}")),
        }
    }

    /// Returns a service's words, fit for people: no secret, not long, one line.
    fn brief(&self, words: &str) -> String {
        let words = self.redactor.redact(words);
        let mut line: String = words
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .chars()
            .take(BRIEF)
            .collect();
        if words.chars().count() > BRIEF {
            line.push('…');
        }
        line
    }
}

/// Reads the answer out of a model's words; the error says what is wrong with it.
fn read(text: &str, schema: &Schema) -> Result<Value, String> {
    if text.trim().is_empty() {
        return Err("an answer was asked for, and it gave none".to_owned());
    }
    let answer: Value =
        serde_json::from_str(text.trim()).map_err(|e| format!("the answer is not JSON: {e}"))?;
    schema.check(&answer)?;
    Ok(answer)
}

struct Stalled;

async fn within<T>(stall: Option<Duration>, future: impl Future<Output = T>) -> Result<T, Stalled> {
    match stall {
        Some(stall) => timeout(stall, future).await.map_err(|_| Stalled),
        None => Ok(future.await),
    }
}

#[async_trait]
impl Agent for ApiAgent {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> AgentCapabilities {
        AgentCapabilities {
            enforces_read_only: true,
            structured_output: true,
            images: true,
            edits_files: false,
            resumes: false,
            workspace: WorkspaceKind::DetachedWorktree,
            confinement: Confinement::Confined {
                by: "having no tools".to_owned(),
            },
            litter: Vec::new(),
        }
    }

    async fn run(
        &self,
        task: &AgentTask,
        watch: &dyn AgentWatch,
    ) -> Result<AgentReport, AgentError> {
        self.refuse(task)?;
        let began = self.clock.elapsed();
        let mut report = self
            .try_run(task, watch)
            .await
            .map_err(|error| error.of(&self.name))?;
        let took = self.clock.elapsed().saturating_sub(began);
        report.usage.millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        Ok(report)
    }
}
