//! How commands are held in: from the configuration to a wrapper.

use std::path::Path;

use pipeline_core::process::Network;
use pipeline_core::process::Wrapper;

use crate::config::model;
use crate::config::model::AgentSection;
use crate::surroundings::Surroundings;
use crate::workplace::Workplace;

/// Returns the wrapper of hooks and checks.
///
/// # Errors
/// The sentence that says what is wrong with the configured one.
pub fn wrapper(around: &Surroundings, workplace: &Workplace) -> Result<Wrapper, String> {
    let section = &workplace.config().sandbox;
    let network = if section.network {
        Network::On
    } else {
        Network::Off
    };
    build(around, workplace, &section.wrapper).map(|w| w.network(network))
}

/// Returns the wrapper of an agent.
///
/// # Errors
/// The sentence that says what is wrong with the configured one.
pub fn wrapper_of(
    around: &Surroundings,
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
    let wrapper = build(around, workplace, chosen)?.network(network);
    let read = agent.read.iter().map(|path| workplace.loaded.resolve(path));
    Ok(read.fold(wrapper, Wrapper::read))
}

fn build(
    around: &Surroundings,
    workplace: &Workplace,
    chosen: &model::Wrapper,
) -> Result<Wrapper, String> {
    let wrapper = match chosen {
        model::Wrapper::None => return Ok(Wrapper::none()),
        model::Wrapper::Auto => match found(around) {
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
    let wrapper = match around.home() {
        Some(home) if home.exists() => wrapper.hide(home),
        _ => wrapper,
    };
    Ok(wrapper.hide(workplace.state.path()))
}

fn found(around: &Surroundings) -> Option<Wrapper> {
    if cfg!(target_os = "macos") {
        let there = Path::new("/usr/bin/sandbox-exec").exists();
        return there.then(Wrapper::sandbox_exec);
    }
    let program = around.find_program("bwrap")?;
    Some(Wrapper::bubblewrap().program(program))
}

/// Returns whether a wrapper is there without any configuration.
#[must_use]
pub fn is_there(around: &Surroundings) -> bool {
    found(around).is_some()
}
