//! What a configuration contradicts itself in: each problem with the dotted path it is about.

use std::collections::BTreeSet;

use pipeline_core::event::Stage;
use pipeline_core::workspace::Target;

use super::Config;
use super::model::AgentKind;
use super::model::AgentOrder;
use super::model::AgentSection;
use super::model::BudgetSection;
use super::model::Place;
use super::model::Signing;
use super::model::TrackerKind;
use crate::terminal::escape;

type Found = Vec<(&'static str, String)>;

/// Returns everything that contradicts itself.
pub(super) fn contradictions(config: &Config) -> Found {
    let mut found = Vec::new();
    tracker(config, &mut found);
    agents(config, &mut found);
    roles(config, &mut found);
    workers(config, &mut found);
    gates(config, &mut found);
    texts(config, &mut found);
    targets(config, &mut found);
    landing(config, &mut found);
    schedule(config, &mut found);
    context(config, &mut found);
    numbers(config, &mut found);
    found
}

fn tracker(config: &Config, found: &mut Found) {
    let tracker = &config.tracker;
    for number in tracker.backlog.priorities.keys() {
        if number.parse::<i64>().is_err() {
            let what = format!("`{}` is no number a plan can give", escape(number));
            found.push(("tracker.backlog.priorities", what));
        }
    }
    if tracker.kind == TrackerKind::Local {
        return;
    }
    if tracker.project.is_none() {
        let what =
            "name the project: project = \"https://…\", as people open it, or { env = \"NAME\" }";
        found.push(("tracker.kind", what.to_owned()));
    }
    let oauth = &tracker.backlog.oauth;
    if oauth.is_used() {
        let whole =
            oauth.client_id.is_some() && oauth.client_secret.is_some() && oauth.tokens.is_some();
        if tracker.kind != TrackerKind::Backlog {
            let what = "only kind = \"backlog\" takes an OAuth application here: leave it out";
            found.push(("tracker.backlog.oauth", what.to_owned()));
        } else if !whole {
            let what = "name all three: client_id, client_secret and tokens";
            found.push(("tracker.backlog.oauth", what.to_owned()));
        }
        if tracker.token.is_some() {
            let what = "an OAuth application takes the place of the key: leave one of the two out";
            found.push(("tracker.token", what.to_owned()));
        }
    } else if tracker.token.is_none() {
        let what = "say where the credential is: token = { env = \"NAME\" }";
        found.push(("tracker.kind", what.to_owned()));
    }
}

fn agents(config: &Config, found: &mut Found) {
    for (name, agent) in &config.agents {
        if plain_name(name) {
            agent_of(name, agent, found);
        } else {
            let what = format!(
                "agent name `{}`: letters, digits, `-` and `_` only",
                escape(name)
            );
            found.push(("agents", what));
        }
    }
}

fn agent_of(name: &str, agent: &AgentSection, found: &mut Found) {
    match agent.kind {
        AgentKind::Command if agent.command.first().is_none_or(String::is_empty) => {
            let what =
                format!("agent {name} has no command: command = [\"program\", \"argument\"]");
            found.push(("agents", what));
        }
        AgentKind::Command => {
            let others = [
                ("key", agent.key.is_some()),
                ("base_url", agent.base_url.is_some()),
                ("login", agent.login.is_some()),
            ];
            for (key, _) in others.iter().filter(|(_, set)| *set) {
                let what = format!(
                    "agent {name}: {key} is for programs that are known here; a command takes `env` and `secrets`"
                );
                found.push(("agents", what));
            }
        }
        AgentKind::Codex | AgentKind::Claude => cli_agent(name, agent, found),
        AgentKind::Api => api_of(name, agent, found),
    }
    let variables = agent.env.iter().chain(agent.secrets.keys());
    for variable in variables.filter(|v| !is_variable(v)) {
        // What was pasted in place of a name may be a secret: only its length is told.
        let what = format!(
            "agent {name}: something of {} characters in env or secrets is not the name of a variable; \
             a value never stands here",
            variable.chars().count()
        );
        found.push(("agents", what));
    }
    let stages = agent.stages.values().map(|s| s.cost_usd);
    let sums = [agent.limits.cost_usd, agent.limits.day.cost_usd];
    if sums.into_iter().chain(stages).any(|c| !is_money(c)) {
        let what = format!("agent {name}: cost_usd is a sum of money in US dollars, like 2.5");
        found.push(("agents", what));
    }
    if agent.limits.in_flight == Some(0) || is_empty(&agent.limits.day) {
        let what =
            format!("agent {name}: a limit of 0 would let nothing through: write at least 1");
        found.push(("agents", what));
    }
}

/// Says what is missing for a bare model; whether its address is usable is said when it is made.
fn api_of(name: &str, agent: &AgentSection, found: &mut Found) {
    let api = &agent.api;
    let mut missing = Vec::new();
    missing.extend(api.url.is_none().then_some("api.url"));
    missing.extend(api.key.is_none().then_some("api.key"));
    missing.extend(agent.model.is_none().then_some("model"));
    if !missing.is_empty() {
        let what = format!(
            "agent {name} is a model behind a web service and lacks {}",
            missing.join(", ")
        );
        found.push(("agents", what));
    }
    if ![api.input_usd, api.cached_usd, api.output_usd]
        .into_iter()
        .all(is_money)
        || api.input_usd.is_some() != api.output_usd.is_some()
    {
        let what = format!(
            "agent {name}: api.input_usd and api.output_usd are the prices of a million tokens, both or none"
        );
        found.push(("agents", what));
    }
    if api.output_tokens == 0 {
        let what = format!("agent {name}: api.output_tokens is at least 1");
        found.push(("agents", what));
    }
}

/// Checks what is said of an agent whose program is known.
fn cli_agent(name: &str, agent: &AgentSection, found: &mut Found) {
    let mut wrong = |what: String| found.push(("agents", format!("agent {name}: {what}")));
    if agent.command.len() > 1 {
        wrong("command is its program alone: the arguments are what holds it in".to_owned());
    }
    if agent.wrapper.is_some() || agent.network || agent.unconfined {
        wrong(
            "wrapper, network and unconfined are for commands: it has a sandbox of its own"
                .to_owned(),
        );
    }
    if agent.login.is_some() && (agent.kind != AgentKind::Codex || agent.key.is_some()) {
        wrong("login is codex's own, and instead of a key".to_owned());
    }
    if let Some(url) = &agent.base_url {
        let local = ["http://127.0.0.1", "http://localhost", "http://[::1]"];
        let private = url.starts_with("https://") || local.iter().any(|l| url.starts_with(l));
        if !private {
            let what =
                "base_url begins with https:// (http:// only on this machine): the key goes there";
            wrong(what.to_owned());
        }
    }
}

fn roles(config: &Config, found: &mut Found) {
    let names: Vec<&str> = config.agents.keys().map(String::as_str).collect();
    let known = if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    };
    let roles = [
        ("roles.triage", &config.roles.triage),
        ("roles.check", &config.roles.check),
        ("roles.implement", &config.roles.implement),
    ];
    for (path, role) in roles {
        match role {
            Some(order) => order_of(path, order, config, &known, found),
            None if path != "roles.triage"
                && config.agents.values().all(|a| a.kind == AgentKind::Api) => {}
            None if names.len() > 1 => {
                let what = format!(
                    "there are several agents, so say which one does this: {path} = one of {known}"
                );
                found.push(("roles", what));
            }
            _ => {}
        }
    }
    for (slot, name) in &config.workers.agents {
        let at = "workers.agents";
        if !config.workers.slots.contains(slot) {
            let slot = escape(slot);
            found.push((at, format!("there is no slot `{slot}`: name it in `slots`")));
        }
        order_of(at, name, config, &known, found);
    }
}

fn order_of(
    path: &'static str,
    order: &AgentOrder,
    config: &Config,
    known: &str,
    found: &mut Found,
) {
    let names = order.names();
    for name in names.iter().filter(|n| !config.agents.contains_key(*n)) {
        let name = escape(name);
        let what = format!("there is no agent `{name}` (there are: {known})");
        found.push((path, what));
    }
    if names.iter().collect::<BTreeSet<_>>().len() != names.len() {
        found.push((path, "an agent stands twice in this order".to_owned()));
    }
    let is_api = |name: &&String| {
        let agent = config.agents.get(*name);
        agent.is_some_and(|a| a.kind == AgentKind::Api)
    };
    if path != "roles.triage"
        && let Some(name) = names.iter().find(is_api)
    {
        let what = format!(
            "agent {} is a bare model without tools: it can triage, and neither look at a repository nor change one",
            escape(name)
        );
        found.push((path, what));
    }
}

fn workers(config: &Config, found: &mut Found) {
    let slots = &config.workers.slots;
    let distinct: BTreeSet<&String> = slots.iter().collect();
    if slots.is_empty() || distinct.len() != slots.len() || slots.iter().any(|s| !plain_name(s)) {
        let what = "name at least one slot, each once, with letters, digits, `-` and `_`";
        found.push(("workers.slots", what.to_owned()));
    }
    if !plain_name(&config.workers.integrator) {
        let what = "the integrator's name has letters, digits, `-` and `_` only";
        found.push(("workers.integrator", what.to_owned()));
    }
    if config.workers.look_every.get().as_secs() == 0 {
        let what = "`look_every` is at least one second, like 1m";
        found.push(("workers.look_every", what.to_owned()));
    }
}

fn gates(config: &Config, found: &mut Found) {
    let gates = &config.gates;
    let ours = &config.tracker.accounts;
    let mut people = vec![("gates.approvers", gates.approvers.as_slice())];
    if let Some(starters) = &gates.starters {
        people.push(("gates.starters", starters));
    }
    for (path, people) in people {
        for person in people.iter().filter(|p| ours.contains(p)) {
            let what = format!(
                "`{}` is one of the pipeline's own accounts ([tracker] accounts), so its word opens no gate: \
                 name a person",
                escape(&person.0)
            );
            found.push((path, what));
        }
    }
    if ours.is_empty() {
        let what = "name the account the pipeline writes as, else it cannot know its own comments";
        found.push(("tracker.accounts", what.to_owned()));
    }
    let owner = gates.local_ok == Place::Owner || gates.ship.place == Some(Place::Owner);
    if owner && gates.owner_folder.is_none() {
        let what = "`owner` needs owner_folder: a folder that another user of this machine owns";
        found.push(("gates.local_ok", what.to_owned()));
    }
    if !gates.ship.command.is_empty() && gates.ship.rules.is_none() {
        let what =
            "a ship command needs `rules`: the deploy rules a person reads before permitting it";
        found.push(("gates.ship", what.to_owned()));
    }
}

fn texts(config: &Config, found: &mut Found) {
    let s = &config.tracker.statuses;
    let starting = [&s.open, &s.spec_review, &s.in_progress];
    let m = &config.markers;
    let markers = [
        &m.triage,
        &m.local_check,
        &m.recheck,
        &m.work_start,
        &m.work_done,
        &m.work_status,
    ];
    distinct("tracker.statuses", "status name", &starting, found);
    distinct("markers", "marker", &markers, found);
    if (config.landing.after_landing.as_ref()).is_some_and(|after| starting.contains(&after)) {
        let what = "landing never moves an issue into a status that starts work: name another one";
        found.push(("landing.after_landing", what.to_owned()));
    }
    let message = &config.landing.message;
    let known = ["{issue}", "{title}", "{url}"];
    let rest = known
        .iter()
        .fold(message.clone(), |text, name| text.replace(name, ""));
    if rest.contains(['{', '}']) || message.trim().is_empty() {
        let what = "the message template knows {issue}, {title} and {url} only";
        found.push(("landing.message", what.to_owned()));
    }
}

fn distinct(path: &'static str, what: &str, all: &[&String], found: &mut Found) {
    let one_line = |s: &str| !s.is_empty() && s.trim() == s && !s.chars().any(char::is_control);
    if all.iter().any(|s| !one_line(s)) {
        let what = format!("a {what} is one line of text without spaces around it");
        found.push((path, what));
    }
    if all.iter().collect::<BTreeSet<_>>().len() != all.len() {
        found.push((path, format!("no two of them may be the same {what}")));
    }
}

fn targets(config: &Config, found: &mut Found) {
    let t = &config.targets;
    let labels = t.by_label.values().map(|b| ("targets.by_label", b));
    let milestones = t.by_milestone.values().map(|b| ("targets.by_milestone", b));
    let default = t.default.iter().map(|b| ("targets.default", b));
    for (path, branch) in default.chain(labels).chain(milestones) {
        if let Err(why) = Target::new(branch.clone()) {
            found.push((path, format!("`{}`: {why}", escape(branch))));
        }
    }
}

fn landing(config: &Config, found: &mut Found) {
    let landing = &config.landing;
    if landing.sign != Signing::Off && landing.signing_key.is_none() {
        let what = "signing needs signing_key: the key's id, or the path of an ssh public key";
        found.push(("landing.sign", what.to_owned()));
    }
    let (v, h) = (&config.verify, &config.workspace.hooks);
    let lists = [
        ("landing.signing_env", &landing.signing_env),
        ("landing.push_env", &landing.push_env),
        ("verify.env", &v.env),
        ("workspace.hooks.env", &h.env),
        ("gates.ship.env", &config.gates.ship.env),
        ("notify.env", &config.notify.env),
    ];
    for (path, names) in lists {
        if names.iter().any(|name| !is_variable(name)) {
            let what = "names of variables stand here, never values";
            found.push((path, what.to_owned()));
        }
    }
}

fn context(config: &Config, found: &mut Found) {
    let context = &config.context;
    if let Err(error) = context.answer_fields() {
        found.push(("context.fields", escape(&error.to_string()).into_owned()));
    }
    if context.base_prompts.contains_key("triage") {
        let what = "triage reads no repository: its prompt stands in `prompts`";
        found.push(("context.base_prompts", what.to_owned()));
    }
}

fn schedule(config: &Config, found: &mut Found) {
    if let Err(why) = crate::schedule::time_zone(config.schedule.time_zone.as_deref()) {
        found.push(("schedule.time_zone", why));
    }
    for (path, stage) in [
        ("schedule.triage", Stage::Triage),
        ("schedule.check", Stage::Check),
        ("schedule.dispatch", Stage::Dispatch),
        ("schedule.integrate", Stage::Integrate),
    ] {
        if config.schedule.of(stage).every.as_secs() == 0 {
            found.push((path, "`every` is at least one second, like 15m".to_owned()));
        }
    }
}

fn numbers(config: &Config, found: &mut Found) {
    let l = &config.limits;
    for (path, value) in [
        ("limits.issues_per_tick", l.issues_per_tick),
        ("limits.attempts", l.attempts),
        ("limits.failures", l.failures),
        ("limits.posts_per_day", l.posts_per_day),
        ("limits.patch_mib", l.patch_mib),
        ("limits.patch_files", l.patch_files),
    ] {
        if value == 0 {
            found.push((path, NOTHING.to_owned()));
        }
    }
    let by = &l.in_flight_by;
    for (path, value) in [
        ("limits.in_flight", l.in_flight),
        ("limits.in_flight_by.triage", by.triage),
        ("limits.in_flight_by.check", by.check),
        ("limits.in_flight_by.implement", by.implement),
    ] {
        if value == Some(0) {
            found.push((path, NOTHING.to_owned()));
        }
    }
    for (path, budget) in [
        ("limits.issue", &l.issue),
        ("limits.author", &l.author),
        ("limits.day", &l.day),
    ] {
        if is_empty(budget) {
            found.push((path, NOTHING.to_owned()));
        }
        if !is_money(budget.cost_usd) {
            let what = "cost_usd is a sum of money in US dollars, like 2.5";
            found.push((path, what.to_owned()));
        }
    }
}

const NOTHING: &str = "0 would let nothing through: write at least 1";

fn is_money(dollars: Option<f64>) -> bool {
    dollars.is_none_or(|d| d.is_finite() && d >= 0.0)
}

/// Returns whether a budget is used up before anything began.
fn is_empty(budget: &BudgetSection) -> bool {
    budget.runs == Some(0)
        || budget.tokens == Some(0)
        || budget.cost_usd == Some(0.0)
        || budget.time.is_some_and(|t| t.get().is_zero())
}

fn plain_name(name: &str) -> bool {
    let ok = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (1..=64).contains(&name.len()) && name.bytes().all(ok)
}

fn is_variable(name: &str) -> bool {
    let ok = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.bytes().all(ok)
}
