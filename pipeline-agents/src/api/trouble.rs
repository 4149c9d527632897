//! What a service's errors mean, and when to come back.

use std::time::Duration;
use std::time::UNIX_EPOCH;

use pipeline_core::clock::Timestamp;
use reqwest::header::HeaderMap;
use reqwest::header::RETRY_AFTER;
use serde_json::Value;

use super::heard::Complaint;

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Too many requests, or too many of everybody's: come back then.
    Rate(Option<Timestamp>),
    /// What was paid for is used up.
    Quota(Option<Timestamp>),
    /// It does not accept the key.
    Credential(String),
    /// The task does not fit the model's window.
    TooLarge,
    /// The service itself is at fault.
    Service(String),
    /// The request is: the configuration has to be corrected.
    Ours(String),
}

/// Takes the error out of a body.
pub(super) fn read_complaint(body: &[u8]) -> Complaint {
    match serde_json::from_slice::<Value>(body) {
        Ok(body) => complaint_of(body.get("error").unwrap_or(&body)),
        Err(_) => Complaint::default(),
    }
}

/// Takes an error object; both services have the same fields under the same names.
pub(super) fn complaint_of(error: &Value) -> Complaint {
    let word = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
    let kind = word("type");
    let code = word("code");
    Complaint {
        code: if code.is_empty() { kind.clone() } else { code },
        kind,
        message: match error {
            Value::String(message) => message.clone(),
            _ => word("message"),
        },
        resets_at: error["resets_at"].as_i64(),
    }
}

impl Trouble {
    /// Says what an error means; `status` is `None` for one inside a stream that began well.
    pub(super) fn of(
        status: Option<u16>,
        complaint: &Complaint,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Self {
        let Complaint {
            code,
            kind,
            message,
            resets_at,
        } = complaint;
        let until = resets_at
            .map(|s| Timestamp::from_millis(s.saturating_mul(1000)))
            .or_else(|| comes_back(headers, now));
        let is = |words: &[&str]| words.contains(&code.as_str()) || words.contains(&kind.as_str());
        // The one case that has no code of its own.
        let too_long = message.starts_with("prompt is too long");
        if is(&["context_length_exceeded", "request_too_large"]) || too_long || status == Some(413)
        {
            return Self::TooLarge;
        }
        let paid = message.contains("credit balance is too low");
        if is(&[
            "insufficient_quota",
            "usage_limit_reached",
            "billing_error",
            "billing_hard_limit_reached",
        ]) || paid
        {
            return Self::Quota(until);
        }
        if is(&[
            "authentication_error",
            "permission_error",
            "invalid_api_key",
        ]) || matches!(status, Some(401 | 403))
        {
            return Self::Credential(said(status, complaint));
        }
        let crowded = [
            "rate_limit_error",
            "rate_limit_exceeded",
            "overloaded_error",
            "server_is_overloaded",
            "slow_down",
        ];
        if is(&crowded) || matches!(status, Some(429 | 529)) {
            return Self::Rate(until);
        }
        match status {
            Some(503) if until.is_some() => Self::Rate(until),
            Some(300..=399) => {
                Self::Ours("it answers with a redirect, which is not followed".to_owned())
            }
            Some(408 | 409 | 425) | None => Self::Service(said(status, complaint)),
            Some(400..=499) => Self::Ours(said(status, complaint)),
            Some(_) => Self::Service(said(status, complaint)),
        }
    }
}

fn said(status: Option<u16>, complaint: &Complaint) -> String {
    let status = status.map_or(String::new(), |s| format!("HTTP {s} "));
    let text = format!("{status}{} {}", complaint.code, complaint.message);
    let text = text.trim();
    if text.is_empty() {
        "it failed without a word".to_owned()
    } else {
        text.to_owned()
    }
}

/// Returns when a service says that one may come back.
fn comes_back(headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    let text = |name: &str| {
        headers
            .get(name)
            .and_then(|v| v.to_str().ok())
            .map(str::trim)
    };
    if let Some(millis) = text("retry-after-ms").and_then(|t| t.parse().ok()) {
        return Some(now.plus(Duration::from_millis(millis)));
    }
    if let Some(after) = text(RETRY_AFTER.as_str()).and_then(|t| retry_after(t, now)) {
        return Some(after);
    }
    // Of several limits the used-up ones count, and of these the one that is filled last.
    let used_up = |remaining: &str| text(remaining).is_none_or(|n| n == "0");
    let mut times = Vec::new();
    for of in ["requests", "tokens"] {
        if used_up(&format!("x-ratelimit-remaining-{of}")) {
            let reset = text(&format!("x-ratelimit-reset-{of}")).and_then(span);
            times.extend(reset.map(|d| now.plus(d)));
        }
    }
    for of in ["requests", "tokens", "input-tokens", "output-tokens"] {
        if used_up(&format!("anthropic-ratelimit-{of}-remaining")) {
            times.extend(
                text(&format!("anthropic-ratelimit-{of}-reset")).and_then(Timestamp::parse),
            );
        }
    }
    let unified = text("anthropic-ratelimit-unified-reset").and_then(|t| t.parse::<i64>().ok());
    times.extend(unified.map(|s| Timestamp::from_millis(s.saturating_mul(1000))));
    times.into_iter().max()
}

/// Reads `Retry-After`: seconds, or a date.
fn retry_after(text: &str, now: Timestamp) -> Option<Timestamp> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(now.plus(Duration::from_secs(seconds)));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    let since = date.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp::EPOCH.plus(since))
}

/// Reads a span like `6m0s`, `1.5s` or `120ms`.
fn span(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut sum = 0.0_f64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let letters = after
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86400.0,
            _ => return None,
        };
        sum += number.parse::<f64>().ok()? * seconds;
        rest = after;
    }
    (!text.is_empty()).then_some(())?;
    Duration::try_from_secs_f64(sum).ok()
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderName;
    use reqwest::header::HeaderValue;
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn headers(all: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = all.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        pairs.collect()
    }

    fn seconds(all: &[(&'static str, &'static str)]) -> Option<i64> {
        comes_back(&headers(all), NOW).map(|t| (t.as_millis() - NOW.as_millis()) / 1000)
    }

    #[test]
    fn the_time_to_come_back_is_read_from_what_each_service_sends() {
        assert_eq!(seconds(&[]), None);
        assert_eq!(seconds(&[("retry-after", "9")]), Some(9));
        assert_eq!(
            seconds(&[("retry-after", "Fri, 15 Jan 2027 08:00:30 GMT")]),
            Some(30)
        );
        assert_eq!(seconds(&[("retry-after-ms", "2500")]), Some(2));
        let openai = [
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-requests", "1m30s"),
            ("x-ratelimit-remaining-tokens", "5"),
            ("x-ratelimit-reset-tokens", "6h0m0s"),
        ];
        assert_eq!(seconds(&openai), Some(90));
        let anthropic = [
            ("anthropic-ratelimit-tokens-remaining", "0"),
            ("anthropic-ratelimit-tokens-reset", "2027-01-15T08:01:00Z"),
            ("anthropic-ratelimit-requests-remaining", "10"),
            ("anthropic-ratelimit-requests-reset", "2027-01-15T09:00:00Z"),
        ];
        assert_eq!(seconds(&anthropic), Some(60));
        assert_eq!(
            seconds(&[("anthropic-ratelimit-unified-reset", "1800000042")]),
            Some(42)
        );
        assert_eq!(
            seconds(&[("retry-after", "soon"), ("x-ratelimit-reset-tokens", "s5")]),
            None
        );
    }

    #[test]
    fn spans() {
        assert_eq!(span("1h2m3.5s"), Some(Duration::from_millis(3_723_500)));
        assert_eq!(span("120ms"), Some(Duration::from_millis(120)));
        for bad in ["", "5", "m", "5x", "-1s", "1..2s"] {
            assert_eq!(span(bad), None, "{bad}");
        }
        assert_eq!(span(&format!("{}d", "9".repeat(400))), None);
    }

    #[test]
    fn errors_mean_what_they_say() {
        let of = |status, error: Value| {
            let body = json!({ "error": error }).to_string();
            Trouble::of(
                status,
                &read_complaint(body.as_bytes()),
                &HeaderMap::new(),
                NOW,
            )
        };
        let typed = |kind: &str, message: &str| json!({"type": kind, "message": message});
        assert_eq!(
            of(Some(429), json!({"code": "rate_limit_exceeded"})),
            Trouble::Rate(None)
        );
        assert_eq!(
            of(Some(429), json!({"code": "insufficient_quota"})),
            Trouble::Quota(None)
        );
        let resets = json!({"type": "usage_limit_reached", "resets_at": 1_800_000_001});
        assert_eq!(
            of(Some(429), resets),
            Trouble::Quota(Some(NOW.plus(Duration::from_secs(1))))
        );
        let broke = typed(
            "invalid_request_error",
            "Your credit balance is too low to access the API.",
        );
        assert_eq!(of(Some(400), broke), Trouble::Quota(None));
        let long = typed(
            "invalid_request_error",
            "prompt is too long: 212345 tokens > 200000 maximum",
        );
        assert_eq!(of(Some(400), long), Trouble::TooLarge);
        assert_eq!(
            of(Some(400), json!({"code": "context_length_exceeded"})),
            Trouble::TooLarge
        );
        assert_eq!(
            of(Some(529), typed("overloaded_error", "Overloaded")),
            Trouble::Rate(None)
        );
        assert_eq!(
            of(None, typed("rate_limit_error", "slow")),
            Trouble::Rate(None)
        );
        assert!(matches!(of(Some(401), json!({})), Trouble::Credential(_)));
        assert!(
            matches!(of(Some(404), json!({"message": "no such model"})), Trouble::Ours(m) if m == "HTTP 404  no such model")
        );
        assert!(matches!(of(Some(302), json!({})), Trouble::Ours(_)));
        assert!(matches!(of(Some(500), json!({})), Trouble::Service(m) if m == "HTTP 500"));
        assert!(matches!(
            of(Some(502), json!("bad gateway")),
            Trouble::Service(_)
        ));
    }
}
