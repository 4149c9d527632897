//! What a person may change of an issue in place.

use pipeline_core::issue::Issue;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;

use super::actor::Actor;

/// Changes to an issue; what is not named stays.
///
/// # Examples
/// ```
/// use pipeline_trackers::local::IssueEdit;
///
/// let edit = IssueEdit::new().title("Login fails on Mondays").milestone(None);
/// assert_ne!(edit, IssueEdit::new());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct IssueEdit {
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Vec<String>>,
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    milestone: Option<Option<String>>,
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    kind: Option<Option<String>>,
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    assignee: Option<Option<Actor>>,
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    priority: Option<Option<i64>>,
}

/// Tells `null` (cleared) from an absent field (kept).
fn present<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

impl IssueEdit {
    /// Changes nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the title.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<String>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Replaces all labels.
    #[must_use]
    pub fn labels(mut self, labels: impl IntoIterator<Item = String>) -> Self {
        self.labels = Some(labels.into_iter().collect());
        self
    }

    /// Sets or clears the milestone.
    #[must_use]
    pub fn milestone(mut self, milestone: Option<String>) -> Self {
        self.milestone = Some(milestone);
        self
    }

    /// Sets or clears the issue type.
    #[must_use]
    pub fn kind(mut self, kind: Option<String>) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Sets or clears the assignee.
    #[must_use]
    pub fn assignee(mut self, assignee: Option<Actor>) -> Self {
        self.assignee = Some(assignee);
        self
    }

    /// Sets or clears the priority; lower is more urgent.
    #[must_use]
    pub const fn priority(mut self, priority: Option<i64>) -> Self {
        self.priority = Some(priority);
        self
    }

    pub(super) fn new_title(&self) -> Option<&str> {
        self.title.as_deref()
    }

    pub(super) fn new_body(&self) -> Option<&str> {
        self.body.as_deref()
    }

    pub(super) fn new_labels(&self) -> Option<&[String]> {
        self.labels.as_deref()
    }

    pub(super) fn new_names(&self) -> impl Iterator<Item = &String> {
        [&self.milestone, &self.kind]
            .into_iter()
            .flatten()
            .flatten()
    }

    pub(super) fn apply(self, issue: &mut Issue) {
        let Self {
            title,
            body,
            labels,
            milestone,
            kind,
            assignee,
            priority,
        } = self;
        set(&mut issue.title, title);
        set(&mut issue.body, body);
        set(&mut issue.labels, labels);
        set(&mut issue.milestone, milestone);
        set(&mut issue.kind, kind);
        set(
            &mut issue.assignee,
            assignee.map(|a| a.map(|a| a.account())),
        );
        set(&mut issue.priority, priority);
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleared_and_kept_are_told_apart_on_disk() {
        let edit = IssueEdit::new().milestone(None).priority(Some(2));
        let text = serde_json::to_string(&edit).unwrap();
        assert_eq!(text, r#"{"milestone":null,"priority":2}"#);
        assert_eq!(serde_json::from_str::<IssueEdit>(&text).unwrap(), edit);
    }
}
