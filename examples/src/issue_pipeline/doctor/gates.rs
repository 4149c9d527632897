//! Who may give what, and whether somebody else could.

use pipeline_core::issue::AccountRef;

use super::Check;
use crate::config::model::Place;
use crate::config::model::TrackerKind;
use crate::workplace::Workplace;

pub(super) fn gates(workplace: &Workplace) -> Vec<Check> {
    let gates = &workplace.config().gates;
    let shown = |people: &[AccountRef]| {
        people
            .iter()
            .map(|p| p.0.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let mut checks = Vec::new();
    checks.push(if gates.starters().is_empty() {
        Check::broken(
            "start gate",
            "nobody may start an issue",
            "name people in [gates] approvers",
        )
    } else {
        Check::ok("start gate", shown(gates.starters()))
    });
    checks.push(match gates.local_ok {
        Place::Terminal => {
            let said =
                "terminal: whoever works as the pipeline's user, programs included, could give it";
            let cure = "for a server: local_ok = \"owner\", with a folder of another user";
            Check::warning("local OK", said, cure)
        }
        Place::Owner => owner_folder(workplace),
        Place::Tracker if gates.approvers.is_empty() => Check::broken(
            "local OK",
            "nobody may give it",
            "name people in [gates] approvers",
        ),
        Place::Tracker if workplace.config().tracker.kind != TrackerKind::Local => Check::ok(
            "local OK",
            format!("tracker, by {}", shown(&gates.approvers)),
        ),
        Place::Tracker => {
            let said = format!(
                "tracker, by {}; who can write the local tracker's folder can forge it",
                shown(&gates.approvers)
            );
            Check::warning("local OK", said, "for a server: local_ok = \"owner\"")
        }
    });
    checks
}

pub(super) fn owner_folder(workplace: &Workplace) -> Check {
    use std::os::unix::fs::MetadataExt as _;
    let name = "local OK";
    let Some(folder) = &workplace.config().gates.owner_folder else {
        return Check::broken(
            name,
            "no folder is named",
            "name one in [gates] owner_folder",
        );
    };
    let folder = workplace.loaded.resolve(folder);
    let shown = folder.display();
    let meta = match std::fs::metadata(&folder) {
        Ok(meta) if meta.is_dir() => meta,
        _ => {
            return Check::broken(
                name,
                format!("{shown} is no folder"),
                "its owner makes it: mkdir -m 755",
            );
        }
    };
    let us = rustix::process::geteuid().as_raw();
    if meta.uid() == us {
        let cure = "give it to another user of this machine: chown";
        return Check::broken(
            name,
            format!("{shown} belongs to the pipeline's own user"),
            cure,
        );
    }
    if rustix::fs::access(&folder, rustix::fs::Access::WRITE_OK).is_ok() {
        let cure = "its owner closes it: chmod 755";
        return Check::broken(
            name,
            format!("{shown} can be written by the pipeline's own user"),
            cure,
        );
    }
    Check::ok(name, format!("owner, {shown}"))
}
