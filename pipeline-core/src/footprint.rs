//! What a piece of work touches.
