//! What GitLab calls when something happened. It is never believed: it says where to look early.

use pipeline_core::issue::IssueKey;
use pipeline_core::secret::Secret;
use serde_json::Value;

use crate::hint::Hint;
use crate::hint::HintError;
use crate::hint::same_secret;

/// Reads the body of a webhook.
///
/// `token` is the header `X-Gitlab-Token`, compared with the hook's own secret in constant time. A body about something
/// else than an issue or its notes is no hint.
///
/// # Errors
/// [`HintError`]: from somebody else, or not from a GitLab.
///
/// # Examples
/// ```
/// use pipeline_core::secret::Secret;
/// use pipeline_trackers::gitlab::webhook;
///
/// let secret = Secret::new("hook-secret");
/// let body = br#"{"object_kind": "issue", "object_attributes": {"iid": 23}}"#;
/// let hint = webhook(&secret, "hook-secret", body)?.expect("it is about an issue");
/// assert_eq!(hint.issue.as_str(), "23");
/// assert!(webhook(&secret, "guessed", body).is_err());
/// # Ok::<(), pipeline_trackers::hint::HintError>(())
/// ```
pub fn webhook(secret: &Secret, token: &str, body: &[u8]) -> Result<Option<Hint>, HintError> {
    if !same_secret(secret, token) {
        return Err(HintError::NotOurs);
    }
    let body: Value = serde_json::from_slice(body).map_err(|_| HintError::Unreadable)?;
    let kind = body.get("object_kind").and_then(Value::as_str);
    let record = match kind {
        Some("issue" | "work_item") => body.get("object_attributes"),
        Some("note") => body.get("issue"),
        Some(_) => None,
        None => return Err(HintError::Unreadable),
    };
    let iid = record
        .and_then(|record| record.get("iid"))
        .and_then(Value::as_u64);
    let issue = iid.and_then(|iid| IssueKey::new(iid.to_string()).ok());
    Ok(issue.map(Hint::new))
}
