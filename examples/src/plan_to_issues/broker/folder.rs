//! The folders of a run: one with the plan and its context documents, and no repository; one for a socket.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

use pipeline_core::plan::DiskFiles;
use pipeline_core::plan::PlanError;
use pipeline_core::plan::PlanFiles as _;
use pipeline_core::plan::SyncPlan;
use pipeline_core::random;
use serde::Serialize;

use crate::issue_pipeline::Failure;
use crate::plan_to_issues::run::failure;
use crate::plan_to_issues::setting::Opened;

/// The list of what is to be made, beside the plan.
pub(super) const ITEMS: &str = "plan-items.json";
/// Where the path of a socket is short enough: it may have about 100 characters.
const SHORT: &str = "/tmp";

/// A folder that nobody else may enter, removed with this value.
#[derive(Debug)]
pub(super) struct Private(PathBuf);

/// An item as whoever makes its issue is told of it.
#[derive(Debug, Serialize)]
struct Item<'p> {
    file: &'p str,
    line: usize,
    phase: Option<&'p str>,
    title: &'p str,
    description: &'p str,
    labels: &'p [String],
    milestone: Option<&'p str>,
}

impl Private {
    /// Makes one for a socket.
    pub(super) fn new() -> io::Result<Self> {
        Self::below(Path::new(SHORT))
    }

    fn below(folder: &Path) -> io::Result<Self> {
        let path = folder.join(format!("broker-{}", &random::nonce()[..12]));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    /// Makes one in the state directory with the plan, its context documents, and what is to be made.
    pub(super) fn with(opened: &Opened, state: &Path, plan: &SyncPlan) -> Result<Self, Failure> {
        let folder = Self::below(state)?;
        let files = DiskFiles::new(&opened.root);
        for name in opened.files.iter().chain(&opened.section.references) {
            let text = files.read(name).map_err(PlanError::from).map_err(failure)?;
            // Below the folder, whatever the path says.
            let parts = Path::new(name)
                .components()
                .filter(|c| matches!(c, Component::Normal(_)));
            let to = folder.0.join(parts.collect::<PathBuf>());
            to.parent().map_or(Ok(()), std::fs::create_dir_all)?;
            std::fs::write(to, text)?;
        }
        let items: Vec<Item<'_>> = plan
            .creations()
            .map(|(file, item, draft)| Item {
                file: &file.file,
                line: item.line,
                phase: item.phase.as_deref(),
                title: &draft.title,
                description: &draft.body,
                labels: &draft.labels,
                milestone: draft.milestone.as_deref(),
            })
            .collect();
        let items = serde_json::to_string_pretty(&items).map_err(io::Error::other)?;
        std::fs::write(folder.0.join(ITEMS), items + "\n")?;
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        // What could not be removed holds no secret.
        drop(std::fs::remove_dir_all(&self.0));
    }
}
