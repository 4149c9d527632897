//! What is changed on the instance. Each change is one request, sent once, and looked at afterwards.

use pipeline_core::issue::AttachmentId;
use pipeline_core::issue::Comment;
use pipeline_core::issue::CommentId;
use pipeline_core::issue::IssueDraft;
use pipeline_core::issue::IssueKey;
use pipeline_core::issue::IssueRef;
use pipeline_core::status::Transition;
use pipeline_core::tracker::Dialect as _;
use pipeline_core::tracker::IssueName;
use pipeline_core::tracker::IssueNames;
use pipeline_core::tracker::Reply;
use pipeline_core::tracker::TrackerError;
use serde_json::Value;
use serde_json::json;

use super::GitLabTracker;
use super::NAME;
use super::PAGE;
use super::config::CLOSED;
use super::dialect::GitLabDialect;
use super::error::POST_NOTE;
use super::status::uploads;
use super::wire;
use crate::http::Body;
use crate::http::Request;

/// The types an issue can be created with.
const KINDS: [&str; 4] = ["issue", "incident", "test_case", "task"];
/// The colour of a label that is made where it is missing.
const COLOUR: &str = "#6699cc";
/// Most characters of a title.
const LONGEST_TITLE: usize = 255;
/// Most characters of a description.
const LONGEST_DESCRIPTION: usize = 1_048_576;

impl GitLabTracker {
    pub(super) async fn post_note(
        &self,
        key: &IssueKey,
        body: &str,
    ) -> Result<Reply<Comment>, TrackerError> {
        let most = GitLabDialect.max_chars();
        bounded(format!("the comment on issue {key}"), body, most)?;
        let mut note = json!({ "body": body });
        if self.options.posts_internal()
            && let Some(fields) = note.as_object_mut()
        {
            fields.insert("internal".to_owned(), Value::Bool(true));
        }
        let request = Request::post("comment on an issue")
            .of(format!("issue {key}"))
            .category(POST_NOTE)
            .body(Body::Json(note));
        let request = self.of_issue(request, key, ["notes"]).await?;
        let answer = self.client.write(&request).await?;
        let altered = |comment| TrackerError::Altered {
            tracker: NAME.to_owned(),
            issue: key.clone(),
            comment,
        };
        // 202: all of it was taken for commands and no note was made.
        if answer.status == 202 {
            return Err(altered(None));
        }
        let unknown = |source| self.client.unknown(&request, Some(source));
        let note: wire::Note = answer.json().map_err(|e| unknown(e.into()))?;
        if note.body.as_deref() != Some(body) {
            return Err(altered(Some(CommentId(note.id))));
        }
        let comment = note.comment();
        let comment = comment.ok_or_else(|| unknown("the note has no time".into()))?;
        Ok(answer.reply(comment))
    }

    /// Moves an issue: reads where it is, then changes its status labels, or its state, in one request.
    pub(super) async fn move_issue(
        &self,
        key: &IssueKey,
        step: &Transition,
    ) -> Result<Reply<Option<Comment>>, TrackerError> {
        self.forget_labels();
        let labels = self.labels().await?;
        let row = self.row(key).await?.value;
        let found = row.status(&labels);
        if found != *step.from() {
            return Err(TrackerError::StatusChanged {
                issue: key.clone(),
                expected: step.from().clone(),
                found,
            });
        }
        labels.require(step.to())?;
        // By the names they have now, which may not be those of the configuration.
        let gone = row.labels.iter().filter(|l| labels.status(l).is_some());
        let gone: Vec<&str> = gone.map(wire::IssueLabel::name).collect();
        let mut change = serde_json::Map::new();
        if !gone.is_empty() {
            change.insert("remove_labels".to_owned(), gone.join(",").into());
        }
        if step.to().name() == CLOSED {
            change.insert("state_event".to_owned(), "close".into());
        } else if let Some(name) = labels.name_of(step.to()) {
            change.insert("add_labels".to_owned(), name.into());
        }
        let request = Request::put("move an issue")
            .of(format!("issue {key}"))
            .body(Body::Json(Value::Object(change)));
        let request = self.of_issue(request, key, []).await?;
        let (moved, answer) = self.client.write_json::<wire::Issue>(&request).await?;
        let now = moved.status(&labels);
        if now != *step.to() {
            let source = format!("the answer shows it in `{now}`").into();
            return Err(self.client.unknown(&request, Some(source)));
        }
        Ok(answer.reply(None))
    }

    /// Uploads a file and links to it from a note: GitLab has no other list of an issue's files.
    pub(super) async fn upload(
        &self,
        key: &IssueKey,
        name: &str,
        content: &[u8],
    ) -> Result<AttachmentId, TrackerError> {
        // Before anything is sent: an upload to nowhere would stay.
        self.row(key).await?;
        let request = Request::post("attach a file")
            .of(format!("issue {key}"))
            .body(Body::File {
                field: "file",
                name: file_name(name),
                content: content.to_vec(),
            });
        let request = self.of_project(request, ["uploads"]).await?;
        let (upload, _) = self.client.write_json::<wire::Upload>(&request).await?;
        let path = uploads(&upload.url).into_iter().next();
        let path = path.ok_or_else(|| {
            let source = "the answer names no place of the file".into();
            self.client.unknown(&request, Some(source))
        })?;
        let text = format!("[{}](/uploads/{}/{})", path.name, path.secret, path.name);
        self.post_note(key, &text).await?;
        Ok(path.id())
    }

    pub(super) async fn names(&self) -> Result<Reply<IssueNames>, TrackerError> {
        let labels = self.all_labels().await?;
        let milestones = self.milestones(None).await?;
        let titles = milestones.value.into_iter().map(|m| m.title);
        let names = IssueNames {
            labels: Some(labels.names.clone()),
            milestones: Some(titles.collect()),
            kinds: Some(KINDS.into_iter().map(str::to_owned).collect()),
            priorities: Some([].into()),
        };
        Ok(Reply::new(names, milestones.date))
    }

    async fn milestones(
        &self,
        title: Option<&str>,
    ) -> Result<Reply<Vec<wire::Milestone>>, TrackerError> {
        let mut request = Request::get("read the milestones")
            .query("state", "active")
            .query("include_ancestors", true)
            .query("per_page", PAGE);
        if let Some(title) = title {
            request = request.query("title", title);
        }
        let request = self.of_project(request, ["milestones"]).await?;
        self.all(request, |m: &wire::Milestone| m.id).await
    }

    async fn milestone(&self, title: &str) -> Result<Option<u64>, TrackerError> {
        let found = self.milestones(Some(title)).await?.value;
        Ok(found.into_iter().find(|m| m.title == title).map(|m| m.id))
    }

    pub(super) async fn make(&self, name: &IssueName) -> Result<(), TrackerError> {
        let (there, request) = match name {
            IssueName::Label(label) => {
                // The comma separates names wherever they are sent.
                if label.contains(',') || label.trim() != label || label.is_empty() {
                    return Err(TrackerError::Unsupported {
                        tracker: NAME.to_owned(),
                        operation:
                            "have a label with a comma, with spaces around it, or without a name"
                                .to_owned(),
                    });
                }
                self.forget_labels();
                let there = self.all_labels().await?.names.contains(label);
                let body = json!({ "name": label, "color": COLOUR });
                (there, Request::post("make a label").body(Body::Json(body)))
            }
            IssueName::Milestone(title) => {
                let there = self.milestone(title).await?.is_some();
                let body = json!({ "title": title });
                (
                    there,
                    Request::post("make a milestone").body(Body::Json(body)),
                )
            }
        };
        if there {
            return Ok(());
        }
        let (list, what) = match name {
            IssueName::Label(_) => ("labels", "label"),
            IssueName::Milestone(_) => ("milestones", "milestone"),
        };
        let request = request.of(format!("{what} {:?}", name.as_str()));
        let made = self
            .client
            .write(&self.of_project(request, [list]).await?)
            .await;
        self.forget_labels();
        match made {
            Ok(_) => Ok(()),
            // Somebody was faster: that is as good.
            Err(error @ TrackerError::Other { .. }) => {
                let there = match name {
                    IssueName::Label(label) => self.all_labels().await?.names.contains(label),
                    IssueName::Milestone(title) => self.milestone(title).await?.is_some(),
                };
                if there { Ok(()) } else { Err(error) }
            }
            Err(error) => Err(error),
        }
    }

    pub(super) async fn file(&self, draft: &IssueDraft) -> Result<IssueRef, TrackerError> {
        bounded("the title".to_owned(), &draft.title, LONGEST_TITLE)?;
        bounded(
            "the description".to_owned(),
            &draft.body,
            LONGEST_DESCRIPTION,
        )?;
        let missing = |what: String| {
            Err(TrackerError::NotFound {
                tracker: NAME.to_owned(),
                what,
            })
        };
        let known = self.all_labels().await?;
        // GitLab makes a label that is missing without a word.
        if let Some(label) = draft
            .labels
            .iter()
            .find(|label| !known.names.contains(*label))
        {
            return missing(format!("label {label:?}"));
        }
        if let Some(kind) = draft.kind.as_deref().filter(|kind| !KINDS.contains(kind)) {
            return missing(format!("issue type {kind:?}"));
        }
        if let Some(priority) = draft.priority {
            return missing(format!("priority {priority}"));
        }
        let mut fields = serde_json::Map::new();
        fields.insert("title".to_owned(), draft.title.as_str().into());
        fields.insert("description".to_owned(), draft.body.as_str().into());
        if !draft.labels.is_empty() {
            fields.insert("labels".to_owned(), draft.labels.join(",").into());
        }
        if let Some(title) = &draft.milestone {
            let Some(id) = self.milestone(title).await? else {
                return missing(format!("milestone {title:?}"));
            };
            fields.insert("milestone_id".to_owned(), id.into());
        }
        if let Some(kind) = &draft.kind {
            fields.insert("issue_type".to_owned(), kind.as_str().into());
        }
        if self.options.files_confidential() {
            fields.insert("confidential".to_owned(), true.into());
        }
        let request = Request::post("create an issue")
            .of(format!("the new issue {:?}", draft.title))
            .body(Body::Json(Value::Object(fields)));
        let request = self.of_project(request, ["issues"]).await?;
        let (made, _) = self.client.write_json::<wire::Issue>(&request).await?;
        let key = made
            .key()
            .ok_or_else(|| self.client.unknown(&request, None))?;
        if made.description.as_deref().unwrap_or_default() != draft.body {
            return Err(TrackerError::Altered {
                tracker: NAME.to_owned(),
                issue: key,
                comment: None,
            });
        }
        Ok(IssueRef {
            key,
            url: made.web_url,
        })
    }
}

fn bounded(what: String, text: &str, most: usize) -> Result<(), TrackerError> {
    if text.chars().count() <= most {
        return Ok(());
    }
    Err(TrackerError::TooLarge {
        what,
        limit: u64::try_from(most).unwrap_or(u64::MAX),
    })
}

/// Returns the name a file is sent under: what GitLab would make of it, so that it is the same there.
fn file_name(name: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+' | '_') {
            c
        } else {
            '_'
        }
    };
    let name: String = name.chars().take(100).map(plain).collect();
    let name = name.trim_matches('.');
    if name.is_empty() {
        "file".to_owned()
    } else {
        name.to_owned()
    }
}
