//! One call: checked, sent on with the token, answered.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use http_body_util::Full;
use http_body_util::Limited;
use hyper::HeaderMap;
use hyper::Request;
use hyper::Response;
use hyper::body::Body as _;
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use tokio::time::Instant;

use super::Shared;
use super::TokenPlace;
use super::check;
use super::check::Allowed;
use super::check::Content;
use super::log::Call;
use super::log::Refusal;
use super::log::shown;
use super::rules::Rule;

/// How long a client may take to send its body.
const BODY_WITHIN: Duration = Duration::from_secs(30);
/// Headers of an answer that are passed on: its kind, its pages, and how long to wait.
const PASSED: &[&str] = &[
    "content-type",
    "x-next-page",
    "x-page",
    "x-per-page",
    "x-prev-page",
    "x-total",
    "x-total-pages",
    "retry-after",
    "ratelimit-remaining",
    "ratelimit-reset",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
];

type Answer = Response<Full<Bytes>>;

pub(super) async fn answer(shared: &Shared, request: Request<Incoming>) -> Answer {
    let method = shown(request.method().as_str());
    let path = shown(request.uri().path());
    let result = call(shared, request).await;
    let refused = result.as_ref().err().copied();
    let answer = match result {
        Ok(answer) => answer,
        Err(refusal) => refuse(refusal),
    };
    shared.calls().push(Call {
        method,
        path: shared.redactor.redact(&path),
        status: answer.status().as_u16(),
        refused,
    });
    answer
}

fn refuse(refusal: Refusal) -> Answer {
    let text =
        serde_json::json!({ "message": format!("the credential broker refuses: {refusal}") });
    let mut answer = Response::new(Full::new(Bytes::from(text.to_string())));
    *answer.status_mut() = hyper::StatusCode::from_u16(refusal.status()).unwrap_or_default();
    let json = HeaderValue::from_static("application/json");
    answer.headers_mut().insert("content-type", json);
    answer
}

async fn call(shared: &Shared, request: Request<Incoming>) -> Result<Answer, Refusal> {
    let limits = shared.options.limits;
    if Instant::now() >= shared.ends {
        return Err(Refusal::Expired);
    }
    let (head, body) = request.into_parts();
    // Whoever has not shown the placeholder uses up nothing of what the run may do.
    let ours = check::caller(shared, &head.uri, &head.headers)?;
    if !shared.calls().admit(limits.calls) {
        return Err(Refusal::TooMany);
    }
    let allowed = check::head(shared, ours, head.method.as_str(), &head.uri, &head.headers)?;
    let mut claim = None;
    let body = if allowed.rule.writes() {
        let mut content = content(shared, allowed.rule, &head.headers, body).await?;
        if !shared.calls().admit_write(limits.writes) {
            return Err(Refusal::TooMany);
        }
        if let Some(mut ledger) = shared.ledger() {
            let dialect = &*shared.options.dialect;
            claim = ledger.admit(allowed.rule, &mut content.pairs, dialect)?;
            content.changed();
        }
        Some(content.encoded())
    } else if body.size_hint().upper() == Some(0) {
        None
    } else {
        return Err(Refusal::Body);
    };
    // What is under way when the time is over is broken off.
    let sent = send(shared, head.method.as_str(), &allowed, body);
    let answer = match tokio::time::timeout_at(shared.ends, sent).await {
        Ok(answer) => answer,
        Err(_) => Err(Refusal::Expired),
    };
    if let (Some(claim), Some(mut ledger)) = (claim, shared.ledger()) {
        // Where no answer came the issue may have been made.
        let refused = answer.as_ref().is_ok_and(|a| a.status().is_client_error());
        ledger.settle(&claim, refused);
    }
    answer
}

/// Reads a body within its limits.
async fn content(
    shared: &Shared,
    rule: &Rule,
    headers: &HeaderMap,
    body: Incoming,
) -> Result<Content, Refusal> {
    let most = shared.options.limits.request_bytes;
    if body.size_hint().lower() > most as u64 {
        return Err(Refusal::TooLarge);
    }
    let read = tokio::time::timeout(BODY_WITHIN, Limited::new(body, most).collect());
    let Ok(Ok(read)) = read.await else {
        return Err(Refusal::TooLarge);
    };
    let kind = headers.get("content-type").and_then(|k| k.to_str().ok());
    check::body(rule, &*shared.options.dialect, kind, &read.to_bytes())
}

async fn send(
    shared: &Shared,
    method: &str,
    allowed: &Allowed<'_>,
    body: Option<(&'static str, Vec<u8>)>,
) -> Result<Answer, Refusal> {
    let options = &shared.options;
    let mut url = options.upstream.clone();
    let path = format!("{}{}", url.path().trim_end_matches('/'), allowed.below);
    url.set_path(&path);
    // Nothing may have been read differently than it was checked.
    if url.path() != path {
        return Err(Refusal::Address);
    }
    if !allowed.query.is_empty() {
        url.query_pairs_mut().extend_pairs(&allowed.query);
    }
    if let TokenPlace::Query(name) = options.place {
        url.query_pairs_mut()
            .append_pair(name, options.token.expose());
    }
    let method = reqwest::Method::from_bytes(method.as_bytes()).map_err(|_| Refusal::NotNamed)?;
    let mut request = shared
        .client
        .request(method, url)
        .header("accept", "application/json");
    let sensitive = |text: &str| {
        let mut value = HeaderValue::from_str(text).map_err(|_| Refusal::Answer)?;
        value.set_sensitive(true);
        Ok(value)
    };
    match options.place {
        TokenPlace::Header(name) => {
            request = request.header(name, sensitive(options.token.expose())?);
        }
        TokenPlace::Bearer => {
            let bearer = format!("Bearer {}", options.token.expose());
            request = request.header("authorization", sensitive(&bearer)?);
        }
        TokenPlace::Query(_) => {}
    }
    if let Some((kind, bytes)) = body {
        request = request.header("content-type", kind).body(bytes);
    }
    let mut response = request.send().await.map_err(|error| {
        // Without its address: the query may hold the token.
        tracing::warn!(error = %error.without_url(), "the tracker did not answer the broker");
        Refusal::Answer
    })?;
    if response.status().is_redirection() {
        return Err(Refusal::Answer);
    }
    let mut bytes = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() > options.limits.answer_bytes => {
                return Err(Refusal::Answer);
            }
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => break,
            Err(_) => return Err(Refusal::Answer),
        }
    }
    if shared.redactor.finds(&String::from_utf8_lossy(&bytes)) {
        return Err(Refusal::Answer);
    }
    if let (Some(named), Some(mut ledger)) = (allowed.rule.tells(), shared.ledger())
        && response.status().is_success()
    {
        ledger.learn(named, &bytes);
    }
    let bytes = check::without_credentials(&bytes).unwrap_or(bytes);
    let mut answer = Response::new(Full::new(Bytes::from(bytes)));
    *answer.status_mut() = response.status();
    for name in PASSED {
        if let Some(value) = response.headers().get(*name)
            && !value.to_str().is_ok_and(|v| shared.redactor.finds(v))
        {
            answer.headers_mut().insert(*name, value.clone());
        }
    }
    Ok(answer)
}
