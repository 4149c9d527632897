//! What GitLab makes links of: mentions, references, addresses of its own records.

/// Returns how long the mention, reference or address is that begins here, if one does.
pub(super) fn reference(text: &str, before: Option<char>) -> Option<usize> {
    // What GitLab calls a word is ASCII: a mention right behind other letters is one.
    let in_word = before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    let mut chars = text.chars();
    let sigil = chars.next()?;
    let next = chars.next();
    let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':');
    let digit = next.is_some_and(|c| c.is_ascii_digit());
    let letter = next.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let refers = match sigil {
        // What is escaped is part of the name that comes out.
        '@' if !in_word && next == Some('\\') => return Some(1),
        '@' => {
            (letter || next == Some('.') && chars.next().is_some_and(char::is_alphanumeric))
                && !in_word
        }
        '#' | '!' | '$' | '&' => digit,
        '~' | '%' => letter || next == Some('"'),
        '^' => text.starts_with("^alert#"),
        '[' => return bracketed(text),
        'h' if !in_word => return address(text),
        _ => false,
    };
    if !refers {
        return None;
    }
    if next == Some('"') {
        let end = text.get(2..)?.find('"')? + 3;
        let quoted = text.get(..end)?;
        return (!quoted.contains('`')).then_some(end);
    }
    let rest = text.get(1..)?;
    let rest = if sigil == '^' {
        rest.replacen('#', ":", 1)
    } else {
        rest.to_owned()
    };
    let length: usize = rest
        .chars()
        .take_while(|c| word(*c))
        .map(char::len_utf8)
        .sum();
    // What ends a sentence is not part of the name.
    let name = rest.get(..length)?.trim_end_matches(['.', ':', '/', '-']);
    Some(1 + name.len())
}

/// Returns the length of `[issue:12]` and its like.
fn bracketed(text: &str) -> Option<usize> {
    let end = text.find(']')?;
    let inside = text.get(1..end)?;
    let (kind, id) = inside.split_once(':')?;
    let known = !kind.is_empty()
        && kind.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        && !id.is_empty()
        && !id.starts_with(' ')
        && !inside.contains('`');
    known.then_some(end + 1)
}

/// Returns the length of an address that refers to an issue or the like of some project.
fn address(text: &str) -> Option<usize> {
    if !text.starts_with("http://") && !text.starts_with("https://") {
        return None;
    }
    let ends = |c: char| c.is_whitespace() || matches!(c, '`' | '<' | '>' | '"' | ')' | ']');
    let length = text.find(ends).unwrap_or(text.len());
    let address = text.get(..length)?;
    let refers = [
        "/issues/",
        "/work_items/",
        "/merge_requests/",
        "/epics/",
        "/commit/",
        "/snippets/",
        "/milestones/",
    ];
    refers
        .iter()
        .any(|part| address.contains(part))
        .then_some(length)
}
