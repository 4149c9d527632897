//! The one way to a tracker on a server: what every adapter needs and none repeats.
//!
//! - Reads are repeated after a failure that may pass, with jitter and as long as the server asks to wait.
//! - A write is sent once. As soon as it may have arrived and no answer tells, it is `OutcomeUnknown`.
//! - Writes follow no redirect, reads only to the same origin; the previous address is told to nobody.
//! - No error, no `Debug` and no span holds an address with its query, or a credential.
//! - Bodies are bounded, and a cut one is never taken for a whole one.
//! - A budget per category keeps below the server's limit, for all stages that share the client.

mod answer;
mod budget;
mod client;
mod credential;
mod exchange;
mod options;
mod refusal;
mod request;
#[cfg(test)]
mod tests;

pub(crate) use self::answer::Answer;
pub(crate) use self::budget::Rate;
pub(crate) use self::client::Client;
pub(crate) use self::credential::Credential;
pub(crate) use self::credential::TokenSource;
pub use self::options::ConnectionOptions;
#[cfg(feature = "broker")]
pub(crate) use self::options::is_safe;
pub(crate) use self::refusal::Service;
pub(crate) use self::request::Body;
pub(crate) use self::request::Request;
