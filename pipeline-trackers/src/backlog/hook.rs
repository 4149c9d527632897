//! What Backlog calls when something happened. It is never believed: it says where to look early.

use super::BacklogAddress;
use super::feed::keys;
use super::wire;
use crate::hint::Hint;
use crate::hint::HintError;

/// Reads the body of a webhook: a bulk update is about several issues.
///
/// The service signs nothing, so anybody who knows the address can post anything there: a hint may cause a poll before
/// its time, and nothing else. A body about another project, or about none of its issues, is no hint.
///
/// # Errors
/// [`HintError::Unreadable`]: it is not from a Backlog.
///
/// # Examples
/// ```
/// use pipeline_trackers::backlog::{BacklogAddress, webhook};
///
/// let address: BacklogAddress = "https://team.backlog.com/projects/WEB".parse()?;
/// let body = br#"{"id":1,"type":3,"project":{"projectKey":"WEB"},"content":{"key_id":7},"created":"2026-01-01T00:00:00Z"}"#;
/// assert_eq!(webhook(&address, body)?[0].issue.as_str(), "WEB-7");
/// assert!(webhook(&address, b"<html>").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn webhook(address: &BacklogAddress, body: &[u8]) -> Result<Vec<Hint>, HintError> {
    let activity: wire::Activity =
        serde_json::from_slice(body).map_err(|_| HintError::Unreadable)?;
    let project = activity.project.as_ref().map(|p| p.project_key.as_str());
    if project != Some(address.project()) {
        return Ok(Vec::new());
    }
    let mut keys: Vec<_> = keys(&activity, address.project()).collect();
    keys.sort();
    keys.dedup();
    Ok(keys.into_iter().map(Hint::new).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address() -> BacklogAddress {
        "https://team.backlog.com/projects/WEB".parse().unwrap()
    }

    #[test]
    fn a_delivery_names_its_issues() {
        for (kind, content, expected) in [
            (1, r#"{"id":9,"key_id":7,"summary":"s"}"#, vec!["WEB-7"]),
            (
                3,
                r#"{"id":9,"key_id":7,"comment":{"id":5,"content":"c"},"changes":[]}"#,
                vec!["WEB-7"],
            ),
            (
                14,
                r#"{"tx_id":1,"link":[{"id":1,"key_id":3,"title":"a"},{"id":2,"key_id":4,"title":"b"}],"changes":[]}"#,
                vec!["WEB-3", "WEB-4"],
            ),
            // A wiki page and a pull request have numbers of their own.
            (5, r#"{"id":9,"key_id":7}"#, vec![]),
            (18, r#"{"id":9,"key_id":7,"link":"x"}"#, vec![]),
            (4711, r#"{"id":9,"key_id":7}"#, vec!["WEB-7"]),
        ] {
            let body = format!(
                r#"{{"id":1,"type":{kind},"project":{{"projectKey":"WEB"}},"content":{content},"created":"2026-01-01T00:00:00Z"}}"#
            );
            let hints = webhook(&address(), body.as_bytes()).unwrap();
            let named: Vec<_> = hints.into_iter().map(|h| h.issue.to_string()).collect();
            assert_eq!(named, expected, "{kind}");
        }
    }

    #[test]
    fn another_projects_delivery_names_nothing() {
        let body = br#"{"id":1,"type":3,"project":{"projectKey":"OTHER"},"content":{"key_id":7},"created":"2026-01-01T00:00:00Z"}"#;
        assert_eq!(webhook(&address(), body), Ok(Vec::new()));
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body in any::<Vec<u8>>()) {
            let _hints = webhook(&address(), &body);
        }
    }
}
