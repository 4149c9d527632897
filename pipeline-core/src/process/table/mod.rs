//! The machine's table of running processes: what is needed to find a run's own, and no more.

#[cfg(target_os = "linux")]
mod proc_fs;
#[cfg(any(not(target_os = "linux"), test))]
#[cfg_attr(
    target_os = "linux",
    expect(dead_code, reason = "on Linux only its parser runs, in tests")
)]
mod ps;

#[cfg(target_os = "linux")]
pub(super) use self::proc_fs::kill;
#[cfg(target_os = "linux")]
pub(super) use self::proc_fs::snapshot;
#[cfg(target_os = "linux")]
pub(super) use self::proc_fs::start_of;
#[cfg(not(target_os = "linux"))]
pub(super) use self::ps::kill;
#[cfg(not(target_os = "linux"))]
pub(super) use self::ps::snapshot;
#[cfg(not(target_os = "linux"))]
pub(super) use self::ps::start_of;

/// One living process (no zombie) of the own user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) pid: i32,
    pub(super) parent: i32,
    pub(super) group: i32,
    /// When it started, in the platform's own words; with the pid it names a process for good.
    pub(super) start: String,
    /// Whether the run's mark is in its environment.
    pub(super) marked: bool,
}
