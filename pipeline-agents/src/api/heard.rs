//! What was heard of an answer, whatever the service speaks.

/// Tokens, as the service counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tokens {
    /// Read, cached ones included.
    pub(super) input: u64,
    /// Of these, out of the service's cache.
    pub(super) cached: u64,
    /// Written.
    pub(super) output: u64,
}

/// What a service says went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Complaint {
    /// Its words for programs: `code`, else `type`.
    pub(super) code: String,
    /// Its `type`.
    pub(super) kind: String,
    /// Its words for people.
    pub(super) message: String,
    /// When the limit is filled again, in seconds since 1970.
    pub(super) resets_at: Option<i64>,
}

/// How an answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    Done,
    /// The model declined.
    Refused(String),
    /// The output limit cut it.
    TooLong,
    /// The model's window did.
    WindowFull,
    /// The service failed in the middle.
    Complained(Complaint),
}

/// What was heard so far.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// The last message, as far as it came.
    pub(super) text: String,
    pub(super) tokens: Tokens,
    pub(super) ending: Option<Ending>,
    /// Events that are not JSON.
    pub(super) garbled: u32,
    /// Why the message ended, where that is told before its end.
    pub(super) stop: Option<Ending>,
}

impl Heard {
    pub(super) const fn is_over(&self) -> bool {
        self.ending.is_some()
    }
}
