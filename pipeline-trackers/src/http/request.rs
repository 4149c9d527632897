//! What is asked for.

use std::fmt;

use reqwest::Method;
use serde_json::Value;

/// Most bytes of an answer unless the request says otherwise.
const USUAL_LIMIT: u64 = 32 << 20;

/// What goes with a request.
#[derive(Clone)]
pub(crate) enum Body {
    None,
    Json(Value),
    Form(Vec<(String, String)>),
    File {
        field: &'static str,
        name: String,
        content: Vec<u8>,
    },
}

/// One request, independent of address and credential.
#[derive(Clone)]
pub(crate) struct Request {
    pub(super) method: Method,
    pub(super) segments: Vec<String>,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Body,
    pub(super) category: &'static str,
    pub(super) operation: &'static str,
    pub(super) what: String,
    pub(super) limit: u64,
    pub(super) to_storage: bool,
}

impl Request {
    fn new(method: Method, operation: &'static str) -> Self {
        Self {
            method,
            segments: Vec::new(),
            query: Vec::new(),
            body: Body::None,
            category: "",
            operation,
            what: String::new(),
            limit: USUAL_LIMIT,
            to_storage: false,
        }
    }

    /// Asks for something. `operation` completes "cannot be reached for …".
    pub(crate) fn get(operation: &'static str) -> Self {
        Self::new(Method::GET, operation)
    }

    /// Makes something. `operation` completes "does not let this account …".
    pub(crate) fn post(operation: &'static str) -> Self {
        Self::new(Method::POST, operation)
    }

    /// Changes something.
    pub(crate) fn put(operation: &'static str) -> Self {
        Self::new(Method::PUT, operation)
    }

    /// Changes a part of something.
    pub(crate) fn patch(operation: &'static str) -> Self {
        Self::new(Method::PATCH, operation)
    }

    /// Appends segments to the path under the base; each is encoded whole, its slashes too.
    pub(crate) fn at<I>(mut self, segments: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let segments = segments.into_iter();
        self.segments
            .extend(segments.map(|s| s.as_ref().to_owned()));
        self
    }

    /// Adds a parameter to the query.
    pub(crate) fn query(mut self, name: impl Into<String>, value: impl fmt::Display) -> Self {
        self.query.push((name.into(), value.to_string()));
        self
    }

    /// Sets a parameter of the query, in place of what it had.
    pub(crate) fn replace_query(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.query.retain(|(known, _)| known != name);
        self.query(name, value)
    }

    /// Leaves a parameter out.
    pub(crate) fn without_query(mut self, name: &str) -> Self {
        self.query.retain(|(known, _)| known != name);
        self
    }

    /// Sets the whole query, as a link of the server has it.
    pub(crate) fn with_query(mut self, query: Vec<(String, String)>) -> Self {
        self.query = query;
        self
    }

    /// Returns a parameter of the query.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }

    /// Names what the request is about, for errors: `issue 12`.
    pub(crate) fn of(mut self, what: impl Into<String>) -> Self {
        self.what = what.into();
        self
    }

    /// Counts the request against this budget.
    pub(crate) fn category(mut self, category: &'static str) -> Self {
        self.category = category;
        self
    }

    /// Takes an answer of at most so many bytes.
    pub(crate) fn at_most(mut self, bytes: u64) -> Self {
        self.limit = bytes;
        self
    }

    /// Lets the server send the reader to another place for the bytes, which is then asked without the credential.
    pub(crate) fn storage_allowed(mut self) -> Self {
        self.to_storage = true;
        self
    }

    /// Returns what the request does, as errors say it.
    pub(crate) const fn operation(&self) -> &'static str {
        self.operation
    }

    /// Returns what the request is about, else what it does.
    pub(crate) fn subject(&self) -> String {
        if self.what.is_empty() {
            self.operation.to_owned()
        } else {
            self.what.clone()
        }
    }
}

impl fmt::Debug for Request {
    // Neither query nor body: they may hold what nobody should read in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("operation", &self.operation)
            .field("what", &self.what)
            .finish_non_exhaustive()
    }
}
