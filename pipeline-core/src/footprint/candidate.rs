//! Reading candidate files as people and agents write them.

use super::path::percent_decode_lenient;
use super::{MAX_PATH_BYTES, PathFault, RepoDir, RepoPath};

/// What one candidate text claims.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// One file.
    File(RepoPath),
    /// Everything below a directory.
    Tree(RepoDir),
}

/// Reads one candidate; a rename claims both of its ends.
pub(super) fn read(text: &str) -> Result<Vec<Entry>, PathFault> {
    if text.len() > 3 * MAX_PATH_BYTES {
        return Err(PathFault::TooLong);
    }
    let text = unquoted(text.trim_matches([' ', '\t', '\r', '\n']));
    if let Some((old, new)) = rename(text) {
        return Ok(vec![read_one(&old)?, read_one(&new)?]);
    }
    Ok(vec![read_one(text)?])
}

/// Takes off the quotes that Markdown and shells put around a path.
fn unquoted(text: &str) -> &str {
    ['`', '"', '\'']
        .into_iter()
        .find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(text)
}

/// Splits git's two ways to show a rename: `old -> new` (or `=>`), and `src/{old => new}/x.rs`.
fn rename(text: &str) -> Option<(String, String)> {
    if let (Some(open), Some(close)) = (text.find('{'), text.rfind('}'))
        && open < close
        && let Some((old, new)) = text[open + 1..close].split_once(" => ")
    {
        let (before, after) = (&text[..open], &text[close + 1..]);
        return Some((
            format!("{before}{old}{after}"),
            format!("{before}{new}{after}"),
        ));
    }
    let (old, new) = text
        .split_once(" -> ")
        .or_else(|| text.split_once(" => "))?;
    Some((old.to_owned(), new.to_owned()))
}

fn read_one(text: &str) -> Result<Entry, PathFault> {
    let text = without_position(unquoted(text.trim()));
    let slashed = text.replace('\\', "/");
    if is_absolute(&slashed) {
        return Err(PathFault::Absolute);
    }
    // A name may hold a star, but who declares one means a pattern.
    let pattern = slashed
        .split('/')
        .position(|segment| segment.contains(['*', '?']));
    let (literal, tree) = match pattern {
        Some(at) => (
            slashed.split('/').take(at).collect::<Vec<_>>().join("/"),
            true,
        ),
        None => (
            slashed.clone(),
            slashed.ends_with('/') || slashed.ends_with("/.") || slashed == ".",
        ),
    };
    let bytes = percent_decode_lenient(&literal);
    if bytes.starts_with(b"/") {
        return Err(PathFault::Absolute);
    }
    let mut segments: Vec<&[u8]> = Vec::new();
    for segment in bytes.split(|byte| *byte == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => {
                segments.pop().ok_or(PathFault::Escapes)?;
            }
            name => segments.push(name),
        }
    }
    match (segments.is_empty(), tree) {
        (true, false) => Err(PathFault::Empty),
        (true, true) => Ok(Entry::Tree(RepoDir::root())),
        (false, tree) => {
            let path = RepoPath::from_bytes(&segments.join(&b'/'))?;
            Ok(if tree {
                Entry::Tree(RepoDir::at(path))
            } else {
                Entry::File(path)
            })
        }
    }
}

/// Returns whether the text starts at a root, a home folder, a drive or a scheme.
fn is_absolute(text: &str) -> bool {
    let drive = matches!(text.as_bytes(), [letter, b':', b'/', ..] if letter.is_ascii_alphabetic());
    text.starts_with('/') || text == "~" || text.starts_with("~/") || drive || text.contains("://")
}

/// Takes off `:12`, `:12:5`, `#L12` and `#L12-L20`.
fn without_position(text: &str) -> &str {
    if let Some((path, lines)) = text.rsplit_once("#L")
        && !path.is_empty()
        && lines.starts_with(|c: char| c.is_ascii_digit())
        && lines
            .chars()
            .all(|c| c.is_ascii_digit() || c == '-' || c == 'L')
    {
        return path;
    }
    let mut rest = text;
    for _ in 0..2 {
        match rest.rsplit_once(':') {
            Some((path, digits))
                if !path.is_empty()
                    && !digits.is_empty()
                    && digits.chars().all(|c| c.is_ascii_digit() || c == '-') =>
            {
                rest = path;
            }
            _ => break,
        }
    }
    rest
}
