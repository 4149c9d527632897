//! What Backlog sends, as far as it concerns us.
//!
//! Unknown fields are ignored, numbers may come as strings and most things as null: the service grows fields, and its
//! own samples leave some out. E-mail addresses, which every user object carries, are not read at all.

mod activity;
mod comment;
mod issue;
mod space;

pub(crate) use self::activity::Activity;
pub(crate) use self::activity::ActivityKind;
pub(crate) use self::activity::StatusChange;
pub(crate) use self::comment::Change;
pub(crate) use self::comment::Comment;
pub(crate) use self::issue::Attachment;
pub(crate) use self::issue::Issue;
pub(crate) use self::issue::Named;
pub(crate) use self::issue::Status;
pub(crate) use self::issue::User;
pub(crate) use self::space::Errors;
pub(crate) use self::space::Project;
pub(crate) use self::space::Token;
pub(crate) use self::space::Uploaded;

#[cfg(test)]
mod tests;
