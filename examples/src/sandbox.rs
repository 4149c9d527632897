//! How commands are held in: from the configuration to a wrapper.

use std::path::Path;

use pipeline_core::process::Network;
use pipeline_core::process::Wrapper;

use crate::config::model;
use crate::config::model::AgentSection;
use crate::issue_pipeline::Context;
use crate::issue_pipeline::Workplace;

/// Returns the wrapper of hooks and checks.
///
/// # Errors
/// The sentence that says what is wrong with the configured one.
pub fn wrapper(context: &Context, workplace: &Workplace) -> Result<Wrapper, String> {
    let section = &workplace.config().sandbox;
    let network = if section.network {
        Network::On
    } else {
        Network::Off
    };
    build(context, workplace, &section.wrapper).map(|w| w.network(network))
}

/// Returns the wrapper of an agent.
///
/// # Errors
/// The sentence that says what is wrong with the configured one.
pub fn wrapper_of(
    context: &Context,
    workplace: &Workplace,
    agent: &AgentSection,
) -> Result<Wrapper, String> {
    let chosen = agent
        .wrapper
        .as_ref()
        .unwrap_or(&workplace.config().sandbox.wrapper);
    let network = if agent.network {
        Network::On
    } else {
        Network::Off
    };
    let wrapper = build(context, workplace, chosen)?.network(network);
    let read = agent.read.iter().map(|path| workplace.loaded.resolve(path));
    Ok(read.fold(wrapper, Wrapper::read))
}

fn build(
    context: &Context,
    workplace: &Workplace,
    chosen: &model::Wrapper,
) -> Result<Wrapper, String> {
    let wrapper = match chosen {
        model::Wrapper::None => return Ok(Wrapper::none()),
        model::Wrapper::Auto => match found(context) {
            Some(wrapper) => wrapper,
            None => return Ok(Wrapper::none()),
        },
        model::Wrapper::Command(words) => {
            Wrapper::custom(words.iter().cloned()).map_err(|error| error.to_string())?
        }
    };
    let read = workplace
        .config()
        .sandbox
        .read
        .iter()
        .map(|path| workplace.loaded.resolve(path));
    let wrapper = read.fold(wrapper, Wrapper::read);
    let wrapper = match context.around.home() {
        Some(home) if home.exists() => wrapper.hide(home),
        _ => wrapper,
    };
    Ok(wrapper.hide(workplace.state.path()))
}

fn found(context: &Context) -> Option<Wrapper> {
    if cfg!(target_os = "macos") {
        let there = Path::new("/usr/bin/sandbox-exec").exists();
        return there.then(Wrapper::sandbox_exec);
    }
    let program = context.around.find_program("bwrap")?;
    Some(Wrapper::bubblewrap().program(program))
}

/// Returns whether a wrapper is there without any configuration.
#[must_use]
pub fn is_there(context: &Context) -> bool {
    found(context).is_some()
}
