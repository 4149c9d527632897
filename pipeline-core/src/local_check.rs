//! The answers of the two reading stages, and the seven questions before a start.

use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

/// Most entries of any list in an answer.
const MOST_ENTRIES: usize = 500;
/// Longest text of any entry, in characters.
const LONGEST_ENTRY: usize = 2_000;
/// Longest comment, in characters.
const LONGEST_COMMENT: usize = 60_000;

/// Yes, no, or not known; what is not known never starts work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Answer {
    /// Yes.
    Yes,
    /// No.
    No,
    /// The agent could not tell, or did not say.
    #[default]
    Unknown,
}

impl Answer {
    /// Returns the word that stands in memos.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Unknown => "unknown",
        }
    }

    /// Reads the word of a memo; anything else is unknown.
    #[must_use]
    pub fn from_word(word: Option<&str>) -> Self {
        match word {
            Some("yes") => Self::Yes,
            Some("no") => Self::No,
            _ => Self::Unknown,
        }
    }

    /// Returns yes for true and no for false.
    #[must_use]
    pub const fn of(is: bool) -> Self {
        if is { Self::Yes } else { Self::No }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl Serialize for Answer {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Yes => s.serialize_bool(true),
            Self::No => s.serialize_bool(false),
            Self::Unknown => s.serialize_str("unknown"),
        }
    }
}

impl<'de> Deserialize<'de> for Answer {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        match Value::deserialize(d)? {
            Value::Bool(is) => Ok(Self::of(is)),
            Value::Null => Ok(Self::Unknown),
            Value::String(s) if matches!(s.as_str(), "yes" | "true") => Ok(Self::Yes),
            Value::String(s) if matches!(s.as_str(), "no" | "false") => Ok(Self::No),
            Value::String(s) if s == "unknown" => Ok(Self::Unknown),
            other => Err(serde::de::Error::custom(format!(
                "expected true, false or \"unknown\", found {other}"
            ))),
        }
    }
}

/// How much work it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Estimate {
    /// An hour or so.
    Small,
    /// Within a day.
    Medium,
    /// More: to be split before an agent starts.
    Large,
}

impl Estimate {
    /// Returns the word that stands in memos.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Medium => "medium",
            Self::Large => "large",
        }
    }

    /// Reads the word of a memo.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Small, Self::Medium, Self::Large]
            .into_iter()
            .find(|e| e.word() == word)
    }
}

/// The answer of triage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TriageAnswer {
    /// What is posted, quoted.
    pub comment: String,
    /// How sure the agent is, 0 to 1.
    pub confidence: f64,
}

/// The answer of the local check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckAnswer {
    /// What is posted, quoted.
    pub comment: String,
    /// How sure the agent is, 0 to 1.
    pub confidence: f64,
    /// The digest.
    pub local_check: LocalCheck,
}

/// The digest of a read-only look at the repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalCheck {
    /// Files the work will probably touch, relative to the root.
    pub candidate_files: Vec<String>,
    /// What has to be done, in a few sentences.
    pub implementation_scope: String,
    /// How much work it is.
    pub estimate: Estimate,
    /// What has to be cleared up first.
    pub blockers: Vec<String>,
    /// Whether the work can be done from what the repository holds.
    pub can_start_from_local: Answer,
    /// Whether it changes a database's schema or configuration.
    pub db_change: Answer,
    /// Whether it touches production data.
    pub production_data: Answer,
    /// Decisions about the specification that nobody has made yet.
    pub pending_decisions: Vec<String>,
}

/// Why an answer was not accepted: one sentence, naming the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AnswerError(String);

impl AnswerError {
    pub(crate) const fn new(sentence: String) -> Self {
        Self(sentence)
    }
}

impl TriageAnswer {
    /// Returns the schema agents are given.
    #[must_use]
    pub fn schema() -> Value {
        json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["comment", "confidence"],
            "properties": {
                "comment": {"type": "string", "description": "How you understand the issue, for its thread."},
                "confidence": {"type": "number", "minimum": 0, "maximum": 1}
            }
        })
    }

    /// Reads an answer.
    ///
    /// # Errors
    /// [`AnswerError`] naming the field that does not fit.
    pub fn read(value: &Value) -> Result<Self, AnswerError> {
        known_keys(value, "the answer", &["comment", "confidence"])?;
        let answer: Self = from(value)?;
        check_said(&answer.comment, answer.confidence)?;
        Ok(answer)
    }
}

impl CheckAnswer {
    /// Returns the schema agents are given.
    #[must_use]
    pub fn schema() -> Value {
        let texts = json!({"type": "array", "items": {"type": "string"}});
        let answer = json!({"enum": [true, false, "unknown"]});
        json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["comment", "confidence", "local_check"],
            "properties": {
                "comment": {"type": "string", "description": "The digest in words, for the issue's thread."},
                "confidence": {"type": "number", "minimum": 0, "maximum": 1},
                "local_check": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": [
                        "candidate_files", "implementation_scope", "estimate", "blockers",
                        "can_start_from_local", "db_change", "production_data", "pending_decisions"
                    ],
                    "properties": {
                        "candidate_files": texts,
                        "implementation_scope": {"type": "string"},
                        "estimate": {"enum": ["small", "medium", "large"]},
                        "blockers": texts,
                        "can_start_from_local": answer,
                        "db_change": answer,
                        "production_data": answer,
                        "pending_decisions": texts
                    }
                }
            }
        })
    }

    /// Reads an answer.
    ///
    /// # Errors
    /// [`AnswerError`] naming the field that does not fit.
    pub fn read(value: &Value) -> Result<Self, AnswerError> {
        known_keys(
            value,
            "the answer",
            &["comment", "confidence", "local_check"],
        )?;
        if let Some(check) = value.get("local_check") {
            let known = [
                "candidate_files",
                "implementation_scope",
                "estimate",
                "blockers",
                "can_start_from_local",
                "db_change",
                "production_data",
                "pending_decisions",
            ];
            known_keys(check, "`local_check`", &known)?;
        }
        let answer: Self = from(value)?;
        check_said(&answer.comment, answer.confidence)?;
        let c = &answer.local_check;
        check_text(
            "implementation_scope",
            &c.implementation_scope,
            LONGEST_COMMENT,
        )?;
        for (name, list) in [
            ("candidate_files", &c.candidate_files),
            ("blockers", &c.blockers),
            ("pending_decisions", &c.pending_decisions),
        ] {
            if list.len() > MOST_ENTRIES {
                return Err(AnswerError(format!(
                    "`{name}` has more than {MOST_ENTRIES} entries"
                )));
            }
            for entry in list {
                check_text(name, entry, LONGEST_ENTRY)?;
            }
        }
        Ok(answer)
    }
}

fn from<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T, AnswerError> {
    T::deserialize(value)
        .map_err(|e| AnswerError(format!("the answer does not fit the schema: {e}")))
}

fn known_keys(value: &Value, what: &str, known: &[&str]) -> Result<(), AnswerError> {
    let Some(object) = value.as_object() else {
        return Err(AnswerError(format!("{what} is not a JSON object")));
    };
    match object.keys().find(|k| !known.contains(&k.as_str())) {
        Some(extra) => Err(AnswerError(format!(
            "{what} has the unknown field `{}`",
            extra
                .escape_debug()
                .to_string()
                .chars()
                .take(60)
                .collect::<String>()
        ))),
        None => Ok(()),
    }
}

fn check_said(comment: &str, confidence: f64) -> Result<(), AnswerError> {
    if comment.trim().is_empty() {
        return Err(AnswerError("`comment` is empty".into()));
    }
    check_text("comment", comment, LONGEST_COMMENT)?;
    if (0.0..=1.0).contains(&confidence) {
        Ok(())
    } else {
        Err(AnswerError(format!(
            "`confidence` is {confidence}, not between 0 and 1"
        )))
    }
}

fn check_text(name: &str, text: &str, longest: usize) -> Result<(), AnswerError> {
    if text.chars().count() > longest {
        return Err(AnswerError(format!(
            "an entry of `{name}` is longer than {longest} characters"
        )));
    }
    Ok(())
}

/// One of the seven questions, with its answer and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// The stable name (`can-start`, `blockers`, …).
    pub name: &'static str,
    /// Whether it speaks for a start.
    pub answer: Answer,
    /// Why, for people.
    pub why: String,
}

/// Answers the seven questions before a start. Pure.
///
/// `overlap` is what the conflict rules say about the live locks: `None` if they could not be read.
#[must_use]
pub fn readiness(check: &LocalCheck, overlap: Option<&[String]>) -> Vec<Readiness> {
    let must_be_no = |name, answer: Answer, verb: &str, what: &str| Readiness {
        name,
        answer: match answer {
            Answer::Yes => Answer::No,
            Answer::No => Answer::Yes,
            Answer::Unknown => Answer::Unknown,
        },
        why: match answer {
            Answer::Yes => format!("it does {verb} {what}"),
            Answer::No => format!("it does not {verb} {what}"),
            Answer::Unknown => format!("it is not known whether it would {verb} {what}"),
        },
    };
    let empty = |name, list: &[String], what: &str| Readiness {
        name,
        answer: Answer::of(list.is_empty()),
        why: if list.is_empty() {
            format!("no {what}")
        } else {
            format!("{what}: {}", list.join("; "))
        },
    };
    vec![
        Readiness {
            name: "can-start",
            answer: check.can_start_from_local,
            why: match check.can_start_from_local {
                Answer::Yes => "the repository holds what is needed".into(),
                Answer::No => "the repository does not hold what is needed".into(),
                Answer::Unknown => {
                    "it is not known whether the repository holds what is needed".into()
                }
            },
        },
        empty("blockers", &check.blockers, "open blockers"),
        Readiness {
            name: "estimate",
            answer: Answer::of(check.estimate <= Estimate::Medium),
            why: format!("the work is {}", check.estimate.word()),
        },
        must_be_no("db-change", check.db_change, "change", "the database"),
        must_be_no(
            "production-data",
            check.production_data,
            "touch",
            "production data",
        ),
        match overlap {
            None => Readiness {
                name: "overlap",
                answer: Answer::Unknown,
                why: "the live locks could not be read".into(),
            },
            Some(against) => empty("overlap", against, "overlap with running work"),
        },
        empty("decisions", &check.pending_decisions, "pending decisions"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Value {
        json!({
            "comment": "two files", "confidence": 0.8,
            "local_check": {
                "candidate_files": ["a.rs"], "implementation_scope": "s", "estimate": "small",
                "blockers": [], "can_start_from_local": true, "db_change": false,
                "production_data": "unknown", "pending_decisions": []
            }
        })
    }

    #[test]
    fn a_good_answer_reads_and_writes_back() {
        let answer = CheckAnswer::read(&good()).expect("fits");
        assert_eq!(serde_json::to_value(&answer).expect("writes"), good());
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let with = |path: &str, to: Value| {
            let mut v = good();
            *v.pointer_mut(path).expect("path") = to;
            CheckAnswer::read(&v).expect_err("must not fit").to_string()
        };
        assert!(with("/confidence", json!(7)).contains("not between 0 and 1"));
        assert!(with("/local_check/estimate", json!("huge")).contains("huge"));
        assert!(with("/local_check/db_change", json!(1)).contains("expected true, false"));
        assert!(with("/local_check/candidate_files", json!("x")).contains("sequence"));
        assert!(with("/comment", json!("  ")).contains("empty"));
        let mut extra = good();
        extra["approved"] = json!(true);
        assert!(
            CheckAnswer::read(&extra)
                .expect_err("extra")
                .to_string()
                .contains("`approved`")
        );
        assert!(
            TriageAnswer::read(&json!("hi"))
                .expect_err("text")
                .to_string()
                .contains("object")
        );
    }

    #[test]
    fn unknown_never_speaks_for_a_start() {
        let check = CheckAnswer::read(&good()).expect("fits").local_check;
        let seven = readiness(&check, None);
        assert_eq!(seven.len(), 7);
        let said: Vec<_> = seven.iter().map(|r| (r.name, r.answer)).collect();
        assert_eq!(
            said,
            [
                ("can-start", Answer::Yes),
                ("blockers", Answer::Yes),
                ("estimate", Answer::Yes),
                ("db-change", Answer::Yes),
                ("production-data", Answer::Unknown),
                ("overlap", Answer::Unknown),
                ("decisions", Answer::Yes),
            ]
        );
    }
}
