//! The Markdown roadmap.
