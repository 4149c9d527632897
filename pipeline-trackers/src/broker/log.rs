//! What was asked of the broker, and what became of it.

use std::fmt;

use serde::Serialize;

/// The longest method or path that is kept.
const LONGEST: usize = 200;
/// Calls that are kept; what comes after is only counted.
const KEPT: usize = 10_000;
/// Calls without the placeholder that are kept: they must not push out those of the run.
const STRANGERS_KEPT: u64 = 100;

/// One call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Call {
    /// The method.
    pub method: String,
    /// The path as it was sent, escaped and cut, without its query.
    pub path: String,
    /// The status that was answered.
    pub status: u16,
    /// Why it was refused by the broker; `None` if the tracker answered.
    pub refused: Option<Refusal>,
}

/// Why a call was not let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Refusal {
    /// The run's time is over.
    Expired,
    /// The run's placeholder is missing or wrong.
    Placeholder,
    /// It would make what is not in the plan, or in another phase than the run's.
    NotPlanned,
    /// The item has its issue.
    AlreadyMade,
    /// It was meant for another host, or came from a web page.
    Host,
    /// The address is absolute, encoded, or otherwise not plainly a path below the project's.
    Address,
    /// No rule names this method and path.
    NotNamed,
    /// A parameter of the query is not named.
    Parameter,
    /// A header would change what the call means.
    Header,
    /// It was no request at all; the connection was closed.
    Malformed,
    /// The body is not what the rule names.
    Body,
    /// The body is too large.
    TooLarge,
    /// The run has made too many calls.
    TooMany,
    /// The tracker did not answer, or answered with a redirect, too much, or the token.
    Answer,
}

impl Refusal {
    /// Returns the status that is answered.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Placeholder => 401,
            Self::Expired
            | Self::Host
            | Self::NotNamed
            | Self::NotPlanned
            | Self::Parameter
            | Self::Header => 403,
            Self::AlreadyMade => 409,
            Self::Address | Self::Malformed => 400,
            Self::Body => 422,
            Self::TooLarge => 413,
            Self::TooMany => 429,
            Self::Answer => 502,
        }
    }
}

impl Refusal {
    /// Returns whether whoever called has not shown the run's placeholder.
    const fn is_of_a_stranger(self) -> bool {
        matches!(self, Self::Placeholder | Self::Host | Self::Malformed)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "this run's time is over",
            Self::Placeholder => "send the token variable's value as it is, where the tracker expects its token",
            Self::NotPlanned => "only the items of the plan, in the phases of this run, with their own labels and milestone: give the title or the marks of an item as they stand in the list of items",
            Self::AlreadyMade => "this item has its issue, or may have it: go on with the next one",
            Self::Host => "only calls from this run to the address variable's host are answered",
            Self::Address => "the path must be the address variable's value and plain segments behind it, without encoding",
            Self::NotNamed => "this method and path are not among those this run may use",
            Self::Parameter => "a parameter of the query is not among those this run may use",
            Self::Header => "a header is not among those this run may use",
            Self::Malformed => "this is no HTTP request",
            Self::Body => "the body must be JSON or a form, with only the fields this run may use",
            Self::TooLarge => "the body is too large",
            Self::TooMany => "this run has made as many calls as it may",
            Self::Answer => "the tracker's answer cannot be passed on",
        })
    }
}

/// How much of its limits a run has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Used {
    /// Calls with the run's placeholder, refused ones included.
    pub calls: u64,
    /// Most of them that may be.
    pub most_calls: u64,
    /// Calls that write.
    pub writes: u64,
    /// Most of them that may be.
    pub most_writes: u64,
    /// Calls without the placeholder: refused, and counted against no limit.
    pub strangers: u64,
}

impl fmt::Display for Used {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            calls,
            most_calls,
            writes,
            most_writes,
            strangers,
        } = self;
        write!(
            f,
            "{calls} of {most_calls} calls used, {writes} of {most_writes} that write; {strangers} without the placeholder, \
             refused and not counted"
        )
    }
}

/// All calls of a run.
#[derive(Debug, Default)]
pub(super) struct Calls {
    all: Vec<Call>,
    count: u64,
    writes: u64,
    strangers: u64,
}

impl Calls {
    pub(super) fn all(&self) -> &[Call] {
        &self.all
    }

    /// Returns how much is used of these limits.
    pub(super) fn used(&self, most_calls: u64, most_writes: u64) -> Used {
        Used {
            calls: self.count.min(most_calls),
            most_calls,
            writes: self.writes.min(most_writes),
            most_writes,
            strangers: self.strangers,
        }
    }

    /// Counts one more call; `false` if it is one too many.
    pub(super) const fn admit(&mut self, most: u64) -> bool {
        self.count += 1;
        self.count <= most
    }

    /// Counts one more call that writes; `false` if it is one too many.
    pub(super) const fn admit_write(&mut self, most: u64) -> bool {
        self.writes += 1;
        self.writes <= most
    }

    pub(super) fn push(&mut self, call: Call) {
        let stranger = call.refused.is_some_and(Refusal::is_of_a_stranger);
        self.strangers += u64::from(stranger);
        let (counted, writes) = (self.count, self.writes);
        tracing::info!(method = %call.method, path = %call.path, status = call.status, refused = ?call.refused, counted, writes, "a call through the broker");
        if self.all.len() < KEPT && !(stranger && self.strangers > STRANGERS_KEPT) {
            self.all.push(call);
        }
    }
}

/// Returns a text of a stranger as it may stand in a log.
pub(super) fn shown(text: &str) -> String {
    text.chars()
        .take(LONGEST)
        .flat_map(char::escape_default)
        .collect()
}
