//! Workspaces, patches and the integrator of the issue pipeline, on plain git.
