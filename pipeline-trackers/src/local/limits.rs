//! How much a record may hold.

use pipeline_core::issue::IssueDraft;

use super::edit::IssueEdit;
use super::error::LocalError;
use super::files;

/// The longest text, in bytes: room for the 100,000 characters the dialect promises, of any script.
const MAX_BODY_BYTES: usize = 400_000;

/// The longest title, label, milestone, type or file name, in characters.
const MAX_NAME_CHARS: usize = 255;

const MAX_LABELS: usize = 100;

pub(super) fn body(what: &str, text: &str) -> Result<(), LocalError> {
    if text.len() <= MAX_BODY_BYTES {
        return Ok(());
    }
    Err(LocalError::TooLarge {
        what: what.to_owned(),
        limit: MAX_BODY_BYTES as u64,
    })
}

pub(super) fn draft(draft: &IssueDraft) -> Result<(), LocalError> {
    title(&draft.title)?;
    body("the description", &draft.body)?;
    labels(&draft.labels)?;
    for text in [&draft.milestone, &draft.kind].into_iter().flatten() {
        name("a milestone or type", text)?;
    }
    Ok(())
}

pub(super) fn edit(edit: &IssueEdit) -> Result<(), LocalError> {
    edit.new_title().map_or(Ok(()), title)?;
    body("the description", edit.new_body().unwrap_or_default())?;
    labels(edit.new_labels().unwrap_or_default())?;
    for text in edit.new_names() {
        name("a milestone or type", text)?;
    }
    Ok(())
}

/// A file's name is whatever its uploader says; it is text here and never a path.
pub(super) fn file(name: &str, content: &[u8]) -> Result<(), LocalError> {
    if name.is_empty() || name.chars().count() > MAX_NAME_CHARS {
        return Err(LocalError::Refused(format!(
            "take a file whose name is empty or longer than {MAX_NAME_CHARS} characters"
        )));
    }
    if content.len() as u64 > files::MAX_BYTES {
        return Err(LocalError::TooLarge {
            what: "the file".to_owned(),
            limit: files::MAX_BYTES,
        });
    }
    Ok(())
}

fn title(text: &str) -> Result<(), LocalError> {
    name("a title", text)
}

fn labels(all: &[String]) -> Result<(), LocalError> {
    if all.len() > MAX_LABELS {
        return Err(LocalError::Refused(format!(
            "put more than {MAX_LABELS} labels on an issue"
        )));
    }
    all.iter().try_for_each(|label| name("a label", label))
}

pub(super) fn name(what: &str, text: &str) -> Result<(), LocalError> {
    let usable = !text.trim().is_empty()
        && text.chars().count() <= MAX_NAME_CHARS
        && !text.chars().any(char::is_control);
    if usable {
        return Ok(());
    }
    Err(LocalError::Refused(format!(
        "take {what} that is not 1 to {MAX_NAME_CHARS} characters on one line"
    )))
}
