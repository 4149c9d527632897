//! From the configuration's sections to the settings of the stages.

use std::collections::BTreeMap;

use pipeline_core::agent::RunLimits;
use pipeline_core::agent::TaskKind;
use pipeline_core::gate::Person;
use pipeline_core::lock::Integrator;
use pipeline_core::random;
use pipeline_core::settings::Roles;
use pipeline_core::settings::Scope;
use pipeline_core::settings::Settings;
use pipeline_core::settings::Slot;
use pipeline_core::start::StartRules;
use pipeline_core::start::Watermark;
use pipeline_core::status::Status;
use pipeline_core::tracker::IssueQuery;
use pipeline_core::tracker::Tracker;
use pipeline_core::workspace::Target;

use super::ComposeError;
use crate::config::Config;
use crate::config::model::RunLimitsSection;
use crate::surroundings::StateDir;
use crate::workplace::Workplace;

const WATERMARK: &str = "watermark.json";
const INTEGRATOR_ID: &str = "integrator-id";

pub(super) async fn settings(
    workplace: &Workplace,
    tracker: &dyn Tracker,
) -> Result<Settings, ComposeError> {
    let config = workplace.config();
    let repo = match &config.repository.name {
        Some(name) => name.clone(),
        None => workplace.name(),
    };
    let integrator = Integrator {
        name: config.workers.integrator.clone(),
        id: integrator_id(&workplace.state)?,
    };
    let mut settings = Settings::new(repo, default_target(workplace)?, integrator);
    settings.targets.rules = target_rules(config)?;
    settings.scope = Scope {
        labels: config.scope.labels.clone(),
        kinds: config.scope.kinds.clone(),
        assignees: config.scope.assignees.clone(),
        created_after: config.scope.created_after,
    };
    settings.start = StartRules {
        starters: config.gates.starters().to_vec(),
        approvers: config.gates.approvers.clone(),
        automatic: config.gates.automatic_start,
        watermark: watermark(&workplace.state, tracker).await?,
    };
    settings.max_issues_per_tick = config.limits.issues_per_tick as usize;
    settings.max_rechecks = config.limits.rechecks as usize;
    settings.max_attempts = config.limits.attempts;
    settings.max_failures = config.limits.failures;
    settings.roles = Roles {
        triage: role(config, config.roles.triage.as_ref()),
        check: role(config, config.roles.check.as_ref()),
    };
    settings.slots = slots(config);
    settings.limits = limits(config);
    settings.exclude.clone_from(&config.workspace.exclude);
    settings.authors = authors(config);
    settings.message.clone_from(&config.landing.message);
    settings.after_landing = config.landing.after_landing.clone().map(Status::Other);
    settings.watch_interval = config.workers.look_every.get();
    settings.context.clone_from(&config.context.docs);
    settings
        .prohibitions
        .clone_from(&config.context.prohibitions);
    for (name, path) in &config.context.prompts {
        let path = workplace.loaded.resolve(path);
        let text =
            std::fs::read_to_string(&path).map_err(|source| ComposeError::File { path, source })?;
        settings.prompts.insert(name.clone(), text);
    }
    Ok(settings)
}

fn default_target(workplace: &Workplace) -> Result<Target, ComposeError> {
    let named = workplace.config().targets.default.clone();
    // Without a repository nothing is ever applied, so that the name does not matter.
    let name = match (named, &workplace.repository) {
        (Some(name), _) => name,
        (None, None) => "none".to_owned(),
        (None, Some(_)) => {
            return Err(ComposeError::unusable(
                "no target branch is named: write it to [targets] default",
            ));
        }
    };
    target(&name)
}

fn target(name: &str) -> Result<Target, ComposeError> {
    Target::new(name).map_err(|why| ComposeError::unusable(format!("target {name}: {why}")))
}

fn target_rules(config: &Config) -> Result<Vec<(String, Target)>, ComposeError> {
    let rules = config
        .targets
        .by_label
        .iter()
        .chain(&config.targets.by_milestone);
    rules
        .map(|(name, branch)| Ok((name.clone(), target(branch)?)))
        .collect()
}

/// Returns the agent of a role: the one named, else the only one there is.
fn role(config: &Config, named: Option<&String>) -> Option<String> {
    named.or_else(|| config.agents.keys().next()).cloned()
}

fn slots(config: &Config) -> Vec<Slot> {
    let usual = role(config, config.roles.implement.as_ref());
    let slot = |name: &String| {
        let agent = config.workers.agents.get(name).or(usual.as_ref())?.clone();
        Some(Slot {
            name: name.clone(),
            agent,
        })
    };
    config.workers.slots.iter().filter_map(slot).collect()
}

fn limits(config: &Config) -> BTreeMap<TaskKind, RunLimits> {
    let roles = &config.roles;
    let kinds = [
        (TaskKind::Triage, &roles.triage),
        (TaskKind::LocalCheck, &roles.check),
        (TaskKind::Recheck, &roles.check),
        (TaskKind::Repair, &roles.check),
        (TaskKind::Implement, &roles.implement),
        (TaskKind::Rework, &roles.implement),
    ];
    let limit = |(kind, named): (TaskKind, &Option<String>)| {
        let agent = config.agents.get(&role(config, named.as_ref())?)?;
        Some((kind, run_limits(&agent.limits)))
    };
    kinds.into_iter().filter_map(limit).collect()
}

fn run_limits(section: &RunLimitsSection) -> RunLimits {
    RunLimits {
        deadline: section.deadline.get(),
        stall: section.stall.map(crate::config::Period::get),
        output_bytes: u64::from(section.output_mib) << 20,
        tokens: section.tokens,
        cost_micros: section.cost_usd.map(micros),
    }
}

/// Returns US dollars in millionths; what was read from the configuration is finite and not negative.
fn micros(dollars: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked when the configuration was read; saturates beyond any budget"
    )]
    let micros = (dollars * 1e6).round() as u64;
    micros
}

fn authors(config: &Config) -> BTreeMap<String, Person> {
    let author = |(name, agent): (&String, &crate::config::model::AgentSection)| {
        let written = agent
            .author
            .clone()
            .unwrap_or_else(|| format!("{name} <{name}@localhost>"));
        let (who, address) = written
            .split_once('<')
            .unwrap_or((&written, "agent@localhost"));
        (
            name.clone(),
            Person::new(who, address.trim_end_matches('>')),
        )
    };
    config.agents.iter().map(author).collect()
}

/// Returns the id of (this machine, this repository), made once.
pub(super) fn integrator_id(state: &StateDir) -> Result<String, ComposeError> {
    if let Some(bytes) = state.read(INTEGRATOR_ID)? {
        let id = String::from_utf8_lossy(&bytes).trim().to_owned();
        if !id.is_empty() {
            return Ok(id);
        }
    }
    let id: String = random::nonce().chars().take(12).collect();
    state.write(INTEGRATOR_ID, format!("{id}\n").as_bytes())?;
    Ok(id)
}

/// Returns what `init` wrote down about the time before the pipeline; made now where it is missing, so that nothing
/// older counts.
///
/// # Errors
/// If the tracker cannot be read, or the state directory written.
pub async fn watermark(state: &StateDir, tracker: &dyn Tracker) -> Result<Watermark, ComposeError> {
    if let Some(bytes) = state.read(WATERMARK)? {
        let path = state.path().join(WATERMARK);
        return serde_json::from_slice(&bytes).map_err(|error| ComposeError::File {
            path,
            source: std::io::Error::other(error),
        });
    }
    let query = IssueQuery::in_status(Status::InProgress);
    let started = tracker
        .list_issues(&query)
        .await
        .map_err(ComposeError::Tracker)?;
    let mut watermark = Watermark {
        at: started.date,
        in_progress: BTreeMap::new(),
    };
    for issue in started.value {
        let history = tracker
            .history(&issue.key)
            .await
            .map_err(ComposeError::Tracker)?;
        if let Some(last) = history.value.last() {
            watermark.in_progress.insert(issue.key, last.id);
        }
    }
    state.write_json(WATERMARK, &watermark)?;
    Ok(watermark)
}
