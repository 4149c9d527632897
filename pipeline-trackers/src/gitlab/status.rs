//! From labels to the status, and from JSON to issues and comments.

use pipeline_core::issue::Account;
use pipeline_core::issue::Attachment;
use pipeline_core::issue::AttachmentId;
use pipeline_core::issue::Comment;
use pipeline_core::issue::CommentId;
use pipeline_core::issue::Issue;
use pipeline_core::issue::IssueKey;
use pipeline_core::status::Status;
use sha2::Digest as _;
use sha2::Sha256;

use super::config::CLOSED;
use super::project::Labels;
use super::wire;

/// Returns the status of a set of statuses found on an issue.
pub(super) fn of_set<'a>(
    closed: bool,
    found: impl IntoIterator<Item = &'a Status>,
    labels: &Labels,
) -> Status {
    if closed {
        return Status::Other(CLOSED.to_owned());
    }
    let mut found: Vec<&Status> = found.into_iter().collect();
    found.sort();
    found.dedup();
    match found.as_slice() {
        [] => Status::Open,
        [one] => (*one).clone(),
        several => {
            let names: Vec<String> = several
                .iter()
                .filter_map(|status| labels.name_of(status))
                .map(|name| format!("`{name}`"))
                .collect();
            Status::Other(format!(
                "several statuses at once: remove all but one of the labels {}",
                names.join(", ")
            ))
        }
    }
}

impl wire::Issue {
    pub(super) fn status(&self, labels: &Labels) -> Status {
        let found = self.labels.iter().filter_map(|label| labels.status(label));
        of_set(self.state == "closed", found, labels)
    }

    pub(super) fn key(&self) -> Option<IssueKey> {
        IssueKey::new(self.iid.to_string()).ok()
    }

    /// Returns the issue as the seam has it; `None` without a time of its creation.
    pub(super) fn issue(self, labels: &Labels) -> Option<Issue> {
        let status = self.status(labels);
        let created = self.created_at.or(self.updated_at)?;
        let mut issue = Issue::new(self.key()?, self.title, status, created);
        issue.body = self.description.unwrap_or_default();
        issue.updated = self.updated_at.unwrap_or(created);
        issue.author = self.author.as_ref().map(wire::User::account);
        issue.labels = self.labels.iter().map(|l| l.name().to_owned()).collect();
        issue.milestone = self
            .milestone
            .map(|m| m.title)
            .filter(|title| !title.is_empty());
        issue.kind = self.issue_type;
        let assignee = self.assignees.into_iter().next().or(self.assignee);
        issue.assignee = assignee.as_ref().map(wire::User::account);
        // A heavier issue is not a more urgent one, and GitLab has no other order.
        issue.priority = None;
        issue.url = self.web_url.filter(|url| url.starts_with("http"));
        issue.attachments = attachments(&issue.body, issue.author.as_ref());
        Some(issue)
    }
}

impl wire::Note {
    pub(super) fn comment(self) -> Option<Comment> {
        let nobody = || Account::new("0", None, "somebody who is gone");
        let author = self
            .author
            .as_ref()
            .map_or_else(nobody, wire::User::account);
        let created = self.created_at.or(self.updated_at)?;
        let body = self.body.unwrap_or_default();
        let attachments = attachments(&body, Some(&author));
        let mut comment = Comment::new(CommentId(self.id), author, body, created);
        // A thread that was resolved moves the time too; nothing else tells an edit, so both count as one.
        comment.edited = self
            .updated_at
            .filter(|at| at.as_secs() > created.as_secs() + 1);
        comment.attachments = attachments;
        Some(comment)
    }
}

/// Where the bytes of an upload are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UploadPath {
    pub(super) secret: String,
    pub(super) name: String,
}

impl UploadPath {
    /// Returns the id of the file: of its place, since GitLab gives files in texts none.
    pub(super) fn id(&self) -> AttachmentId {
        let digest = Sha256::digest(format!("{}/{}", self.secret, self.name));
        let bytes = digest.iter().take(7);
        // Seven bytes, so that the number survives every reader of JSON that takes it for a signed one.
        AttachmentId(bytes.fold(0, |id, byte| (id << 8) | u64::from(*byte)))
    }
}

/// Returns the uploads that a text links to, each once.
pub(super) fn uploads(text: &str) -> Vec<UploadPath> {
    let mut found = Vec::new();
    for (at, mark) in text.match_indices("/uploads/") {
        let rest = text.get(at + mark.len()..).unwrap_or_default();
        let Some((secret, rest)) = rest.split_at_checked(32) else {
            continue;
        };
        let hex = secret.bytes().all(|b| b.is_ascii_hexdigit());
        let Some(name) = rest.strip_prefix('/').filter(|_| hex) else {
            continue;
        };
        let ends = name.find([
            ')', '"', '\'', '<', '>', '`', ' ', '\n', '\r', '\t', '?', '#', '/', '|',
        ]);
        let name = name.get(..ends.unwrap_or(name.len())).unwrap_or_default();
        let path = UploadPath {
            secret: secret.to_owned(),
            name: name.to_owned(),
        };
        if !name.is_empty() && name != "." && name != ".." && !found.contains(&path) {
            found.push(path);
        }
    }
    found
}

fn attachments(text: &str, author: Option<&Account>) -> Vec<Attachment> {
    let entry = |path: UploadPath| Attachment {
        id: path.id(),
        name: path.name,
        size: None,
        author: author.cloned(),
        digest: None,
    };
    uploads(text).into_iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uploads_are_found_in_every_form_and_only_there() {
        let secret = "66dbcd21ec5d24ed6ea225176098d52b";
        let text = format!(
            "![a](/uploads/{secret}/a.png) [b](/-/project/7/uploads/{secret}/b.log){{width=3}} \
             <img src=\"https://git.example/g/p/uploads/{secret}/c.gif\"> /uploads/short/d /uploads/{secret}/.. \
             ![again](/uploads/{secret}/a.png)"
        );
        let names: Vec<_> = uploads(&text).into_iter().map(|u| u.name).collect();
        assert_eq!(names, ["a.png", "b.log", "c.gif"]);
    }
}
