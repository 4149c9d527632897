//! Which link of an item is the link to its issue.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;
use serde::Serialize;

use crate::issue::IssueKey;

/// The link from an item to its issue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IssueLink {
    /// The issue it names.
    pub key: IssueKey,
    /// Where it leads; `None` for a mere `(#9)`.
    pub url: Option<String>,
}

/// A link as it was found in an item's first paragraph.
#[derive(Debug)]
pub(super) struct Found {
    /// Its text in the plain paragraph.
    pub(super) text: Range<usize>,
    pub(super) url: String,
}

fn fixed(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a fixed pattern")
}

/// Addresses of issues. Each is what a tracker shows in the address line of an issue's page.
static ADDRESS: LazyLock<Regex> = LazyLock::new(|| {
    fixed(
        r"(?x) ^[^\s\#?]* (?: / (?:issues|work_items) / (?P<n>\d{1,18}) | /view/ (?P<k>[A-Z][A-Z0-9_]*-\d{1,18}) ) /? (?:[?\#].*)? $",
    )
});
/// A reference as link text.
static NAME: LazyLock<Regex> =
    LazyLock::new(|| fixed(r"^(?:[\w./-]*#(?P<n>\d{1,18})\+?s?|(?P<k>[A-Z][A-Z0-9_]*-\d{1,18}))$"));
/// A reference without an address at the end: `(#9)`, `[#9]`.
static BARE: LazyLock<Regex> =
    LazyLock::new(|| fixed(r"[(\x{ff08}\[]\s*#(?P<n>\d{1,18})\+?s?\s*[)\x{ff09}\]]\W*$"));
/// An address without brackets around it at the end.
static PLAIN_ADDRESS: LazyLock<Regex> = LazyLock::new(|| {
    fixed(r"(?P<open>[(\x{ff08}\[<]?)(?P<url>https?://[^\s<>)\x{ff09}\]]+)[)\x{ff09}\]>.,;]*\s*$")
});

const AFTER: &[char] = &[
    ')', ']', '.', ',', ';', '!', '\u{ff09}', '】', '。', '、', '*', '_',
];
const BEFORE: &[char] = &['(', '[', '\u{ff08}', '【', '→', '*', '_'];
const BETWEEN: &[char] = &[':', '-', '–', '—', ')', ']', '\u{ff1a}'];

fn key(captures: &regex::Captures<'_>) -> Option<IssueKey> {
    let found = captures.name("n").or_else(|| captures.name("k"))?;
    IssueKey::new(found.as_str()).ok()
}

fn from_address(url: &str) -> Option<IssueKey> {
    key(&ADDRESS.captures(url)?)
}

fn issue(text: &str, url: &str) -> Option<IssueKey> {
    if let Some(found) = from_address(url) {
        return Some(found);
    }
    // Another kind of address: believed if it ends in the very key its text names, and is no place in this document.
    let found = key(&NAME.captures(text.trim())?)?;
    let at = url.strip_suffix(found.as_str())?;
    let apart = at.ends_with(['/', '#', '=']) && at.len() > 1;
    apart.then_some(found)
}

/// Splits a plain paragraph into its text and the link to its issue: the link at its end, at its beginning, around it, or
/// in parentheses at the end of its first line.
///
/// A link in the middle is a mention of some other issue.
pub(super) fn split(
    plain: &str,
    links: &[Found],
    first_line: Option<usize>,
) -> (String, Option<IssueLink>) {
    let whole = || plain.trim().to_owned();
    let parts = |at: &Found| {
        let before = plain.get(..at.text.start).unwrap_or_default();
        let text = plain.get(at.text.clone()).unwrap_or_default();
        let after = plain.get(at.text.end..).unwrap_or_default();
        (before, text, after)
    };
    let is_end = |after: &str| {
        after
            .trim_matches(|c: char| c.is_whitespace() || AFTER.contains(&c))
            .is_empty()
    };
    if let Some(last) = links.last() {
        let (before, text, after) = parts(last);
        if is_end(after)
            && let Some(key) = issue(text, &last.url)
        {
            let url = Some(last.url.clone());
            let kept = before.trim_end_matches(|c: char| c.is_whitespace() || BEFORE.contains(&c));
            let kept = if kept.trim().is_empty() { text } else { kept };
            return (kept.trim().to_owned(), Some(IssueLink { key, url }));
        }
    }
    if let Some(first) = links.first() {
        let (before, text, after) = parts(first);
        let begins = before
            .trim_matches(|c: char| c.is_whitespace() || BEFORE.contains(&c))
            .is_empty();
        if begins
            && NAME.is_match(text.trim())
            && let Some(key) = issue(text, &first.url)
        {
            let kept =
                after.trim_start_matches(|c: char| c.is_whitespace() || BETWEEN.contains(&c));
            let url = Some(first.url.clone());
            return (kept.trim().to_owned(), Some(IssueLink { key, url }));
        }
    }
    if let Some(end) = first_line {
        for link in links {
            let (before, text, after) = parts(link);
            let rest = end
                .checked_sub(link.text.end)
                .and_then(|n| after.split_at_checked(n));
            if let Some((closing, after)) = rest
                && closing.trim() == ")"
                && let Some(before) = before.strip_suffix('(')
                && let Some(key) = issue(text, &link.url)
            {
                let url = Some(link.url.clone());
                return (format!("{before} {after}"), Some(IssueLink { key, url }));
            }
        }
    }
    if let Some(found) = BARE.captures(plain)
        && let Some(key) = key(&found)
    {
        let start = found.get(0).map_or(0, |m| m.start());
        let kept = plain.get(..start).unwrap_or_default().trim();
        if !kept.is_empty() {
            return (kept.to_owned(), Some(IssueLink { key, url: None }));
        }
    }
    if let Some(found) = PLAIN_ADDRESS.captures(plain)
        && let Some(url) = found.name("url").map(|m| m.as_str())
        && let Some(key) = from_address(url)
    {
        let start = found.name("open").map_or(0, |m| m.start());
        let kept = plain.get(..start).unwrap_or_default().trim();
        let kept = if kept.is_empty() { plain.trim() } else { kept };
        let url = Some(url.to_owned());
        return (kept.to_owned(), Some(IssueLink { key, url }));
    }
    (whole(), None)
}
