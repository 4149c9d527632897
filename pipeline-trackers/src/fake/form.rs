//! Requests and answers as a fake sees them.

use std::fmt;

use serde::Serialize;
use serde_json::Value;
use url::form_urlencoded;

/// A request, whole.
#[derive(Clone, PartialEq, Eq)]
pub struct FakeRequest {
    /// `GET`, `POST`, …
    pub method: String,
    /// The path as it was sent.
    pub path: String,
    /// The path's segments, decoded.
    pub segments: Vec<String>,
    /// The query, decoded.
    pub query: Vec<(String, String)>,
    /// The headers, with names in small letters.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// A file that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeFile {
    /// The name its sender gave it.
    pub name: String,
    /// Its bytes.
    pub content: Vec<u8>,
}

impl fmt::Debug for FakeRequest {
    // Neither headers nor the values of the query: one of them is the credential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

impl FakeRequest {
    /// Returns whether it asks for a change.
    #[must_use]
    pub fn is_write(&self) -> bool {
        !matches!(self.method.as_str(), "GET" | "HEAD")
    }

    /// Returns a header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Returns the first value of a parameter of the query.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Returns every value of a parameter of the query.
    pub fn parameters<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let found = self.query.iter().filter(move |(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Returns the body as JSON; null if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Returns the body as a form.
    #[must_use]
    pub fn form(&self) -> Vec<(String, String)> {
        form_urlencoded::parse(&self.body).into_owned().collect()
    }

    /// Returns the file of a multipart body that has exactly one part.
    #[must_use]
    pub fn file(&self) -> Option<FakeFile> {
        let kind = self.header("content-type")?;
        let boundary = kind.split("boundary=").nth(1)?.trim_matches('"');
        let opening = format!("--{boundary}\r\n");
        let closing = format!("\r\n--{boundary}--");
        let begins = find(&self.body, opening.as_bytes())? + opening.len();
        let part = self.body.get(begins..)?;
        let head_ends = find(part, b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(part.get(..head_ends)?).into_owned();
        let rest = part.get(head_ends + 4..)?;
        let content = rest.get(..find(rest, closing.as_bytes())?)?.to_vec();
        Some(FakeFile {
            name: file_name(&head)?,
            content,
        })
    }
}

/// Reads a file's name as browsers and clients write it.
fn file_name(head: &str) -> Option<String> {
    if let Some((_, extended)) = head.split_once("filename*=utf-8''") {
        let encoded = extended.split(['\r', '\n', ';']).next()?;
        let query = format!("n={}", encoded.replace('+', "%2B"));
        let (_, name) = form_urlencoded::parse(query.as_bytes()).next()?;
        return Some(name.into_owned());
    }
    let (_, quoted) = head.split_once("filename=\"")?;
    let mut name = String::new();
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => return Some(name),
            '\\' => name.extend(chars.next()),
            c => name.push(c),
        }
    }
    None
}

fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len()).position(|w| w == needle)
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeAnswer {
    /// The status.
    pub status: u16,
    /// Headers beside `Date` and the length.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl FakeAnswer {
    /// Answers with JSON.
    #[must_use]
    pub fn json(status: u16, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).unwrap_or_default();
        Self::bytes(status, "application/json", body)
    }

    /// Answers with plain text.
    #[must_use]
    pub fn text(status: u16, body: &str) -> Self {
        Self::bytes(status, "text/plain", body.as_bytes().to_vec())
    }

    /// Answers with a page.
    #[must_use]
    pub fn html(status: u16) -> Self {
        let page = b"<!DOCTYPE html><html><body>please stand by</body></html>";
        Self::bytes(status, "text/html", page.to_vec())
    }

    /// Answers with bytes.
    #[must_use]
    pub fn bytes(status: u16, kind: &str, body: Vec<u8>) -> Self {
        Self {
            status,
            headers: vec![("content-type".to_owned(), kind.to_owned())],
            body,
        }
    }

    /// Answers without a body.
    #[must_use]
    pub const fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_out_of_a_form_with_whatever_name() {
        for (written, name) in [
            (r#"filename="a.txt""#, "a.txt"),
            (r#"filename="a\"b\\.txt""#, "a\"b\\.txt"),
            ("filename*=utf-8''%E3%83%AD%20%2B.txt", "ロ +.txt"),
        ] {
            let body = format!(
                "--xyz\r\nContent-Disposition: form-data; name=\"file\"; {written}\r\n\r\nA\r\nB\r\n--xyz--\r\n"
            );
            let request = FakeRequest {
                method: "POST".to_owned(),
                path: "/".to_owned(),
                segments: Vec::new(),
                query: Vec::new(),
                headers: vec![(
                    "content-type".to_owned(),
                    "multipart/form-data; boundary=xyz".to_owned(),
                )],
                body: body.into_bytes(),
            };
            let file = request.file().expect(written);
            assert_eq!(
                (file.name.as_str(), file.content.as_slice()),
                (name, &b"A\r\nB"[..])
            );
        }
    }
}
