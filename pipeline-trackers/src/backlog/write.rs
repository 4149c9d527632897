//! Comments and moves: each is one request, sent once.

use std::fmt;

use pipeline_core::BoxError;
use pipeline_core::issue::Comment;
use pipeline_core::issue::CommentId;
use pipeline_core::issue::IssueKey;
use pipeline_core::status::Transition;
use pipeline_core::tracker::Reply;
use pipeline_core::tracker::TrackerError;

use super::BacklogTracker;
use super::NAME;
use super::dialect::MAX_COMMENT;
use super::service::UPDATE;
use super::wire;
use crate::http::Body;
use crate::http::Request;

/// How far back a comment is looked for that came with a move just made.
const RECENT: usize = 20;

pub(super) fn field(name: &str, value: impl fmt::Display) -> (String, String) {
    (name.to_owned(), value.to_string())
}

/// Refuses what is too long before anything is sent: it is never cut and never split.
pub(super) fn within(what: &str, text: &str, most: usize) -> Result<(), TrackerError> {
    if text.chars().count() <= most {
        return Ok(());
    }
    Err(TrackerError::Unsupported {
        tracker: NAME.to_owned(),
        operation: format!("take {what} of more than {most} characters"),
    })
}

/// Returns whether a text was stored as it was sent; line ends and white space at the end carry nothing.
pub(super) fn same(sent: &str, stored: &str) -> bool {
    let plain = |text: &str| text.replace("\r\n", "\n").trim_end().to_owned();
    sent == stored || plain(sent) == plain(stored)
}

impl BacklogTracker {
    pub(super) fn post(operation: &'static str) -> Request {
        Request::post(operation).category(UPDATE)
    }

    pub(super) fn patch(operation: &'static str) -> Request {
        Request::patch(operation).category(UPDATE)
    }

    pub(super) async fn comment(
        &self,
        key: &IssueKey,
        body: &str,
    ) -> Result<Reply<Comment>, TrackerError> {
        within("a comment", body, MAX_COMMENT)?;
        let request = Self::post("comment on an issue")
            .at(["issues", self.own(key)?, "comments"])
            .of(format!("issue {key}"))
            .body(Body::Form(vec![field("content", body)]));
        let (stored, answer) = self
            .shared
            .client
            .write_json::<wire::Comment>(&request)
            .await?;
        let comment = stored.comment();
        if same(body, &comment.body) {
            Ok(answer.reply(comment))
        } else {
            Err(altered(key, Some(comment.id)))
        }
    }

    pub(super) async fn make_move(
        &self,
        key: &IssueKey,
        step: &Transition,
        memo: Option<&str>,
    ) -> Result<Reply<Option<Comment>>, TrackerError> {
        within("a comment", memo.unwrap_or_default(), MAX_COMMENT)?;
        let issue = self.read_issue(key).await?;
        let found = issue.value.status;
        if found != *step.from() {
            return Err(TrackerError::StatusChanged {
                issue: key.clone(),
                expected: step.from().clone(),
                found,
            });
        }
        let known = self.statuses().await?;
        let to = match known.id_of(step.to()) {
            Ok(id) => id,
            Err(_) => self.read_statuses().await?.id_of(step.to())?,
        };
        let mut form = vec![field("statusId", to)];
        form.extend(memo.map(|memo| field("comment", memo)));
        let request = Self::patch("move an issue")
            .at(["issues", self.own(key)?])
            .of(format!("issue {key}"))
            .body(Body::Form(form));
        let (moved, answer) = self
            .shared
            .client
            .write_json::<wire::Issue>(&request)
            .await?;
        let Some(memo) = memo else {
            return Ok(answer.reply(None));
        };
        // The answer is the issue; the record has to be looked for, and may not be visible yet.
        let unknown = |source: Option<BoxError>| TrackerError::OutcomeUnknown {
            tracker: NAME.to_owned(),
            issue: key.to_string(),
            source,
        };
        let mut recent = self
            .recent(key)
            .await
            .map_err(|e| unknown(Some(e.into())))?;
        if !recent.iter().any(|c| same(memo, &c.content)) && !self.settle_time().is_zero() {
            self.shared.client.clock().sleep(self.settle_time()).await;
            recent = self
                .recent(key)
                .await
                .map_err(|e| unknown(Some(e.into())))?;
        }
        let ours = |c: &&wire::Comment| match (&c.created_user, &issue_writer(&moved)) {
            (Some(author), Some(us)) => author.id == *us,
            _ => true,
        };
        let mut own = recent.iter().filter(ours);
        if let Some(record) = own.clone().find(|c| same(memo, &c.content)) {
            return Ok(answer.reply(Some(record.comment())));
        }
        let changed = own.find(|c| {
            let moves = c.change_log.iter().any(wire::Change::is_status);
            moves && !c.content.is_empty() && c.created >= answer.date
        });
        match changed {
            Some(record) => Err(altered(key, Some(CommentId(record.id)))),
            None => Err(unknown(Some(
                "the memo that went with the move is not there".into(),
            ))),
        }
    }

    /// Returns the newest records of a thread, newest first.
    async fn recent(&self, key: &IssueKey) -> Result<Vec<wire::Comment>, TrackerError> {
        let request = Self::get("read the end of a thread")
            .at(["issues", self.own(key)?, "comments"])
            .query("order", "desc")
            .query("count", RECENT)
            .of(format!("issue {key}"));
        Ok(self.read(request).await?.value)
    }
}

/// Returns who changed an issue last, which right after a change of ours is us.
fn issue_writer(issue: &wire::Issue) -> Option<u64> {
    issue.updated_user.as_ref().map(|u| u.id)
}

pub(super) fn altered(key: &IssueKey, comment: Option<CommentId>) -> TrackerError {
    TrackerError::Altered {
        tracker: NAME.to_owned(),
        issue: key.clone(),
        comment,
    }
}
