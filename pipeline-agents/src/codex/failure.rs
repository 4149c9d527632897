//! What a failed turn of codex means: by its codes where there are some, else by its words.

use pipeline_core::agent::AgentOutcome;
use pipeline_core::clock::Timestamp;
use serde_json::Value;

use crate::words::brief;

/// Returns the outcome of a failure with a code (`codexErrorInfo`).
pub(super) fn by_code(code: &Value, message: &str, refilled: Option<Timestamp>) -> AgentOutcome {
    let detail = brief(message);
    match code.as_str() {
        Some("usageLimitExceeded") => {
            return AgentOutcome::UsageLimit {
                until: refilled.or_else(|| try_again_at(message)),
            };
        }
        Some("rateLimitExceeded") | Some("serverOverloaded") | Some("flexUnavailable") => {
            return AgentOutcome::RateLimited { until: None };
        }
        Some("contextWindowExceeded") => return AgentOutcome::ContextOverflow,
        Some("sessionBudgetExceeded") => return AgentOutcome::OverBudget,
        Some("unauthorized") => return AgentOutcome::AuthenticationFailed { detail },
        Some("sandboxError") => return AgentOutcome::SandboxUnavailable { detail },
        Some("cyberPolicy" | "misalignmentPolicyViolation" | "inferenceHookDenied") => {
            return AgentOutcome::Refused { detail };
        }
        _ => {}
    }
    let status = code
        .as_object()
        .and_then(|code| code.values().next())
        .and_then(|inner| inner.get("httpStatusCode"))
        .and_then(Value::as_u64);
    match status {
        Some(429 | 503 | 529) => AgentOutcome::RateLimited { until: None },
        Some(401 | 403) => AgentOutcome::AuthenticationFailed { detail },
        _ => by_words(message),
    }
}

/// Returns the outcome of a failure that has words only.
pub(super) fn by_words(message: &str) -> AgentOutcome {
    let detail = brief(message);
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if says(&["hit your usage limit", "Quota exceeded"]) {
        AgentOutcome::UsageLimit {
            until: try_again_at(message),
        }
    } else if says(&[
        "429",
        "rate limit exceeded",
        "unexpected status 529",
        "unexpected status 503",
    ]) {
        AgentOutcome::RateLimited { until: None }
    } else if says(&[
        "ran out of room in the model's context",
        "input_too_large",
        "exceeds the maximum length",
    ]) {
        AgentOutcome::ContextOverflow
    } else if says(&[
        "unexpected status 401",
        "unexpected status 403",
        "Missing environment variable",
    ]) {
        AgentOutcome::AuthenticationFailed { detail }
    } else {
        AgentOutcome::ProviderFailed { detail }
    }
}

/// Reads `try again at Jan 1st, 2030 12:00 AM.`, which is the only place where the time stands without the app-server.
///
/// The program is started without a time zone, so that it is UTC.
fn try_again_at(message: &str) -> Option<Timestamp> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (_, rest) = message.rsplit_once("try again at ")?;
    let mut words = rest.trim_end_matches('.').split_whitespace();
    let month = words.next()?;
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    let number = |word: &str| -> Option<u32> {
        word.trim_end_matches(|c: char| !c.is_ascii_digit())
            .parse()
            .ok()
    };
    let (day, year) = (number(words.next()?)?, number(words.next()?)?);
    let (hour, minute) = words.next()?.split_once(':')?;
    let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
    let hour = match words.next()? {
        "AM" => hour % 12,
        "PM" => hour % 12 + 12,
        _ => return None,
    };
    Timestamp::parse(&format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:00Z"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_time_to_come_back_is_read_from_the_sentence() {
        let at = |text: &str| try_again_at(text).map(|t| t.to_string());
        assert_eq!(
            at("You’ve hit your usage limit. Upgrade, or try again at Jan 1st, 2030 12:00 AM."),
            Some("2030-01-01T00:00:00.000Z".to_owned())
        );
        assert_eq!(
            at("or try again at Dec 22nd, 2026 1:05 PM."),
            Some("2026-12-22T13:05:00.000Z".to_owned())
        );
        assert_eq!(at("try again at 3:05 PM."), None);
        assert_eq!(at("try again at Foo 1st, 2030 12:00 AM"), None);
        assert_eq!(at("try again later"), None);
    }

    #[test]
    fn codes_come_before_words() {
        let at = Timestamp::from_millis(1000);
        for (code, words, outcome) in [
            (
                json!("usageLimitExceeded"),
                "",
                AgentOutcome::UsageLimit { until: Some(at) },
            ),
            (
                json!("rateLimitExceeded"),
                "",
                AgentOutcome::RateLimited { until: None },
            ),
            (
                json!("serverOverloaded"),
                "",
                AgentOutcome::RateLimited { until: None },
            ),
            (
                json!({ "responseTooManyFailedAttempts": { "httpStatusCode": 429 } }),
                "",
                AgentOutcome::RateLimited { until: None },
            ),
            (
                json!("contextWindowExceeded"),
                "",
                AgentOutcome::ContextOverflow,
            ),
            (
                json!({ "httpConnectionFailed": { "httpStatusCode": 401 } }),
                "no",
                AgentOutcome::AuthenticationFailed {
                    detail: "no".to_owned(),
                },
            ),
            (
                json!("sandboxError"),
                "no",
                AgentOutcome::SandboxUnavailable {
                    detail: "no".to_owned(),
                },
            ),
            (
                json!("cyberPolicy"),
                "no",
                AgentOutcome::Refused {
                    detail: "no".to_owned(),
                },
            ),
            (
                json!("internalServerError"),
                "busy",
                AgentOutcome::ProviderFailed {
                    detail: "busy".to_owned(),
                },
            ),
            (
                json!("a code of next month"),
                "new",
                AgentOutcome::ProviderFailed {
                    detail: "new".to_owned(),
                },
            ),
            (
                json!(null),
                "new",
                AgentOutcome::ProviderFailed {
                    detail: "new".to_owned(),
                },
            ),
        ] {
            assert_eq!(by_code(&code, words, Some(at)), outcome, "{code}");
        }
    }
}
