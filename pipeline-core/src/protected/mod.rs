//! Protected operations and paths, recognised by rules as data.

mod hold;

pub use self::hold::Hold;
pub use self::hold::HoldKind;
