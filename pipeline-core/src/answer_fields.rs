//! Fields that a team adds to the answers of the reading tasks.
//!
//! They are added to the built-in ones and take none of them away: a name that is built in is refused. What an agent
//! answers is checked like the rest, stands in the memo, and decides nothing.

use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::json;

use crate::agent::TaskKind;
use crate::local_check::AnswerError;

/// The names that the built-in answers have.
const BUILT_IN: [&str; 11] = [
    "comment",
    "confidence",
    "local_check",
    "candidate_files",
    "implementation_scope",
    "estimate",
    "blockers",
    "can_start_from_local",
    "db_change",
    "production_data",
    "pending_decisions",
];
const MOST_FIELDS: usize = 20;
const MOST_CHOICES: usize = 20;
const LONGEST_NAME: usize = 40;
const LONGEST_DESCRIPTION: usize = 300;
const MOST_ITEMS: usize = 50;
const LONGEST_TEXT: usize = 2000;

/// What a field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldKind {
    /// Words.
    Text,
    /// Yes or no.
    YesNo,
    /// A number.
    Number,
    /// A list of words.
    List,
    /// One of these.
    Choice(Vec<String>),
}

/// One field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerField {
    /// Its name: lower-case letters, digits and `_`.
    pub name: String,
    /// What it holds.
    pub kind: FieldKind,
    /// What the agent is told about it, one line.
    pub description: String,
    /// It is asked for in triage.
    pub triage: bool,
    /// It is asked for in the local check and the re-check.
    pub check: bool,
}

/// The fields of a team, checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AnswerFields(Vec<AnswerField>);

/// Why fields cannot be asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("answer field `{name}`: {why}")]
pub struct InvalidField {
    name: String,
    why: &'static str,
}

impl AnswerFields {
    /// Takes fields.
    ///
    /// # Errors
    /// [`InvalidField`] naming the first that cannot be asked for.
    pub fn new(fields: Vec<AnswerField>) -> Result<Self, InvalidField> {
        let mut names = BTreeSet::new();
        for (n, field) in fields.iter().enumerate() {
            let why = if n >= MOST_FIELDS {
                Some("there are more than 20")
            } else if !is_name(&field.name) {
                Some(
                    "a name has at most 40 lower-case letters, digits and `_`, and begins with a letter",
                )
            } else if BUILT_IN.contains(&field.name.as_str()) {
                Some("this name is built in, and a built-in field cannot be replaced")
            } else if !names.insert(&field.name) {
                Some("it is named twice")
            } else if !is_line(&field.description, LONGEST_DESCRIPTION) {
                Some("say in one line of at most 300 characters what the agent is to answer")
            } else if !field.triage && !field.check {
                Some("name at least one task that is asked for it")
            } else {
                wrong_choices(&field.kind)
            };
            if let Some(why) = why {
                let name = field.name.chars().take(60).collect();
                return Err(InvalidField { name, why });
            }
        }
        Ok(Self(fields))
    }

    fn of(&self, task: TaskKind) -> impl Iterator<Item = &AnswerField> {
        self.0.iter().filter(move |f| match task {
            TaskKind::Triage => f.triage,
            TaskKind::LocalCheck | TaskKind::Recheck => f.check,
            _ => false,
        })
    }

    /// Adds the fields of a task to the schema of its answer.
    pub(crate) fn extend(&self, task: TaskKind, schema: &mut Value) {
        for field in self.of(task) {
            let mut shape = match &field.kind {
                FieldKind::Text => json!({"type": "string"}),
                FieldKind::YesNo => json!({"type": "boolean"}),
                FieldKind::Number => json!({"type": "number"}),
                FieldKind::List => json!({"type": "array", "items": {"type": "string"}}),
                FieldKind::Choice(choices) => json!({"type": "string", "enum": choices}),
            };
            shape["description"] = field.description.as_str().into();
            schema["properties"][&field.name] = shape;
            if let Some(required) = schema["required"].as_array_mut() {
                required.push(field.name.as_str().into());
            }
        }
    }

    /// Takes the fields of a task out of its answer: returns the rest, and each field with its value in words.
    ///
    /// # Errors
    /// [`AnswerError`] naming the field that is missing or does not fit.
    pub(crate) fn take(
        &self,
        task: TaskKind,
        answer: &Value,
    ) -> Result<(Value, Vec<(String, String)>), AnswerError> {
        let mut rest = answer.clone();
        let mut taken = Vec::new();
        for field in self.of(task) {
            let name = &field.name;
            let value = rest.as_object_mut().and_then(|o| o.remove(name));
            let value = value.ok_or_else(|| AnswerError::new(format!("`{name}` is missing")))?;
            let words = words(&field.kind, &value)
                .map_err(|wanted| AnswerError::new(format!("`{name}` is not {wanted}")))?;
            taken.push((name.clone(), words));
        }
        Ok((rest, taken))
    }
}

fn wrong_choices(kind: &FieldKind) -> Option<&'static str> {
    let FieldKind::Choice(choices) = kind else {
        return None;
    };
    let distinct: BTreeSet<&String> = choices.iter().collect();
    let fine = (2..=MOST_CHOICES).contains(&choices.len())
        && distinct.len() == choices.len()
        && choices.iter().all(|c| is_line(c, LONGEST_NAME));
    (!fine).then_some("a choice needs 2 to 20 different words of at most 40 characters")
}

fn is_name(name: &str) -> bool {
    let ok = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    (1..=LONGEST_NAME).contains(&name.len())
        && name.bytes().all(ok)
        && name.starts_with(|c: char| c.is_ascii_lowercase())
}

fn is_line(text: &str, longest: usize) -> bool {
    !text.trim().is_empty()
        && text.chars().count() <= longest
        && !text.chars().any(char::is_control)
}

/// Returns a value in words, or what was wanted.
fn words(kind: &FieldKind, value: &Value) -> Result<String, String> {
    let text = |value: &Value| {
        let text = value.as_str().filter(|t| t.chars().count() <= LONGEST_TEXT);
        text.map(str::to_owned)
    };
    match kind {
        FieldKind::Text => text(value).ok_or_else(|| "a text of at most 2000 characters".into()),
        FieldKind::YesNo => match value.as_bool() {
            Some(true) => Ok("yes".to_owned()),
            Some(false) => Ok("no".to_owned()),
            None => Err("true or false".into()),
        },
        FieldKind::Number => match value.as_f64() {
            Some(_) => Ok(value.to_string()),
            None => Err("a number".into()),
        },
        FieldKind::List => {
            let items = value.as_array().filter(|items| items.len() <= MOST_ITEMS);
            let items: Option<Vec<String>> = items.and_then(|i| i.iter().map(text).collect());
            items
                .map(|i| {
                    if i.is_empty() {
                        "none".into()
                    } else {
                        i.join("; ")
                    }
                })
                .ok_or_else(|| "a list of at most 50 texts".into())
        }
        FieldKind::Choice(choices) => text(value)
            .filter(|t| choices.contains(t))
            .ok_or_else(|| format!("one of {}", choices.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, kind: FieldKind) -> AnswerField {
        AnswerField {
            name: name.into(),
            kind,
            description: "What it is.".into(),
            triage: true,
            check: false,
        }
    }

    fn fields() -> AnswerFields {
        let choice = FieldKind::Choice(vec!["low".into(), "high".into()]);
        AnswerFields::new(vec![
            field("risk", choice),
            field("screens", FieldKind::List),
            field("urgent", FieldKind::YesNo),
        ])
        .expect("usable")
    }

    #[test]
    fn built_in_fields_cannot_be_replaced_and_bad_ones_are_named() {
        let refused = |f: AnswerField| AnswerFields::new(vec![f]).expect_err("refused").to_string();
        insta::assert_snapshot!(refused(field("comment", FieldKind::Text)), @"answer field `comment`: this name is built in, and a built-in field cannot be replaced");
        insta::assert_snapshot!(refused(field("Risk", FieldKind::Text)), @"answer field `Risk`: a name has at most 40 lower-case letters, digits and `_`, and begins with a letter");
        insta::assert_snapshot!(refused(field("risk", FieldKind::Choice(vec!["one".into()]))), @"answer field `risk`: a choice needs 2 to 20 different words of at most 40 characters");
        let nobody = AnswerField {
            triage: false,
            ..field("risk", FieldKind::Text)
        };
        insta::assert_snapshot!(refused(nobody), @"answer field `risk`: name at least one task that is asked for it");
        let lines = AnswerField {
            description: "a\nb".into(),
            ..field("risk", FieldKind::Text)
        };
        assert!(refused(lines).contains("one line"));
        let twice = vec![
            field("risk", FieldKind::Text),
            field("risk", FieldKind::List),
        ];
        assert!(
            AnswerFields::new(twice)
                .expect_err("refused")
                .to_string()
                .contains("twice")
        );
    }

    #[test]
    fn they_are_asked_for_and_taken_out_again() {
        let mut schema = json!({"properties": {"comment": {}}, "required": ["comment"]});
        fields().extend(TaskKind::Triage, &mut schema);
        assert_eq!(
            schema["required"],
            json!(["comment", "risk", "screens", "urgent"])
        );
        assert_eq!(schema["properties"]["risk"]["enum"], json!(["low", "high"]));
        let mut other = json!({"properties": {}, "required": []});
        fields().extend(TaskKind::LocalCheck, &mut other);
        assert_eq!(other, json!({"properties": {}, "required": []}));

        let answer = json!({"comment": "x", "risk": "low", "screens": ["a", "b"], "urgent": false});
        let (rest, taken) = fields().take(TaskKind::Triage, &answer).expect("fits");
        assert_eq!(rest, json!({"comment": "x"}));
        let said: Vec<String> = taken.iter().map(|(n, v)| format!("{n}: {v}")).collect();
        assert_eq!(said, ["risk: low", "screens: a; b", "urgent: no"]);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let wrong = |answer: Value| {
            fields()
                .take(TaskKind::Triage, &answer)
                .expect_err("wrong")
                .to_string()
        };
        assert_eq!(wrong(json!({})), "`risk` is missing");
        assert_eq!(
            wrong(json!({"risk": "medium"})),
            "`risk` is not one of low, high"
        );
        assert_eq!(
            wrong(json!({"risk": "low", "screens": "a"})),
            "`screens` is not a list of at most 50 texts"
        );
        assert_eq!(wrong(json!([])), "`risk` is missing");
    }
}
