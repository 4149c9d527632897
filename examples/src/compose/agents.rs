//! The agents a configuration names.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use pipeline_agents::ApiAgent;
use pipeline_agents::ClaudeAgent;
use pipeline_agents::CliOptions;
use pipeline_agents::CodexAgent;
use pipeline_agents::CommandAgent;
use pipeline_agents::InvalidApiAgent;
use pipeline_agents::Prices;
use pipeline_agents::Wire;
use pipeline_core::BoxError;
use pipeline_core::agent::Agent;
use pipeline_core::agent::AgentTask;
use pipeline_core::agent::RunId;
use pipeline_core::agent::RunLimits;
use pipeline_core::agent::TaskKind;
use pipeline_core::agent::WorkspaceKind;
use pipeline_core::issue::IssueKey;
use pipeline_core::secret::Secret;
use url::Url;

use super::ComposeError;
use super::settings::micros;
use crate::config::model::AgentKind;
use crate::config::model::AgentSection;
use crate::config::model::ApiWire;
use crate::config::model::WorkspaceChoice;
use crate::sandbox;
use crate::surroundings::Surroundings;
use crate::surroundings::read_secret;
use crate::workplace::Workplace;

/// What came out of `[agents]`.
pub(super) struct Agents {
    /// The agents.
    pub(super) built: Vec<Arc<dyn Agent>>,
    /// Every secret one of them is given: none of it may be posted.
    pub(super) secrets: Vec<Secret>,
}

pub(super) async fn agents(
    workplace: &Workplace,
    around: &Surroundings,
) -> Result<Agents, ComposeError> {
    let mut agents = Agents {
        built: Vec::new(),
        secrets: Vec::new(),
    };
    for (name, section) in &workplace.config().agents {
        let agent: Arc<dyn Agent> = match section.kind {
            AgentKind::Command => {
                Arc::new(command(workplace, around, name, section, &mut agents.secrets).await?)
            }
            AgentKind::Api => {
                Arc::new(api(workplace, around, name, section, &mut agents.secrets).await?)
            }
            AgentKind::Codex => {
                let options = options(workplace, around, name, section, &mut agents.secrets);
                Arc::new(CodexAgent::new(options.await?))
            }
            AgentKind::Claude => {
                let options = options(workplace, around, name, section, &mut agents.secrets);
                Arc::new(ClaudeAgent::new(options.await?))
            }
        };
        agents.built.push(agent);
    }
    Ok(agents)
}

/// Says what is found of an agent whose program is known: its version and whether its sandbox holds.
///
/// # Errors
/// What is missing.
pub(crate) async fn check(
    workplace: &Workplace,
    around: &Surroundings,
    name: &str,
    section: &AgentSection,
) -> Result<String, BoxError> {
    let options = options(workplace, around, name, section, &mut Vec::new()).await?;
    let kind = TaskKind::Implement;
    let task = AgentTask {
        run: RunId::random(),
        issue: IssueKey::new("DOCTOR")?,
        kind,
        mode: kind.mode(),
        prompt: String::new(),
        schema: None,
        input: serde_json::Value::Null,
        workdir: None,
        images: Vec::new(),
        model: None,
        session: None,
        state_dir: None,
        loopback: None,
        limits: RunLimits::default(),
    };
    Ok(match section.kind {
        AgentKind::Claude => ClaudeAgent::new(options).check(&task).await?,
        _ => CodexAgent::new(options).check(&task).await?,
    })
}

/// Describes an agent whose program is known.
async fn options(
    workplace: &Workplace,
    around: &Surroundings,
    name: &str,
    section: &AgentSection,
    secrets: &mut Vec<Secret>,
) -> Result<CliOptions, ComposeError> {
    let usual = match section.kind {
        AgentKind::Claude => "claude",
        _ => "codex",
    };
    let program = section.command.first().map_or(usual, String::as_str);
    let program = around
        .find_program(program)
        .unwrap_or_else(|| PathBuf::from(program));
    let scratch = workplace.state.path().join("scratch");
    let mut options = CliOptions::new(name, program, scratch)
        .search_path(around.search_path().to_string_lossy())
        .hide(workplace.state.path());
    if let Some(home) = around.home() {
        options = options.hide(home);
    }
    let read = workplace.config().sandbox.read.iter().chain(&section.read);
    for path in read {
        options = options.read(workplace.loaded.resolve(path));
    }
    if let Some(model) = &section.model {
        options = options.model(model);
    }
    if let Some(url) = &section.base_url {
        options = options.base_url(url);
    }
    if let Some(login) = &section.login {
        options = options.login(workplace.loaded.resolve(login));
    }
    for (variable, value) in around.named(&section.env) {
        options = options.env(variable.to_string_lossy(), value.to_string_lossy());
    }
    let key = section.key.iter().map(|source| ("key", source));
    let named = section
        .secrets
        .iter()
        .map(|(v, source)| (v.as_str(), source));
    let directory = workplace.loaded.path.parent().unwrap_or(Path::new("/"));
    for (n, (variable, source)) in key.chain(named).enumerate() {
        let secret = read_secret(source, around, directory)
            .await
            .map_err(|source| ComposeError::Secret {
                agent: name.to_owned(),
                variable: variable.to_owned(),
                source,
            })?;
        secrets.push(secret.clone());
        options = if n == 0 && section.key.is_some() {
            options.key(secret)
        } else {
            options.secret(variable, secret)
        };
    }
    Ok(options)
}

async fn command(
    workplace: &Workplace,
    around: &Surroundings,
    name: &str,
    section: &AgentSection,
    secrets: &mut Vec<Secret>,
) -> Result<CommandAgent, ComposeError> {
    let (program, arguments) = section
        .command
        .split_first()
        .map_or(("", &[][..]), |(p, a)| (p.as_str(), a));
    // Looked up here, where the person's own PATH is known.
    let program = around
        .find_program(program)
        .unwrap_or_else(|| PathBuf::from(program));
    let wrapper = sandbox::wrapper(around, workplace, section.wrapper.as_ref(), section.network)
        .map_err(|why| ComposeError::unusable(format!("agent {name}: {why}")))?;
    let kind = match section.workspace {
        WorkspaceChoice::Worktree => WorkspaceKind::DetachedWorktree,
        WorkspaceChoice::Clone => WorkspaceKind::SeparateClone,
    };
    let mut agent = CommandAgent::builder(name, &program, workplace.state.path().join("scratch"))
        .args(arguments.iter().cloned())
        .env("PATH", around.search_path().to_string_lossy())
        .wrapper(wrapper)
        .workspace(kind);
    let own = section
        .read
        .iter()
        .map(|path| workplace.loaded.resolve(path));
    for path in own.chain(installation(&program, workplace, around)) {
        agent = agent.read(path);
    }
    for (variable, value) in around.named(&section.env) {
        agent = agent.env(variable.to_string_lossy(), value.to_string_lossy());
    }
    let directory = workplace.loaded.path.parent().unwrap_or(Path::new("/"));
    for (variable, source) in &section.secrets {
        let secret = read_secret(source, around, directory)
            .await
            .map_err(|source| ComposeError::Secret {
                agent: name.to_owned(),
                variable: variable.clone(),
                source,
            })?;
        secrets.push(secret.clone());
        agent = agent.secret(variable, secret);
    }
    Ok(agent.build())
}

pub(crate) async fn api(
    workplace: &Workplace,
    around: &Surroundings,
    name: &str,
    section: &AgentSection,
    secrets: &mut Vec<Secret>,
) -> Result<ApiAgent, ComposeError> {
    let api = &section.api;
    let lacks = |what| ComposeError::unusable(format!("agent {name} lacks {what}"));
    let source = api.key.as_ref().ok_or_else(|| lacks("api.key"))?;
    let address = api.url.as_deref().ok_or_else(|| lacks("api.url"))?;
    let model = section.model.as_deref().ok_or_else(|| lacks("model"))?;
    let unusable = |source: pipeline_core::BoxError| ComposeError::Unusable {
        what: format!("agent {name} cannot be used"),
        source: Some(source),
    };
    let address = Url::parse(address).map_err(|_| unusable(InvalidApiAgent::Address.into()))?;
    let directory = workplace.loaded.path.parent().unwrap_or(Path::new("/"));
    let key = read_secret(source, around, directory)
        .await
        .map_err(|source| ComposeError::Secret {
            agent: name.to_owned(),
            variable: "api.key".to_owned(),
            source,
        })?;
    secrets.push(key.clone());
    let wire = match api.wire {
        ApiWire::Responses => Wire::Responses,
        ApiWire::Messages => Wire::Messages,
    };
    let mut agent =
        ApiAgent::builder(name, wire, address, model, key).output_tokens(api.output_tokens);
    if let (Some(input), Some(output)) = (api.input_usd, api.output_usd) {
        agent = agent.prices(Prices {
            input: micros(input),
            cached: api.cached_usd.map(micros),
            output: micros(output),
        });
    }
    agent.build().map_err(|error| unusable(error.into()))
}

/// Returns the folders a program of the person's own has to see: where it is named, and where a link leads.
///
/// Never one that holds the home or the state directory: then only the file itself.
fn installation(program: &Path, workplace: &Workplace, around: &Surroundings) -> Vec<PathBuf> {
    let hidden: Vec<PathBuf> = (around.home().into_iter())
        .chain([workplace.state.path().to_owned()])
        .filter_map(|path| path.canonicalize().ok())
        .collect();
    let places = [Some(program.to_owned()), program.canonicalize().ok()];
    let shown = places.into_iter().flatten().filter_map(|file| {
        let folder = file.parent()?.canonicalize().ok()?;
        let holds_hidden = hidden.iter().any(|h| h.starts_with(&folder));
        let system = ["/usr", "/bin", "/sbin", "/System"]
            .iter()
            .any(|s| folder.starts_with(s));
        match (system, holds_hidden) {
            (true, _) => None,
            (false, true) => Some(file),
            (false, false) => Some(folder),
        }
    });
    let mut shown: Vec<PathBuf> = shown.collect();
    shown.dedup();
    shown
}
