//! The folders a run has for itself.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::path::PathBuf;

use pipeline_core::agent::AgentTask;

use super::Error;
use crate::private_folder::PrivateFolder;

/// The folders of one run: a home, a temporary one and where it works.
#[derive(Debug)]
pub(crate) struct Folders {
    _scratch: PrivateFolder,
    _short: PrivateFolder,
    pub(crate) home: PathBuf,
    pub(crate) temporary: PathBuf,
    pub(crate) directory: PathBuf,
    /// The home outlives the run, because a later task may go on with its session.
    pub(crate) kept: bool,
}

impl Folders {
    /// Makes the folders: those that go with the run below `scratch`, the temporary one below `short`.
    ///
    /// Programs put sockets into their temporary folder, and the path of a socket may have no more than about 100
    /// characters: a state directory is too deep for that.
    pub(crate) fn new(scratch: &Path, short: &Path, task: &AgentTask) -> Result<Self, Error> {
        let failed = |folder: &Path| {
            let folder = folder.to_owned();
            |source| Error::Folder { folder, source }
        };
        let own = PrivateFolder::new(scratch, &task.run).map_err(failed(scratch))?;
        let brief = PrivateFolder::new(short, &task.run).map_err(failed(short))?;
        let made = |name: &str| own.folder(name).map_err(failed(scratch));
        let home = match &task.state_dir {
            Some(folder) => {
                let mut builder = DirBuilder::new();
                let made = builder.recursive(true).mode(0o700).create(folder);
                made.and_then(|()| folder.canonicalize())
                    .map_err(failed(folder))?
            }
            None => made("home")?,
        };
        let directory = match &task.workdir {
            Some(folder) => folder.canonicalize().map_err(failed(folder))?,
            None => made("work")?,
        };
        let temporary = brief.path().to_owned();
        Ok(Self {
            home,
            temporary,
            directory,
            kept: task.state_dir.is_some(),
            _scratch: own,
            _short: brief,
        })
    }

    /// Makes a folder inside the home, where it is not there yet.
    pub(crate) fn in_home(&self, name: &str) -> Result<PathBuf, Error> {
        let folder = self.home.join(name);
        let made = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder);
        made.map(|()| folder.clone())
            .map_err(|source| Error::Folder { folder, source })
    }
}
