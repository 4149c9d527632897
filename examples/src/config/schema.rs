//! Finds the keys the model does not know, with the line and the key that was probably meant.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::Value;
use toml::de::DeTable;
use toml::de::DeValue;

use super::Config;
use super::Problem;
use super::line_at;

static SCHEMA: LazyLock<Value> = LazyLock::new(|| schemars::schema_for!(Config).to_value());

/// Returns a problem per unknown key of the document.
pub(super) fn unknown_keys(text: &str, document: &DeTable<'_>) -> Vec<Problem> {
    let mut walk = Walk {
        text,
        path: Vec::new(),
        problems: Vec::new(),
    };
    walk.table(document, &SCHEMA);
    walk.problems.sort_by_key(|p| p.line);
    walk.problems
}

struct Walk<'a> {
    text: &'a str,
    path: Vec<String>,
    problems: Vec<Problem>,
}

impl Walk<'_> {
    fn table(&mut self, table: &DeTable<'_>, schema: &Value) {
        let schema = resolve(schema);
        for (key, value) in table {
            let name: &str = key.get_ref();
            match child(schema, name) {
                Some(inner) => {
                    self.path.push(name.to_owned());
                    self.value(value.get_ref(), inner);
                    self.path.pop();
                }
                None if schema.get("properties").is_some() => {
                    let line = line_at(self.text, key.span().start);
                    let what = sentence(name, &self.path, schema, value.get_ref());
                    self.problems.push(Problem::new(Some(line), what));
                }
                None => {}
            }
        }
    }

    fn value(&mut self, value: &DeValue<'_>, schema: &Value) {
        if let Some(table) = value.as_table() {
            self.table(table, schema);
        } else if let (Some(array), Some(items)) = (value.as_array(), resolve(schema).get("items"))
        {
            for item in array {
                self.value(item.get_ref(), items);
            }
        }
    }
}

fn child<'a>(schema: &'a Value, name: &str) -> Option<&'a Value> {
    let known = schema.get("properties").and_then(|p| p.get(name));
    known.or_else(|| schema.get("additionalProperties").filter(|s| s.is_object()))
}

/// Follows references, and the one alternative that is not `null`.
fn resolve(schema: &Value) -> &Value {
    let mut schema = schema;
    // Deeper than any nesting of the model; only guards against a reference to itself.
    for _ in 0..16 {
        let not_null = |s: &&Value| s.get("type").and_then(Value::as_str) != Some("null");
        let next = match schema.get("$ref").and_then(Value::as_str) {
            Some(reference) => reference.strip_prefix('#').and_then(|p| SCHEMA.pointer(p)),
            None => schema
                .get("anyOf")
                .and_then(Value::as_array)
                .and_then(|all| all.iter().find(not_null)),
        };
        match next {
            Some(next) => schema = next,
            None => break,
        }
    }
    schema
}

fn sentence(name: &str, path: &[String], schema: &Value, value: &DeValue<'_>) -> String {
    let known: Vec<&str> = schema
        .get("properties")
        .and_then(Value::as_object)
        .map(|p| p.keys().map(String::as_str).collect())
        .unwrap_or_default();
    let clean: String = name.chars().take(60).collect();
    let shown = crate::terminal::escape(&clean);
    let section = value.is_table() && path.is_empty();
    let what = if section {
        format!("unknown section [{shown}]")
    } else if path.is_empty() {
        format!("unknown key `{shown}` before the first section")
    } else {
        format!("unknown key `{shown}` in [{}]", path.join("."))
    };
    if let Some(best) = nearest(name, &known) {
        let (open, close) = if section { ('[', ']') } else { ('`', '`') };
        return format!("{what}: did you mean {open}{best}{close}?");
    }
    let elsewhere: Vec<String> = places_of(name).into_iter().collect();
    if elsewhere.is_empty() {
        format!("{what}: known there are {}", known.join(", "))
    } else {
        format!("{what}: it belongs in {}", elsewhere.join(" or "))
    }
}

fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let score = |k: &str| strsim::jaro_winkler(&name.to_lowercase(), k);
    let close = |k: &str| strsim::damerau_levenshtein(name, k) <= 2 || score(k) >= 0.88;
    let candidates = known.iter().copied().filter(|k| close(k));
    candidates.max_by(|a, b| score(a).total_cmp(&score(b)))
}

/// Returns the sections in which a key of this name is known.
fn places_of(name: &str) -> BTreeSet<String> {
    key_paths()
        .into_iter()
        .filter_map(|path| {
            let (section, key) = path.rsplit_once('.')?;
            (key == name).then(|| format!("[{section}]"))
        })
        .collect()
}

/// Returns every key of the model as a dotted path; a map's entries stand as `*`.
pub(super) fn key_paths() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    collect(&SCHEMA, "", &mut all);
    all
}

fn collect(schema: &Value, prefix: &str, all: &mut BTreeSet<String>) {
    let schema = resolve(schema);
    let join = |key: &str| match prefix {
        "" => key.to_owned(),
        _ => format!("{prefix}.{key}"),
    };
    let has_keys = |s: &&Value| resolve(s).get("properties").is_some();
    let before = all.len();
    let properties = schema.get("properties").and_then(Value::as_object);
    for (key, inner) in properties.into_iter().flatten() {
        collect(inner, &join(key), all);
    }
    if let Some(inner) = schema.get("additionalProperties").filter(has_keys) {
        collect(inner, &join("*"), all);
    }
    if let Some(items) = schema.get("items").filter(has_keys) {
        collect(items, prefix, all);
    }
    if all.len() == before {
        all.insert(prefix.to_owned());
    }
}
