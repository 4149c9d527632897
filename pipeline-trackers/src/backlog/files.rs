//! Files at issues.

use std::collections::BTreeSet;

use pipeline_core::issue::AttachmentId;
use pipeline_core::issue::IssueKey;
use pipeline_core::tracker::TrackerError;

use super::BacklogTracker;
use super::NAME;
use super::wire;
use super::write::field;
use crate::http::Body;

/// Most bytes of a file that is fetched.
const MOST_BYTES: u64 = 50 << 20;
/// Most characters of a file's name.
const MOST_NAME: usize = 200;

impl BacklogTracker {
    pub(super) async fn fetch_file(
        &self,
        key: &IssueKey,
        id: AttachmentId,
    ) -> Result<Vec<u8>, TrackerError> {
        let number = id.to_string();
        let request = Self::get("fetch a file")
            .at(["issues", self.own(key)?, "attachments", &number])
            .of(format!("attachment {id} of issue {key}"))
            .at_most(MOST_BYTES)
            .storage_allowed();
        Ok(self.shared.client.read(&request).await?.body)
    }

    /// Uploads a file, then puts it to the issue: the service gives it its real id only then.
    pub(super) async fn attach_file(
        &self,
        key: &IssueKey,
        name: &str,
        content: &[u8],
    ) -> Result<AttachmentId, TrackerError> {
        let before = self.read_wire_issue(key).await?.value;
        let before: BTreeSet<u64> = before.attachments.iter().map(|a| a.id).collect();
        let upload = Self::post("upload a file")
            .at(["space", "attachment"])
            .of(format!("a file for issue {key}"))
            .body(Body::File {
                field: "file",
                name: plain_name(name),
                content: content.to_vec(),
            });
        let uploaded = self
            .shared
            .client
            .write_json::<wire::Uploaded>(&upload)
            .await;
        let (uploaded, _) = uploaded.map_err(|error| match error {
            // An uploaded file that nothing names goes away by itself; nobody ever sees it.
            TrackerError::OutcomeUnknown { source, .. } => TrackerError::Unavailable {
                tracker: NAME.to_owned(),
                operation: "upload a file".to_owned(),
                source,
            },
            other => other,
        })?;
        let attach = Self::patch("attach a file")
            .at(["issues", self.own(key)?])
            .of(format!("issue {key}"))
            .body(Body::Form(vec![field("attachmentId[]", uploaded.id)]));
        let (after, _) = self
            .shared
            .client
            .write_json::<wire::Issue>(&attach)
            .await?;
        let new = after.attachments.iter().filter(|a| !before.contains(&a.id));
        let size = u64::try_from(content.len()).ok();
        let ours = new.filter(|a| a.size.is_none() || a.size == size);
        let found = ours.map(|a| a.id).max();
        found.map(AttachmentId).ok_or_else(|| {
            let error = "the issue it answered with does not have the file".into();
            self.shared.client.unknown(&attach, Some(error))
        })
    }
}

/// Returns a name without what could mean anything to a system or a header.
fn plain_name(name: &str) -> String {
    let harmless = |c: char| match c {
        '/' | '\\' | ':' | '"' => '_',
        c if c.is_control() || c > '\u{FFFD}' => '_',
        '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => '_',
        c => c,
    };
    let plain: String = name.chars().take(MOST_NAME).map(harmless).collect();
    let plain = plain.trim();
    if plain.trim_matches('.').is_empty() {
        return "file".to_owned();
    }
    plain.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_only_text() {
        for (name, plain) in [
            ("log.txt", "log.txt"),
            ("../../etc/passwd", ".._.._etc_passwd"),
            ("..", "file"),
            (" ", "file"),
            ("a\r\nb\u{0}c", "a__b_c"),
            ("ログ 🦀.txt", "ログ _.txt"),
            ("\u{202e}gpj.exe", "_gpj.exe"),
        ] {
            assert_eq!(plain_name(name), plain);
        }
    }
}
