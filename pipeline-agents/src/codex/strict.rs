//! Schemas in the form the service wants: every object closed, every key required.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

/// Returns a schema whose objects are closed and whose keys are all required; one that was optional may be `null`.
pub(super) fn strict(schema: &Value) -> Value {
    match schema {
        Value::Object(object) => Value::Object(strict_object(object)),
        Value::Array(list) => list.iter().map(strict).collect(),
        other => other.clone(),
    }
}

fn strict_object(object: &Map<String, Value>) -> Map<String, Value> {
    let required = required(object);
    let mut made: Map<String, Value> = object
        .iter()
        .map(|(key, value)| {
            let value = match (key.as_str(), value) {
                ("properties", Value::Object(properties)) => properties
                    .iter()
                    .map(|(name, schema)| {
                        let schema = strict(schema);
                        let schema = if required.contains(&name.as_str()) {
                            schema
                        } else {
                            json!({ "anyOf": [schema, { "type": "null" }] })
                        };
                        (name.clone(), schema)
                    })
                    .collect(),
                // Their values are data that looks like schemas at most.
                ("enum" | "const" | "default" | "examples" | "required", value) => value.clone(),
                (_, value) => strict(value),
            };
            (key.clone(), value)
        })
        .collect();
    if let Some(Value::Object(properties)) = object.get("properties") {
        let names: Vec<&String> = properties.keys().collect();
        made.insert("required".to_owned(), json!(names));
        made.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    made
}

/// Takes the nulls out of an answer that stand for keys the schema does not require.
pub(super) fn without_nulls(schema: &Value, answer: &mut Value) {
    match answer {
        Value::Object(members) => {
            let Some(object) = schema.as_object() else {
                return;
            };
            let required = required(object);
            let properties = object.get("properties").and_then(Value::as_object);
            members.retain(|name, value| !value.is_null() || required.contains(&name.as_str()));
            for (name, value) in members {
                if let Some(schema) = properties.and_then(|known| known.get(name)) {
                    without_nulls(schema, value);
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                for item in items {
                    without_nulls(schema, item);
                }
            }
        }
        _ => {}
    }
}

fn required(object: &Map<String, Value>) -> Vec<&str> {
    let list = object.get("required").and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_object_is_closed_and_every_key_required() {
        let schema = json!({
            "type": "object",
            "properties": {
                "a": { "type": "string", "enum": ["properties"] },
                "b": { "type": "object", "properties": { "c": { "type": "integer" } } },
                "d": { "type": "array", "items": { "type": "object", "properties": { "e": {} }, "required": ["e"] } },
            },
            "required": ["a", "d"],
        });
        insta::assert_snapshot!(strict(&schema), @r#"{"additionalProperties":false,"properties":{"a":{"enum":["properties"],"type":"string"},"b":{"anyOf":[{"additionalProperties":false,"properties":{"c":{"anyOf":[{"type":"integer"},{"type":"null"}]}},"required":["c"],"type":"object"},{"type":"null"}]},"d":{"items":{"additionalProperties":false,"properties":{"e":{}},"required":["e"],"type":"object"},"type":"array"}},"required":["a","b","d"],"type":"object"}"#);
        let mut answer = json!({ "a": null, "b": { "c": null }, "d": [{ "e": null }], "x": null });
        without_nulls(&schema, &mut answer);
        assert_eq!(answer, json!({ "a": null, "b": {}, "d": [{ "e": null }] }));
    }
}
