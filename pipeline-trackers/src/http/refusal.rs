//! What a refusal means.

use std::fmt;
use std::time::Duration;

use pipeline_core::tracker::TrackerError;

use super::answer::Answer;
use super::budget::Rate;
use super::request::Request;

/// Most characters of what a server says that are repeated.
const MOST_SAID: usize = 300;

/// What differs from one service to the next.
pub(crate) trait Service: fmt::Debug + Send + Sync + 'static {
    /// Returns the adapter's name.
    fn name(&self) -> &'static str;

    /// Returns the most requests per minute of each category that has a limit the server does not tell.
    fn limits(&self) -> &[(&'static str, usize)];

    /// Returns what an answer tells about its limit.
    fn rate(&self, answer: &Answer) -> Option<Rate>;

    /// Returns what a refusal says, in the service's own words.
    fn said(&self, answer: &Answer) -> Option<String>;

    /// Returns what a refusal means where that is not what its status usually means.
    fn refusal(&self, request: &Request, answer: &Answer) -> Option<TrackerError>;
}

/// Returns how long a refusal for too many requests asks to wait.
pub(super) fn wait_asked(service: &dyn Service, answer: &Answer) -> Option<Duration> {
    let asked = answer.retry_after();
    asked.or_else(|| service.rate(answer).map(|rate| rate.reset_in))
}

/// Turns a refusal into what the pipeline does about it.
pub(super) fn refused(service: &dyn Service, request: &Request, answer: &Answer) -> TrackerError {
    if let Some(error) = service.refusal(request, answer) {
        return error;
    }
    let tracker = service.name().to_owned();
    let operation = request.operation.to_owned();
    match answer.status {
        401 => TrackerError::Unauthenticated { tracker },
        403 => TrackerError::PermissionDenied {
            tracker,
            operation: with_reason(service, operation, answer),
        },
        404 => TrackerError::NotFound {
            tracker,
            what: request.subject(),
        },
        413 => TrackerError::TooLarge {
            what: request.subject(),
            limit: u64::try_from(sent_bytes(request)).unwrap_or(u64::MAX),
        },
        429 => TrackerError::RateLimited {
            tracker,
            retry_after: wait_asked(service, answer),
        },
        500..=599 => TrackerError::Unavailable {
            tracker,
            operation,
            source: Some(format!("it answered {}", answer.status).into()),
        },
        status => TrackerError::Other {
            tracker,
            operation: with_reason(service, operation, answer),
            source: Some(format!("it answered {status}").into()),
        },
    }
}

fn sent_bytes(request: &Request) -> usize {
    match &request.body {
        super::Body::File { content, .. } => content.len(),
        super::Body::Json(_) | super::Body::Form(_) | super::Body::None => 0,
    }
}

fn with_reason(service: &dyn Service, operation: String, answer: &Answer) -> String {
    match service.said(answer).map(|said| one_line(&said)) {
        Some(said) if !said.is_empty() => format!("{operation} (it says: {said})"),
        _ => operation,
    }
}

/// Returns text of a server as part of one line.
fn one_line(text: &str) -> String {
    let plain: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MOST_SAID)
        .collect();
    plain.trim().to_owned()
}
