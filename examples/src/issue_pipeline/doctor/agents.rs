//! The agents, and what holds them in.

use std::path::Path;

use pipeline_core::clock::Clock as _;
use pipeline_core::clock::SystemClock;
use pipeline_core::ledger::Ledger;
use pipeline_core::process::Wrapper;

use super::Check;
use crate::compose;
use crate::config::model::AgentKind;
use crate::config::model::AgentSection;
use crate::issue_pipeline::Context;
use crate::issue_pipeline::exit::one_line;
use crate::sandbox;
use crate::surroundings::read_secret;
use crate::workplace::Workplace;

pub(super) async fn confinement(workplace: &Workplace, wrapper: &Result<Wrapper, String>) -> Check {
    let name = "sandbox";
    let cure = "install bubblewrap (Linux), or name a wrapper of your own in [sandbox] wrapper";
    let wrapper = match wrapper {
        Ok(wrapper) => wrapper,
        Err(why) => return Check::broken(name, why.clone(), "correct [sandbox] wrapper"),
    };
    let scratch = workplace.state.path().join("probe");
    if let Err(error) = std::fs::create_dir_all(&scratch) {
        return Check::broken(name, error.to_string(), "make the state directory writable");
    }
    match (wrapper.confinement(), wrapper.probe(&scratch).await) {
        (pipeline_core::agent::Confinement::Unconfined, _) => {
            let said = "unconfined: hooks, checks and command agents can read whatever you can";
            Check::warning(name, said, cure)
        }
        (pipeline_core::agent::Confinement::Confined { by }, Ok(())) => Check::ok(name, by),
        (_, Err(error)) => Check::broken(name, one_line(&error), cure),
    }
}

pub(super) async fn agent(
    context: &Context,
    workplace: &Workplace,
    name: &str,
    agent: &AgentSection,
) -> Vec<Check> {
    let title = format!("agent {name}");
    let mut checks = Vec::new();
    match agent.kind {
        AgentKind::Command => {
            let program = agent.command.first().map_or("", String::as_str);
            checks.push(match context.around.find_program(program) {
                Some(path) => Check::ok(&title, path.display().to_string()),
                None => Check::broken(
                    &title,
                    format!("there is no program `{program}`"),
                    "install it, or correct its path",
                ),
            });
        }
        AgentKind::Api => {
            checks.push(api(context, workplace, name, agent).await);
            checks.extend(paused(workplace, name));
            return checks;
        }
        AgentKind::Codex | AgentKind::Claude => {
            let found = compose::agents::check(workplace, &context.around, name, agent).await;
            checks.push(match found {
                Ok(found) => Check::ok(&title, format!("{} {found}", kind_name(agent.kind))),
                Err(error) => {
                    let cure =
                        "install it (and bubblewrap and socat on Linux), or correct its section";
                    Check::broken(&title, one_line(&*error), cure)
                }
            });
        }
    }
    checks.extend(paused(workplace, name));
    for variable in agent
        .env
        .iter()
        .filter(|v| context.around.variable(v).is_none())
    {
        let said = format!("variable {variable} is not set");
        checks.push(Check::warning(
            &title,
            said,
            "export it, or name a file with --env-file",
        ));
    }
    let directory = workplace.loaded.path.parent().unwrap_or(Path::new("/"));
    for (variable, source) in &agent.secrets {
        if let Err(error) = read_secret(source, &context.around, directory).await {
            let said = format!("{variable}: {}", one_line(&error));
            checks.push(Check::broken(
                &title,
                said,
                "correct `secrets`, or put the secret there",
            ));
        }
    }
    if agent.kind != AgentKind::Command {
        // It is held in by itself, which was tried above.
        return checks;
    }
    let wrapper = sandbox::wrapper(
        &context.around,
        workplace,
        agent.wrapper.as_ref(),
        agent.network,
    );
    let held =
        wrapper.is_ok_and(|w| w.confinement() != pipeline_core::agent::Confinement::Unconfined);
    if !held && agent.unconfined {
        let said = "unconfined, as configured: memos say so";
        checks.push(Check::warning(
            &title,
            said,
            "install bubblewrap, then take `unconfined` away",
        ));
    } else if !held {
        let said = "nothing enforces its read-only mode, so the local check refuses it";
        checks.push(Check::broken(
            &title,
            said,
            "install bubblewrap, or set unconfined = true",
        ));
    }
    checks
}

/// Looks at what a bare model needs; the service itself is not asked, since every question costs.
pub(super) async fn api(
    context: &Context,
    workplace: &Workplace,
    name: &str,
    agent: &AgentSection,
) -> Check {
    match compose::agents::api(workplace, &context.around, name, agent, &mut Vec::new()).await {
        Ok(_) => {
            let model = agent.model.as_deref().unwrap_or_default();
            let mut said = format!("model {model} behind a web service, for triage");
            if agent.api.input_usd.is_none() {
                said.push_str("; without prices, limits of money do not see it");
            }
            Check::ok(format!("agent {name}"), said)
        }
        Err(error) => Check::broken(
            format!("agent {name}"),
            one_line(&error),
            "correct `model` and [agents.NAME.api]",
        ),
    }
}

/// Says that an agent is paused.
pub(super) fn paused(workplace: &Workplace, name: &str) -> Option<Check> {
    let path = workplace.state.path().join("ledger.jsonl");
    if !path.exists() {
        return None;
    }
    let title = format!("agent {name}");
    let pause = Ledger::open(&path).and_then(|l| l.pause(name, SystemClock.now()));
    match pause {
        Ok(None) => None,
        Ok(Some(pause)) => Some(Check::warning(
            title,
            format!("paused until {} ({})", pause.until, pause.reason),
            format!("`issue-pipeline resume --agent {name}` lets it go on at once"),
        )),
        Err(error) => Some(Check::broken(
            title,
            one_line(&error),
            "look at the file, then move it aside",
        )),
    }
}

/// Shows which agent does what, in order.
pub(super) fn roles(workplace: &Workplace) -> Vec<Check> {
    let config = workplace.config();
    let only: Vec<String> = config.agents.keys().take(1).cloned().collect();
    let roles = &config.roles;
    [
        ("triage", &roles.triage),
        ("check", &roles.check),
        ("implement", &roles.implement),
    ]
    .into_iter()
    .filter_map(|(role, order)| {
        let names = order.as_ref().map_or(only.as_slice(), |o| o.names());
        (!names.is_empty()).then(|| Check::ok(format!("role {role}"), names.join(", then ")))
    })
    .collect()
}

pub(super) const fn kind_name(kind: AgentKind) -> &'static str {
    match kind {
        AgentKind::Command => "command",
        AgentKind::Api => "api",
        AgentKind::Codex => "codex",
        AgentKind::Claude => "claude",
    }
}
