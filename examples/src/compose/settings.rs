//! From the configuration's sections to the settings of the stages.

use std::collections::BTreeMap;

use pipeline_core::agent::RunLimits;
use pipeline_core::dossier::PromptSettings;
use pipeline_core::gate::Person;
use pipeline_core::lock::Integrator;
use pipeline_core::random;
use pipeline_core::settings::AgentRole;
use pipeline_core::settings::AgentSettings;
use pipeline_core::settings::Brakes;
use pipeline_core::settings::Budget;
use pipeline_core::settings::RoleSettings;
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
use crate::config::Period;
use crate::config::model::AgentOrder;
use crate::config::model::AgentSection;
use crate::config::model::AgentStage;
use crate::config::model::BudgetSection;
use crate::config::model::LimitsSection;
use crate::config::model::RunLimitsSection;
use crate::config::model::StageOverrides;
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
    settings.max_batch = config.verify.batch as usize;
    settings.roles = Roles {
        triage: order(config, config.roles.triage.as_ref()),
        check: order(config, config.roles.check.as_ref()),
    };
    settings.slots = slots(config);
    settings.agents = agents(config);
    settings.brakes = brakes(&config.limits);
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
    settings
        .base_prompts
        .clone_from(&config.context.base_prompts);
    let unusable = |what: &str, source: pipeline_core::BoxError| ComposeError::Unusable {
        what: format!("[context] {what} cannot be used"),
        source: Some(source),
    };
    settings.fields = config
        .context
        .answer_fields()
        .map_err(|e| unusable("fields", e.into()))?;
    // A mistake is found now, and not when an issue waits.
    let prompts = PromptSettings {
        templates: settings.prompts.clone(),
        ..PromptSettings::default()
    };
    prompts.check().map_err(|e| unusable("prompts", e.into()))?;
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

/// Returns the agents of a role in order: the ones named, else the only one there is.
fn order(config: &Config, named: Option<&AgentOrder>) -> Vec<String> {
    match named {
        Some(order) => order.names().to_vec(),
        None => config.agents.keys().take(1).cloned().collect(),
    }
}

fn slots(config: &Config) -> Vec<Slot> {
    let usual = order(config, config.roles.implement.as_ref());
    let slot = |name: &String| {
        let own = config.workers.agents.get(name).map(AgentOrder::names);
        let (first, others) = own.unwrap_or(&usual).split_first()?;
        Some(Slot {
            fallbacks: others.to_vec(),
            ..Slot::new(name, first)
        })
    };
    config.workers.slots.iter().filter_map(slot).collect()
}

fn agents(config: &Config) -> BTreeMap<String, AgentSettings> {
    let settings = |(name, section): (&String, &AgentSection)| {
        let role = |(stage, own): (&AgentStage, &StageOverrides)| {
            let settings = RoleSettings {
                model: own.model.clone(),
                limits: Some(role_limits(&section.limits, own)),
            };
            (stage.role(), settings)
        };
        let settings = AgentSettings {
            model: section.model.clone(),
            limits: run_limits(&section.limits),
            roles: section.stages.iter().map(role).collect(),
            day: budget(&section.limits.day, None),
            in_flight: section.limits.in_flight,
        };
        (name.clone(), settings)
    };
    config.agents.iter().map(settings).collect()
}

fn brakes(limits: &LimitsSection) -> Brakes {
    let by = &limits.in_flight_by;
    let by = [
        (AgentRole::Triage, by.triage),
        (AgentRole::Check, by.check),
        (AgentRole::Implement, by.implement),
    ];
    Brakes {
        issue: budget(&limits.issue, Some(LimitsSection::RUNS_OF_AN_ISSUE)),
        author: budget(&limits.author, Some(LimitsSection::RUNS_OF_AN_AUTHOR)),
        day: budget(&limits.day, Some(LimitsSection::RUNS_OF_A_DAY)),
        in_flight: limits.in_flight,
        in_flight_by: by.into_iter().filter_map(|(r, n)| Some((r, n?))).collect(),
    }
}

fn budget(section: &BudgetSection, usual_runs: Option<u64>) -> Budget {
    Budget {
        runs: section.runs.or(usual_runs),
        tokens: section.tokens,
        cost_micros: section.cost_usd.map(micros),
        time: section.time.map(Period::get),
    }
}

fn run_limits(section: &RunLimitsSection) -> RunLimits {
    RunLimits {
        deadline: section.deadline.get(),
        stall: section.stall.map(Period::get),
        output_bytes: u64::from(section.output_mib) << 20,
        tokens: section.tokens,
        cost_micros: section.cost_usd.map(micros),
    }
}

/// Returns an agent's limits with what one stage sets in their place.
fn role_limits(section: &RunLimitsSection, own: &StageOverrides) -> RunLimits {
    let usual = run_limits(section);
    RunLimits {
        deadline: own.deadline.map_or(usual.deadline, Period::get),
        stall: own.stall.map(Period::get).or(usual.stall),
        output_bytes: own
            .output_mib
            .map_or(usual.output_bytes, |mib| u64::from(mib) << 20),
        tokens: own.tokens.or(usual.tokens),
        cost_micros: own.cost_usd.map(micros).or(usual.cost_micros),
    }
}

/// Returns US dollars in millionths; what was read from the configuration is finite and not negative.
pub(super) fn micros(dollars: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked when the configuration was read; saturates beyond any budget"
    )]
    let micros = (dollars * 1e6).round() as u64;
    micros
}

fn authors(config: &Config) -> BTreeMap<String, Person> {
    let author = |(name, agent): (&String, &AgentSection)| {
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
