//! What a webhook delivers: a reason to look early, never something to believe.

use std::collections::BTreeSet;

use pipeline_core::issue::IssueKey;

use super::BacklogAddress;
use super::feed::keys;
use super::wire;

/// Returns the issues a webhook's body names in this project.
///
/// The service signs nothing, so anybody who knows the address can post anything there: the answer may cause a poll before
/// its time, and nothing else. Whatever is no activity of the project names no issue.
///
/// # Examples
/// ```
/// use pipeline_trackers::backlog::{BacklogAddress, issues_named};
/// let address: BacklogAddress = "https://team.backlog.com/projects/WEB".parse()?;
/// let body = br#"{"id":1,"type":3,"project":{"projectKey":"WEB"},"content":{"key_id":7},"created":"2026-01-01T00:00:00Z"}"#;
/// assert_eq!(issues_named(body, &address).len(), 1);
/// assert!(issues_named(b"<html>", &address).is_empty());
/// # Ok::<(), pipeline_trackers::backlog::InvalidAddress>(())
/// ```
#[must_use]
pub fn issues_named(body: &[u8], address: &BacklogAddress) -> BTreeSet<IssueKey> {
    let Ok(activity) = serde_json::from_slice::<wire::Activity>(body) else {
        return BTreeSet::new();
    };
    let project = activity.project.as_ref().map(|p| p.project_key.as_str());
    if project != Some(address.project()) {
        return BTreeSet::new();
    }
    keys(&activity, address.project()).collect()
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
            let named: Vec<_> = issues_named(body.as_bytes(), &address())
                .into_iter()
                .map(|k| k.to_string())
                .collect();
            assert_eq!(named, expected, "{kind}");
        }
    }

    #[test]
    fn another_projects_delivery_names_nothing() {
        let body = br#"{"id":1,"type":3,"project":{"projectKey":"OTHER"},"content":{"key_id":7},"created":"2026-01-01T00:00:00Z"}"#;
        assert!(issues_named(body, &address()).is_empty());
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body in any::<Vec<u8>>()) {
            let _named = issues_named(&body, &address());
        }
    }
}
