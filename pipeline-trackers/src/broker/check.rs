//! Whether a call is one of those the run may make.

use hyper::HeaderMap;
use hyper::Uri;
use pipeline_core::tracker::Dialect;
use serde_json::Map;
use serde_json::Value;
use url::form_urlencoded;

use super::Shared;
use super::TokenPlace;
use super::log::Refusal;
use super::planned::Pairs;
use super::rules::Rule;
use super::rules::plain;

/// Headers that change what a call means, or who makes it.
const MEANINGFUL: &[&str] = &[
    "sudo",
    "cookie",
    "job-token",
    "deploy-token",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
    "upgrade",
    "expect",
    "transfer-encoding",
];
/// Fields whose text a tracker renders and acts on.
const TEXTS: &[&str] = &[
    "title",
    "description",
    "summary",
    "body",
    "content",
    "comment",
    "name",
];

/// A call that may be made.
#[derive(Debug)]
pub(super) struct Allowed<'r> {
    pub(super) rule: &'r Rule,
    /// The path below the project's address, beginning with `/` or empty.
    pub(super) below: String,
    pub(super) query: Vec<(String, String)>,
}

/// A call of the run itself: it named this broker and showed the placeholder.
#[derive(Debug)]
pub(super) struct Ours {
    /// The query without the placeholder.
    query: Vec<(String, String)>,
}

/// Tells the run's own calls from everybody else's.
pub(super) fn caller(shared: &Shared, uri: &Uri, headers: &HeaderMap) -> Result<Ours, Refusal> {
    let mut hosts = headers.get_all("host").iter();
    let host = hosts.next().and_then(|h| h.to_str().ok());
    let named = host.is_some_and(|host| shared.hosts.iter().any(|ours| ours == host));
    if !named || hosts.next().is_some() || headers.contains_key("origin") {
        return Err(Refusal::Host);
    }
    let query: Vec<(String, String)> =
        form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect();
    let query = placeholder(shared, headers, query)?;
    Ok(Ours { query })
}

/// Checks everything else but the body.
pub(super) fn head<'r>(
    shared: &'r Shared,
    ours: Ours,
    method: &str,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Allowed<'r>, Refusal> {
    if uri.scheme().is_some() || uri.authority().is_some() {
        return Err(Refusal::Address);
    }
    let query = ours.query;
    if headers.keys().any(|name| is_meaningful(name.as_str())) {
        return Err(Refusal::Header);
    }
    let below = below(shared.options.upstream.path(), uri.path()).ok_or(Refusal::Address)?;
    let segments: Vec<&str> = below.split('/').skip(1).collect();
    let rule = shared
        .options
        .rules
        .find(method, &segments)
        .ok_or(Refusal::NotNamed)?;
    let fits = if rule.writes() {
        query.is_empty()
    } else {
        rule.allows(&query)
    };
    if !fits {
        return Err(Refusal::Parameter);
    }
    Ok(Allowed {
        rule,
        below: below.to_owned(),
        query,
    })
}

fn is_meaningful(name: &str) -> bool {
    MEANINGFUL.contains(&name) || name.starts_with("x-forwarded-") || name == "forwarded"
}

/// Looks for the run's placeholder where clients put a token, and takes it out.
fn placeholder(
    shared: &Shared,
    headers: &HeaderMap,
    query: Vec<(String, String)>,
) -> Result<Vec<(String, String)>, Refusal> {
    let mut given = Vec::new();
    for name in ["private-token", "authorization"] {
        for value in headers.get_all(name) {
            let value = value.to_str().map_err(|_| Refusal::Placeholder)?;
            let value = value.strip_prefix("Bearer ").unwrap_or(value);
            given.push(value.to_owned());
        }
    }
    let token = |name: &str| {
        let ours = matches!(shared.options.place, TokenPlace::Query(place) if place == name);
        ours || ["private_token", "access_token", "job_token", "apiKey"].contains(&name)
    };
    let (tokens, rest): (Vec<_>, Vec<_>) = query.into_iter().partition(|(name, _)| token(name));
    given.extend(tokens.into_iter().map(|(_, value)| value));
    if given.is_empty() || given.iter().any(|value| *value != shared.placeholder) {
        return Err(Refusal::Placeholder);
    }
    Ok(rest)
}

/// Returns what stands behind the project's path, if nothing in it could be read in two ways.
fn below<'p>(project: &str, path: &'p str) -> Option<&'p str> {
    let below = path.strip_prefix(project.trim_end_matches('/'))?;
    if below.is_empty() {
        return Some(below);
    }
    let rest = below.strip_prefix('/')?;
    let plain = |segment: &str| {
        !segment.is_empty()
            && segment != "."
            && segment != ".."
            && segment
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    rest.split('/').all(plain).then_some(below)
}

/// The fields of a body that may be sent on, written anew, so that nothing the tracker might read differently is passed on.
#[derive(Debug)]
pub(super) struct Content {
    /// The fields by themselves.
    pub(super) pairs: Pairs,
    /// The body, where it is JSON and nothing of it is to be changed.
    json: Option<Map<String, Value>>,
}

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

impl Content {
    /// Says that the fields were changed.
    pub(super) fn changed(&mut self) {
        self.json = None;
    }

    pub(super) fn encoded(self) -> (&'static str, Vec<u8>) {
        if let Some(fields) = self.json {
            return (JSON, Value::Object(fields).to_string().into_bytes());
        }
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(&self.pairs);
        (FORM, form.finish().into_bytes())
    }
}

/// Reads a body, keeps to the fields that are named, and makes its texts harmless.
pub(super) fn body(
    rule: &Rule,
    dialect: &dyn Dialect,
    kind: Option<&str>,
    bytes: &[u8],
) -> Result<Content, Refusal> {
    let kind = kind.unwrap_or_default();
    let kind = kind
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let harmless = |name: &str, text: String| {
        if TEXTS.contains(&plain(name)) {
            dialect.neutralise(&text)
        } else {
            text
        }
    };
    let (pairs, json) = match kind.as_str() {
        JSON => {
            let Ok(Value::Object(mut fields)) = serde_json::from_slice(bytes) else {
                return Err(Refusal::Body);
            };
            for (name, value) in &mut fields {
                // A list of texts may be joined by whoever reads it.
                let values = match value {
                    Value::Array(all) => all.as_mut_slice(),
                    one => std::slice::from_mut(one),
                };
                for value in values {
                    if let Value::String(text) = value {
                        *text = harmless(name, std::mem::take(text));
                    }
                }
            }
            let mut pairs = Vec::new();
            for (name, value) in &fields {
                let list = if value.is_array() { "[]" } else { "" };
                for value in flat(value).ok_or(Refusal::Body)? {
                    pairs.push((format!("{name}{list}"), value));
                }
            }
            (pairs, Some(fields))
        }
        FORM => {
            let pairs = form_urlencoded::parse(bytes).into_owned();
            let pairs = pairs.map(|(name, value)| {
                let value = harmless(&name, value);
                (name, value)
            });
            (pairs.collect(), None)
        }
        _ => return Err(Refusal::Body),
    };
    // A fixed value is no text, and so it is still what was sent.
    if rule.allows(&pairs) {
        Ok(Content { pairs, json })
    } else {
        Err(Refusal::Body)
    }
}

/// Takes out of an answer what is itself a credential: a project's page holds the token of its runners.
///
/// `None` if there is nothing of that kind, and the answer may go on as it came.
pub(super) fn without_credentials(bytes: &[u8]) -> Option<Vec<u8>> {
    fn clear(value: &mut Value) -> bool {
        match value {
            Value::Object(fields) => {
                let before = fields.len();
                fields.retain(|name, value| !(value.is_string() && is_credential(name)));
                let fewer = fields.len() < before;
                fields
                    .values_mut()
                    .fold(fewer, |found, value| clear(value) || found)
            }
            Value::Array(all) => {
                let mut found = false;
                for value in all {
                    found |= clear(value);
                }
                found
            }
            _ => false,
        }
    }
    fn is_credential(name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        name.ends_with("token")
            || name.ends_with("password")
            || name.ends_with("secret")
            || name == "import_url"
    }
    let mut answer: Value = serde_json::from_slice(bytes).ok()?;
    clear(&mut answer).then(|| answer.to_string().into_bytes())
}

/// Returns a field's values as texts; objects and nested lists are none.
fn flat(value: &Value) -> Option<Vec<String>> {
    let one = |value: &Value| match value {
        Value::Null => Some(String::new()),
        Value::Bool(b) => Some(b.to_string()),
        Value::Number(n) => Some(n.to_string()),
        Value::String(s) => Some(s.clone()),
        Value::Array(_) | Value::Object(_) => None,
    };
    match value {
        Value::Array(all) => all.iter().map(one).collect(),
        other => Some(vec![one(other)?]),
    }
}
