//! `schedule`: prints the units that run the pipeline.

use serde::Serialize;

use super::Context;
use super::Exit;
use super::Failure;
use super::arguments::ScheduleArguments;
use super::arguments::UnitSystem;
use crate::schedule::units::UnitFile;
use crate::schedule::units::Units;

#[derive(Debug, Serialize)]
struct Report {
    files: Vec<UnitFile>,
    install: &'static str,
}

pub(super) fn run(context: &Context, arguments: &ScheduleArguments) -> Result<Exit, Failure> {
    let workplace = context.workplace()?;
    let units = Units {
        program: context.around.program.clone(),
        config: workplace.loaded.path.clone(),
        name: workplace.name(),
        logs: workplace.state.path().join("logs"),
        search_path: context.around.search_path().to_string_lossy().into_owned(),
        schedule: &workplace.config().schedule,
    };
    let (files, install) = match arguments.system {
        UnitSystem::Launchd => (
            units.launchd(),
            "copy to ~/Library/LaunchAgents, then: launchctl bootstrap gui/$(id -u) FILE",
        ),
        UnitSystem::Systemd => (
            units.systemd(),
            "copy to ~/.config/systemd/user, then: systemctl --user daemon-reload && systemctl --user enable --now UNIT (the timers and the dispatch service), and loginctl enable-linger",
        ),
        UnitSystem::Cron => (vec![units.cron()], "add to: crontab -e"),
    };
    std::fs::create_dir_all(&units.logs)?;
    if let Some(folder) = &arguments.write {
        let folder = context.around.directory.join(folder);
        std::fs::create_dir_all(&folder)?;
        for file in &files {
            let path = folder.join(&file.name);
            std::fs::write(&path, &file.text)?;
            context.out.line(path.display().to_string())?;
        }
        context.out.line(format!("to install: {install}"))?;
    } else {
        for file in &files {
            context
                .out
                .line(format!("==> {}\n{}", file.name, file.text))?;
        }
        context.out.line(format!("==> to install: {install}"))?;
    }
    context.out.result(&Report { files, install })?;
    Ok(Exit::Done)
}
