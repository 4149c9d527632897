//! One request and its answer.

use std::error::Error as _;

use pipeline_core::BoxError;
use pipeline_core::clock::Clock;

use super::answer::Answer;
use super::answer::http_date;
use super::request::Body;
use super::request::Request;

/// How one sending failed.
pub(super) enum Failure {
    /// Nothing can have arrived.
    NotSent(BoxError),
    /// It may have arrived; no whole answer did.
    Lost(BoxError),
    /// The answer is longer than allowed.
    TooLong,
}

/// Sends a request that is ready but for its body, and reads the whole answer up to its limit.
pub(super) async fn exchange(
    builder: reqwest::RequestBuilder,
    request: &Request,
    clock: &dyn Clock,
) -> Result<Answer, Failure> {
    let builder = match &request.body {
        Body::None => builder,
        Body::Json(value) => builder
            .header("content-type", "application/json")
            .body(value.to_string()),
        Body::Form(pairs) => builder.form(pairs),
        Body::File {
            field,
            name,
            content,
        } => {
            let part = reqwest::multipart::Part::bytes(content.clone()).file_name(name.clone());
            builder.multipart(reqwest::multipart::Form::new().part(*field, part))
        }
    };
    let mut response = builder.send().await.map_err(|e| {
        let certain = e.is_connect() || e.is_builder();
        let source = plain(e);
        if certain {
            Failure::NotSent(source)
        } else {
            Failure::Lost(source)
        }
    })?;
    let status = response.status().as_u16();
    let headers = std::mem::take(response.headers_mut());
    let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len().saturating_add(chunk.len()) > limit => {
                return Err(Failure::TooLong);
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break,
            Err(e) => return Err(Failure::Lost(plain(e))),
        }
    }
    let date = headers
        .get("date")
        .and_then(|d| http_date(d.to_str().ok()?));
    Ok(Answer {
        status,
        date: date.unwrap_or_else(|| clock.now()),
        headers,
        body,
    })
}

/// Returns what went wrong without the address it went wrong at, in words only.
fn plain(error: reqwest::Error) -> BoxError {
    let error = error.without_url();
    let mut text = if error.is_timeout() {
        "no answer in time".to_owned()
    } else {
        error.to_string()
    };
    let mut below = error.source();
    while let Some(cause) = below {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        below = cause.source();
    }
    text.into()
}
