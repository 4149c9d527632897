//! What a run may ask.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// The calls a run may make.
#[derive(Debug, Clone, Default)]
pub struct BrokerRules {
    rules: Vec<Rule>,
}

/// One kind of call.
#[derive(Debug, Clone)]
pub struct Rule {
    method: &'static str,
    segments: Vec<Segment>,
    /// Parameters of the query of a read, fields of the body of a write.
    names: BTreeSet<String>,
    /// Names that must be there, with this value only.
    fixed: BTreeMap<String, String>,
    makes: Option<Makes>,
    lists: Option<Named>,
}

/// What a call makes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Makes {
    /// An issue, with these fields.
    Issue(&'static Fields),
    /// What issues are sorted by, under the name in this field.
    Name(Named, &'static str),
}

/// What issues are sorted by, in a plan's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Named {
    Label,
    Milestone,
}

/// The fields of an issue that a plan decides.
#[derive(Debug)]
pub(super) struct Fields {
    pub(super) title: &'static str,
    pub(super) text: &'static str,
    pub(super) labels: &'static str,
    /// Labels stand by their names, and not by their numbers.
    pub(super) labels_by_name: bool,
    pub(super) milestone: &'static str,
}

const GITLAB: Fields = Fields {
    title: "title",
    text: "description",
    labels: "labels",
    labels_by_name: true,
    milestone: "milestone_id",
};
const BACKLOG: Fields = Fields {
    title: "summary",
    text: "description",
    labels: "categoryId",
    labels_by_name: false,
    milestone: "milestoneId",
};

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Word(String),
    /// Digits.
    Number,
    /// A key of this project: `PROJ-12`.
    Key(String),
}

impl Segment {
    fn fits(&self, text: &str) -> bool {
        let number =
            |text: &str| (1..=18).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        match self {
            Self::Word(word) => word == text,
            Self::Number => number(text),
            Self::Key(project) => text
                .strip_prefix(project.as_str())
                .and_then(|rest| rest.strip_prefix('-'))
                .is_some_and(number),
        }
    }
}

impl Rule {
    /// Names a method and a path below the project's address: words, `{number}`, or `{key:PROJ}`.
    #[must_use]
    pub fn new(method: &'static str, path: &str) -> Self {
        let segments = path.split('/').filter(|s| !s.is_empty());
        let segments = segments.map(|segment| match segment {
            "{number}" => Segment::Number,
            other => match other
                .strip_prefix("{key:")
                .and_then(|k| k.strip_suffix('}'))
            {
                Some(project) => Segment::Key(project.to_owned()),
                None => Segment::Word(other.to_owned()),
            },
        });
        Self {
            method,
            segments: segments.collect(),
            names: BTreeSet::new(),
            fixed: BTreeMap::new(),
            makes: None,
            lists: None,
        }
    }

    const fn making(mut self, what: Makes) -> Self {
        self.makes = Some(what);
        self
    }

    const fn listing(mut self, what: Named) -> Self {
        self.lists = Some(what);
        self
    }

    pub(super) const fn makes(&self) -> Option<Makes> {
        self.makes
    }

    /// Returns what an answer tells the numbers of: of what is listed, or was made.
    pub(super) const fn tells(&self) -> Option<Named> {
        match (self.lists, self.makes) {
            (Some(named), _) | (None, Some(Makes::Name(named, _))) => Some(named),
            (None, _) => None,
        }
    }

    /// Lets these parameters (of a read) or fields (of a write) through; `name[]` is the same name.
    #[must_use]
    pub fn with(mut self, names: &[&str]) -> Self {
        self.names.extend(names.iter().map(|n| (*n).to_owned()));
        self
    }

    /// Demands this parameter or field with this value.
    #[must_use]
    pub fn fixed(mut self, name: &str, value: impl Into<String>) -> Self {
        self.names.insert(name.to_owned());
        self.fixed.insert(name.to_owned(), value.into());
        self
    }

    /// Returns whether calls of this kind write.
    #[must_use]
    pub fn writes(&self) -> bool {
        self.method != "GET"
    }

    fn fits(&self, method: &str, segments: &[&str]) -> bool {
        method == self.method
            && segments.len() == self.segments.len()
            && self
                .segments
                .iter()
                .zip(segments)
                .all(|(s, text)| s.fits(text))
    }

    /// Returns whether names and values are among those that are let through.
    pub(super) fn allows(&self, pairs: &[(String, String)]) -> bool {
        let named = pairs.iter().all(|(name, value)| {
            let name = plain(name);
            self.names.contains(name) && self.fixed.get(name).is_none_or(|only| only == value)
        });
        let is_there = |name: &String| pairs.iter().any(|(n, _)| plain(n) == name);
        named && self.fixed.keys().all(is_there)
    }
}

/// Returns the name of a parameter or field, of which there may be several.
pub(super) fn plain(name: &str) -> &str {
    name.strip_suffix("[]").unwrap_or(name)
}

impl BrokerRules {
    /// Lets through what one of these rules names.
    #[must_use]
    pub fn new(rules: impl IntoIterator<Item = Rule>) -> Self {
        Self {
            rules: rules.into_iter().collect(),
        }
    }

    /// What making the issues of a plan takes on GitLab, below `…/api/v4/projects/ID`.
    #[must_use]
    pub fn gitlab() -> Self {
        let pages = ["page", "per_page", "order_by", "sort"];
        let list = |path| Rule::new("GET", path).with(&pages);
        Self::new([
            Rule::new("GET", ""),
            list("issues").with(&[
                "state",
                "labels",
                "milestone",
                "search",
                "in",
                "iids",
                "updated_after",
                "created_after",
            ]),
            Rule::new("GET", "issues/{number}"),
            Rule::new("POST", "issues")
                .with(&[
                    "title",
                    "description",
                    "labels",
                    "milestone_id",
                    "issue_type",
                    "weight",
                    "due_date",
                ])
                .making(Makes::Issue(&GITLAB)),
            list("labels").with(&["search"]).listing(Named::Label),
            Rule::new("POST", "labels")
                .with(&["name", "color", "description"])
                .making(Makes::Name(Named::Label, "name")),
            list("milestones")
                .with(&["state", "title", "search", "iids"])
                .listing(Named::Milestone),
            Rule::new("POST", "milestones")
                .with(&["title", "description", "due_date", "start_date"])
                .making(Makes::Name(Named::Milestone, "title")),
        ])
    }

    /// What making the issues of a plan takes on Backlog, below `…/api/v2`.
    #[must_use]
    pub fn backlog(project: &str, project_id: u64) -> Self {
        let below = |path: &str| format!("projects/{project}/{path}");
        let id = project_id.to_string();
        Self::new([
            Rule::new("GET", &below("")),
            Rule::new("GET", &below("issueTypes")),
            Rule::new("GET", &below("categories")).listing(Named::Label),
            Rule::new("GET", &below("versions")).listing(Named::Milestone),
            Rule::new("GET", &below("statuses")),
            Rule::new("GET", "priorities"),
            Rule::new("GET", "issues")
                .fixed("projectId", id.clone())
                .with(&[
                    "statusId",
                    "categoryId",
                    "milestoneId",
                    "issueTypeId",
                    "keyword",
                    "count",
                    "offset",
                    "sort",
                    "order",
                    "updatedSince",
                ]),
            Rule::new("GET", &format!("issues/{{key:{project}}}")),
            Rule::new("POST", "issues")
                .fixed("projectId", id)
                .with(&[
                    "summary",
                    "description",
                    "issueTypeId",
                    "priorityId",
                    "categoryId",
                    "milestoneId",
                    "versionId",
                    "startDate",
                    "dueDate",
                    "estimatedHours",
                ])
                .making(Makes::Issue(&BACKLOG)),
            Rule::new("POST", &below("categories"))
                .with(&["name"])
                .making(Makes::Name(Named::Label, "name")),
            Rule::new("POST", &below("versions"))
                .with(&["name", "description", "startDate", "releaseDueDate"])
                .making(Makes::Name(Named::Milestone, "name")),
        ])
    }

    pub(super) fn find(&self, method: &str, segments: &[&str]) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.fits(method, segments))
    }
}
