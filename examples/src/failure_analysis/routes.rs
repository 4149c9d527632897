//! Which request gets which answer.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::Query;
use axum::extract::Request;
use axum::extract::State;
use axum::extract::rejection::QueryRejection;
use axum::http::HeaderMap;
use axum::http::header;
use axum::middleware::Next;
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse as _;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;
use pipeline_core::failure::LogAnalysisRequest;
use pipeline_core::failure::LogSource;
use serde::Deserialize;
use sha2::Digest as _;
use sha2::Sha256;

use super::body::Received;
use super::body::receive;
use super::openapi;
use super::problem::Problem;
use super::service::Shared;

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let guarded = Router::new()
        .route(
            "/api/analysis",
            post(analysis).fallback(|| async { Problem::WrongMethod { allow: "POST" } }),
        )
        .route(
            "/metrics",
            get(metrics).fallback(|| async { Problem::WrongMethod { allow: "GET" } }),
        )
        .layer(from_fn_with_state(Arc::clone(&shared), authorise));
    Router::new()
        .merge(guarded)
        .route(
            "/healthz",
            get(|| async { "ok\n" }).fallback(|| async { Problem::WrongMethod { allow: "GET" } }),
        )
        .route(
            "/openapi.json",
            get(document).fallback(|| async { Problem::WrongMethod { allow: "GET" } }),
        )
        .fallback(|| async { Problem::NotFound })
        .layer(from_fn_with_state(Arc::clone(&shared), count))
        .with_state(shared)
}

async fn count(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    shared.metrics.responded(response.status().as_u16());
    response
}

async fn authorise(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    if let Some(expected) = shared.token {
        let given = request
            .headers()
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim());
        // Digests are compared, so the time taken tells nothing about the token.
        if given.map(|token| <[u8; 32]>::from(Sha256::digest(token))) != Some(expected) {
            return Problem::Unauthorised.into_response();
        }
    }
    next.run(request).await
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        shared.metrics.render(shared.budget.held()),
    )
        .into_response()
}

async fn document() -> Response {
    (
        [(header::CONTENT_TYPE, "application/json")],
        openapi::document().to_string(),
    )
        .into_response()
}

/// What may stand in the query where the body is the log itself.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Facts {
    job: Option<String>,
    stage: Option<String>,
    exit_code: Option<i32>,
    failure_reason: Option<String>,
    tool: Option<String>,
    #[serde(default)]
    incomplete: bool,
}

impl Facts {
    fn about(self, log: LogSource) -> LogAnalysisRequest {
        let mut request = LogAnalysisRequest::new(log);
        request.job = self.job;
        request.stage = self.stage;
        request.exit_code = self.exit_code;
        request.failure_reason = self.failure_reason;
        request.tools.extend(
            self.tool
                .iter()
                .flat_map(|tools| tools.split(','))
                .map(|tool| tool.trim().to_owned()),
        );
        request.incomplete = self.incomplete;
        request
    }
}

#[derive(Debug, Clone, Copy)]
enum Form {
    Json,
    JsonLines,
    Text,
}

fn form(headers: &HeaderMap) -> Result<Form, Problem> {
    let found = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    let kind = found
        .split(';')
        .next()
        .unwrap_or("")
        .trim()
        .to_ascii_lowercase();
    match kind.as_str() {
        "application/json" => Ok(Form::Json),
        "application/x-ndjson" | "application/jsonl" => Ok(Form::JsonLines),
        "text/plain" => Ok(Form::Text),
        _ => Err(Problem::WrongType {
            found: found.chars().take(100).collect(),
        }),
    }
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, Problem> {
    let Some(value) = headers.get(header::CONTENT_ENCODING) else {
        return Ok(false);
    };
    match value.to_str().unwrap_or("?").trim() {
        "" | "identity" => Ok(false),
        "gzip" | "x-gzip" => Ok(true),
        other => Err(Problem::WrongEncoding {
            found: other.chars().take(100).collect(),
        }),
    }
}

async fn analysis(
    State(shared): State<Arc<Shared>>,
    query: Result<Query<Facts>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let form = form(&headers)?;
    let gzip = is_gzip(&headers)?;
    let Query(facts) = query.map_err(|refused| Problem::BadQuery {
        detail: refused.body_text(),
    })?;
    let limits = &shared.limits;
    if let Some(length) = content_length(&headers)
        && length > limits.body
    {
        return Err(Problem::TooLarge { limit: limits.body });
    }
    let received = receive(body, limits.body, limits.receive_timeout, &shared.budget).await?;
    let _turn = shared
        .workers
        .acquire()
        .await
        .map_err(|_| Problem::Stopping)?;
    let begun = Instant::now();
    let limit = limits.body;
    let (request, received) =
        tokio::task::spawn_blocking(move || understand(form, gzip, facts, received, limit))
            .await
            .map_err(|_| Problem::Internal)??;
    let size = received.bytes.len();
    let result = shared.analyzer.analyze(&request).await.map_err(|error| {
        tracing::error!(%error, "an analysis failed");
        Problem::Internal
    })?;
    shared.metrics.answered(&result, size, begun.elapsed());
    tracing::debug!(
        category = %result.category,
        rule = result.rule.as_deref().unwrap_or("-"),
        bytes = size,
        "answered"
    );
    let body = serde_json::to_vec(&result).map_err(|_| Problem::Internal)?;
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

/// Returns the request with the memory it stands in.
fn understand(
    form: Form,
    gzip: bool,
    facts: Facts,
    received: Received,
    limit: u64,
) -> Result<(LogAnalysisRequest, Received), Problem> {
    let mut received = if gzip {
        received.gunzip(limit)?
    } else {
        received
    };
    let request = match form {
        Form::Json => read_json(&received.bytes)?,
        Form::JsonLines => facts.about(LogSource::JsonLines(
            std::mem::take(&mut received.bytes).into(),
        )),
        Form::Text => facts.about(LogSource::Text(std::mem::take(&mut received.bytes).into())),
    };
    Ok((request, received))
}

fn read_json(bytes: &[u8]) -> Result<LogAnalysisRequest, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        let detail = error.to_string();
        match error.classify() {
            serde_json::error::Category::Data => Problem::WrongShape { detail },
            serde_json::error::Category::Io
            | serde_json::error::Category::Syntax
            | serde_json::error::Category::Eof => Problem::BadJson { detail },
        }
    })
}
