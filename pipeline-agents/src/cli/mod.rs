//! What the agents have in common that are command-line programs with a stream of JSON lines.

mod drive;
mod error;
mod folders;
mod images;
mod installation;
mod leftovers;
mod options;
mod report;
mod seen;
mod totals;

pub(crate) use self::drive::Decoder;
pub(crate) use self::drive::Driven;
pub(crate) use self::drive::End;
pub(crate) use self::drive::Step;
pub(crate) use self::drive::crashed;
pub(crate) use self::drive::drive;
use self::drive::judged;
#[cfg(test)]
pub(crate) use self::drive::replay;
pub(crate) use self::error::Error;
pub(crate) use self::error::check_loopback;
pub(crate) use self::folders::Folders;
pub(crate) use self::images::Image;
pub(crate) use self::images::look_at;
pub(crate) use self::installation::Installation;
pub(crate) use self::installation::Version;
pub(crate) use self::installation::Wanted;
pub(crate) use self::leftovers::Leftovers;
pub use self::options::CliOptions;
pub(crate) use self::report::report;
pub(crate) use self::seen::Seen;
pub(crate) use self::totals::Totals;

use std::time::Duration;

use pipeline_core::process::Capture;

/// How long a program that was told to end may take; the slower of the two needs 1.6 s to clear up after itself.
pub(crate) const GRACE: Duration = Duration::from_secs(3);
/// The longest line that is read. What a command printed stands in one line, and that has been 1.2 MB.
pub(crate) const LONGEST_LINE: usize = 8 << 20;
/// What is kept of the standard error.
pub(crate) const STDERR: Capture = Capture::tail(16 << 10, 256 << 20);

/// Returns a text at a place of a JSON value.
pub(crate) fn text<'v>(value: &'v serde_json::Value, place: &str) -> Option<&'v str> {
    value.pointer(place)?.as_str()
}

/// Returns a number at a place of a JSON value; nothing else than a whole number counts.
pub(crate) fn number(value: &serde_json::Value, place: &str) -> Option<u64> {
    value.pointer(place)?.as_u64()
}
