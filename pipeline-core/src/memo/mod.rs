//! Structured comments: the protocol that people can read along.
//!
//! A memo is a marker line, `key: value` lines up to the first blank line, and people's text. Everything the protocol
//! needs stands in the key lines, readable; what an agent wrote stands below, quoted line by line.

mod encode;
mod fields;
mod grammar;
mod marker;
mod sign;
mod whole;

pub use self::encode::decode_value;
pub use self::encode::encode_value;
pub use self::fields::Fields;
pub use self::grammar::Memo;
pub use self::grammar::Parsed;
pub use self::grammar::quote;
pub use self::marker::Markers;
pub use self::marker::MemoKind;
pub use self::sign::SigningKey;
pub use self::sign::SigningKeys;
pub(crate) use self::whole::WholeText;
pub(crate) use self::whole::is_whole_text;
