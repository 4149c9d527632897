//! How commands are held in: from the configuration to a wrapper.

use std::path::Path;

use pipeline_core::process::Network;
use pipeline_core::process::Wrapper;

use crate::config::model;
use crate::surroundings::Surroundings;
use crate::workplace::Workplace;

/// Returns the wrapper that was chosen: for one agent, or for everything.
///
/// # Errors
/// The sentence that says what is wrong with the configured one.
pub fn wrapper(
    around: &Surroundings,
    workplace: &Workplace,
    own: Option<&model::Wrapper>,
    network: bool,
) -> Result<Wrapper, String> {
    let section = &workplace.config().sandbox;
    let wrapper = match own.unwrap_or(&section.wrapper) {
        model::Wrapper::None => return Ok(Wrapper::none()),
        model::Wrapper::Auto => match found(around) {
            Some(wrapper) => wrapper,
            None => return Ok(Wrapper::none()),
        },
        model::Wrapper::Command(words) => {
            Wrapper::custom(words.iter().cloned()).map_err(|error| error.to_string())?
        }
    };
    let read = section
        .read
        .iter()
        .map(|path| workplace.loaded.resolve(path));
    let wrapper = read.fold(wrapper, Wrapper::read);
    let wrapper = match around.home() {
        Some(home) if home.exists() => wrapper.hide(home),
        _ => wrapper,
    };
    let network = if network { Network::On } else { Network::Off };
    Ok(wrapper.hide(workplace.state.path()).network(network))
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
