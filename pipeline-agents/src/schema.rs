//! Answers against the schema they were asked for.

use jsonschema::Validator;
use serde_json::Value;

/// How many of an answer's faults are told.
const TOLD: usize = 5;

/// A schema that can be checked against.
#[derive(Debug)]
pub(crate) struct Schema(Validator);

impl Schema {
    /// Prepares a schema; the error is the schema's own fault, not an answer's.
    pub(crate) fn new(schema: &Value) -> Result<Self, SchemaError> {
        match jsonschema::validator_for(schema) {
            Ok(validator) => Ok(Self(validator)),
            Err(error) => Err(SchemaError(error.to_string())),
        }
    }

    /// Checks an answer; the error says in words what is wrong and where, without repeating what the answer says there.
    pub(crate) fn check(&self, answer: &Value) -> Result<(), String> {
        let mut faults: Vec<String> = Vec::new();
        for error in self.0.iter_errors(answer) {
            if faults.len() == TOLD {
                faults.push("and more".to_owned());
                break;
            }
            let place = error.instance_path().as_str();
            let place = if place.is_empty() {
                "the answer"
            } else {
                place
            };
            faults.push(format!("{place}: {}", error.masked()));
        }
        if faults.is_empty() {
            Ok(())
        } else {
            Err(faults.join("; "))
        }
    }
}

/// A schema that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the schema of the answer is not usable: {0}")]
pub(crate) struct SchemaError(String);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fault(answer: &Value) -> String {
        let schema = json!({
            "type": "object",
            "properties": {
                "comment": { "type": "string", "maxLength": 10 },
                "confidence": { "type": "number", "minimum": 0, "maximum": 1 },
                "estimate": { "enum": ["small", "medium", "large"] },
            },
            "required": ["comment", "confidence"],
            "additionalProperties": false,
        });
        Schema::new(&schema)
            .unwrap()
            .check(answer)
            .err()
            .unwrap_or_default()
    }

    #[test]
    fn faults_are_sentences_with_their_place_and_without_the_answers_words() {
        assert_eq!(
            fault(&json!({ "comment": "ok", "confidence": 0.5, "estimate": "small" })),
            ""
        );
        insta::assert_snapshot!(fault(&json!({ "comment": "canary canary", "confidence": 2, "estimate": "canary" })), @r#"/comment: value is longer than 10 characters; /confidence: value is greater than the maximum of 1; /estimate: value is not one of "small", "medium" or "large""#);
        insta::assert_snapshot!(fault(&json!({ "comment": 1, "mood": "canary" })), @r#"the answer: "confidence" is a required property; /comment: value is not of type "string"; the answer: Additional properties are not allowed ('mood' was unexpected)"#);
        insta::assert_snapshot!(fault(&json!("canary")), @r#"the answer: value is not of type "object""#);
    }

    #[test]
    fn an_unusable_schema_is_its_own_error() {
        assert!(Schema::new(&json!({ "type": "strnig" })).is_err());
        // Nothing is ever fetched.
        assert!(Schema::new(&json!({ "$ref": "https://example.org/schema.json" })).is_err());
    }
}
