//! What reaches a person's terminal: escaped text, colour only where it is wanted, progress on standard error.

mod escape;
mod output;
mod progress;

pub use self::escape::escape;
pub use self::escape::escape_line;
pub use self::output::Output;
pub use self::output::Style;
pub use self::progress::Progress;
