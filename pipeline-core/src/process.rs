//! The only place that starts child processes.
