//! The commands of the configuration.

use std::path::Path;

use super::Check;
use crate::issue_pipeline::Context;
use crate::workplace::Workplace;

pub(super) fn commands(context: &Context, workplace: &Workplace) -> Vec<Check> {
    let config = workplace.config();
    let mut checks = Vec::new();
    if config.verify.commands.is_empty() {
        let said = "nothing checks a merged tree: the OK is asked for unverified work";
        checks.push(Check::warning(
            "verify",
            said,
            "name your tests in [verify] commands",
        ));
    }
    let hooks = &config.workspace.hooks;
    let hook = |name: &str, hook: &Option<crate::config::model::HookSection>| {
        hook.as_ref()
            .map(|h| (format!("hook {name}"), h.run.clone()))
    };
    let named = (config
        .verify
        .commands
        .iter()
        .map(|c| (format!("verify {}", c.name), c.run.clone())))
    .chain(hook("after_create", &hooks.after_create))
    .chain(hook("before_run", &hooks.before_run))
    .chain(hook("after_run", &hooks.after_run))
    .chain(hook("before_remove", &hooks.before_remove))
    .chain(hook("before_verify", &hooks.before_verify))
    .chain([
        ("notify".to_owned(), config.notify.command.clone()),
        (
            "ship pre-check".to_owned(),
            config.gates.ship.pre_check.clone(),
        ),
        ("ship command".to_owned(), config.gates.ship.command.clone()),
    ]);
    for (name, words) in named {
        let Some(program) = words.first() else {
            continue;
        };
        // A path relative to the tree is only there once there is a tree.
        let in_tree = program.contains('/') && Path::new(program).is_relative();
        match context.around.find_program(program) {
            Some(path) => checks.push(Check::ok(name, path.display().to_string())),
            None if in_tree => checks.push(Check::ok(name, format!("{program}, in the tree"))),
            None => {
                let said = format!("there is no program `{program}`");
                checks.push(Check::broken(
                    name,
                    said,
                    "install it, or correct the command",
                ));
            }
        }
    }
    checks
}
