//! Protected operations and paths, recognised by rules as data.
