//! How workspaces are made and taken apart.

use std::time::Duration;

use crate::hooks::Hooks;

/// How workspaces are made and taken apart.
#[derive(Clone, Debug)]
pub struct WorkspaceOptions {
    pub(super) patch_limit: u64,
    pub(super) grace: Duration,
    pub(super) pool: usize,
    pub(super) hooks: Hooks,
}

impl WorkspaceOptions {
    /// Sets the hooks; they run in workspaces that may be written, not in read-only ones.
    #[must_use]
    pub fn hooks(mut self, hooks: Hooks) -> Self {
        self.hooks = hooks;
        self
    }

    /// Sets the largest patch in bytes; 5 MB otherwise.
    #[must_use]
    pub fn patch_limit(mut self, bytes: u64) -> Self {
        self.patch_limit = bytes;
        self
    }

    /// Sets how many checkouts wait for runs at most, filled ahead while runs go on; none otherwise.
    ///
    /// They are detached worktrees of the whole base; what a run needs otherwise is made for it. Several processes share
    /// them, and the last one that ends removes them.
    #[must_use]
    pub fn pool(mut self, most: usize) -> Self {
        self.pool = most;
        self
    }

    /// Sets how long the files of a removed workspace stay on disk; 10 minutes otherwise.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }
}

impl Default for WorkspaceOptions {
    fn default() -> Self {
        Self {
            patch_limit: 5_000_000,
            grace: Duration::from_secs(600),
            pool: 0,
            hooks: Hooks::default(),
        }
    }
}
