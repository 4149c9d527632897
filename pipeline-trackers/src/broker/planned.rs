//! What a run is to make: the issues of a plan, each of them once, and the names they are sorted by.

use std::collections::BTreeMap;

use pipeline_core::issue::IssueDraft;
use pipeline_core::plan::Fingerprint;
use pipeline_core::plan::Origin;
use pipeline_core::tracker::Dialect;
use serde_json::Value;

use super::log::Refusal;
use super::rules::Fields;
use super::rules::Makes;
use super::rules::Named;
use super::rules::Rule;
use super::rules::plain;

/// The issues a run may make.
///
/// # Contract
/// An issue is told by the machine's lines in its text, or by its title. It gets those lines and the labels of its item, whatever
/// the caller wrote, and is let through once. A label or milestone that is no item's is refused.
#[derive(Debug, Clone, Default)]
pub struct PlannedIssues(Vec<Planned>);

#[derive(Debug, Clone)]
struct Planned {
    draft: IssueDraft,
    item: Fingerprint,
}

impl PlannedIssues {
    /// Takes the drafts of a plan; one without an item's lines is left out, since nothing would tie it to its item.
    #[must_use]
    pub fn new(drafts: impl IntoIterator<Item = IssueDraft>) -> Self {
        let planned = drafts.into_iter().filter_map(|draft| {
            let item = Origin::in_text(&draft.body)?.fingerprint;
            Some(Planned { draft, item })
        });
        Self(planned.collect())
    }

    /// Returns how many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Fields of a call, by name.
pub(super) type Pairs = Vec<(String, String)>;

/// What a run has made of its plan.
#[derive(Debug)]
pub(super) struct Ledger {
    planned: Vec<Planned>,
    /// Which issues are made, or may be.
    taken: Vec<bool>,
    /// Names by the tracker's numbers, as far as its answers told.
    numbers: BTreeMap<(Named, String), String>,
}

/// One issue that is under way.
#[derive(Debug)]
#[must_use]
pub(super) struct Claim(usize);

impl Ledger {
    pub(super) fn new(planned: PlannedIssues) -> Self {
        Self {
            taken: vec![false; planned.0.len()],
            planned: planned.0,
            numbers: BTreeMap::new(),
        }
    }

    /// Lets a call through that makes what is planned, with what the plan says of it; `None` if it makes no issue.
    pub(super) fn admit(
        &mut self,
        rule: &Rule,
        pairs: &mut Pairs,
        dialect: &dyn Dialect,
    ) -> Result<Option<Claim>, Refusal> {
        match rule.makes() {
            Some(Makes::Issue(fields)) => self.claim(fields, pairs, dialect).map(Some),
            Some(Makes::Name(named, field)) => {
                let mut given = values(pairs, field);
                let known = given.all(|name| self.planned.iter().any(|p| p.names(named, name)));
                known.then_some(None).ok_or(Refusal::NotPlanned)
            }
            None => Ok(None),
        }
    }

    fn claim(
        &mut self,
        fields: &Fields,
        pairs: &mut Pairs,
        dialect: &dyn Dialect,
    ) -> Result<Claim, Refusal> {
        let single = |field: &str| {
            let mut all = values(pairs, field);
            match (all.next(), all.next()) {
                (found, None) => Ok(found.unwrap_or_default().to_owned()),
                (_, Some(_)) => Err(Refusal::Body),
            }
        };
        let (title, text) = (single(fields.title)?, single(fields.text)?);
        let at = self.find(&title, &text, dialect)?;
        let planned = self.planned.get(at).ok_or(Refusal::NotPlanned)?;
        let labels = self.labels(fields, planned, pairs)?;
        let milestone = self.milestone(fields, planned, pairs)?;
        let text = planned.text(&text, dialect).ok_or(Refusal::Body)?;
        pairs.retain(|(name, _)| {
            ![fields.text, fields.labels, fields.milestone].contains(&plain(name))
        });
        pairs.push((fields.text.to_owned(), text));
        pairs.extend(labels);
        pairs.extend(milestone);
        if let Some(taken) = self.taken.get_mut(at) {
            *taken = true;
        }
        Ok(Claim(at))
    }

    /// Finds the item that is meant: by its lines, or else by its title, the first one of several that has no issue yet.
    fn find(&self, title: &str, text: &str, dialect: &dyn Dialect) -> Result<usize, Refusal> {
        let marked = Origin::in_text(text).map(|origin| origin.fingerprint);
        let title = dialect.neutralise(title);
        let fits = |planned: &Planned| match &marked {
            Some(item) => planned.item == *item,
            None => planned.draft.title.trim() == title.trim(),
        };
        let mut found = Refusal::NotPlanned;
        for (at, (planned, taken)) in self.planned.iter().zip(&self.taken).enumerate() {
            match (fits(planned), taken) {
                (true, false) => return Ok(at),
                (true, true) => found = Refusal::AlreadyMade,
                (false, _) => {}
            }
        }
        Err(found)
    }

    /// Returns the labels of an item; those that were given must be among them.
    fn labels(&self, fields: &Fields, planned: &Planned, pairs: &Pairs) -> Result<Pairs, Refusal> {
        let labels = &planned.draft.labels;
        if fields.labels_by_name {
            let given = values(pairs, fields.labels).flat_map(|value| value.split(','));
            let mut given = given.map(str::trim).filter(|name| !name.is_empty());
            if !given.all(|name| labels.iter().any(|label| label == name)) {
                return Err(Refusal::NotPlanned);
            }
            let all = (!labels.is_empty()).then(|| (fields.labels.to_owned(), labels.join(",")));
            return Ok(all.into_iter().collect());
        }
        for number in values(pairs, fields.labels) {
            self.named(Named::Label, number)
                .filter(|name| labels.contains(name))
                .ok_or(Refusal::NotPlanned)?;
        }
        let known = self
            .numbers
            .iter()
            .filter(|((named, _), name)| *named == Named::Label && labels.contains(name));
        let field = format!("{}[]", fields.labels);
        Ok(known
            .map(|((_, number), _)| (field.clone(), number.clone()))
            .collect())
    }

    /// Returns the number of an item's milestone, where it is known; one that was given must be the item's.
    fn milestone(
        &self,
        fields: &Fields,
        planned: &Planned,
        pairs: &Pairs,
    ) -> Result<Option<(String, String)>, Refusal> {
        let milestone = planned.draft.milestone.as_ref();
        for number in values(pairs, fields.milestone) {
            if self.named(Named::Milestone, number) != milestone || milestone.is_none() {
                return Err(Refusal::NotPlanned);
            }
        }
        let found = self
            .numbers
            .iter()
            .find(|((named, _), name)| *named == Named::Milestone && Some(*name) == milestone);
        // Where an item has several labels by number it may have several milestones, too.
        let list = if fields.labels_by_name { "" } else { "[]" };
        let field = format!("{}{list}", fields.milestone);
        Ok(found.map(|((_, number), _)| (field, number.clone())))
    }

    fn named(&self, named: Named, number: &str) -> Option<&String> {
        self.numbers.get(&(named, number.to_owned()))
    }

    /// Notes what became of an issue: only what the tracker refused may be tried again.
    pub(super) fn settle(&mut self, claim: &Claim, refused: bool) {
        if let Some(taken) = self.taken.get_mut(claim.0) {
            *taken = !refused;
        }
    }

    /// Learns the numbers of names from an answer.
    pub(super) fn learn(&mut self, named: Named, answer: &[u8]) {
        let answer = serde_json::from_slice(answer).unwrap_or_default();
        let all = match &answer {
            Value::Array(all) => all.as_slice(),
            one => std::slice::from_ref(one),
        };
        for value in all {
            let name = value.get("name").or_else(|| value.get("title"));
            let name = name.and_then(Value::as_str);
            let number = value.get("id").and_then(Value::as_u64);
            // What no item has need not be known.
            if let (Some(name), Some(number)) = (name, number)
                && self.planned.iter().any(|p| p.names(named, name))
            {
                self.numbers
                    .insert((named, number.to_string()), name.to_owned());
            }
        }
    }
}

impl Planned {
    fn names(&self, named: Named, name: &str) -> bool {
        match named {
            Named::Label => self.draft.labels.iter().any(|label| label == name),
            Named::Milestone => self.draft.milestone.as_deref() == Some(name),
        }
    }

    /// Returns the caller's words with this item's lines behind them, and nobody else's.
    fn text(&self, words: &str, dialect: &dyn Dialect) -> Option<String> {
        let words = Origin::unmarked(words);
        let words = words.trim();
        if words.is_empty() {
            return Some(self.draft.body.clone());
        }
        let marks = Origin::marks(&self.draft.body)?;
        let words = match words.rfind(marks.lines().next()?) {
            Some(at) => words.get(..at)?.trim_end(),
            None => words,
        };
        let text = dialect.neutralise(format!("{words}\n\n{marks}").trim_start());
        // What surrounds a text may change what it is: only what reads back as this item's goes out.
        let origin = Origin::in_text(&text)?;
        (origin.fingerprint == self.item && text.chars().count() <= dialect.max_chars())
            .then_some(text)
    }
}

fn values<'p>(pairs: &'p Pairs, field: &str) -> impl Iterator<Item = &'p str> {
    pairs
        .iter()
        .filter(move |(name, _)| plain(name) == field)
        .map(|(_, value)| value.as_str())
}
