//! New issues.

use pipeline_core::issue::IssueDraft;
use pipeline_core::issue::IssueKey;
use pipeline_core::issue::IssueRef;
use pipeline_core::tracker::IssueName;
use pipeline_core::tracker::IssueNames;
use pipeline_core::tracker::Reply;
use pipeline_core::tracker::TrackerError;

use super::BacklogTracker;
use super::NAME;
use super::dialect::MAX_DESCRIPTION;
use super::dialect::MAX_SUMMARY;
use super::dialect::plain_line;
use super::wire;
use super::write::altered;
use super::write::field;
use super::write::same;
use super::write::within;
use crate::http::Body;

/// The number the service has for a normal priority.
const NORMAL: u64 = 3;

impl BacklogTracker {
    pub(super) async fn create(&self, draft: &IssueDraft) -> Result<IssueRef, TrackerError> {
        let title = plain_line(&draft.title);
        within("a title", &title, MAX_SUMMARY)?;
        within("a description", &draft.body, MAX_DESCRIPTION)?;
        if title.is_empty() {
            return Err(refused("make an issue without a title".to_owned()));
        }
        let wanted = &self.shared.options.new_issues;
        let mut form = vec![
            field("projectId", self.read_project().await?.id),
            field("summary", &title),
            field("description", &draft.body),
        ];
        let kinds = self.named("issueTypes").await?.value;
        let kind = draft.kind.as_ref().or(wanted.kind.as_ref());
        let kind = match kind {
            Some(name) => find(&kinds, name, "issue type")?,
            None => kinds.first().map(|k| k.id).ok_or_else(|| {
                refused("make an issue: the project has no issue type".to_owned())
            })?,
        };
        form.push(field("issueTypeId", kind));
        form.push(field("priorityId", self.priority(draft.priority).await?));
        let labels: Vec<&String> = draft.labels.iter().chain(&wanted.category).collect();
        if !labels.is_empty() {
            let categories = self.named("categories").await?.value;
            let mut ids = Vec::new();
            for label in labels {
                let id = find(&categories, label, "category")?;
                if !ids.contains(&id) {
                    ids.push(id);
                    form.push(field("categoryId[]", id));
                }
            }
        }
        if let Some(milestone) = &draft.milestone {
            let milestones = self.named("versions").await?.value;
            form.push(field(
                "milestoneId[]",
                find(&milestones, milestone, "milestone")?,
            ));
        }
        let request = Self::post("create an issue")
            .at(["issues"])
            .of("a new issue")
            .body(Body::Form(form));
        let (made, _) = self
            .shared
            .client
            .write_json::<wire::Issue>(&request)
            .await?;
        let Ok(key) = IssueKey::new(made.issue_key.clone()) else {
            let error = "the new issue's key is none".into();
            return Err(self.shared.client.unknown(&request, Some(error)));
        };
        if !same(&draft.body, &made.description) || !same(&title, &made.summary) {
            return Err(altered(&key, None));
        }
        Ok(IssueRef {
            url: Some(self.address().issue(key.as_str())),
            key,
        })
    }

    pub(super) async fn names(&self) -> Result<Reply<IssueNames>, TrackerError> {
        let Reply { value: kinds, date } = self.named("issueTypes").await?;
        let categories = self.named("categories").await?.value;
        let milestones = self.named("versions").await?.value;
        let given = &self.shared.options.new_issues.priorities;
        let own = self.priorities().await?.into_iter();
        let own = own.filter_map(|p| i64::try_from(p.id).ok());
        let names = |all: Vec<wire::Named>| Some(all.into_iter().map(|n| n.name).collect());
        let known = IssueNames {
            labels: names(categories),
            milestones: names(milestones),
            kinds: names(kinds),
            priorities: Some(own.chain(given.keys().copied()).collect()),
        };
        Ok(Reply::new(known, date))
    }

    pub(super) async fn provide_name(&self, name: &IssueName) -> Result<(), TrackerError> {
        let (kind, operation) = match name {
            IssueName::Label(_) => ("categories", "add a category to the project"),
            IssueName::Milestone(_) => ("versions", "add a milestone to the project"),
        };
        let title = plain_line(name.as_str());
        if title.is_empty() || title != name.as_str() {
            return Err(refused(format!(
                "{operation} that is called `{title}`: it needs a name on one line, without characters beyond U+FFFF"
            )));
        }
        within("a name", &title, MAX_SUMMARY)?;
        if self
            .named(kind)
            .await?
            .value
            .iter()
            .any(|n| n.name == title)
        {
            return Ok(());
        }
        let request = Self::post(operation)
            .at(["projects", self.project(), kind])
            .of(format!("`{title}` in project {}", self.project()))
            .body(Body::Form(vec![field("name", &title)]));
        self.shared.client.write(&request).await.map(drop)
    }

    /// Returns the project's things of one kind.
    async fn named(&self, kind: &'static str) -> Result<Reply<Vec<wire::Named>>, TrackerError> {
        let request = Self::get("read what new issues need")
            .at(["projects", self.project(), kind])
            .of(format!("project {}", self.project()));
        self.read(request).await
    }

    async fn priorities(&self) -> Result<Vec<wire::Named>, TrackerError> {
        let request = Self::get("read the priorities").at(["priorities"]);
        Ok(self.read(request).await?.value)
    }

    async fn priority(&self, number: Option<i64>) -> Result<u64, TrackerError> {
        let wanted = &self.shared.options.new_issues;
        let name = match number {
            Some(number) => wanted.priorities.get(&number),
            None => wanted.priority.as_ref(),
        };
        if name.is_none() && number.is_none() {
            return Ok(NORMAL);
        }
        let known = self.priorities().await?;
        if let Some(name) = name {
            return find(&known, name, "priority");
        }
        let id = number.and_then(|n| u64::try_from(n).ok());
        let found = known.iter().find(|p| Some(p.id) == id);
        found
            .map(|p| p.id)
            .ok_or_else(|| not_there(&known, &number.unwrap_or_default().to_string(), "priority"))
    }
}

fn find(known: &[wire::Named], name: &str, what: &str) -> Result<u64, TrackerError> {
    let found = known.iter().find(|k| k.name == name);
    found
        .map(|k| k.id)
        .ok_or_else(|| not_there(known, name, what))
}

fn not_there(known: &[wire::Named], name: &str, what: &str) -> TrackerError {
    let names: Vec<_> = known.iter().map(|k| k.name.as_str()).collect();
    TrackerError::NotFound {
        tracker: NAME.to_owned(),
        what: format!("{what} `{name}` (there are: {})", names.join(", ")),
    }
}

fn refused(operation: String) -> TrackerError {
    TrackerError::Unsupported {
        tracker: NAME.to_owned(),
        operation,
    }
}
