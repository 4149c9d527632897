//! From a log to category, summary and fix.
