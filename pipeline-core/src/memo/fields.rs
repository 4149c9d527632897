//! The `key: value` lines of a memo.

use super::encode::encode_value;

/// Keys and values in order; a repeated key is a list.
///
/// Values are one line of printable ASCII each; whatever else is given is percent-encoded on the way in, so that
/// what is rendered always parses back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// Makes an empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a line. Keys that are not `[a-z][a-z0-9-]*` are a mistake of the caller and are left out.
    pub fn push(&mut self, key: &str, value: impl AsRef<str>) {
        debug_assert!(is_key(key), "not a key: {key}");
        if is_key(key) {
            self.0.push((key.to_owned(), plain(value.as_ref())));
        }
    }

    /// Adds a line, for chaining.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl AsRef<str>) -> Self {
        self.push(key, value);
        self
    }

    /// Returns the only value of `key`; `None` if there is none or more than one.
    #[must_use]
    pub fn one(&self, key: &str) -> Option<&str> {
        let mut values = self.0.iter().filter(|(k, _)| k == key);
        let (_, first) = values.next()?;
        values.next().is_none().then_some(first.as_str())
    }

    /// Returns every value of `key`, in order.
    #[must_use]
    pub fn all(&self, key: &str) -> Vec<&str> {
        self.0
            .iter()
            .filter(|(k, _)| k == key)
            .map(|(_, v)| v.as_str())
            .collect()
    }

    /// Returns every line, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }

    /// Removes every line of `key`.
    pub fn remove(&mut self, key: &str) {
        self.0.retain(|(k, _)| k != key);
    }
}

pub(super) fn is_key(key: &str) -> bool {
    key.len() <= 40
        && key.starts_with(|c: char| c.is_ascii_lowercase())
        && key
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Returns the value as one printable ASCII line without outer spaces.
fn plain(value: &str) -> String {
    let value = value.trim();
    if value.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        value.to_owned()
    } else {
        encode_value(value)
    }
}
