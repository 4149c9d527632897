//! A secret that cannot be printed, and the redaction of its value from every sink.

use std::fmt;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::RwLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use percent_encoding::AsciiSet;
use percent_encoding::NON_ALPHANUMERIC;
use percent_encoding::percent_encode;

const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// A credential: no `Display`, no `Serialize`, and a `Debug` that shows nothing of it.
///
/// # Examples
///
/// ```
/// use pipeline_core::secret::Secret;
/// let token = Secret::new("glpat-abc");
/// assert_eq!(format!("{token:?}"), "Secret(…)");
/// assert_eq!(token.expose(), "glpat-abc");
/// ```
///
/// ```compile_fail
/// println!("{}", pipeline_core::secret::Secret::new("glpat-abc"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// Returns the value, for the one place that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Replaces the exact values of known secrets in text on its way out.
///
/// Every spelling a secret commonly takes is covered: raw, URL-encoded, base64 of the whole value and
/// JSON-escaped. Values under six bytes are not searched for: they would hit
/// ordinary words. Clones share what is [learned](Self::learn).
#[derive(Clone, Default)]
pub struct Redactor {
    needles: Arc<RwLock<Arc<[String]>>>,
}

const SHORTEST: usize = 6;

impl Redactor {
    /// Makes a redactor for the given secrets.
    #[must_use]
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let redactor = Self::default();
        for secret in secrets {
            redactor.learn(secret);
        }
        redactor
    }

    /// Takes in one more secret: one that was made while others were in use, as a renewed token is.
    pub fn learn(&self, secret: &Secret) {
        let raw = secret.expose();
        if raw.len() >= SHORTEST {
            let json = serde_json::Value::from(raw).to_string();
            let forms = [
                raw.to_owned(),
                url::form_urlencoded::byte_serialize(raw.as_bytes()).collect(),
                percent_encode(raw.as_bytes(), UNRESERVED).to_string(),
                // Without padding: a padded occurrence contains the unpadded one.
                STANDARD_NO_PAD.encode(raw),
                json.trim_matches('"').to_owned(),
            ];
            let mut known = self.needles.write().unwrap_or_else(PoisonError::into_inner);
            let mut needles: Vec<String> = known.iter().cloned().chain(forms).collect();
            // The longest first, so that a form which contains another is replaced whole.
            needles.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
            needles.dedup();
            *known = needles.into();
        }
    }

    fn needles(&self) -> Arc<[String]> {
        let known = self.needles.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&known)
    }

    /// Returns whether `text` contains a secret in any spelling.
    #[must_use]
    pub fn finds(&self, text: &str) -> bool {
        self.needles().iter().any(|n| text.contains(n.as_str()))
    }

    /// Returns `text` with every secret replaced by `[redacted]`.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let mut out = text.to_owned();
        for needle in self.needles().iter() {
            if out.contains(needle.as_str()) {
                out = out.replace(needle.as_str(), "[redacted]");
            }
        }
        out
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({} forms)", self.needles().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_found_and_replaced() {
        let r = Redactor::new([&Secret::new("p@ss/w\"rd+1")]);
        for text in [
            "x p@ss/w\"rd+1 y",
            "key=p%40ss%2Fw%22rd%2B1&x",
            "Basic cEBzcy93InJkKzE=",
            r#"{"t":"p@ss/w\"rd+1"}"#,
        ] {
            assert!(r.finds(text), "{text}");
            assert!(!r.finds(&r.redact(text)), "{text}");
        }
    }

    #[test]
    fn what_one_clone_learns_all_know() {
        let r = Redactor::new([&Secret::new("first-one")]);
        let other = r.clone();
        other.learn(&Secret::new("renewed-one"));
        assert_eq!(r.redact("first-one renewed-one"), "[redacted] [redacted]");
    }

    #[test]
    fn a_short_value_is_left_alone() {
        let r = Redactor::new([&Secret::new("abc")]);
        assert_eq!(r.redact("abc"), "abc");
    }
}
