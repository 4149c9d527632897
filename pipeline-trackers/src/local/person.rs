//! What only people do.

use pipeline_core::issue::CommentId;
use pipeline_core::issue::IssueKey;
use pipeline_core::status::Status;
use pipeline_core::tracker::TrackerError;

use super::LocalTracker;
use super::actor::Actor;
use super::edit::IssueEdit;
use super::entry;
use super::error::LocalError;
use super::known;
use super::limits;
use super::moving;
use super::record::Event;
use super::replica::Replica;
use super::statuses::LocalStatuses;

/// What people do beyond the seam. Filing, commenting and attaching are the seam's own methods, under a person as actor.
///
/// Every write here answers [`TrackerError::PermissionDenied`] to a handle that acts as the pipeline.
impl LocalTracker {
    /// Returns the statuses by the names people see.
    ///
    /// # Errors
    /// [`TrackerError::Corrupt`], [`TrackerError::Other`].
    pub async fn statuses(&self) -> Result<LocalStatuses, TrackerError> {
        let statuses = self.read(|replica| Ok(replica.statuses().clone())).await?;
        Ok(statuses.value)
    }

    /// Returns the status a person means by `name`.
    ///
    /// # Errors
    /// [`TrackerError::UnknownStatus`], with the names there are.
    pub async fn status_named(&self, name: &str) -> Result<Status, TrackerError> {
        let statuses = self.statuses().await?;
        let found = statuses.named(name);
        Ok(found.ok_or_else(|| LocalError::UnknownStatus {
            name: name.to_owned(),
            known: statuses.listed(),
        })?)
    }

    /// Moves an issue to any other status.
    ///
    /// # Errors
    /// [`TrackerError::NotFound`], [`TrackerError::UnknownStatus`], [`TrackerError::PermissionDenied`] for the pipeline, and
    /// [`TrackerError::Unsupported`] if the issue is there already, since that would be no move.
    ///
    /// # Cancel safety
    /// Not cancel safe: a dropped future may have moved it.
    pub async fn move_to(&self, key: &IssueKey, to: &Status) -> Result<(), TrackerError> {
        let (issue, to) = (key.clone(), to.clone());
        self.write_as_person("move an issue at will", move |replica| {
            let from = entry(replica, &issue)?.issue.status.clone();
            known(replica, &to)?;
            if from == to {
                let name = replica.statuses().name_of(&to).unwrap_or_default();
                return Err(LocalError::Refused(format!(
                    "move issue {issue} to `{name}`, where it is already"
                )));
            }
            Ok(moving(replica, issue, &from, &to, None).0)
        })
        .await
    }

    /// Changes title, body, labels and the like of an issue.
    ///
    /// # Errors
    /// [`TrackerError::NotFound`], [`TrackerError::PermissionDenied`] for the pipeline, [`TrackerError::Unsupported`] for a title
    /// that is empty or not one line, [`TrackerError::TooLarge`].
    ///
    /// # Cancel safety
    /// Not cancel safe: a dropped future may have changed it.
    pub async fn edit(&self, key: &IssueKey, edit: IssueEdit) -> Result<(), TrackerError> {
        limits::edit(&edit)?;
        let issue = key.clone();
        self.write_as_person("edit an issue", move |replica| {
            entry(replica, &issue)?;
            Ok(Event::Edit { issue, edit })
        })
        .await
    }

    /// Changes the text of anybody's comment.
    ///
    /// # Errors
    /// [`TrackerError::NotFound`], [`TrackerError::PermissionDenied`] for the pipeline, [`TrackerError::TooLarge`].
    ///
    /// # Cancel safety
    /// Not cancel safe: a dropped future may have changed it.
    pub async fn edit_comment(
        &self,
        key: &IssueKey,
        id: CommentId,
        body: &str,
    ) -> Result<(), TrackerError> {
        limits::body("the comment", body)?;
        let (issue, body) = (key.clone(), body.to_owned());
        self.write_as_person("edit a comment", move |replica| {
            comment(replica, &issue, id)?;
            Ok(Event::EditComment { issue, id, body })
        })
        .await
    }

    /// Deletes anybody's comment. The log keeps its text; its id is not given again.
    ///
    /// # Errors
    /// [`TrackerError::NotFound`], [`TrackerError::PermissionDenied`] for the pipeline.
    ///
    /// # Cancel safety
    /// Not cancel safe: a dropped future may have deleted it.
    pub async fn delete_comment(&self, key: &IssueKey, id: CommentId) -> Result<(), TrackerError> {
        let issue = key.clone();
        self.write_as_person("delete a comment", move |replica| {
            comment(replica, &issue, id)?;
            Ok(Event::DeleteComment { issue, id })
        })
        .await
    }

    /// Deletes an issue. The log keeps it; its key is not given again.
    ///
    /// # Errors
    /// [`TrackerError::NotFound`], [`TrackerError::PermissionDenied`] for the pipeline.
    ///
    /// # Cancel safety
    /// Not cancel safe: a dropped future may have deleted it.
    pub async fn delete_issue(&self, key: &IssueKey) -> Result<(), TrackerError> {
        let issue = key.clone();
        self.write_as_person("delete an issue", move |replica| {
            entry(replica, &issue)?;
            Ok(Event::DeleteIssue { issue })
        })
        .await
    }

    async fn write_as_person(
        &self,
        operation: &'static str,
        plan: impl FnOnce(&Replica) -> Result<Event, LocalError> + Send + 'static,
    ) -> Result<(), TrackerError> {
        if !Actor::is_person(self.actor()) {
            return Err(LocalError::NotAPerson(operation).into());
        }
        self.write(move |replica, _| Ok((plan(replica)?, ())))
            .await?;
        Ok(())
    }
}

fn comment(replica: &Replica, key: &IssueKey, id: CommentId) -> Result<(), LocalError> {
    entry(replica, key)?;
    let found = replica.comment(key, id);
    found
        .map(drop)
        .ok_or_else(|| LocalError::Missing(format!("comment {id} on issue {key}")))
}
